/**
 * What each node has made of its disk, batch by batch, whether written yet or
 * not; and what a batch must not do:
 *
 *   3   write an entry or a place that does not follow from the one before
 *   4   change or drop what is final, or move the final point back
 *   8   drop a message that is not final and that the node holds nowhere else,
 *       or a place of one
 *   12  put a second change of membership, or anything but a leader's own
 *       record, behind a change that is not final
 */

import type { Hash } from '../core/crypto.js';
import type { Digest, EpochId } from '../core/ids.js';
import {
  type ChannelKeys,
  decodeFinal,
  decodeOffer,
  decodePoint,
  decodeRawEntry,
  decodeRun,
  ordinal,
} from '../core/layout.js';
import { isMessageLane } from '../core/log.js';
import { type ChannelRecord, decodeRecord } from '../core/record.js';
import type { StoreOp } from '../core/store.js';
import type { Branches, BranchPlace } from './branches.js';
import type { Break, ChainEntry, Chains } from './chains.js';

export interface Disk {
  readonly log: Map<number, ChainEntry>;
  final: number;
  /** How often each message is held: in the log, the outbox, or apart. */
  readonly held: Map<Digest, number>;
  /** Messages of the outbox, by key. */
  readonly outs: Map<string, Digest>;
  /** Messages that stand apart: they fell out of the log or a branch. */
  readonly apart: Set<string>;
  /** Runs of branches, by key behind their prefix; where its branch begins says from where on one counts. */
  readonly runs: Map<string, Run>;
  /** Seqs of changes of membership behind the final point. */
  readonly changes: Set<number>;
  /** Places of branches, by key behind their prefix: epoch and seq. */
  readonly places: Map<string, BranchPlace>;
  /** Certificates of commitment, by their keys behind their prefix, and that of the log. */
  readonly commits: Map<string, Uint8Array>;
  committed: Uint8Array | null;
}

/** By seq: what is placed, and the message that stands with it, if one does. */
type Run = Map<number, { readonly name: string; readonly message: Digest | null }>;

const emptyDisk = (): Disk => ({
  log: new Map(),
  final: 0,
  held: new Map(),
  outs: new Map(),
  apart: new Set(),
  runs: new Map(),
  changes: new Set(),
  places: new Map(),
  commits: new Map(),
  committed: null,
});

type Scan = (prefix: string) => readonly (readonly [string, Uint8Array])[];

/** What a batch took away, to be judged once all of it is taken in. */
interface Dropped {
  readonly messages: Digest[];
  /** By name, as in `places` of the disk. */
  readonly places: Map<string, Digest>;
}

export class DiskModel {
  readonly #hash: Hash;
  readonly #keys: ChannelKeys;
  readonly #chains: Chains;
  readonly #branches: Branches;
  readonly #finalAt: ReadonlyMap<Digest, number>;
  readonly #mayGive: (index: number) => boolean;
  readonly #mayBeWithheld: (digest: Digest) => boolean;
  readonly #break: Break;
  readonly #disks = new Map<number, Disk>();

  constructor(
    hash: Hash,
    keys: ChannelKeys,
    chains: Chains,
    branches: Branches,
    finalAt: ReadonlyMap<Digest, number>,
    mayGive: (index: number) => boolean,
    mayBeWithheld: (digest: Digest) => boolean,
    onBreak: Break,
  ) {
    this.#hash = hash;
    this.#keys = keys;
    this.#chains = chains;
    this.#branches = branches;
    this.#finalAt = finalAt;
    this.#mayGive = mayGive;
    this.#mayBeWithheld = mayBeWithheld;
    this.#break = onBreak;
  }

  /** Node `index` booted: it has what its disk holds. */
  started(index: number, scan: Scan): void {
    const disk = emptyDisk();
    this.#disks.set(index, disk);
    const { logs, final, outs, pools, places, branches, commits, committed } = this.#keys;
    for (const [key, value] of scan(final)) {
      if (key === final) disk.final = decodeFinal(value).seq;
    }
    for (const [, value] of scan(logs)) {
      const entry = this.#chains.get(decodeRawEntry(value).hash);
      if (entry) this.#putEntry(disk, entry);
    }
    for (const prefix of [outs, pools]) {
      for (const [key, value] of scan(prefix)) this.#putMessage(disk, key, value);
    }
    for (const [key, value] of scan(places)) {
      this.#learnRun(value);
      this.#putRun(disk, key.slice(places.length), value);
    }
    for (const [key, value] of scan(branches)) this.#moveBase(disk, key, value);
    for (const [key, value] of scan(commits)) disk.commits.set(key.slice(commits.length), value);
    for (const [key, value] of scan(committed)) if (key === committed) disk.committed = value;
  }

  of(index: number): Disk {
    return this.#disks.get(index)!;
  }

