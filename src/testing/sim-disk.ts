/**
 * A node's disk in virtual time. What was written is one thing, what was
 * synced another: a crash loses the rest, from a random batch on. A batch under
 * way at the crash is lost or there as a whole.
 *
 * Sabotages, for tests of the simulator itself, break exactly these promises.
 */

import type { Millis } from '../core/ids.js';
import type { StoreOp } from '../core/store.js';
import { below, type Draw } from './prng.js';
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

type Pair = readonly [string, Uint8Array];

/** A map in memory whose keys are put in order when a range is asked for. */
class Pairs {
  readonly #values: Map<string, Uint8Array>;
  #sorted: string[] | null = null;

  constructor(from: Iterable<Pair> = []) {
    this.#values = new Map(from);
  }

  get(key: string): Uint8Array | undefined {
    return this.#values.get(key);
  }

  apply(ops: readonly StoreOp[]): void {
    for (const { key, value } of ops) {
      if (value === undefined ? this.#values.delete(key) : !this.#values.has(key)) {
        this.#sorted = null;
      }
      if (value !== undefined) this.#values.set(key, value);
    }
  }

  *range(gte: string, isBelow: (key: string) => boolean): IterableIterator<Pair> {
    this.#sorted ??= [...this.#values.keys()].sort();
    const keys = this.#sorted;
    let low = 0;
    let high = keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (keys[middle]! < gte) low = middle + 1;
      else high = middle;
    }
    for (let i = low; i < keys.length && isBelow(keys[i]!); i++) {
      yield [keys[i]!, this.#values.get(keys[i]!)!];
    }
  }

  copy(): Pairs {
    return new Pairs(this.#values);
  }
}

export class SimDisk {
  readonly #timeline: Timeline;
  readonly #draw: Draw;
  readonly #sabotage: DiskSabotage | undefined;
  #live = new Pairs();
  #durable = new Pairs();
  /** Batches written and not synced. */
  #unsynced: (readonly StoreOp[])[] = [];
  /** Batches under way. */
  #underWay: { ops: readonly StoreOp[]; done: () => void }[] = [];
  #life = 0;
  /** How long a write takes now. */
  latency: () => Millis = () => 0;
  onDurable: (ops: readonly StoreOp[]) => void = () => {};
  /** The next write fails. */
  failNext = false;
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

  get(key: string): Uint8Array | undefined {
    return this.#live.get(key);
  }

  range(gte: string, lt: string, limit: number): Pair[] {
    const out: Pair[] = [];
    for (const pair of this.#live.range(gte, (key) => key < lt)) {
      if (out.length >= limit) break;
      out.push(pair);
    }
    return out;
  }

  /** All under `prefix`, from key `from` on. */
  scan(prefix: string, from = prefix): Pair[] {
    return [...this.#live.range(from > prefix ? from : prefix, (key) => key.startsWith(prefix))];
  }

  write(given: readonly StoreOp[], sync: boolean, done: (error?: unknown) => void): void {
    if (this.failNext) {
      this.failNext = false;
      return done(new Error('ENOSPC: no space left on device'));
    }
    const ops = this.#sabotaged(given);
    const life = this.#life;
    const entry = { ops, done };
    this.#underWay.push(entry);
    const early = this.#sabotage === 'early-done';
    const then = this.inNextWrite;
    this.inNextWrite = null;
    if (then) this.#timeline.in(0, then);
    this.#timeline.in(this.latency() + (early ? 20 : 0), () => {
      if (life !== this.#life) return;
      this.#underWay = this.#underWay.filter((e) => e !== entry);
      this.#live.apply(ops);
      this.#unsynced.push(ops);
      if (sync && this.#sabotage !== 'skip-sync') this.#sync(this.#unsynced.length);
      if (!early) done();
    });
    if (early) done();
  }

  #sabotaged(ops: readonly StoreOp[]): readonly StoreOp[] {
    if (this.#sabotage === 'lose-promises') return ops.filter((op) => !/\/hard$/.test(op.key));
    if (this.#sabotage === 'lose-outbox') return ops.filter((op) => !/\/out\//.test(op.key));
    return ops;
  }

  #sync(count: number): void {
    for (const ops of this.#unsynced.splice(0, count)) {
      this.#durable.apply(ops);
      this.onDurable(ops);
    }
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
    this.#live = this.#durable.copy();
  }
}
