/** How a link treats its frames: plain data, and the delay that it draws for one of them. */

import type { Millis } from '../core/ids.js';
import { between, chance, type Draw, pick } from './prng.js';

export type Delay =
  | { readonly kind: 'fixed'; readonly ms: Millis }
  | { readonly kind: 'uniform'; readonly min: Millis; readonly max: Millis }
  /** Mostly about `median`, now and then up to `max`. */
  | { readonly kind: 'long-tail'; readonly median: Millis; readonly max: Millis };

export interface Weather {
  readonly delay: Delay;
  /** Probabilities for each frame and hop. */
  readonly loss: number;
  readonly duplicate: number;
  /** A frame may overtake others on its link. */
  readonly reorder: number;
}

export const CALM: Weather = { delay: { kind: 'fixed', ms: 2 }, loss: 0, duplicate: 0, reorder: 0 };

export function drawDelay(draw: Draw): Delay {
  const kind = pick(draw, ['fixed', 'uniform', 'long-tail'] as const);
  if (kind === 'fixed') return { kind, ms: Math.ceil(200 ** draw()) };
  if (kind === 'uniform') return { kind, min: 1, max: Math.ceil(2 + 400 ** draw()) };
  return { kind, median: Math.ceil(100 ** draw()), max: 2_000 };
}

export function drawWeather(draw: Draw): Weather {
  return {
    delay: drawDelay(draw),
    loss: chance(draw, 0.6) ? draw() ** 2 * 0.4 : 0,
    duplicate: chance(draw, 0.4) ? draw() * 0.3 : 0,
    reorder: chance(draw, 0.5) ? draw() : 0,
  };
}

/** How long one frame takes. */
export function delayOf(delay: Delay, draw: Draw): Millis {
  switch (delay.kind) {
    case 'fixed':
      return delay.ms;
    case 'uniform':
      return between(draw, delay.min, delay.max);
    case 'long-tail': {
      const x = draw();
      return Math.min(delay.max, (delay.median * 0.3) / Math.max(1e-6, 1 - x) ** 1.2);
    }
  }
}