  /** Whether any node that would give it to others holds a message. */
  isHeld(digest: Digest): boolean {
    for (const [index, disk] of this.#disks) {
      if (disk.held.has(digest) && this.#mayGive(index)) return true;
    }
    return false;
  }

  /** Whether a branch of node `index` places a record. */
  isPlaced(index: number, digest: Digest): boolean {
    for (const { header } of this.of(index).places.values())
      if (header.digest === digest) return true;
    return false;
  }

  /** The entry that node `index` has at `seq`. */
  at(index: number, seq: number): ChainEntry | undefined {
    return this.#disks.get(index)?.log.get(seq);
  }

  /** The message under a key of the outbox. */
  messageAt(index: number, key: string): Digest | undefined {
    return this.#disks.get(index)?.outs.get(key);
  }

  /** A batch goes to the disk. */
  write(index: number, ops: readonly StoreOp[]): void {
    const disk = this.of(index);
    const { logs, outs, pools, places, branches, commits, committed, final } = this.#keys;
    const dropped: Dropped = { messages: [], places: new Map() };
    // Messages first: places are checked against them.
    for (const { key, value } of ops) {
      if (key.startsWith(places) && value) this.#learnRun(value);
      if (!key.startsWith(outs) && !key.startsWith(pools)) continue;
      if (value) this.#putMessage(disk, key, value);
      else dropped.messages.push(...this.#dropMessage(disk, key));
    }
    for (const { key, value } of ops) {
      if (key.startsWith(logs)) this.#writeEntry(index, disk, key, value, dropped);
      else if (key.startsWith(places)) this.#writeRun(disk, key, value, dropped);
      else if (key.startsWith(branches) && value) this.#moveBase(disk, key, value, dropped);
      else if (key.startsWith(commits)) {
        if (value) disk.commits.set(key.slice(commits.length), value);
        else disk.commits.delete(key.slice(commits.length));
      } else if (key === committed) disk.committed = value ?? null;
      else if (key === final && value) this.#moveFinal(index, disk, decodeFinal(value).seq);
    }
    this.#checkChanges(index, disk, ops);
    this.#checkDropped(index, disk, dropped);
  }

  #writeEntry(
    index: number,
    disk: Disk,
    key: string,
    value: Uint8Array | undefined,
    dropped: Dropped,
  ): void {
    const seq = Number.parseInt(key.slice(this.#keys.logs.length), 16);
    const old = disk.log.get(seq);
    const before = seq === 1 ? this.#chains.start : disk.log.get(seq - 1)?.hash;
    if (value && before === undefined) {
      return this.#break('3 log matching', `node ${index} writes entry ${seq} behind a gap`);
    }
    const entry = value && before !== undefined ? this.#chains.add(before, value) : undefined;
    if (old === entry) return;
    if (old && seq <= disk.final) {
      this.#break('4 final', `node ${index} changes entry ${seq}, which it called final`);
    }
    if (old) {
      disk.log.delete(seq);
      disk.changes.delete(seq);
      if (old.isMessage && release(disk, old.digest)) dropped.messages.push(old.digest);
    }
    if (entry) this.#putEntry(disk, entry);
  }

  #putEntry(disk: Disk, entry: ChainEntry): void {
    disk.log.set(entry.seq, entry);
    if (entry.isMessage) hold(disk, entry.digest);
    if (entry.isMembership && entry.seq > disk.final) disk.changes.add(entry.seq);
    if (entry.isMessage && !this.#branches.messages.has(entry.digest)) {
      this.#branches.messages.set(entry.digest, { author: entry.author!, prev: entry.prev! });
    }
  }

  #putMessage(disk: Disk, key: string, value: Uint8Array): void {
    const { pools } = this.#keys;
    if (key.startsWith(pools)) {
      if (disk.apart.has(key)) return;
      const digest = key.slice(pools.length) as Digest;
      // A change of membership may stand there too; displaced, it vanishes.
      if (!this.#branches.messages.has(digest) && !this.#learn(value)) return;
      disk.apart.add(key);
      return hold(disk, digest);
    }
    const digest = this.#learn(value);
    if (!digest) return;
    disk.outs.set(key, digest);
    hold(disk, digest);
  }

  /** Its digest, if it is a message. */
  #learn(value: Uint8Array): Digest | undefined {
    return this.#learnRecord(decodeOffer(this.#hash, value).record);
  }

  #learnRecord(record: ChannelRecord): Digest | undefined {
    if (!isMessageLane(record)) return undefined;
    const { digest, author, prev } = record;
    this.#branches.messages.set(digest, { author, prev });
    return digest;
  }

