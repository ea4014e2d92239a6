/**
 * The channel keys that a node knows of (docs/PROTOCOL.md, section
 * "Encryption"): what `keys` records say, and the keys that it could open. It
 * answers by which key a record opens, which one may be written under, which
 * older ones a new one must carry, and who should make one.
 *
 * Nothing of it is stored: all follows from the identity's sealing key and the
 * log. So a thief of a disk whose identity is under a passphrase has no key. Of
 * each record that counts it keeps where it stands and its key's secret, no
 * more: what is needed of the record again is read from the log.
 *
 * In whatever order it learns the records of one log, it comes to say the same.
 */

import { bytesEqual } from '../core/bytes.js';
import type { ChannelState } from '../core/channel-state.js';
import type { ChannelId, Digest, UserId } from '../core/ids.js';
import { KEY_ENTRIES_MAX, KEYS_CARRIED_MAX, KEYS_EARLY_PER_AUTHOR_MAX } from '../core/limits.js';
import type { ChannelRecord } from '../core/record.js';
import type { Roster } from '../core/roster.js';
import { type ChannelKey, channelKey, type KeyId } from './channel-cipher.js';
import {
  type KeysBody,
  keyIdIn,
  keysIn,
  type Opener,
  olderIn,
  openKeys,
  receiversOf,
} from './keys-record.js';

/** What is known of one key. */
interface Known {
  readonly id: KeyId;
  /** Undefined while this node has not the key. */
  secret: Uint8Array | undefined;
  /** Where the final records stand that name it. */
  readonly places: number[];
  /** The author of the first of them. */
  author: UserId | undefined;
  /** The lowest place of a record that gave the key to this node itself. */
  givenAt: number;
  /** The highest place of a record that carries it as an older one. */
  carriedAt: number;
}

/** A final record, and to whom it gives its key. */
interface Placed {
  readonly id: KeyId;
  readonly seq: number;
  readonly receivers: readonly UserId[];
}

/** The final records that give a key to exactly the present readers. */
interface Present {
  /** Since when they are the readers. */
  readonly readersSince: number;
  /** The place of the newest one, whether it opened here or not. */
  newest: number;
  /** Keys that this node was given by one of them before anything else named them so, and where. */
  readonly open: Map<KeyId, number>;
  newestOpen: KeyId | undefined;
}

/** An own key, in this node's lane already, that is not final. */
interface Own {
  readonly id: KeyId;
  readonly readersSince: number;
  readonly older: readonly KeyId[];
}

/** A key that somebody's record gives. */
interface Held {
  readonly key: ChannelKey;
  readonly by: UserId;
}

/** What a ring must know of the channel. */
type Channel = Pick<ChannelState, 'roster' | 'electors' | 'log' | 'genesis'>;

/** Reads a `keys` record of the log; undefined where it is not there. */
export type ReadKeys = (seq: number) => Promise<ChannelRecord | undefined>;

const NOWHERE = -1;
const NEVER = Number.POSITIVE_INFINITY;
/** Keys at hand at once; the others are derived from their secrets when they are needed. */
const AT_HAND_MAX = 64;

const firstOf = ({ places }: Known): number => Math.min(...places);
const nobody = (readersSince: number): Present => ({
  ...{ readersSince, newest: NOWHERE, open: new Map(), newestOpen: undefined },
});

export class Keyring {
  readonly #opener: Opener;
  readonly #channel: ChannelId;
  readonly #read: ReadKeys;
  readonly #keys = new Map<KeyId, Known>();
  /** Keys that this node has, that records name, and that nothing newer carries. */
  readonly #heads = new Set<Known>();
  /** Keys that no final record names, by who handed them out, oldest first. */
  readonly #unnamed = new Map<UserId, KeyId[]>();
  /** `keys` records that are not final and were looked at, by author. */
  readonly #early = new Map<UserId, Set<Digest>>();
  readonly #atHand = new Map<KeyId, ChannelKey>();
  #own: readonly Own[] = [];
  #readers: { readonly roster: Roster; readonly users: readonly UserId[] } | undefined;
  #present: Present = nobody(NOWHERE);
  /** The newest final record, and the newest that gives this node nothing. */
  #last: Placed | undefined;
  #before: Placed | undefined;

  constructor(opener: Opener, channel: ChannelId, read: ReadKeys) {
    this.#opener = opener;
    this.#channel = channel;
    this.#read = read;
  }

  has(id: KeyId): boolean {
    return this.#keys.get(id)?.secret !== undefined;
  }

