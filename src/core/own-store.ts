/**
 * What a node says of its own store, and is told of it (docs/PROTOCOL.md,
 * sections "Beacons" and "Lost memory").
 */

import type { Ready } from './effects.js';
import type { Ulid } from './ids.js';
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

export class OwnStore {
  #boot: Ulid;
  #boots: StoreBoots;
  #batches = 0;

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
