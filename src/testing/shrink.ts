/**
 * Cuts a failing run down to a small one that still fails in the same way
 * (docs/simulation.md, "Shrinking"): delta debugging over faults, load, nodes
 * and conditions. Each attempt is a whole run; those that fail in the same
 * invariant are kept. What remains is not the smallest plan there is, but one
 * of which no single part that was tried can be left out.
 */

import { setImmediate } from 'node:timers/promises';
import { problemOf } from './check-options.js';
import type { Fault } from './faults.js';
import type { Plan } from './plan.js';
import { type Conditions, type SimulateResult, simulate, type Violation } from './simulate.js';
import { CALM } from './weather.js';
import type { Change, Post } from './workload.js';

export interface ShrinkOptions {
  /** A plan that fails. */
  readonly plan: Plan;
  readonly result: SimulateResult;
  /** At most so many runs. */
  readonly runsMax: number;
  readonly signal: AbortSignal;
  readonly onProgress?: (runs: number, best: Plan) => void;
}

export interface Shrunk {
  readonly plan: Plan;
  readonly result: SimulateResult;
  readonly runs: number;
}

/** The runs of one search, and the best plan so far. */
class Search {
  readonly #o: ShrinkOptions;
  readonly #wanted: string;
  readonly #tried = new Set<string>();
  best: Plan;
  result: SimulateResult;
  runs = 0;

  constructor(options: ShrinkOptions) {
    this.#o = options;
    this.best = options.plan;
    this.result = options.result;
    this.#wanted = kindOf(options.result.violation!);
  }

  get isOver(): boolean {
    return this.#o.signal.aborted || this.runs >= this.#o.runsMax;
  }

