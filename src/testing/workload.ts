/**
 * What the simulated applications do: who posts how many messages, when. Plain
 * data, drawn from the seed.
 */

import type { Millis } from '../core/ids.js';
import { below, between, chance, drawsOf } from './prng.js';

export interface Post {
  readonly at: Millis;
  readonly node: number;
  /** Messages in one submission. */
  readonly count: number;
  readonly bytes: number;
  /** What each says, instead of so many zero bytes. */
  readonly text?: string;
}

export interface WorkloadOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly from: Millis;
  readonly until: Millis;
}

/** When the founder invites somebody who never comes: membership changes under faults. */
export function planInvites(o: WorkloadOptions): Millis[] {
  const draw = drawsOf(o.seed, 'invites');
  const count = chance(draw, 0.4) ? 1 + below(draw, 4) : 0;
  return Array.from({ length: count }, () => Math.floor(between(draw, o.from, o.until)));
}

/** Posts of all nodes, now and then in bursts. */
export function planPosts(o: WorkloadOptions): Post[] {
  const draw = drawsOf(o.seed, 'workload');
  const every = between(draw, 100, 1_500);
  const burst = chance(draw, 0.03) ? 2_000 : chance(draw, 0.2) ? 300 : chance(draw, 0.5) ? 20 : 1;
  const posts: Post[] = [];
  for (let at = o.from; at < o.until; at += every * 2 * draw()) {
    const count = chance(draw, 0.1) ? 1 + below(draw, burst) : 1;
    posts.push({ at: Math.floor(at), node: below(draw, o.nodes), count, bytes: below(draw, 200) });
  }
  return posts;
}
