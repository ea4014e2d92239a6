/**
 * Who is online, over which link (docs/PROTOCOL.md, section "Beacons").
 *
 * A node sends one signed beacon a period on all its links. It names its boot,
 * a counter, and the newest counters that it heard. A user is online for this
 * node on a link while the last beacon that came over that link names a recent
 * beacon of this node: so a relay's word, or a replayed beacon, is never enough.
 *
 * A user that comes back with a store that lacks what this node heard of has
 * forgotten what it did: it is shown that beacon of its, and is not named until
 * it knows (section "Lost memory").
 */

import type { Millis, Ulid, UserId } from './ids.js';
import { BEACON_HEARD_MAX, BEACONS_SHOWN_MAX, type Timing } from './limits.js';
import { type Beacon, encodeStatement, type HeardBeacon, type Signed } from './statements.js';
import { type Growth, lacks } from './store-boots.js';

/** Identifies one link of this node. */
export type LinkId = number;

/** Beacons provoked by a newcomer are at least this far apart. */
const REPLY_GAP_MS = 40;

interface Sighting {
  at: Millis;
  /** When this node sent the newest beacon of its own that the user named. */
  namedSentAt: Millis;
}

interface Heard {
  readonly at: Millis;
  readonly beacon: Beacon;
  readonly sig: Uint8Array;
}

export interface HeardResult {
  /** The user restarted since it was last heard: its leaderships ended. */
  readonly newBoot: boolean;
  /** The user came online on this link with this beacon. */
  readonly cameOnline: boolean;
}

export class Presence {
  readonly #self: UserId;
  #boot: Ulid;
  readonly #timing: Timing;
  readonly #jitter: () => number;
  #counter = 0;
  /** Send times of this node's newest beacons, by counter. */
  readonly #sent = new Map<number, Millis>();
  readonly #heard = new Map<UserId, Heard>();
  /** Who named this boot, and so knows of nothing that this node's store lacks. */
  readonly #named = new Set<UserId>();
  /** The last beacons of users whose stores were put back, to be shown to them. */
  readonly #toShow = new Map<UserId, Signed>();
  readonly #links = new Map<LinkId, Map<UserId, Sighting>>();
  /** Whom the last beacon was for: others are not answered at once. */
  #users: ReadonlySet<UserId> = new Set();
  /** Whom the last beacon named last: the next goes on behind it, where not all fit. */
  #lastNamed: UserId | undefined;
  #next: Millis = 0;
  /** No sighting grows stale before this. */
  #staleAt: Millis = Number.POSITIVE_INFINITY;

  constructor(self: UserId, boot: Ulid, timing: Timing, jitter: () => number) {
    this.#self = self;
    this.#boot = boot;
    this.#timing = timing;
    this.#jitter = jitter;
  }

  get links(): IterableIterator<LinkId> {
    return this.#links.keys();
  }

  linkUp(link: LinkId, now: Millis): void {
    this.#links.set(link, new Map());
    this.#next = now;
  }

  linkDown(link: LinkId): void {
    this.#links.delete(link);
  }

  /** A relay says that a user came: worth a beacon, proof of nothing. */
  hint(now: Millis): void {
    this.#soon(now);
  }

