/**
 * A node's disk in virtual time. What was written is one thing, what was
 * synced another: a crash loses the rest, from a random batch on. A batch under
 * way at the crash is lost or there as a whole. A value that was damaged is found
 * out when its node reads it, as production stores do by their checksums.
 *
 * Sabotages, for tests of the simulator itself, break exactly these promises.
 */

import type { Millis } from '../core/ids.js';
import type { StoreOp } from '../core/store.js';
import { storeCorrupt } from '../core/store-rules.js';
import { below, type Draw } from './prng.js';
import { type Pair, Pairs } from './sim-pairs.js';
import type { Timeline } from './timeline.js';

/** How a disk may betray its node. */
export type DiskSabotage =
  /** Says that a write is synced when it is not. */
  | 'skip-sync'
  /** Says that a write is done before it has begun. */
  | 'early-done'
  /** A crash may leave any part of a batch. */
  | 'torn-batch'
  /** Loses the promises of elections. */
  | 'lose-promises'
  /** Loses own records that wait. */
  | 'lose-outbox';

/** `disk-full`: the batch is not written. `disk-sync`: it is, but may not survive the crash that follows. */
export type WriteFault = 'disk-full' | 'disk-sync';

const WRITE_FAULTS = {
  'disk-full': 'ENOSPC: no space left on device',
  'disk-sync': 'EIO: i/o error, fsync',
} as const;

/** What a disk held at some time. */
export interface DiskImage {
  readonly pairs: Pairs;
}

export class SimDisk {
  readonly #timeline: Timeline;
  readonly #draw: Draw;
  readonly #sabotage: DiskSabotage | undefined;
  #durable = new Pairs();
  /** Batches written and not synced, and what they change. */
  #unsynced: (readonly StoreOp[])[] = [];
  readonly #changes = new Map<string, Uint8Array | undefined>();
  /** Batches under way. */
  #underWay: { readonly ops: readonly StoreOp[] }[] = [];
  /** Writes under way that will fail. */
  readonly #failing = new Set<() => void>();
  readonly #damaged = new Set<string>();
  #life = 0;
  /** How long a write takes now. */
  latency: () => Millis = () => 0;
  onDurable: (ops: readonly StoreOp[]) => void = () => {};
  /** How the next write fails. */
  failNext: WriteFault | null = null;
  /** Called once, while the next write is under way. */
  inNextWrite: (() => void) | null = null;

  constructor(timeline: Timeline, draw: Draw, sabotage?: DiskSabotage) {
    this.#timeline = timeline;
    this.#draw = draw;
    this.#sabotage = sabotage;
  }

  /** What a crash now would leave for certain. */
  durable(key: string): Uint8Array | undefined {
    return this.#durable.get(key);
  }

  durableRange(gte: string, lt: string): Pair[] {
    return this.#durable.range(gte, (key) => key < lt, Number.POSITIVE_INFINITY);
  }

  get(key: string): Uint8Array | undefined {
    return this.#changes.has(key) ? this.#changes.get(key) : this.#durable.get(key);
  }

  range(gte: string, lt: string, limit: number): Pair[] {
    return this.#collect(gte, (key) => key < lt, limit);
  }

  /** All under `prefix`, from key `from` on. */
  scan(prefix: string, from = prefix): Pair[] {
    const gte = from > prefix ? from : prefix;
    return this.#collect(gte, (key) => key.startsWith(prefix), Number.POSITIVE_INFINITY);
  }

