/**
 * What was committed in a run, and of that what must become final: messages
 * that a member held which follows the protocol. What only members held that
 * misbehave, whose disks were put back, or who are gone for good, need not come true; with a small
 * `minOnline` one member may be the whole electorate.
 */

import type { Digest } from '../core/ids.js';

export class Committed {
  readonly #all = new Set<Digest>();
  readonly #promised = new Set<Digest>();
  readonly #isHeld: (digest: Digest) => boolean;
  readonly #areAllHonest: () => boolean;

  /** @param isHeld whether a member that would give it to others holds a message, or it is final */
  constructor(isHeld: (digest: Digest) => boolean, areAllHonest: () => boolean) {
    this.#isHeld = isHeld;
    this.#areAllHonest = areAllHonest;
  }

  add(digest: Digest): void {
    this.#all.add(digest);
    if (this.#areAllHonest() || this.#isHeld(digest)) this.#promised.add(digest);
  }

  has(digest: Digest): boolean {
    return this.#all.has(digest);
  }

  /** What must become final. */
  get promised(): ReadonlySet<Digest> {
    return this.#promised;
  }

  /** Some member's disk was put back, or it begins to misbehave, or is gone: what it alone held is promised no more. */
  forget(): void {
    for (const digest of this.#promised) {
      if (!this.#isHeld(digest)) this.#promised.delete(digest);
    }
  }
}
