/**
 * What a run may be asked for. What is out of range, or means nothing, is an error before
 * the run begins, not a run that does something else.
 */

import { ConclaveError } from '../core/errors.js';
import {
  MEMBERS_PER_CHANNEL_MAX,
  MIN_ONLINE_ARCHIVE,
  RELAYS_PER_CHANNEL_MAX,
} from '../core/limits.js';
import { FAULT_SHAPES, weatherShape } from './fault-shapes.js';
import { FAULT_KINDS, type Fault, isLasting, LASTING_KINDS, RARE_KINDS } from './faults.js';
import { nodesWith } from './replacing.js';
import {
  callable,
  type Fields,
  flag,
  isMs,
  isObject,
  kinds,
  list,
  ms,
  must,
  number,
  object,
  oneOf,
  optional,
  type Problem,
  problem,
  problemText,
  type Shape,
  text,
  whole,
} from './shapes.js';
import type { SimulateOptions } from './simulate.js';
import type { Change } from './workload.js';

/** A run's cost grows with the cube of its nodes, since all say to all what they see. */
export const SIM_NODES_MAX = 40;
export const SIM_RELAYS_MAX = RELAYS_PER_CHANNEL_MAX;

const MANY = Number.MAX_SAFE_INTEGER;
const meanMs = number('ms above 0', Number.MIN_VALUE);

const conditions: Fields = {
  encoded: optional(flag),
  workMs: optional(ms),
  diskMs: optional(ms),
  skewMs: optional(ms),
  weather: optional(weatherShape),
};

const SABOTAGES = [
  'skip-sync',
  'early-done',
  'torn-batch',
  'lose-promises',
  'lose-outbox',
  'late-first',
];

/** Environments of tests may have one of their own. */
const isSignal = must(
  'an AbortSignal',
  (value) => isObject(value) && typeof value.aborted === 'boolean',
);

/** Options of every run; what a plan file says is of the same shape. */
function common(o: Sizes): Fields {
  return {
    seed: whole(0, MANY),
    nodes: optional(whole(1, SIM_NODES_MAX)),
    relays: optional(whole(1, SIM_RELAYS_MAX)),
    minOnline: optional(whole(o.minOnlineMin, MEMBERS_PER_CHANNEL_MAX)),
    few: optional(oneOf('archive', 'always')),
    archives: optional(whole(0, o.nodes - 1)),
    quorum: optional(oneOf('online', 'roster')),
    weather: optional(weatherShape),
    faults: optional(faultsShape(o)),
    early: optional(flag),
    loadMs: optional(ms),
    settleMs: optional(ms),
    conditions: optional(object(conditions)),
    crypto: optional(oneOf('fast', 'real')),
    log: optional(callable),
    signal: optional(isSignal),
    onProgress: optional(callable),
    onHistory: optional(callable),
    observe: optional(callable),
  };
}

const ofNodes = (o: Sizes): Fields => ({
  ...common(o),
  workload: optional(
    object({
      everyMs: optional(meanMs),
      burst: optional(whole(1, MANY)),
      posts: optional(list(postShape(o), 'post')),
      invites: optional(list(ms, 'invite')),
      changes: optional(list(changeShape(o), 'change')),
    }),
  ),
  sabotage: optional(oneOf(...SABOTAGES)),
});

const ofAnApplication = (o: Sizes): Fields => ({
  ...common(o),
  app: callable,
  workload: optional(object({ act: callable, everyMs: optional(meanMs) })),
  checks: optional(object({ always: optional(callable), eventually: optional(callable) })),
});

/** Throws `bad_options`. */
export function checkOptions(options: unknown): void {
  refuse(problemOf(options));
}

/** The same of a run with an application. */
export function checkAppOptions(options: unknown): void {
  refuse(found(object(ofAnApplication(sizesOf(options)))(options)));
}

function refuse(why: string | undefined): void {
  if (why !== undefined) throw new ConclaveError('bad_options', `this run can't be: ${why}`);
}

/** What is wrong with options, or with what a plan file says in their place. */
export const problemOf = (options: unknown): string | undefined =>
  found(object(ofNodes(sizesOf(options)))(options) ?? contradiction(options));

/** Who is to change membership may be held back for ever by faults that last: then nothing could be asked. */
function contradiction(options: unknown): Problem | undefined {
  const { faults, workload } = options as SimulateOptions;
  const changes = workload?.changes ?? [];
  const lasting = faults?.find((fault) =>
    typeof fault === 'string' ? LASTING_KINDS.has(fault) : isLasting(fault),
  );
  if (changes.length === 0 || lasting === undefined) return undefined;
  const kind = typeof lasting === 'string' ? lasting : lasting.kind;
  const why = kind === 'misbehaves' || typeof lasting === 'string' ? kind : `${kind} that stays`;
  return {
    path: ['"workload"', '"changes"'],
    what: `can't be with a fault that lasts (${why}): leave out one of them`,
  };
}

