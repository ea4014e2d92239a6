/**
 * Seven nodes, split by what relay they reach: four reach only the first and
 * finalise what they say, three reach only the second and commit what they say.
 * The heal brings everything to everyone.
 */

import { expect, test } from 'vitest';
import { expectMerged, finalSeq, goOnApart, tooFew } from './apart.js';
import { play } from './scenario.js';

test('seven nodes cut 3 | 4: four finalise, three commit, all is final after the heal', {
  timeout: 240_000,
}, async ({ signal }) => {
  await play({ nodes: 7, relays: 2, signal }, async (scenario) => {
    const { lab } = scenario;
    await scenario.goOn(lab.nodes);
    const leader = await scenario.leaderOf(lab.nodes);
    const others = lab.nodes.filter((node) => node !== leader);
    const three = [leader, ...others.slice(4)];
    const four = others.slice(0, 4);
    await scenario.split([{ nodes: four, relays: [0], commits: true }, tooFew(three, 1)]);
    const final = finalSeq(three);
    await scenario.goOn(four);
    await goOnApart(scenario, three);
    const leads = await scenario.leaderOf(four);
    expect(leads.status?.epoch?.kind).toBe('roster');
    await scenario.recorder.read(...lab.nodes);
    expect(finalSeq(three)).toBe(final);
    await scenario.heal();
    await expectMerged(scenario);
  });
});