  get(id: KeyId): ChannelKey | undefined {
    const atHand = this.#atHand.get(id);
    if (atHand) return atHand;
    const secret = this.#keys.get(id)?.secret;
    if (!secret) return undefined;
    const key = channelKey(this.#opener.crypto, this.#channel, secret);
    this.#keepAtHand(key);
    return key;
  }

  #keepAtHand(key: ChannelKey): void {
    this.#atHand.set(key.id, key);
    if (this.#atHand.size <= AT_HAND_MAX) return;
    for (const oldest of this.#atHand.keys()) {
      this.#atHand.delete(oldest);
      return;
    }
  }

  // Learning

  /** Whether it would learn anything of a record that is not final. */
  isNews({ kind, author, digest }: ChannelRecord): boolean {
    if (kind !== 'keys') return false;
    const seen = this.#early.get(author);
    if (!seen) return true;
    const isOwn = author === this.#opener.user;
    return !seen.has(digest) && (isOwn || seen.size < KEYS_EARLY_PER_AUTHOR_MAX);
  }

  #noteEarly({ author, digest }: ChannelRecord, isFinal: boolean): void {
    const seen = this.#early.get(author) ?? new Set();
    if (isFinal) seen.delete(digest);
    else seen.add(digest);
    if (seen.size > 0) this.#early.set(author, seen);
    else this.#early.delete(author);
  }

