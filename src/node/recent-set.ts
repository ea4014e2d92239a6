/**
 * A set that forgets: what was added last stays, some of what was added before
 * goes, a generation at a time and only when `trim` is called. It costs one
 * insertion for each addition and nothing for what goes.
 */
export class RecentSet<T> {
  #young = new Set<T>();
  #old = new Set<T>();
  readonly #generation: number;

  /** @param generation so many of the last additions stay at least; at most twice as many and what comes between two calls of `trim` */
  constructor(generation: number) {
    this.#generation = generation;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  has(value: T): boolean {
    return this.#young.has(value) || this.#old.has(value);
  }

  add(value: T): void {
    this.#young.add(value);
  }

  trim(): void {
    if (this.#young.size < this.#generation) return;
    this.#old = this.#young;
    this.#young = new Set();
  }
}
