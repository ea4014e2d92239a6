/**
 * The fields of each kind of fault (faults.ts), for plans that people write (check-options.ts). What
 * is true or false may be left out of one, and is false then.
 */

import { FAULT_KINDS, type Fault, RARE_KINDS } from './faults.js';
import type { Deed } from './misdeeds.js';
import {
  type Fields,
  flag,
  kinds,
  list,
  ms,
  must,
  number,
  object,
  oneOf,
  optional,
  share,
  text,
  whole,
} from './shapes.js';
import { DIRECTIONS } from './sim-network.js';
import type { Delay } from './weather.js';

const MANY = Number.MAX_SAFE_INTEGER;
const index = whole(0, MANY);
const victim = must(
  'the number of a node or "leader"',
  (value) => value === 'leader' || (Number.isSafeInteger(value) && Number(value) >= 0),
);
const nodes = list(index);
const pairs = must(
  'a list of pairs of nodes',
  (value) =>
    Array.isArray(value) &&
    value.every((pair) => Array.isArray(pair) && pair.length === 2 && !nodes(pair)),
);
const directions = list(oneOf(...DIRECTIONS));
const stays = optional(oneOf(true));
const texts = list(text);

const delays: Record<Delay['kind'], Fields> = {
  fixed: { ms },
  uniform: { min: ms, max: ms },
  'long-tail': { median: ms, max: ms },
};

export const weatherShape = object({
  delay: kinds('kind', delays),
  loss: share,
  duplicate: share,
  reorder: share,
});

const lies = object({
  drop: share,
  late: share,
  lateMs: ms,
  replay: share,
  forge: share,
  rumour: share,
  censored: list(object({ from: optional(index), to: optional(index), name: optional(text) })),
  only: optional(texts),
});

const often = share;
const DEEDS: Record<Deed, Fields> = {
  withhold: { names: (value) => (value === 'all' ? undefined : texts(value)) },
  censor: { author: (value) => (value === 'all' ? undefined : index(value)) },
  forge: { often },
  replay: { often },
  'false-certificates': { often },
  'false-pages': { often },
  'false-changes': { often },
  'two-votes': {},
  'two-acks': {},
  'two-records': { often },
  'two-places': { often },
  'false-report': {},
};

const ofNode: Fields = { node: victim };
const ofLink: Fields = { node: victim, relay: index };
const milliseconds = must('ms', Number.isFinite);

/** What each kind has beside its times. */
const FIELDS: Record<Fault['kind'], Fields> = {
  crash: { ...ofNode, inWrite: optional(flag) },
  pause: ofNode,
  slow: { ...ofNode, ms },
  // A clock may jump back.
  clock: { ...ofNode, ms: milliseconds },
  'disk-full': ofNode,
  'disk-sync': ofNode,
  'slow-disk': { ...ofNode, ms },
  damage: { ...ofNode, place: share },
  'old-disk': { nodes, copiedAt: (value) => (value === null ? undefined : ms(value)) },
  cut: { ...ofLink, directions, reset: optional(flag) },
  clog: { ...ofLink, directions },
  narrow: { ...ofLink, bytesPerMs: number('bytes above 0', Number.MIN_VALUE) },
  'half-open': { ...ofLink, gone: oneOf('node', 'relay') },
  dead: ofLink,
  reset: ofLink,
  isolate: { ...ofNode, directions },
  block: { pairs, stays },
  'relay-split': { sides: list(nodes), reset: optional(flag), stays },
  'relay-restart': { relay: index },
  'relay-forgets': { relay: index },
  'lying-relay': { relay: index, lies, restarts: optional(flag) },
  misbehaves: { node: index, misdeeds: list(kinds('do', DEEDS), 'misdeed'), stays },
  gone: { node: index },
  weather: { weather: weatherShape, node: optional(victim) },
};

const times: Fields = { at: ms, until: ms };
const drawnFrom = optional(oneOf(...FAULT_KINDS, ...RARE_KINDS));

export const FAULT_SHAPES: { readonly [kind: string]: Fields } = Object.fromEntries(
  Object.entries(FIELDS).map(([kind, fields]) => [kind, { ...times, ...fields, drawnFrom }]),
);
