/**
 * What a node says of its own store, and is told of it (docs/PROTOCOL.md,
 * sections "Beacons" and "Lost memory").
 */

import type { Ready } from './effects.js';
import type { Millis, Ulid } from './ids.js';
import { TIMING } from './limits.js';
import type { Beacon } from './statements.js';
import {
  BATCHES_KEY,
  BOOTS_KEY,
  encodeBatches,
  encodeBoots,
  lacks,
  mergeBoots,
  type StoreBoots,
} from './store-boots.js';

/** Longer than between two beacons of one that lives. */
const DEAD_MS = 3 * TIMING.beacon_ms;

export class OwnStore {
  #boot: Ulid;
  #boots: StoreBoots;
  #batches = 0;
  /** The last beacon of a greater boot that was shown, and since when. */
  #greater: { boot: Ulid; counter: number; at: Millis } | undefined;

  constructor(boot: Ulid, boots: StoreBoots) {
    this.#boot = boot;
    this.#boots = boots;
  }

  get boot(): Ulid {
    return this.#boot;
  }

  get wasPutBack(): boolean {
    return this.#boots.wasPutBack;
  }

  /** For the next beacon: what is durable. */
  get told(): Pick<Beacon, 'batches' | 'before'> {
    return { batches: this.#batches, before: this.#boots.before };
  }

  /** The last thing in a step: what it makes durable is one batch more. */
  count(ready: Ready): void {
    if (!ready.sync) return;
    this.#batches += 1;
    ready.put(BATCHES_KEY, encodeBatches({ boot: this.#boot, batches: this.#batches }));
  }

  /**
   * Whether a beacon of a greater boot than the present one is of a dead one:
   * nothing newer of that boot was shown for a while. The clock went back since;
   * else another process runs under this identity.
   */
  isOfTheDead({ boot, counter }: Beacon, now: Millis): boolean {
    if (boot <= this.#boot) return false;
    const last = this.#greater;
    const isSame = last?.boot === boot && last.counter === counter;
    if (!isSame) this.#greater = { boot, counter, at: now };
    return isSame && now - last.at >= DEAD_MS;
  }

  /** The node is in another boot from now on. */
  restart(ready: Ready, boot: Ulid): void {
    const last = { boot: this.#boot, batches: this.#batches };
    this.#boots = { ...this.#boots, before: mergeBoots(this.#boots.before, [last]) };
    this.#boot = boot;
    this.#batches = 0;
    ready.put(BOOTS_KEY, encodeBoots(this.#boots));
    ready.sync = true;
  }

  /** A beacon of this node's own, of another boot; says what its store lacks of it, if it does. */
  isShown(ready: Ready, shown: Beacon): string | undefined {
    const { before } = this.#boots;
    const { boot, batches } = shown;
    if (boot === this.#boot || !lacks(before, shown)) return undefined;
    this.#boots = { before: mergeBoots(before, [shown, ...shown.before]), wasPutBack: true };
    ready.put(BOOTS_KEY, encodeBoots(this.#boots));
    ready.sync = true;
    return `${batches} batches of this node's store in boot ${boot}`;
  }
}
