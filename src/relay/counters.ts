/**
 * What a relay counts, as plain numbers on its hot path; `metrics.ts` shows
 * them (docs/PROTOCOL.md does not depend on them).
 */
export class Counters {
  bytesReceived = 0;
  bytesSent = 0;
  framesReceived = 0;
  /** Deliveries: a frame to ten receivers counts ten. */
  framesSent = 0;
  rateWarnings = 0;
  /** ERRs by code. */
  readonly errors = new Map<string, number>();
  /** Ended connections by reason: an error's code, `disconnected` (DCNN), `gone`, `full`. */
  readonly endings = new Map<string, number>();

  error(code: string): void {
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
  }

  closed(reason: string): void {
    this.endings.set(reason, (this.endings.get(reason) ?? 0) + 1);
  }
}
