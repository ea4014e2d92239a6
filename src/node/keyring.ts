/**
 * The channel keys that a node knows of (docs/PROTOCOL.md, section
 * "Encryption"): what `keys` records say, and the keys that it could open. It
 * answers by which key a record opens, which one may be written under, which
 * older ones a new one must carry, and who should make one.
 *
 * Nothing of it is stored: all follows from the identity's sealing key and the
 * log. So a thief of a disk whose identity is under a passphrase has no key.
 */

import type { ChannelState } from '../core/channel-state.js';
import { type Digest, hex, type UserId } from '../core/ids.js';
import { KEY_ENTRIES_MAX, KEYS_CARRIED_MAX } from '../core/limits.js';
import type { ChannelRecord } from '../core/record.js';
import type { Roster } from '../core/roster.js';
import type { ChannelKey, KeyId } from './channel-cipher.js';
import {
  type KeysBody,
  keysIn,
  type Opener,
  olderIn,
  openKeys,
  receiversOf,
} from './keys-record.js';

/** A `keys` record. */
interface Listed {
  readonly id: KeyId;
  readonly seq: number | null;
  readonly author: UserId;
  readonly roster: number;
  readonly rosterHash: Digest;
  readonly receivers: readonly UserId[];
}

/** A `keys` record, as far as the older keys in it need it. */
interface Carrier {
  readonly made: Pick<ChannelRecord, 'channel' | 'author'>;
  readonly keys: Omit<KeysBody, 'sealed'>;
}

/** What follows for the readers of one roster. */
interface View {
  readonly version: number;
  readonly roster: Roster;
  readonly newestOpen: Listed | undefined;
  readonly own: Listed | undefined;
  readonly makers: readonly UserId[] | null;
}

/** What a ring must know of the channel. */
type Channel = Pick<ChannelState, 'roster' | 'electors' | 'log' | 'genesis'>;

const idOf = ({ commitment }: KeysBody): KeyId => hex(commitment.subarray(0, 16));

export class Keyring {
  readonly #opener: Opener;
  readonly #keys = new Map<KeyId, ChannelKey>();
  /** Of each key the record that counts: the first final one, else the first that came. */
  readonly #listed = new Map<KeyId, Listed>();
  /** Which keys each key that this node has carries. */
  readonly #carried = new Map<KeyId, readonly KeyId[]>();
  /** What was not opened yet of records whose key is not here. */
  readonly #carriers = new Map<KeyId, readonly Carrier[]>();
  /** `keys` records that are not final and were looked at. */
  readonly #seen = new Set<Digest>();
  /** Own keys, in this node's lane already, that are not final. */
  readonly #own: Listed[] = [];
  /** The newest final record, and the newest that gave this node nothing. */
  #last: Listed | undefined;
  #before: Listed | undefined;
  #known: View | undefined;
  /** Grows with each record and key that is new. */
  version = 0;

  constructor(opener: Opener) {
    this.#opener = opener;
  }

  get(id: KeyId): ChannelKey | undefined {
    return this.#keys.get(id);
  }

  /** Whether it would learn anything of a record that is not final. */
  isNews(record: ChannelRecord): boolean {
    return record.kind === 'keys' && !this.#seen.has(record.digest);
  }