  /** What a node finds when it reads these: throws `store_corrupt` where a value is damaged. */
  checkSound(keys: Iterable<string>): void {
    if (this.#damaged.size === 0) return;
    for (const key of keys) if (this.#damaged.has(key)) throw storeCorrupt(key);
  }

  #collect(gte: string, isWanted: (key: string) => boolean, limit: number): Pair[] {
    if (this.#changes.size === 0) return this.#durable.range(gte, isWanted, limit);
    const found = new Map(this.#durable.range(gte, isWanted, Number.POSITIVE_INFINITY));
    for (const [key, value] of this.#changes) {
      if (key < gte || !isWanted(key)) continue;
      if (value) found.set(key, value);
      else found.delete(key);
    }
    return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, limit);
  }

  /** Makes a value durable at once: for what a node does before it is up. */
  put(key: string, value: Uint8Array): void {
    this.#durable.set(key, value);
  }

  write(given: readonly StoreOp[], sync: boolean, done: (error?: unknown) => void): void {
    const fault = this.failNext;
    this.failNext = null;
    if (fault === 'disk-full') return done(new Error(WRITE_FAULTS[fault]));
    const ops = this.#sabotage ? this.#sabotaged(given) : given;
    const life = this.#life;
    const batch = { ops };
    this.#underWay.push(batch);
    const early = this.#sabotage === 'early-done';
    const then = this.inNextWrite;
    this.inNextWrite = null;
    if (then) this.#timeline.in(0, then);
    const fail = (): void => {
      if (this.#failing.delete(fail) && life === this.#life) done(new Error(WRITE_FAULTS[fault!]));
    };
    if (fault) this.#failing.add(fail);
    this.#timeline.in(this.latency() + (early ? 20 : 0), () => {
      if (life !== this.#life) return;
      if (fault) return fail();
      this.#landed(batch, sync && this.#sabotage !== 'skip-sync');
      if (!early) done();
    });
    if (early) done();
  }

  /** Writes work again; those that fail have failed. */
  mend(): void {
    this.failNext = null;
    this.inNextWrite = null;
    for (const fail of this.#failing) fail();
  }

  #sabotaged(ops: readonly StoreOp[]): readonly StoreOp[] {
    if (this.#sabotage === 'lose-promises') return ops.filter((op) => !/\/hard$/.test(op.key));
    if (this.#sabotage === 'lose-outbox') return ops.filter((op) => !/\/out\//.test(op.key));
    return ops;
  }

  #landed(batch: { readonly ops: readonly StoreOp[] }, sync: boolean): void {
    this.#underWay.splice(this.#underWay.indexOf(batch), 1);
    this.#unsynced.push(batch.ops);
    if (sync) this.#sync(this.#unsynced.length);
    else for (const { key, value } of batch.ops) this.#changes.set(key, value);
  }

  /** The first `count` of what is not synced become durable. */
  #sync(count: number): void {
    for (const ops of this.#unsynced.splice(0, count)) {
      this.#durable.apply(ops);
      if (this.#damaged.size > 0) for (const { key } of ops) this.#damaged.delete(key);
      this.onDurable(ops);
    }
    this.#changes.clear();
  }

  /** Loses power: what is not durable may be lost, from some batch on. */
  crash(): void {
    this.#life += 1;
    this.#unsynced.push(...this.#underWay.map((e) => e.ops));
    this.#underWay = [];
    this.#sync(below(this.#draw, this.#unsynced.length + 1));
    if (this.#sabotage === 'torn-batch' && this.#unsynced[0]) {
      const torn = this.#unsynced[0];
      this.#durable.apply(torn.filter(() => this.#draw() < 0.5));
    }
    this.#unsynced = [];
  }

  /** Damages a durable value, `at` in [0, 1) of the way through them; its key, if there is any. */
  damage(at: number): string | undefined {
    const keys = [...this.#durable.keys];
    const key = keys[Math.floor(at * keys.length)];
    if (key !== undefined) this.#damaged.add(key);
    return key;
  }

  /** What is durable now, to be gone back to. */
  image(): DiskImage {
    return { pairs: this.#durable.copy() };
  }

  /** The machine is off: from now on the disk is an old copy, or an empty one. */
  restore(image: DiskImage = { pairs: new Pairs() }): void {
    this.#durable = image.pairs.copy();
    this.#damaged.clear();
  }

  /** Damaged values are as they were: somebody had a copy of them. */
  repair(): void {
    this.#damaged.clear();
  }
}