  #soon(now: Millis): void {
    const last = this.#sent.get(this.#counter) ?? -REPLY_GAP_MS;
    this.#next = Math.min(this.#next, Math.max(now, last + REPLY_GAP_MS));
  }

  /** A beacon came, with its verified signature. */
  heard(link: LinkId, beacon: Beacon, sig: Uint8Array, now: Millis): HeardResult {
    const none = { newBoot: false, cameOnline: false };
    const sightings = this.#links.get(link);
    if (!sightings || beacon.user === this.#self) return none;
    const known = this.#heard.get(beacon.user);
    // Boots are ULIDs of a user's own clock: a smaller one is a replay, or the clock went back.
    if (known && beacon.boot < known.beacon.boot) {
      this.#show(known);
      return none;
    }
    const newBoot = known !== undefined && beacon.boot !== known.beacon.boot;
    if (newBoot && lacks(beacon.before, known.beacon)) {
      this.#show(known);
      this.#soon(now);
      return none;
    }
    if (!known || newBoot || beacon.counter > known.beacon.counter) {
      this.#heard.set(beacon.user, { at: now, beacon, sig });
      if ((!known || newBoot) && this.#users.has(beacon.user)) this.#soon(now);
    }
    const mine = beacon.heard.find((h) => h.user === this.#self && h.boot === this.#boot);
    if (mine) this.#named.add(beacon.user);
    const namedSentAt = mine ? this.#sent.get(mine.counter) : undefined;
    if (namedSentAt === undefined) {
      if (this.#users.has(beacon.user)) this.#soon(now);
      return { newBoot, cameOnline: false };
    }
    const before = sightings.get(beacon.user);
    const wasOnline = before !== undefined && this.#isFresh(before, now);
    const cameOnline = !wasOnline && this.#isFresh({ at: now, namedSentAt }, now);
    if (!before || namedSentAt > before.namedSentAt) {
      sightings.set(beacon.user, { at: now, namedSentAt });
      this.#staleAt = Math.min(this.#staleAt, namedSentAt + this.#timing.online_ms);
    }
    if (cameOnline) this.#soon(now);
    return { newBoot, cameOnline };
  }

  /** Its user gets to see it with this node's next beacon. */
  #show({ beacon, sig }: Heard): void {
    const { user } = beacon;
    this.#toShow.set(user, { by: user, statement: encodeStatement(beacon), sig });
  }

  /** This node is in another boot from now on: nobody has heard it in that. */
  restart(boot: Ulid, now: Millis): void {
    this.#boot = boot;
    this.#counter = 0;
    this.#sent.clear();
    this.#named.clear();
    for (const sightings of this.#links.values()) sightings.clear();
    this.#next = now;
  }

  #isFresh(s: Sighting, now: Millis): boolean {
    return now - s.namedSentAt <= this.#timing.online_ms;
  }

  /** Users that were last seen on some link too long ago: who is on no other is offline now. */
  lapsed(now: Millis): Set<UserId> {
    const users = new Set<UserId>();
    if (now <= this.#staleAt) return users;
    this.#staleAt = Number.POSITIVE_INFINITY;
    for (const sightings of this.#links.values()) {
      for (const [user, sighting] of sightings) {
        const staleAt = sighting.namedSentAt + this.#timing.online_ms;
        if (this.#isFresh(sighting, now)) this.#staleAt = Math.min(this.#staleAt, staleAt);
        else {
          sightings.delete(user);
          users.add(user);
        }
      }
    }
    return users;
  }

  onlineOn(link: LinkId, user: UserId, now: Millis): boolean {
    const sighting = this.#links.get(link)?.get(user);
    return sighting !== undefined && this.#isFresh(sighting, now);
  }

  isOnline(user: UserId, now: Millis): boolean {
    for (const link of this.#links.keys()) if (this.onlineOn(link, user, now)) return true;
    return false;
  }

  bootOf(user: UserId): Ulid | undefined {
    return this.#heard.get(user)?.beacon.boot;
  }

  /** What this node heard last of a user's store. */
  storeOf(user: UserId): Growth | undefined {
    return this.#heard.get(user)?.beacon;
  }

  /** Whether a user named this boot of this node, ever. */
  hasNamed(user: UserId): boolean {
    return this.#named.has(user);
  }

  /** Beacons to show with the next own one. */
  takeShown(): Signed[] {
    const shown = [...this.#toShow.values()].slice(0, BEACONS_SHOWN_MAX);
    for (const { by } of shown) this.#toShow.delete(by);
    return shown;
  }

  /** When `lapsed` has something to tell at the earliest. */
  get lapseDue(): Millis {
    return this.#staleAt + 1;
  }

  /** When the next beacon is due. */
  get due(): Millis {
    return this.#links.size === 0 ? Number.POSITIVE_INFINITY : this.#next;
  }

  /**
   * The next beacon, if it is due.
   * @param users whom it is for, and who is named in it
   * @param store how this node's grew, as far as is durable
   * @param former who left, or was removed, and may come back with an older store
   */
  beacon(
    now: Millis,
    users: ReadonlySet<UserId>,
    store: Pick<Beacon, 'batches' | 'before'>,
    former: ReadonlySet<UserId> = new Set(),
  ): Beacon | undefined {
    if (now < this.due) return undefined;
    this.#next = now + this.#timing.beacon_ms * (0.8 + 0.4 * this.#jitter());
    this.#users = users;
    this.#forgetOthers(users, former);
    this.#counter += 1;
    this.#sent.set(this.#counter, now);
    for (const [counter, at] of this.#sent) {
      if (now - at <= this.#timing.online_ms) break;
      this.#sent.delete(counter);
    }
    return {
      tag: 'beacon',
      user: this.#self,
      boot: this.#boot,
      counter: this.#counter,
      ...store,
      heard: this.#recentlyHeard(now),
    };
  }

  /** Drops what is known of users that no channel of this node names any more. */
  #forgetOthers(users: ReadonlySet<UserId>, former: ReadonlySet<UserId>): void {
    for (const known of [this.#heard, this.#named, this.#toShow]) {
      for (const user of known.keys()) {
        if (!users.has(user) && !former.has(user)) known.delete(user);
      }
    }
  }

  /** As many as a beacon names, from behind the last that the beacon before named. */
  #recentlyHeard(now: Millis): HeardBeacon[] {
    const recent = [...this.#heard.values()].filter(
      ({ at, beacon: { user } }) => now - at <= this.#timing.online_ms && this.#users.has(user),
    );
    const from = recent.length > BEACON_HEARD_MAX ? this.#positionBehindLast(recent) : 0;
    const named = [...recent.slice(from), ...recent.slice(0, from)].slice(0, BEACON_HEARD_MAX);
    this.#lastNamed = named.at(-1)?.beacon.user;
    return named.map(({ beacon: { user, boot, counter } }) => ({ user, boot, counter }));
  }

  #positionBehindLast(recent: readonly Heard[]): number {
    return recent.findIndex(({ beacon }) => beacon.user === this.#lastNamed) + 1;
  }
}
