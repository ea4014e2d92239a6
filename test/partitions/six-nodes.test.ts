/**
 * Six nodes, cut into halves by what relay they reach: both commit, nothing
 * becomes final anywhere until the heal, then everything does, everywhere.
 */

import { expect, test } from 'vitest';
import { expectMerged, finalSeq, goOnApart, tooFew } from './apart.js';
import { play } from './scenario.js';

test('six nodes cut 3 | 3: both commit, all is final after the heal', {
  timeout: 240_000,
}, async ({ signal }) => {
  await play({ nodes: 6, relays: 2, signal }, async (scenario) => {
    const { lab } = scenario;
    await scenario.goOn(lab.nodes);
    const halves = [lab.nodes.slice(0, 3), lab.nodes.slice(3)];
    await scenario.split(halves.map((half, i) => tooFew(half, i)));
    const final = halves.map(finalSeq);
    await Promise.all(halves.map((half) => goOnApart(scenario, half)));
    await scenario.recorder.read(...lab.nodes);
    expect(halves.map(finalSeq)).toEqual(final);
    await scenario.heal();
    await expectMerged(scenario);
  });
});
