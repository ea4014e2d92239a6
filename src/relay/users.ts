/**
 * Who is connected, and who is told of it (docs/PROTOCOL.md, section "Relay:
 * presence"). V0 lets a relay tell everyone of everyone; this one tells of a user
 *
 *   - those who share a channel with it that the relay knows,
 *   - those who wrote to it on their present connection (they know its id, and
 *     want to know when to send again), and
 *   - on a relay with an allow-list, everyone: they are one group already.
 *
 * So nobody can list the users of an open relay.
 */

import { ConclaveError } from '../core/errors.js';
import type { UserId } from '../core/ids.js';
import type { Account } from './accounts.js';
import type { Channels } from './channels.js';
import type { PeerId } from './effects.js';
import { type RelayLimits, rateOf } from './limits.js';
import { LimitError } from './replies.js';
import type { TokenBucket } from './token-bucket.js';

/** A connected user: one connection at a time. */
export interface OnlineUser {
  readonly user: UserId;
  readonly name: string;
  readonly peer: PeerId;
  /** `[peer]`, always the same array. */
  readonly self: readonly PeerId[];
  /** Users it wrote to, the last one last. */
  readonly watching: Set<UserId>;
  /** Channels that it made known. */
  announced: number;
  /** What it used, and what its address did. */
  readonly accounts: readonly Account[];
  readonly joins: TokenBucket;
}

export interface KnownUser {
  readonly id: UserId;
  readonly name: string;
  readonly status: 'online' | 'offline';
}

export class Users {
  readonly #limits: RelayLimits;
  readonly #channels: Channels;
  readonly #byUser = new Map<UserId, OnlineUser>();
  readonly #byPeer = new Map<PeerId, OnlineUser>();
  readonly #watchers = new Map<UserId, Set<OnlineUser>>();
  readonly #allowed: Set<UserId> | undefined;

  constructor(channels: Channels, limits: RelayLimits, allow: readonly UserId[] | undefined) {
    this.#channels = channels;
    this.#limits = limits;
    if (allow) {
      this.#allowed = new Set();
      for (const user of allow) this.allow(user);
    }
  }

  get size(): number {
    return this.#byUser.size;
  }

  online(user: UserId): OnlineUser | undefined {
    return this.#byUser.get(user);
  }

  at(peer: PeerId): OnlineUser | undefined {
    return this.#byPeer.get(peer);
  }

  peers(): PeerId[] {
    return [...this.#byPeer.keys()];
  }

  isAllowed(user: UserId): boolean {
    return this.#allowed === undefined || this.#allowed.has(user);
  }

  /** False when it was on the list already. */
  allow(user: UserId): boolean {
    const allowed = this.#listed();
    if (allowed.has(user)) return false;
    if (allowed.size >= this.#limits.allowed_max) {
      throw new LimitError(
        'full',
        'allowed_max',
        `the allow-list has ${allowed.size} users, its limit`,
      );
    }
    allowed.add(user);
    return true;
  }

  /** False when it was not on the list. */
  disallow(user: UserId): boolean {
    return this.#listed().delete(user);
  }

  #listed(): Set<UserId> {
    if (this.#allowed) return this.#allowed;
    throw new ConclaveError(
      'no_allow_list',
      'this relay lets everyone in: start it with `allow` to keep a list',
    );
  }

  enter(
    peer: PeerId,
    { user, name }: { readonly user: UserId; readonly name: string },
    accounts: readonly Account[],
    nowMs: number,
  ): OnlineUser {
    const entered: OnlineUser = {
      user,
      name,
      peer,
      self: [peer],
      watching: new Set(),
      announced: 0,
      accounts,
      joins: rateOf(this.#limits, 'joins', nowMs),
    };
    this.#byUser.set(user, entered);
    this.#byPeer.set(peer, entered);
    this.#channels.setOnline(user, peer);
    return entered;
  }

  leave(leaving: OnlineUser): void {
    for (const watched of leaving.watching) this.#unwatch(leaving, watched);
    this.#byPeer.delete(leaving.peer);
    this.#byUser.delete(leaving.user);
    this.#channels.setOnline(leaving.user, undefined);
  }

  /** From now on `writer` is told when `user` comes and goes. */
  watch(writer: OnlineUser, user: UserId): void {
    if (writer.watching.has(user)) return;
    if (writer.watching.size >= this.#limits.watched_max) {
      const [oldest] = writer.watching;
      this.#unwatch(writer, oldest!);
    }
    writer.watching.add(user);
    const watchers = this.#watchers.get(user);
    if (watchers) watchers.add(writer);
    else this.#watchers.set(user, new Set([writer]));
  }

  #unwatch(writer: OnlineUser, user: UserId): void {
    writer.watching.delete(user);
    const watchers = this.#watchers.get(user);
    watchers?.delete(writer);
    if (watchers?.size === 0) this.#watchers.delete(user);
  }

  /** Connections that are told when `user` comes and goes. */
  interestedIn({ user, peer }: OnlineUser): readonly PeerId[] {
    if (this.#allowed) return this.peers().filter((other) => other !== peer);
    const watchers = this.#watchers.get(user);
    const sharing = this.#channels.sharing(user);
    if (!watchers) return sharing;
    const interested = new Set(sharing);
    for (const writer of watchers) if (writer.user !== user) interested.add(writer.peer);
    return [...interested];
  }

  /** How many users `knownTo` has to look at. */
  knownCount(asker: OnlineUser): number {
    let count = 1 + asker.watching.size + (this.#allowed?.size ?? 0);
    for (const { roster } of this.#channels.ofMember(asker.user)) count += roster.members.size;
    return count;
  }

  /** Whom `asker` may know of, itself first, then those online; at most `max`. */
  knownTo(asker: OnlineUser, max: number): KnownUser[] {
    const known = new Map<UserId, KnownUser>();
    const add = (id: UserId, name: string): void => {
      if (known.has(id)) return;
      const online = this.#byUser.get(id);
      known.set(id, { id, name: online?.name ?? name, status: online ? 'online' : 'offline' });
    };
    add(asker.user, asker.name);
    for (const { roster } of this.#channels.ofMember(asker.user)) {
      for (const { user, name } of roster.members.values()) add(user, name);
    }
    for (const user of asker.watching) add(user, '');
    for (const user of this.#allowed ?? []) add(user, '');
    const users = [...known.values()];
    const online = users.filter((user) => user.status === 'online');
    const offline = users.filter((user) => user.status === 'offline');
    return [...online, ...offline].slice(0, max);
  }
}
