/** What the seed decides about a run where its options leave it open. */

import type { Fault, FaultKind } from './faults.js';
import { drawGoneKinds, drawKinds, drawRareKinds, loadMsFor, needMembers } from './plan-faults.js';
import { between, chance, drawsOf, pick } from './prng.js';
import type { Conditions, SimulateOptions } from './simulate.js';
import { CALM, drawWeather } from './weather.js';

/** Half of them may part into two that both go on: that takes six with `minOnline` 3. */
const NODES = [1, 2, 3, 3, 3, 4, 4, 5, 5, 5, 6, 6, 6, 7, 7, 7, 7, 8, 9, 9];

export const isPlan = (
  faults: NonNullable<SimulateOptions['faults']>,
): faults is readonly Fault[] => typeof faults[0] === 'object';

/** The share of channels in which few are enough beside an archive alone. */
const ARCHIVE_SHARE = 0.12;

/** What is left out of options that name no nodes and no policy is drawn from a stream of its own. */
function drawArchives(o: SimulateOptions, count: number, isOfGuest: boolean) {
  const draw = drawsOf(o.seed, 'archives');
  const isOpen = [o.nodes, o.minOnline, o.few, o.archives, o.workload].every(
    (of) => of === undefined,
  );
  if (!isOpen || isOfGuest || count < 2 || !chance(draw, ARCHIVE_SHARE)) {
    const archives = Math.min(o.archives ?? 0, count - 1);
    return { few: o.few ?? (archives > 0 ? 'archive' : 'always'), archives } as const;
  }
  const archives = Math.min(pick(draw, [0, 1, 1, 1, 2]), Math.ceil(count / 3));
  return { few: 'archive', archives, minOnline: pick(draw, [2, 2, 2, 3]) } as const;
}

export function drawSettings(o: SimulateOptions, isOfGuest: boolean) {
  const draw = drawsOf(o.seed, 'settings');
  const nodes = pick(draw, NODES);
  const relays = pick(draw, [1, 1, 2, 2, 3]);
  const low = chance(draw, 0.4);
  const usual = drawKinds(draw);
  const early = chance(draw, 0.25);
  // Applications are promised members that follow the protocol.
  const areChanging = (o.workload?.changes ?? []).length > 0;
  const rare = isOfGuest || areChanging ? [] : drawRareKinds(drawsOf(o.seed, 'rare kinds'));
  const areLeft = isOfGuest || rare.length > 0 || (o.nodes ?? nodes) < 3;
  const gone = areLeft ? [] : drawGoneKinds(drawsOf(o.seed, 'gone for good'));
  const kinds: readonly FaultKind[] = [...usual, ...rare, ...gone];
  const loadMs = loadMsFor(kinds, draw);
  const conditions: Conditions = {
    encoded: chance(draw, 0.08),
    workMs: chance(draw, 0.3) ? between(draw, 0.1, 10) : 0,
    diskMs: pick(draw, [0, 1, 5, 30]),
    skewMs: chance(draw, 0.5) ? 300_000 : 0,
    weather: chance(draw, 0.4) ? drawWeather(draw) : CALM,
  };
  const crypto = chance(draw, 0.01) ? ('real' as const) : ('fast' as const);
  const quorum = chance(draw, 0.12) ? ('roster' as const) : ('online' as const);
  const count = o.nodes ?? nodes;
  const asked = o.faults ?? kinds;
  const drawn = low ? Math.min(3, Math.max(1, Math.floor(count / 2))) : 3;
  return {
    conditions: { ...conditions, ...o.conditions, ...(o.weather ? { weather: o.weather } : {}) },
    nodes: count,
    relays: o.relays ?? relays,
    minOnline: o.minOnline ?? (o.few === 'archive' || o.archives ? Math.max(2, drawn) : drawn),
    ...drawArchives(o, count, isOfGuest),
    kinds: asked,
    early: o.early ?? (early && (isPlan(asked) || !needMembers(asked as FaultKind[]))),
    loadMs: o.loadMs ?? loadMs,
    crypto: o.crypto ?? crypto,
    quorum: o.quorum ?? quorum,
    settleMs: o.settleMs ?? 60_000,
  };
}

export type Settings = ReturnType<typeof drawSettings>;