  /** Takes a record of kind `keys` that counts; `seq` is null for one that is not final. */
  async learn(record: ChannelRecord, seq: number | null, st: Channel): Promise<void> {
    this.#noteEarly(record, seq !== null);
    const keys = keysIn(record);
    if (!keys) return;
    const isForPresent = (): boolean => isForReaders(st, this.#readersOf(st.roster), keys);
    const wasForPresent = isForPresent();
    const given = await this.#givenBy(record, keys);
    // The readers may have changed meanwhile. From here to what is noted of them nothing is waited for.
    const isPresent = wasForPresent && isForPresent();
    if (seq !== null) {
      this.#place(record, keys, seq);
      if (isPresent) this.#presentOf(st).newest = Math.max(this.#presentOf(st).newest, seq);
      if (given) this.#give(given, seq, isPresent, st);
    } else if (given && isPresent) this.#noteOwn(record, given, st);
    if (given) await this.#hold([{ key: given, by: record.author }], seq);
    const key = this.get(keyIdIn(keys));
    if (key) await this.#hold(this.#carriedBy(record, seq, key), null);
  }

  /** A final record does not count: nobody else has its key from it. */
  ignore(record: ChannelRecord): void {
    this.#noteEarly(record, true);
    const keys = keysIn(record);
    if (keys && record.author === this.#opener.user) this.dropOwn(keyIdIn(keys));
  }

  /**
   * The key that a record gives to this node. Only of an own record that lists this node it is enough:
   * anybody can name another's key, and seal nothing.
   */
  async #givenBy(record: ChannelRecord, keys: KeysBody): Promise<ChannelKey | undefined> {
    const { user } = this.#opener;
    if (!keys.sealed.some((each) => each.user === user)) return undefined;
    const id = keyIdIn(keys);
    const key = this.get(id);
    const isKnown = key !== undefined && bytesEqual(key.commitment, keys.commitment);
    if (isKnown && record.author === user) return key;
    return await openKeys(this.#opener, record, keys);
  }

  #place({ author }: ChannelRecord, keys: KeysBody, seq: number): void {
    const id = keyIdIn(keys);
    const known = this.#knownOf(id);
    if (known.places.every((place) => seq < place)) known.author = author;
    if (!known.places.includes(seq)) known.places.push(seq);
    this.#look(known);
    const receivers = keys.sealed.map(({ user }) => user);
    const placed = { id, seq, receivers };
    if (seq > (this.#last?.seq ?? NOWHERE)) this.#last = placed;
    const isMine = receivers.includes(this.#opener.user);
    if (!isMine && seq > (this.#before?.seq ?? NOWHERE)) this.#before = placed;
    if (author === this.#opener.user) this.dropOwn(id);
  }

  #knownOf(id: KeyId): Known {
    const found = this.#keys.get(id);
    if (found) return found;
    const known: Known = {
      id,
      secret: undefined,
      places: [],
      author: undefined,
      givenAt: NEVER,
      carriedAt: NOWHERE,
    };
    this.#keys.set(id, known);
    return known;
  }

  /** What first gave a key counts: it is for the readers of then, whoever names it again. */
  #give({ id }: ChannelKey, seq: number, isPresent: boolean, st: Channel): void {
    const known = this.#knownOf(id);
    if (known.givenAt <= seq) return;
    known.givenAt = seq;
    const present = this.#presentOf(st);
    const { open } = present;
    if (isPresent) open.set(id, seq);
    else open.delete(id);
    const newest = present.newestOpen;
    if (newest === id) present.newestOpen = newestOf(open);
    else if (isPresent && (newest === undefined || seq > open.get(newest)!))
      present.newestOpen = id;
  }

  #noteOwn({ author }: ChannelRecord, { id }: ChannelKey, { roster }: Channel): void {
    if (author !== this.#opener.user || this.isOnItsWay(id)) return;
    if (this.#knownOf(id).places.length > 0) return;
    this.#own = [...this.#own, { id, readersSince: roster.readersSince, older: [] }];
  }

  /** Has these keys, and those that the records which name them carry, but for what stands at `except`. */
  async #hold(some: readonly Held[], except: number | null): Promise<void> {
    const todo = [...some];
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      const { key, by } = next;
      const known = this.#knownOf(key.id);
      if (known.secret !== undefined) continue;
      known.secret = key.secret;
      this.#keepAtHand(key);
      this.#look(known);
      if (known.places.length === 0) this.#noteUnnamed(known, by);
      for (const seq of [...known.places]) {
        const record = seq === except ? undefined : await this.#read(seq);
        if (record) todo.push(...this.#carriedBy(record, seq, key));
      }
    }
  }

  #carriedBy(record: ChannelRecord, seq: number | null, key: ChannelKey): Held[] {
    const keys = keysIn(record);
    if (!keys || keyIdIn(keys) !== key.id) return [];
    return olderIn(this.#opener.crypto, record, keys, key).map((older) => {
      const known = this.#knownOf(older.id);
      if (seq !== null) known.carriedAt = Math.max(known.carriedAt, seq);
      this.#look(known);
      return { key: older, by: record.author };
    });
  }

  /** Of those that one author hands out and no record names only the last are kept. */
  #noteUnnamed({ id }: Known, by: UserId): void {
    if (by === this.#opener.user) return;
    const ids = this.#unnamed.get(by) ?? [];
    this.#unnamed.set(by, ids);
    ids.push(id);
    if (ids.length <= KEYS_CARRIED_MAX) return;
    const oldest = ids.shift()!;
    if (this.#keys.get(oldest)?.places.length !== 0) return;
    this.#keys.delete(oldest);
    this.#atHand.delete(oldest);
  }

  /** A key that only older records carry than the first that names it, or none, is a head. */
  #look(known: Known): void {
    const { secret, places, carriedAt } = known;
    const isHead = secret !== undefined && places.length > 0 && carriedAt <= firstOf(known);
    if (isHead) this.#heads.add(known);
    else this.#heads.delete(known);
  }

  /** This node's own new key, once its record stands in its lane. */
  addOwn(key: ChannelKey, readersSince: number, older: readonly KeyId[]): void {
    const known = this.#knownOf(key.id);
    known.secret = key.secret;
    this.#keepAtHand(key);
    this.#look(known);
    // It may be final already.
    if (known.places.length > 0) return;
    this.dropOwn(key.id);
    this.#own = [...this.#own, { id: key.id, readersSince, older }];
  }

  /** An own key is final, or its record came to nothing. */
  dropOwn(id: KeyId): void {
    if (this.isOnItsWay(id)) this.#own = this.#own.filter((own) => own.id !== id);
  }

  isOnItsWay(id: KeyId): boolean {
    return this.#own.some((own) => own.id === id);
  }

  /** So many own keys are not final. */
  get onTheirWay(): number {
    return this.#own.length;
  }

  // Which key to write under

  #readersOf(roster: Roster): readonly UserId[] {
    if (this.#readers?.roster !== roster) this.#readers = { roster, users: receiversOf(roster) };
    return this.#readers.users;
  }

  /** What there is for the present readers. Who they were before does not come again: roster numbers grow. */
  #presentOf({ roster: { readersSince } }: Channel): Present {
    if (readersSince === this.#present.readersSince) return this.#present;
    const present = nobody(readersSince);
    if (readersSince > this.#present.readersSince) this.#present = present;
    return present;
  }

  /** The newest key that is final, and that all present readers were given; undefined where there is none that opened here. */
  settled(st: Channel): ChannelKey | undefined {
    const { newestOpen } = this.#presentOf(st);
    return newestOpen === undefined ? undefined : this.get(newestOpen);
  }

  /** The key to write under: the newest own one on its way, else the newest that is final; undefined where one must be made. */
  usable(st: Channel): ChannelKey | undefined {
    const own = this.#ownFor(st).at(-1);
    if (own) return this.get(own.id);
    const { open, newestOpen } = this.#presentOf(st);
    if (newestOpen === undefined) return undefined;
    const isWorn = st.log.final.seq - open.get(newestOpen)! >= KEY_ENTRIES_MAX;
    return isWorn ? undefined : this.get(newestOpen);
  }

  #ownFor({ roster: { readersSince } }: Channel): readonly Own[] {
    return this.#own.filter((own) => own.readersSince === readersSince);
  }

  /** Whether an own key for the present readers is on its way. */
  hasOwn(st: Channel): boolean {
    return this.#ownFor(st).length > 0;
  }

  // Handing on what was before

  /**
   * Who can give this node what it lacks still to read what the policy lets it read; null where it
   * lacks nothing. A key of another newcomer gives none of what was before both.
   */
  givers(st: Channel): readonly UserId[] | null {
    const readers = this.#readersOf(st.roster);
    const before = st.genesis.history === 'all' ? this.#before : undefined;
    if (before && !this.has(before.id)) return among(readers, before.receivers);
    return this.#last === undefined || this.settled(st) ? null : readers;
  }

  /** What a new key must carry, so that who gets it gets all that this node has. */
  toCarry(st: Channel): ChannelKey[] {
    if (st.genesis.history === 'joined') return [];
    const carried = new Set(this.#ownFor(st).flatMap(({ older }) => older));
    const early = [...this.#keys.values()].filter(
      ({ secret, places, carriedAt }) => secret && places.length === 0 && carriedAt === NOWHERE,
    );
    return [...inTurns(this.#heads), ...early]
      .filter(({ id }) => !carried.has(id))
      .slice(0, KEYS_CARRIED_MAX)
      .map(({ id }) => this.get(id)!);
  }

  /**
   * Who may make the key that is missing now, where one is: one that all readers can use, or one that
   * carries what some of them lack. In groups, the one that should comes first; of a group, who can.
   */
  makers(st: Channel): readonly (readonly UserId[])[] | null {
    const readers = this.#readersOf(st.roster);
    if (!readers.includes(this.#opener.user)) return null;
    const { newest, newestOpen, open } = this.#presentOf(st);
    const isForAll = st.genesis.history === 'all';
    if (newest === NOWHERE) {
      const elders = isForAll && this.#last ? among(readers, this.#last.receivers) : readers;
      return [elders, readers.filter((user) => !elders.includes(user))];
    }
    // The maker of the newest left this node out.
    if (newestOpen === undefined || newest > open.get(newestOpen)!) return [readers];
    if (!isForAll) return null;
    for (const { id } of this.#heads) if (!open.has(id)) return [readers];
    return null;
  }
}

/** Keys newest first, but each author has its turn: who makes many does not crowd out the others. */
function inTurns(heads: Iterable<Known>): Known[] {
  const counts = new Map<UserId | undefined, number>();
  const turns = [...heads]
    .sort((a, b) => firstOf(b) - firstOf(a))
    .map((known) => {
      const turn = counts.get(known.author) ?? 0;
      counts.set(known.author, turn + 1);
      return { known, turn };
    });
  return turns.sort((a, b) => a.turn - b.turn).map(({ known }) => known);
}

function newestOf(open: ReadonlyMap<KeyId, number>): KeyId | undefined {
  let newest: KeyId | undefined;
  for (const [id, seq] of open) if (seq > (open.get(newest ?? '') ?? NOWHERE)) newest = id;
  return newest;
}

function among(readers: readonly UserId[], receivers: readonly UserId[]): readonly UserId[] {
  const has = new Set(receivers);
  return readers.filter((reader) => has.has(reader));
}

/** Whether a record gives its key to exactly those who may read now. */
function isForReaders(
  { roster, electors }: Channel,
  readers: readonly UserId[],
  { roster: number, rosterHash, sealed }: KeysBody,
): boolean {
  if (number < roster.readersSince || number > roster.number) return false;
  if (electors[number]?.hash !== rosterHash) return false;
  return readers.length === sealed.length && readers.every((user, i) => user === sealed[i]!.user);
}
