/**
 * What each node has made of its disk, batch by batch, whether written yet or
 * not; and what a batch must not do:
 *
 *   3   write an entry behind a gap
 *   4   change or drop what is final, or move the final point back
 *   8   drop a message that is not final and that the node holds nowhere else
 *   12  put a second change of membership, or anything but a leader's own
 *       record, behind a change that is not final
 */

import type { Hash } from '../core/crypto.js';
import type { Digest } from '../core/ids.js';
import { type ChannelKeys, decodeFinal, decodeOffer, decodeRawEntry } from '../core/layout.js';
import type { StoreOp } from '../core/store.js';
import type { Break, ChainEntry, Chains } from './chains.js';

interface Disk {
  readonly log: Map<number, ChainEntry>;
  final: number;
  /** How often each message is held: in the log, the outbox, or apart. */
  readonly held: Map<Digest, number>;
  /** Messages of the outbox, by key. */
  readonly outs: Map<string, Digest>;
  /** Messages that fell out of the log. */
  readonly apart: Set<string>;
  /** Seqs of changes of membership behind the final point. */
  readonly changes: Set<number>;
}

const emptyDisk = (): Disk => ({
  log: new Map(),
  final: 0,
  held: new Map(),
  outs: new Map(),
  apart: new Set(),
  changes: new Set(),
});

export class DiskModel {
  readonly #hash: Hash;
  readonly #keys: ChannelKeys;
  readonly #chains: Chains;
  readonly #break: Break;
  readonly #disks = new Map<number, Disk>();

  constructor(hash: Hash, keys: ChannelKeys, chains: Chains, onBreak: Break) {
    this.#hash = hash;
    this.#keys = keys;
    this.#chains = chains;
    this.#break = onBreak;
  }

  /** Node `index` booted: it has what its disk holds. */
  started(index: number, scan: (prefix: string) => readonly (readonly [string, Uint8Array])[]) {
    const disk = emptyDisk();
    this.#disks.set(index, disk);
    const { logs, final, outs, pools } = this.#keys;
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
  }

  /** The entry that node `index` has at `seq`. */
  at(index: number, seq: number): ChainEntry | undefined {
    return this.#disks.get(index)?.log.get(seq);
  }

  finalOf(index: number): number {
    return this.#disks.get(index)?.final ?? 0;
  }

  /** The message under a key of the outbox. */
  messageAt(index: number, key: string): Digest | undefined {
    return this.#disks.get(index)?.outs.get(key);
  }

  /** A batch goes to the disk. */
  write(index: number, ops: readonly StoreOp[]): void {
    const disk = this.#disks.get(index)!;
    const dropped: Digest[] = [];
    for (const { key, value } of ops) {
      if (key.startsWith(this.#keys.logs)) this.#writeEntry(index, disk, key, value, dropped);
      else if (key.startsWith(this.#keys.outs) || key.startsWith(this.#keys.pools)) {
        if (value) this.#putMessage(disk, key, value);
        else dropped.push(...this.#dropMessage(disk, key));
      }
    }
    for (const { key, value } of ops) {
      if (key === this.#keys.final && value) {
        this.#moveFinal(index, disk, decodeFinal(value).seq);
      }
    }
    for (const digest of dropped) this.#checkHeld(index, disk, digest);
    this.#checkChanges(index, disk, ops);
  }

  #writeEntry(
    index: number,
    disk: Disk,
    key: string,
    value: Uint8Array | undefined,
    dropped: Digest[],
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
      if (old.isMessage && release(disk, old.digest)) dropped.push(old.digest);
    }
    if (entry) this.#putEntry(disk, entry);
  }

  #putEntry(disk: Disk, entry: ChainEntry): void {
    disk.log.set(entry.seq, entry);
    if (entry.isMessage) hold(disk, entry.digest);
    if (entry.isMembership && entry.seq > disk.final) disk.changes.add(entry.seq);
  }

  #putMessage(disk: Disk, key: string, value: Uint8Array): void {
    if (key.startsWith(this.#keys.pools)) {
      if (disk.apart.has(key)) return;
      disk.apart.add(key);
      return hold(disk, key.slice(this.#keys.pools.length) as Digest);
    }
    const { digest } = decodeOffer(this.#hash, value).record;
    disk.outs.set(key, digest);
    hold(disk, digest);
  }

  /** The message, if it was there and is held nowhere else now. */
  #dropMessage(disk: Disk, key: string): Digest[] {
    const digest = key.startsWith(this.#keys.pools)
      ? disk.apart.delete(key) && (key.slice(this.#keys.pools.length) as Digest)
      : disk.outs.get(key);
    disk.outs.delete(key);
    return digest && release(disk, digest) ? [digest] : [];
  }

  #moveFinal(index: number, disk: Disk, seq: number): void {
    if (seq <= disk.final) {
      this.#break('4 final', `the final point of node ${index} moves from ${disk.final} to ${seq}`);
    }
    disk.final = seq;
    for (const change of disk.changes) if (change <= seq) disk.changes.delete(change);
  }

  /** Invariant 8: others may die, so each that holds it must keep it. */
  #checkHeld(index: number, disk: Disk, digest: Digest): void {
    if (disk.held.has(digest)) return;
    const name = digest.slice(0, 8);
    this.#break('8 nothing lost', `node ${index} drops message ${name}, which is not final`);
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
