/**
 * What waits for one receiver, and since when it takes nothing of that. A peer
 * that vanished, or one that only keeps its link alive, holds what is meant for
 * it until the relay gives up (docs/PROTOCOL.md, section "Relay limits").
 */
export class Backlog {
  /** What waited when this was last measured. */
  bytes = 0;
  #stalledSinceMs: number;
  #measuredMs: number;

  constructor(nowMs: number) {
    this.#stalledSinceMs = nowMs;
    this.#measuredMs = nowMs;
  }

  /** `waitingBytes` wait, after `writtenBytes` were added since the last time. */
  measure(waitingBytes: number, writtenBytes: number, nowMs: number): void {
    const hasTaken = waitingBytes < this.bytes + writtenBytes;
    if (hasTaken || this.bytes === 0) this.#stalledSinceMs = nowMs;
    this.bytes = waitingBytes;
    this.#measuredMs = nowMs;
  }

  /** When it last took something, or had nothing to take. */
  get stalledSinceMs(): number {
    return this.bytes === 0 ? this.#measuredMs : this.#stalledSinceMs;
  }
}