  /** The message, if it was there and is held nowhere else now. */
  #dropMessage(disk: Disk, key: string): Digest[] {
    const digest = key.startsWith(this.#keys.pools)
      ? disk.apart.delete(key) && (key.slice(this.#keys.pools.length) as Digest)
      : disk.outs.get(key);
    disk.outs.delete(key);
    return digest && release(disk, digest) ? [digest] : [];
  }

  #learnRun(value: Uint8Array): void {
    for (const { record: bytes } of decodeRun(value)) {
      if (bytes.length > 0) this.#learnRecord(decodeRecord(this.#hash, bytes));
    }
  }

  /** What was in a run under this key goes, unless the new one has it again. */
  #writeRun(disk: Disk, key: string, value: Uint8Array | undefined, dropped: Dropped): void {
    const name = key.slice(this.#keys.places.length);
    const old = disk.runs.get(name);
    disk.runs.delete(name);
    const run = value && this.#putRun(disk, name, value);
    for (const [seq, place] of old ?? []) {
      if (!run?.has(seq)) dropPlace(disk, place.name, dropped);
      if (place.message && release(disk, place.message)) dropped.messages.push(place.message);
    }
  }

  #putRun(disk: Disk, key: string, value: Uint8Array): Run {
    const [epoch, at] = key.split('/') as [EpochId, string];
    const run: Run = new Map();
    for (const [i, { header, hash, record }] of decodeRun(value).entries()) {
      const seq = Number.parseInt(at, 16) + i;
      const name = `${epoch}/${ordinal(seq)}`;
      const isMessage = record.length > 0 && this.#branches.messages.has(header.digest);
      if (isMessage) hold(disk, header.digest);
      run.set(seq, { name, message: isMessage ? header.digest : null });
      disk.places.set(name, this.#branches.add(epoch, seq, { header, hash }));
    }
    disk.runs.set(key, run);
    return run;
  }

  /** A branch begins at `value`: what its runs hold up to there is not read any more. */
  #moveBase(disk: Disk, key: string, value: Uint8Array, dropped?: Dropped): void {
    const epoch = key.slice(this.#keys.branches.length);
    const base = decodePoint(value).seq;
    for (const [name, run] of disk.runs) {
      if (!name.startsWith(epoch)) continue;
      for (const [seq, place] of run) {
        if (seq > base) continue;
        run.delete(seq);
        dropPlace(disk, place.name, dropped);
        if (place.message && release(disk, place.message)) dropped?.messages.push(place.message);
      }
    }
  }

  #moveFinal(index: number, disk: Disk, seq: number): void {
    if (seq <= disk.final) {
      this.#break('4 final', `the final point of node ${index} moves from ${disk.final} to ${seq}`);
    }
    disk.final = seq;
    for (const change of disk.changes) if (change <= seq) disk.changes.delete(change);
  }

  /** Invariant 8: others may die, so each that holds it must keep it. What an offender certified may replace what it told others. */
  #checkDropped(index: number, disk: Disk, { messages, places }: Dropped): void {
    if (!this.#mayGive(index)) return;
    for (const digest of messages) {
      if (disk.held.has(digest) || this.#mayBeWithheld(digest)) continue;
      const name = digest.slice(0, 8);
      this.#break('8 nothing lost', `node ${index} drops message ${name}, which is not final`);
    }
    for (const [at, digest] of places) {
      if (disk.places.get(at)?.header.digest === digest) continue;
      if (this.#chains.hasTwoChains(at.split('/')[0] as EpochId)) continue;
      if (!this.#branches.messages.has(digest) || this.#isFinalOn(disk, digest)) continue;
      if (this.#mayBeWithheld(digest)) continue;
      const name = digest.slice(0, 8);
      this.#break('8 nothing lost', `node ${index} drops a place of ${name}, which is not final`);
    }
  }

  /** Whether the node's own log has the record as final. */
  #isFinalOn(disk: Disk, digest: Digest): boolean {
    if (this.#chains.isForked()) return hasFinal(disk, digest);
    const seq = this.#finalAt.get(digest);
    return seq !== undefined && seq <= disk.final;
  }

  #checkChanges(index: number, disk: Disk, ops: readonly StoreOp[]): void {
    if (disk.changes.size === 0) return;
    if (disk.changes.size > 1) {
      const seqs = [...disk.changes].join(' and ');
      this.#break('12 roster', `node ${index} has changes of membership in flight at ${seqs}`);
    }
    const first = Math.min(...disk.changes);
    for (const { key } of ops) {
      if (!key.startsWith(this.#keys.logs)) continue;
      const entry = disk.log.get(Number.parseInt(key.slice(this.#keys.logs.length), 16));
      if (entry?.isMessage && entry.seq > first) {
        this.#break('12 roster', `node ${index} puts entry ${entry.seq} behind a change in flight`);
      }
    }
  }
}

/** Whether the log on this disk has the record as final, whichever of two histories it is of. */
export function hasFinal(disk: Disk, digest: Digest): boolean {
  for (const entry of disk.log.values()) {
    if (entry.digest === digest) return entry.seq <= disk.final;
  }
  return false;
}

function dropPlace(disk: Disk, name: string, dropped?: Dropped): void {
  const place = disk.places.get(name);
  disk.places.delete(name);
  if (place) dropped?.places.set(name, place.header.digest);
}

function hold(disk: Disk, digest: Digest): void {
  disk.held.set(digest, (disk.held.get(digest) ?? 0) + 1);
}

/** True when it was the last hold. */
function release(disk: Disk, digest: Digest): boolean {
  const count = (disk.held.get(digest) ?? 0) - 1;
  if (count > 0) disk.held.set(digest, count);
  else disk.held.delete(digest);
  return count <= 0;
}
