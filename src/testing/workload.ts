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

/** What is left out is drawn from the seed. */
export interface Workload {
  /** Mean time between posts. */
  readonly everyMs?: Millis;
  /** Most messages in one submission; a tenth of the posts draw a number up to it. */
  readonly burst?: number;
  /** Exactly these posts. */
  readonly posts?: readonly Post[];
  /** When the founder invites somebody who never comes: membership changes under faults. */
  readonly invites?: readonly Millis[];
}

/** A workload with nothing left to draw. */
export type WorkloadPlan = Required<Pick<Workload, 'posts' | 'invites'>>;

export interface WorkloadOptions extends Workload {
  readonly seed: number;
  readonly nodes: number;
  readonly from: Millis;
  readonly until: Millis;
}

export const planWorkload = (o: WorkloadOptions): WorkloadPlan => ({
  posts: o.posts ?? planPosts(o),
  invites: o.invites ?? planInvites(o),
});

function planInvites(o: WorkloadOptions): Millis[] {
  const draw = drawsOf(o.seed, 'invites');
  const count = chance(draw, 0.4) ? 1 + below(draw, 4) : 0;
  return Array.from({ length: count }, () => Math.floor(between(draw, o.from, o.until)));
}

/** Posts of all nodes, now and then in bursts. */
function planPosts(o: WorkloadOptions): Post[] {
  const draw = drawsOf(o.seed, 'workload');
  const drawn = {
    every: between(draw, 100, 1_500),
    burst: chance(draw, 0.005) ? 2_000 : chance(draw, 0.06) ? 300 : chance(draw, 0.5) ? 20 : 1,
  };
  const every = o.everyMs ?? drawn.every;
  const burst = o.burst ?? drawn.burst;
  const posts: Post[] = [];
  for (let at = o.from; at < o.until; at += every * 2 * draw()) {
    const count = chance(draw, 0.1) ? 1 + below(draw, burst) : 1;
    posts.push({ at: Math.floor(at), node: below(draw, o.nodes), count, bytes: below(draw, 200) });
  }
  return posts;
}
