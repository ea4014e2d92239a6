/**
 * What a run may be asked for. What is out of range, or means nothing, is an error before
 * the run begins, not a run that does something else.
 */

import { ConclaveError } from '../core/errors.js';
import { MEMBERS_PER_CHANNEL_MAX, RELAYS_PER_CHANNEL_MAX } from '../core/limits.js';
import { FAULT_KINDS, type Fault, RARE_KINDS } from './faults.js';
import type { SimulateOptions } from './simulate.js';

/** A run's cost grows with the cube of its nodes, since all say to all what they see. */
export const SIM_NODES_MAX = 40;
export const SIM_RELAYS_MAX = RELAYS_PER_CHANNEL_MAX;

/** What a plan may have; the type sees to it that none is left out. */
const KINDS_OF_PLANS: Record<Fault['kind'], true> = {
  ...{ crash: true, pause: true, slow: true, clock: true, damage: true, 'old-disk': true },
  ...{ 'disk-full': true, 'disk-sync': true, 'slow-disk': true, misbehaves: true },
  ...{ cut: true, clog: true, narrow: true, 'half-open': true, dead: true, reset: true },
  ...{ isolate: true, block: true, 'relay-split': true, 'relay-restart': true },
  ...{ 'relay-forgets': true, 'lying-relay': true, weather: true },
};

/** Throws `bad_options`. */
export function checkOptions(o: SimulateOptions): void {
  const problem = problemOf(o);
  if (problem !== undefined)
    throw new ConclaveError('bad_options', `this run can't be: ${problem}`);
}

/** What is wrong with options, or with what a plan file says in their place. */
export function problemOf(o: SimulateOptions): string | undefined {
  const { workload = {}, faults = [] } = o;
  return (
    (Number.isSafeInteger(o.seed) && o.seed >= 0
      ? undefined
      : `"seed" must be a whole number from 0 to 2^53-1, not ${o.seed}`) ??
    countProblem('nodes', o.nodes, SIM_NODES_MAX) ??
    countProblem('relays', o.relays, SIM_RELAYS_MAX) ??
    countProblem('minOnline', o.minOnline, MEMBERS_PER_CHANNEL_MAX) ??
    timeProblem('loadMs', o.loadMs) ??
    timeProblem('settleMs', o.settleMs) ??
    listProblem('faults', faults, (fault) => faultProblem(fault, o)) ??
    listProblem('posts', workload.posts ?? [], (post) => postProblem(post, o)) ??
    listProblem('invites', workload.invites ?? [], (at) => (isTime(at) ? undefined : 'is no time'))
  );
}

const isTime = (value: unknown): value is number =>
  Number.isFinite(value) && (value as number) >= 0;
const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

function countProblem(name: string, value: unknown, most: number): string | undefined {
  if (value === undefined) return undefined;
  const isFine = Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= most;
  return isFine ? undefined : `"${name}" must be a whole number from 1 to ${most}, not ${value}`;
}

const timeProblem = (name: string, value: unknown): string | undefined =>
  value === undefined || isTime(value) ? undefined : `"${name}" must be ms, not ${value}`;

function listProblem(
  name: string,
  list: unknown,
  problemOfItem: (item: unknown) => string | undefined,
): string | undefined {
  if (!Array.isArray(list)) return `"${name}" must be a list`;
  for (const [i, item] of list.entries()) {
    const problem = problemOfItem(item);
    if (problem !== undefined) return `${name.slice(0, -1)} ${i} ${problem}`;
  }
  return undefined;
}

const KINDS: readonly string[] = [...FAULT_KINDS, ...RARE_KINDS];

function faultProblem(fault: unknown, o: SimulateOptions): string | undefined {
  if (typeof fault === 'string') {
    return KINDS.includes(fault) ? undefined : `is no kind of fault: ${fault}`;
  }
  if (!isObject(fault)) return 'is no fault';
  const { kind, at, until } = fault as Partial<Fault>;
  if (typeof kind !== 'string' || !Object.hasOwn(KINDS_OF_PLANS, kind)) {
    return `has no "kind" that is known: ${Object.keys(KINDS_OF_PLANS).sort().join(', ')}`;
  }
  if (!isTime(at) || !isTime(until) || until < at) return 'lacks "at" and "until"';
  const { node, nodes, pairs, sides, relay } = fault as { readonly [field: string]: unknown };
  const stranger = [node, nodes, pairs, sides]
    .flat(3)
    .find((index) => typeof index === 'number' && index >= (o.nodes ?? SIM_NODES_MAX));
  if (stranger !== undefined) return `is of node ${stranger}, and there is none`;
  if (typeof relay === 'number' && relay >= (o.relays ?? SIM_RELAYS_MAX)) {
    return `is of relay ${relay}, and there is none`;
  }
  return undefined;
}

function postProblem(post: unknown, o: SimulateOptions): string | undefined {
  if (!isObject(post)) return 'is no post';
  const { at, node, count, bytes } = post as { readonly [field: string]: unknown };
  if (!isTime(at)) return 'lacks "at"';
  if (!Number.isSafeInteger(node) || Number(node) < 0) return 'lacks "node"';
  if (Number(node) >= (o.nodes ?? SIM_NODES_MAX)) return `is of node ${node}, and there is none`;
  if (!Number.isSafeInteger(count) || Number(count) < 1) return 'lacks "count"';
  return isTime(bytes) ? undefined : 'lacks "bytes"';
}