  /** Takes a record of kind `keys`; opens its key if nothing gave it before. */
  async learn(record: ChannelRecord, seq: number | null): Promise<void> {
    const keys = keysIn(record);
    if (seq === null) this.#seen.add(record.digest);
    else this.#seen.delete(record.digest);
    if (!keys) return;
    const id = idOf(keys);
    const known = this.#keys.get(id);
    const key = known ?? (await openKeys(this.#opener, record, keys));
    const isRight = key !== undefined && hex(key.commitment) === hex(keys.commitment);
    const before = this.#listed.get(id);
    if (before === undefined || (before.seq === null && seq !== null)) {
      this.#list(id, record.author, keys, seq);
    }
    const { sealed: _, ...rest } = keys;
    const { channel, author } = record;
    // Somebody else's record may name the same key, and carry nothing.
    const carriers = this.#carriers.get(id) ?? [];
    this.#carriers.set(id, [...carriers, { made: { channel, author }, keys: rest }]);
    if (isRight) this.#take(key);
    this.#changed();
  }

  #changed(): void {
    this.version += 1;
  }

  /** Has a key, and with it those that its record carries. */
  #take(first: ChannelKey): void {
    const todo = [first];
    for (let key = todo.pop(); key !== undefined; key = todo.pop()) {
      const { id } = key;
      if (!this.#keys.has(id)) this.#keys.set(id, key);
      const carriers = this.#carriers.get(id) ?? [];
      this.#carriers.delete(id);
      const older = carriers.flatMap(({ made, keys }) =>
        olderIn(this.#opener.crypto, made, keys, key),
      );
      this.#carried.set(id, [...(this.#carried.get(id) ?? []), ...older.map((each) => each.id)]);
      todo.push(...older);
    }
  }

  #list(id: KeyId, author: UserId, keys: KeysBody, seq: number | null): void {
    const { roster, rosterHash, sealed } = keys;
    const receivers = sealed.map(({ user }) => user);
    const listed = { id, seq, author, roster, rosterHash, receivers };
    this.#listed.set(id, listed);
    if (isNewer(listed, this.#last)) this.#last = listed;
    if (!receivers.includes(this.#opener.user) && isNewer(listed, this.#before)) {
      this.#before = listed;
    }
    if (author !== this.#opener.user) return;
    const at = this.#own.findIndex((own) => own.id === id);
    if (seq === null && at < 0) this.#own.push(listed);
    else if (seq !== null && at >= 0) this.#own.splice(at, 1);
  }

  /** This node's own new key, once its record stands in its lane. */
  addOwn(key: ChannelKey, keys: KeysBody, older: readonly KeyId[]): void {
    this.#take(key);
    this.#carried.set(key.id, older);
    if (!this.#listed.has(key.id)) {
      this.#list(key.id, this.#opener.user, keys, null);
    }
    this.#changed();
  }

  /** What it says of the present readers; computed anew once it learned something, or they changed. */
  #view(st: Channel): View {
    const { version } = this;
    const known = this.#known;
    if (known?.version === version && known.roster === st.roster) return known;
    const readers = receiversOf(st.roster);
    const isFor = (listed: Listed): boolean => isForReaders(st, readers, listed);
    const final = [...this.#listed.values()]
      .filter((listed) => listed.seq !== null && isFor(listed))
      .sort((a, b) => b.seq! - a.seq!);
    const newest = final[0];
    const newestOpen = final.find(({ id }) => this.#keys.has(id));
    const own = this.#own.findLast(isFor);
    const makers = this.#makersOf(st, readers, newest);
    this.#known = { version, roster: st.roster, newestOpen, own, makers };
    return this.#known;
  }

  /** The key to write under: the newest own one on its way, else the newest that is final; undefined where one must be made. */
  usable(st: Channel): ChannelKey | undefined {
    const { newestOpen, own } = this.#view(st);
    const isWorn = newestOpen && st.log.final.seq - newestOpen.seq! >= KEY_ENTRIES_MAX;
    const chosen = own ?? (isWorn ? undefined : newestOpen);
    return chosen && this.#keys.get(chosen.id);
  }

  /** Whether an own key for the present readers is on its way. */
  hasOwn(st: Channel): boolean {
    return this.#view(st).own !== undefined;
  }

  isFinal(id: KeyId): boolean {
    return (this.#listed.get(id)?.seq ?? null) !== null;
  }

  /** Whether a key for the present readers is final, and this node has it. */
  isSettled(st: Channel): boolean {
    return this.#view(st).newestOpen !== undefined;
  }

  /**
   * Who can give this node what it lacks still to read what the policy lets it read; null where it
   * lacks nothing. A key of another newcomer gives none of what was before both.
   */
  givers(st: Channel): readonly UserId[] | null {
    const before = st.genesis.history === 'all' ? this.#before : undefined;
    if (before && !this.#keys.has(before.id))
      return among(receiversOf(st.roster), before.receivers);
    return this.#last === undefined || this.isSettled(st) ? null : receiversOf(st.roster);
  }

  /** All keys that who has this one gets. */
  #reach(from: KeyId, reached: Set<KeyId>): Set<KeyId> {
    const todo = [from];
    for (let id = todo.pop(); id !== undefined; id = todo.pop()) {
      if (reached.has(id)) continue;
      reached.add(id);
      todo.push(...(this.#carried.get(id) ?? []));
    }
    return reached;
  }

  /** What a new key must carry, so that who gets it gets all that this node has: newest first. */
  toCarry({ genesis }: Channel): ChannelKey[] {
    if (genesis.history === 'joined') return [];
    const reached = new Set<KeyId>();
    const carry: ChannelKey[] = [];
    const order = (id: KeyId): number => this.#listed.get(id)?.seq ?? Number.MAX_SAFE_INTEGER;
    for (const id of [...this.#keys.keys()].sort((a, b) => order(b) - order(a))) {
      if (reached.has(id) || carry.length >= KEYS_CARRIED_MAX) continue;
      carry.push(this.#keys.get(id)!);
      this.#reach(id, reached);
    }
    return carry;
  }

  /**
   * Who may make the key that is missing now, where one is: one that all readers
   * can use, or one that carries what some of them lack.
   */
  makers(st: Channel): readonly UserId[] | null {
    return this.#view(st).makers;
  }

  #makersOf(st: Channel, readers: readonly UserId[], newest: Listed | undefined) {
    const { user } = this.#opener;
    if (!readers.includes(user)) return null;
    if (!newest) return this.#holders(st, readers);
    // Its maker left this node out.
    if (!this.#keys.has(newest.id)) return [user];
    if (st.genesis.history === 'joined') return null;
    const reached = this.#reach(newest.id, new Set());
    for (const { id, seq, receivers } of this.#listed.values()) {
      if (seq === null || reached.has(id) || !this.#keys.has(id)) continue;
      const holders = among(readers, receivers);
      if (holders.length > 0 && holders.length < readers.length) return holders;
    }
    return null;
  }

  /** Those readers who can hand on what was before. */
  #holders({ genesis }: Channel, readers: readonly UserId[]): readonly UserId[] {
    if (genesis.history === 'joined' || !this.#last) return readers;
    const holders = among(readers, this.#last.receivers);
    return holders.length > 0 ? holders : readers;
  }
}

function among(readers: readonly UserId[], receivers: readonly UserId[]): readonly UserId[] {
  const has = new Set(receivers);
  return readers.filter((reader) => has.has(reader));
}

const isNewer = ({ seq }: Listed, than: Listed | undefined): boolean =>
  seq !== null && (than === undefined || seq > than.seq!);

/** Whether a record gives its key to exactly those who may read now. */
function isForReaders(
  { roster, electors }: Channel,
  readers: readonly UserId[],
  { roster: number, rosterHash, receivers }: Listed,
): boolean {
  if (number < roster.readersSince || number > roster.number) return false;
  if (electors[number]?.hash !== rosterHash) return false;
  return readers.length === receivers.length && readers.every((user, i) => user === receivers[i]);
}
