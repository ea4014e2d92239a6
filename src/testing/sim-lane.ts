/**
 * One direction of one link in virtual time: when a frame arrives, if it does.
 * Its draws are its own, so that what happens on one link moves no other.
 */

import type { Millis } from '../core/ids.js';
import type { Loss } from './observer.js';
import { chance, type Draw } from './prng.js';
import type { Timeline } from './timeline.js';
import { delayOf, type Weather } from './weather.js';

/** What waits longer than this for its turn on a narrow link is dropped. */
const QUEUE_MS_MAX = 3_000;
/** How often what must arrive is tried on a link that loses everything. */
const RETRY_MS = 150;

export interface Frame {
  /** Arrives while the connection lasts: link and relay speak of the link itself. */
  readonly isKept: boolean;
  /** About its size; asked for on narrow links only. */
  readonly bytes: number;
  /** Its connection is still the one it was sent on. */
  readonly isUp: boolean;
  arrive(): void;
  lost(why: Loss): void;
}

export class Lane {
  readonly #timeline: Timeline;
  readonly #draw: Draw;
  /** Faults that lose what goes this way. */
  cuts = 0;
  #clogs = 0;
  /** What a clogged lane holds back, in order. */
  #held: (() => void)[] = [];
  bytesPerMs = Number.POSITIVE_INFINITY;
  /** When the narrow link has sent all that it was given. */
  #freeAt: Millis = 0;
  /** When the last frame arrives, to keep order. */
  #last: Millis = 0;
  /** Instead of everyone's. */
  weather: Weather | null = null;

  constructor(timeline: Timeline, draw: Draw) {
    this.#timeline = timeline;
    this.#draw = draw;
  }

  /** A new connection: nothing of the last one is under way. */
  reset(): void {
    this.#held = [];
    this.#freeAt = this.#last = 0;
  }

  heal(): void {
    this.cuts = 0;
    this.bytesPerMs = Number.POSITIVE_INFINITY;
    this.weather = null;
    while (this.#clogs > 0) this.unclog();
  }

  /** Nothing arrives until as many calls of `unclog`, and then all at once. */
  clog(): void {
    this.#clogs += 1;
  }

  unclog(): void {
    if (this.#clogs === 0) return;
    this.#clogs -= 1;
    if (this.#clogs === 0) for (const land of this.#held.splice(0)) land();
  }

  carry(frame: Frame, common: Weather): void {
    const { loss, duplicate, reorder, delay } = this.weather ?? common;
    const draw = this.#draw;
    const copies = duplicate > 0 && chance(draw, duplicate) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (!frame.isKept && (this.cuts > 0 || (loss > 0 && chance(draw, loss)))) {
        frame.lost(this.cuts > 0 ? 'cut' : 'loss');
        continue;
      }
      const waits = this.#queue(frame);
      if (waits > QUEUE_MS_MAX && !frame.isKept) {
        frame.lost('full');
        continue;
      }
      let at = this.#timeline.now + waits + delayOf(delay, draw);
      if (reorder === 0 || !chance(draw, reorder)) {
        at = Math.max(at, this.#last);
        this.#last = at;
      }
      this.#timeline.at(at, () => this.#land(frame));
    }
  }

  /** How long a frame waits for its turn. */
  #queue(frame: Frame): Millis {
    if (this.bytesPerMs === Number.POSITIVE_INFINITY) return 0;
    const { now } = this.#timeline;
    const waits = Math.max(0, this.#freeAt - now);
    if (waits <= QUEUE_MS_MAX) this.#freeAt = now + waits + frame.bytes / this.bytesPerMs;
    return waits;
  }

  #land(frame: Frame): void {
    if (!frame.isUp) return frame.lost('closed');
    if (this.#clogs > 0) this.#held.push(() => this.#land(frame));
    else if (this.cuts === 0) frame.arrive();
    else if (frame.isKept) this.#timeline.in(RETRY_MS, () => this.#land(frame));
    else frame.lost('cut');
  }
}

const FRAME_BYTES = 350;

/** About how many bytes a payload takes on a wire. */
export function weightOf(payload: object): number {
  let bytes = FRAME_BYTES;
  for (const value of Object.values(payload)) {
    if (value instanceof Uint8Array) bytes += value.length;
    else if (Array.isArray(value)) {
      for (const item of value) bytes += item instanceof Uint8Array ? item.length : 64;
    } else if (typeof value === 'object' && value !== null) bytes += weightOf(value) - FRAME_BYTES;
  }
  return bytes;
}