/** Items of lists, as `fault 0`, are known by their own name. */
function found(wrong: Problem | undefined): string | undefined {
  if (!wrong) return undefined;
  const item = wrong.path.findIndex((name) => /^(fault|post|invite|change) /.test(name));
  return problemText({ ...wrong, path: wrong.path.slice(Math.max(0, item)) });
}

/** How many nodes and relays there are, or could be. */
interface Sizes {
  /** Members, as the run begins. */
  readonly nodes: number;
  readonly areSaid: boolean;
  /** With those of new keys. */
  readonly all: number;
  readonly relays: number;
  /** One alone is never enough where it takes an archive. */
  readonly minOnlineMin: number;
}

function sizesOf(options: unknown): Sizes {
  const { nodes, relays, archives = 0, few } = isObject(options) ? options : {};
  const isFew = few === 'archive' || (few === undefined && archives !== 0);
  return {
    nodes: typeof nodes === 'number' ? nodes : SIM_NODES_MAX,
    areSaid: typeof nodes === 'number',
    all: typeof nodes === 'number' ? nodesWith(nodes, changesIn(options)) : SIM_NODES_MAX,
    relays: typeof relays === 'number' ? relays : SIM_RELAYS_MAX,
    minOnlineMin: isFew ? MIN_ONLINE_ARCHIVE : 1,
  };
}

/** Changes of membership, as far as they are some. */
function changesIn(options: unknown): readonly Change[] {
  const { workload } = isObject(options) ? options : {};
  const { changes } = isObject(workload) ? workload : {};
  return Array.isArray(changes)
    ? changes.filter((change) => isObject(change) && typeof change.as === 'number')
    : [];
}

const KINDS: readonly string[] = [...FAULT_KINDS, ...RARE_KINDS];

/** Kinds to draw from, or a plan; not some of both. */
function faultsShape(o: Sizes): Shape {
  const kind: Shape = (value) =>
    KINDS.includes(value as string) ? undefined : problem(`is no kind of fault: ${value}`);
  return (value) => {
    const isPlan = Array.isArray(value) && isObject(value[0]);
    const wrong = list(isPlan ? faultShape(o) : kind, 'fault')(value);
    return wrong ?? (isPlan && isNobodyLeft(value, o) ? problem('all nodes are gone') : undefined);
  };
}

/** Somebody must be left to ask. */
function isNobodyLeft(faults: readonly Partial<Fault>[], o: Sizes): boolean {
  const gone = faults.flatMap((fault) => (fault.kind === 'gone' ? fault.node : []));
  return new Set(gone).size >= o.all;
}

function faultShape(o: Sizes): Shape {
  const shape = kinds('kind', FAULT_SHAPES);
  return (value) => shape(value) ?? (isObject(value) ? misplaced(value, o) : undefined);
}

/** A fault that ends before it begins, or of nodes and relays that are not there. */
function misplaced(
  { at, until, node, nodes, pairs, sides, relay }: { readonly [field: string]: unknown },
  o: Sizes,
): Problem | undefined {
  if (isMs(at) && isMs(until) && until < at) {
    return problem(`ends at ${until} ms, before it begins at ${at} ms`);
  }
  const stranger = [node, nodes, pairs, sides]
    .flat(3)
    .find((index) => typeof index === 'number' && index >= o.all);
  if (stranger !== undefined) return problem(`is of node ${stranger}, and there is none`);
  return typeof relay === 'number' && relay >= o.relays
    ? problem(`is of relay ${relay}, and there is none`)
    : undefined;
}

function changeShape(o: Sizes): Shape {
  const plain = { at: ms, node: whole(0, o.nodes - 1), by: whole(0, o.nodes - 1) };
  const replace = {
    ...plain,
    as: o.areSaid ? whole(o.nodes, SIM_NODES_MAX - 1) : unsaid,
    word: optional(oneOf('recovery', 'forged')),
  };
  const all = { remove: plain, leave: plain, admin: plain, member: plain, return: plain };
  const recovery = { ...plain, word: optional(oneOf('forged')) };
  return kinds('what', { ...all, recovery, replace });
}

const unsaid: Shape = () => problem('means nothing where the run does not say "nodes"');

function postShape(o: Sizes): Shape {
  const shape = object({
    at: ms,
    node: whole(0, MANY),
    count: whole(1, MANY),
    bytes: whole(0, MANY),
    text: optional(text),
  });
  return (value) => {
    const node = isObject(value) ? Number(value.node) : 0;
    const stranger = problem(`is of node ${node}, and there is none`);
    return shape(value) ?? (node >= o.nodes ? stranger : undefined);
  };
}
