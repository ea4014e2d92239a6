/**
 * What a relay is about to write, gathered over one turn of the event loop, so
 * that each socket gets one write a turn. Frames that follow each other to the
 * same receivers become one buffer, which all of them share: fan-out then costs
 * one copy and a write a receiver, however many frames there were.
 */

import type { PeerId } from './effects.js';

interface Run {
  /** The very array that the caller gave: equal receivers are known by it. */
  readonly to: readonly PeerId[];
  readonly frames: Uint8Array[];
}

export class Outbox {
  #runs: Run[] = [];

  add(to: readonly PeerId[], frame: Uint8Array): void {
    const last = this.#runs.at(-1);
    if (last?.to === to) last.frames.push(frame);
    else this.#runs.push({ to, frames: [frame] });
  }

  /** Empties it: calls `give` once for each receiver, with its bytes in order. */
  flush(give: (peer: PeerId, buffers: readonly Uint8Array[]) => void): void {
    const runs = this.#runs;
    this.#runs = [];
    if (runs.length === 1) {
      const buffers = [joined(runs[0]!.frames)];
      for (const peer of runs[0]!.to) give(peer, buffers);
      return;
    }
    const waiting = new Map<PeerId, Uint8Array[]>();
    for (const { to, frames } of runs) {
      const buffer = joined(frames);
      for (const peer of to) {
        const buffers = waiting.get(peer);
        if (buffers) buffers.push(buffer);
        else waiting.set(peer, [buffer]);
      }
    }
    for (const [peer, buffers] of waiting) give(peer, buffers);
  }
}

const joined = (frames: readonly Uint8Array[]): Uint8Array =>
  frames.length === 1 ? frames[0]! : Buffer.concat(frames);
