/**
 * A token bucket over a clock that the caller reads: `perS` tokens a second,
 * at most `burst` of them saved. `take` refuses what is not there; `draw`
 * goes into debt, for work that is done already.
 */
export class TokenBucket {
  readonly burst: number;
  /** The limit's name, for those who are over it. */
  readonly limit: string;
  readonly #perMs: number;
  #level: number;
  #atMs: number;

  constructor(perS: number, burst: number, nowMs: number, limit = '') {
    this.burst = burst;
    this.limit = limit;
    this.#perMs = perS / 1_000;
    this.#level = burst;
    this.#atMs = nowMs;
  }

  level(nowMs: number): number {
    if (nowMs > this.#atMs) {
      this.#level = Math.min(this.burst, this.#level + (nowMs - this.#atMs) * this.#perMs);
      this.#atMs = nowMs;
    }
    return this.#level;
  }

  /** Nothing of it was used lately. */
  isWhole(nowMs: number): boolean {
    return this.level(nowMs) === this.burst;
  }

  take(tokens: number, nowMs: number): boolean {
    if (this.level(nowMs) < tokens) return false;
    this.#level -= tokens;
    return true;
  }

  /** The level afterwards, negative in debt. */
  draw(tokens: number, nowMs: number): number {
    this.#level = this.level(nowMs) - tokens;
    return this.#level;
  }

  /** Until the level is back at `wanted`, at most the burst. */
  msUntil(wanted: number, nowMs: number): number {
    const missing = Math.min(wanted, this.burst) - this.level(nowMs);
    return Math.max(0, Math.ceil(missing / this.#perMs));
  }
}