  /** Whether this plan fails too; it is the best from now on if so. */
  async fails(plan: Plan): Promise<boolean> {
    const text = JSON.stringify(plan);
    if (this.isOver || this.#tried.has(text) || problemOf(plan) !== undefined) return false;
    this.#tried.add(text);
    this.runs += 1;
    const { signal } = this.#o;
    const result = await simulate({ ...plan, signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    await setImmediate();
    const violation = result?.violation;
    if (!violation || kindOf(violation) !== this.#wanted) return false;
    this.best = plan;
    this.result = result;
    this.#o.onProgress?.(this.runs, plan);
    return true;
  }

  /** The best plan with some of it replaced. */
  try(change: Partial<Plan>): Promise<boolean> {
    return this.fails({ ...this.best, ...change });
  }
}

/** Failures of one kind: the same invariant; for crashes of the code also the same error. */
function kindOf({ invariant, message }: Violation): string {
  if (invariant !== 'no crash') return invariant;
  return `${invariant} ${message.split('\n')[0]!.replace(/\d+/g, '#')}`;
}

export async function shrink(options: ShrinkOptions): Promise<Shrunk> {
  const search = new Search(options);
  // A failure that does not come back from its own plan can't be cut down.
  if (await search.fails(options.plan)) {
    await cutBehind(search);
    let before = '';
    while (before !== JSON.stringify(search.best) && !search.isOver) {
      before = JSON.stringify(search.best);
      await withoutSome(search, (plan) => plan.faults, withFaults);
      await withoutNodes(search);
      await withoutSome(search, (plan) => plan.workload.posts, withPosts);
      await withoutSome(search, (plan) => plan.workload.invites, withInvites);
      await withoutSome(search, (plan) => plan.workload.changes, withChanges);
      await calmDown(search);
      await simplify(search);
    }
  }
  return { plan: search.best, result: search.result, runs: search.runs };
}

const withFaults = (plan: Plan, faults: readonly Fault[]): Plan => ({ ...plan, faults });
const withPosts = (plan: Plan, posts: readonly Post[]): Plan => ({
  ...plan,
  workload: { ...plan.workload, posts },
});
const withInvites = (plan: Plan, invites: readonly number[]): Plan => ({
  ...plan,
  workload: { ...plan.workload, invites },
});
const withChanges = (plan: Plan, changes: readonly Change[]): Plan => ({
  ...plan,
  workload: { ...plan.workload, changes },
});

/** Leaves out what begins after the failure. */
async function cutBehind(search: Search): Promise<void> {
  const { result, best } = search;
  const { at } = result.violation!;
  const until = ({ at: begins }: { at: number }): boolean => begins <= at;
  const loadMs = Math.max(1, Math.min(best.loadMs, Math.ceil(at - result.loadAt) + 1));
  const workload = {
    posts: best.workload.posts.filter(until),
    invites: best.workload.invites.filter((begins) => begins <= at),
    changes: best.workload.changes.filter(until),
  };
  const faults = best.faults.filter(until);
  (await search.try({ faults, workload, loadMs })) || (await search.try({ faults, workload }));
}

/** Zeller's ddmin over one list: leaves out halves, quarters … single items. */
async function withoutSome<T>(
  search: Search,
  listOf: (plan: Plan) => readonly T[],
  withList: (plan: Plan, list: readonly T[]) => Plan,
): Promise<void> {
  if (listOf(search.best).length > 0 && (await search.fails(withList(search.best, [])))) return;
  for (let parts = 2; listOf(search.best).length > 0 && !search.isOver; ) {
    const list = listOf(search.best);
    const size = Math.max(1, Math.ceil(list.length / parts));
    let isCut = false;
    for (let from = 0; from < list.length && !isCut; from += size) {
      const rest = [...list.slice(0, from), ...list.slice(from + size)];
      isCut = await search.fails(withList(search.best, rest));
    }
    if (isCut) parts = Math.max(2, parts - 1);
    else if (size === 1) return;
    else parts = Math.min(list.length, parts * 2);
  }
}

/** Leaves out nodes and relays, one after the other, the last ones first. */
async function withoutNodes(search: Search): Promise<void> {
  for (let node = search.best.nodes - 1; node >= 0 && search.best.nodes > 1; node--) {
    await search.fails(withoutNode(search.best, node));
  }
  for (let relay = search.best.relays - 1; relay >= 0 && search.best.relays > 1; relay--) {
    await search.fails(withoutRelay(search.best, relay));
  }
}

/** The plan without a node: the others keep their order, so those behind it have another index. */
export function withoutNode(plan: Plan, gone: number): Plan {
  const moved = (index: number): number => (index > gone ? index - 1 : index);
  const isThere = (index: number): boolean => index !== gone;
  const posts = plan.workload.posts
    .filter(({ node }) => isThere(node))
    .map((post) => ({ ...post, node: moved(post.node) }));
  const faults = plan.faults.flatMap((fault) => faultWithout(fault, gone, moved) ?? []);
  const changes = plan.workload.changes
    .filter(({ node, by }) => isThere(node) && isThere(by))
    .map((change) => ({
      ...change,
      ...{ node: moved(change.node), by: moved(change.by) },
      ...(change.as !== undefined && { as: moved(change.as) }),
    }));
  const wasArchive = gone >= plan.nodes - plan.archives;
  return {
    ...withChanges(withFaults(withPosts(plan, posts), faults), changes),
    nodes: plan.nodes - 1,
    archives: plan.archives - (wasArchive ? 1 : 0),
  };
}

type Fields = { [field: string]: unknown };

/** A fault among the nodes that remain; undefined if it was about the one that is gone. */
function faultWithout(
  fault: Fault,
  gone: number,
  moved: (index: number) => number,
): Fault | undefined {
  const fields: Fields = { ...fault };
  const listed = (list: readonly number[]): number[] =>
    list.filter((index) => index !== gone).map(moved);
  if (typeof fields.node === 'number') {
    if (fields.node === gone) return undefined;
    fields.node = moved(fields.node);
  }
  if (Array.isArray(fields.nodes)) {
    fields.nodes = listed(fields.nodes);
    if ((fields.nodes as number[]).length === 0) return undefined;
  }
  if (Array.isArray(fields.pairs)) {
    const pairs = fields.pairs as [number, number][];
    fields.pairs = pairs.filter((pair) => !pair.includes(gone)).map((pair) => pair.map(moved));
    if ((fields.pairs as unknown[]).length === 0) return undefined;
  }
  if (Array.isArray(fields.sides)) fields.sides = (fields.sides as number[][]).map(listed);
  return fields as unknown as Fault;
}

function withoutRelay(plan: Plan, gone: number): Plan {
  const faults = plan.faults.flatMap((fault): Fault[] => {
    if ('sides' in fault) {
      const sides = fault.sides.filter((_, relay) => relay !== gone);
      return sides.length > 0 ? [{ ...fault, sides }] : [];
    }
    if (!('relay' in fault)) return [fault];
    if (fault.relay === gone) return [];
    return [{ ...fault, relay: fault.relay > gone ? fault.relay - 1 : fault.relay }];
  });
  return { ...withFaults(plan, faults), relays: plan.relays - 1 };
}

const EASY: Conditions = { encoded: false, workMs: 0, diskMs: 0, skewMs: 0, weather: CALM };

/** Good weather, fast disks, equal clocks, where the failure does not need anything else. */
async function calmDown(search: Search): Promise<void> {
  const isEasy = (name: keyof Conditions): boolean =>
    JSON.stringify(search.best.conditions[name]) === JSON.stringify(EASY[name]);
  const names = Object.keys(EASY) as (keyof Conditions)[];
  if (names.every(isEasy)) return;
  if (await search.try({ conditions: EASY })) return;
  for (const name of names) {
    if (isEasy(name)) continue;
    await search.try({ conditions: { ...search.best.conditions, [name]: EASY[name] } });
  }
}

/** Single small messages, and shorter faults. */
async function simplify(search: Search): Promise<void> {
  const isPlain = ({ count, bytes }: Post): boolean => count === 1 && bytes === 0;
  const plain = (post: Post): Post => ({ ...post, count: 1, bytes: 0 });
  const { posts } = search.best.workload;
  if (!posts.every(isPlain) && !(await search.fails(withPosts(search.best, posts.map(plain))))) {
    for (const [i, post] of posts.entries()) {
      if (isPlain(post)) continue;
      await search.fails(withPosts(search.best, search.best.workload.posts.with(i, plain(post))));
    }
  }
  for (let i = 0; i < search.best.faults.length; i++) {
    for (let halvings = 0; halvings < HALVINGS_MAX; halvings++) {
      const fault = search.best.faults[i]!;
      const until = Math.ceil((fault.at + fault.until) / 2);
      if (until >= fault.until) break;
      const faults = search.best.faults.with(i, { ...fault, until });
      if (!(await search.fails(withFaults(search.best, faults)))) break;
    }
  }
}

const HALVINGS_MAX = 4;
