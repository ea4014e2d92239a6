/**
 * What the simulated applications do: who posts how many messages, when. Plain
 * data, drawn from the seed.
 */

import type { Millis } from '../core/ids.js';
import { below, between, chance, drawsOf } from './prng.js';
import { planReplacements } from './replacing.js';

export interface Post {
  readonly at: Millis;
  readonly node: number;
  /** Messages in one submission. */
  readonly count: number;
  readonly bytes: number;
  /** What each says, instead of so many zero bytes. */
  readonly text?: string;
}

/** A change of membership that somebody asks for once; it comes to nothing where the roster does not allow it. */
export interface Change {
  readonly at: Millis;
  /**
   * `return`: it is invited by name, and joins again. `recovery`: it registers its recovery key.
   * `replace`: another key gets its place.
   */
  readonly what: 'remove' | 'leave' | 'admin' | 'member' | 'return' | 'recovery' | 'replace';
  /** Of whom. */
  readonly node: number;
  /** Who asks; for `leave` and `recovery` the node itself. */
  readonly by: number;
  /** For `replace`: the new key's node, behind the members. */
  readonly as?: number;
  /** For `replace`: the old key's recovery key decides, or one that it never registered. For `recovery`: a thief's, not its own. */
  readonly word?: 'recovery' | 'forged';
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
  /** Who is to leave, to be removed, to get another role, to come back, to get a new key. */
  readonly changes?: readonly Change[];
}

/** A workload with nothing left to draw. */
export type WorkloadPlan = Required<Pick<Workload, 'posts' | 'invites' | 'changes'>>;

export interface WorkloadOptions extends Workload {
  readonly seed: number;
  readonly nodes: number;
  readonly from: Millis;
  readonly until: Millis;
  /** It begins before all have joined. */
  readonly early?: boolean;
}

export const planWorkload = (o: WorkloadOptions): WorkloadPlan => ({
  posts: o.posts ?? planPosts(o),
  invites: o.invites ?? planInvites(o),
  changes: o.changes ?? [...planChanges(o), ...planReplacements(o)],
});

/** Fewer members than this would leave too little to test. */
const MEMBERS_LEFT_MIN = 3;

/** In one of eight runs some leave or are removed, and half of them come back. */
function planChanges(o: WorkloadOptions): Change[] {
  const draw = drawsOf(o.seed, 'changes');
  if (!chance(draw, 0.125) || o.nodes <= MEMBERS_LEFT_MIN) return [];
  const changes: Change[] = [];
  const admin = 1 + below(draw, o.nodes - 1);
  const whom = new Set<number>();
  const count = 1 + below(draw, o.nodes - MEMBERS_LEFT_MIN);
  for (let i = 0; i < count; i++) whom.add(1 + below(draw, o.nodes - 1));
  if (chance(draw, 0.4)) changes.push({ at: o.from, what: 'admin', node: admin, by: 0 });
  for (const node of whom) {
    const at = Math.floor(between(draw, o.from, o.until));
    const by = chance(draw, 0.3) ? admin : 0;
    const leaves = chance(draw, 0.3);
    changes.push(leaves ? { at, what: 'leave', node, by: node } : { at, what: 'remove', node, by });
    if (!chance(draw, 0.5)) continue;
    const later = Math.floor(between(draw, at, o.until));
    changes.push({ at: later, what: 'return', node, by: 0 });
  }
  return changes;
}

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
