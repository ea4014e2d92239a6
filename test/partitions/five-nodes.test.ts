/**
 * Five nodes and two relays, each a process on a host of its own, through all
 * that a network and a machine do to them, one thing after the other, while
 * everyone sends.
 */

import { expect, test } from 'vitest';
import { play, type Scenario } from './scenario.js';

test('five nodes lose nothing to drops, delays, losses, pulled cables and kill -9', {
  timeout: 240_000,
}, async ({ signal }) => {
  await play({ nodes: 5, relays: 2, signal }, async (scenario) => {
    await scenario.goOn(scenario.lab.nodes);
    await twoAreCutOff(scenario);
    await slowAndLossy(scenario);
    await cableIsPulled(scenario);
    await leaderIsKilled(scenario);
    await relaysAreKilled(scenario);
    const hits = await scenario.lab.network.hits();
    console.log(`packets hit by faults: ${JSON.stringify(hits)}`);
    expect(
      Object.entries(hits).filter(([, count]) => count === 0),
      JSON.stringify(hits),
    ).toEqual([]);
  });
});

/** Nothing they send or get arrives, and nobody is told; one of them is the leader. */
async function twoAreCutOff({ lab, recorder, ...s }: Scenario): Promise<void> {
  const leader = await s.leaderOf(lab.nodes);
  const others = lab.nodes.filter((node) => node !== leader);
  const rest = others.slice(1);
  const alone = { relays: [], commits: false };
  await s.split([
    { nodes: rest, relays: [0, 1], commits: true },
    { nodes: [leader], ...alone },
    { nodes: [others[0]!], ...alone },
  ]);
  await s.goOn(rest);
  const final = [leader, others[0]!].map((node) => recorder.finalAt(node));
  await s.until('the two to queue what they are given', () =>
    [leader, others[0]!].every(({ status }) => (status?.queued ?? 0) >= 10),
  );
  await recorder.read(...lab.nodes);
  expect([leader, others[0]!].map((node) => recorder.finalAt(node))).toEqual(final);
  await s.heal();
  await s.until('the two to be back', () =>
    lab.nodes.every(({ status }) => status?.state === 'healthy' && status.online.length === 5),
  );
  await s.goOn(lab.nodes);
}

async function slowAndLossy({ lab, ...s }: Scenario): Promise<void> {
  const node = lab.nodes[1]!;
  await lab.network.impair(node.host);
  await s.goOn(lab.nodes, 150);
  await lab.network.repair(node.host);
  await s.goOn(lab.nodes);
}

async function cableIsPulled({ lab, ...s }: Scenario): Promise<void> {
  const node = lab.nodes[2]!;
  const others = lab.nodes.filter((one) => one !== node);
  await lab.network.unplug(node.host);
  await s.until(`${node.name} to be alone`, () => node.status?.online.length === 1);
  await s.goOn(others);
  await lab.network.plug(node.host);
  await s.goOn(lab.nodes);
}

async function leaderIsKilled({ lab, recorder, ...s }: Scenario): Promise<void> {
  const leader = await s.leaderOf(lab.nodes);
  recorder.note({ type: 'crash', node: leader.index });
  await lab.kill(leader);
  const others = lab.nodes.filter((node) => node !== leader);
  await s.leaderOf(others, leader);
  await s.goOn(others);
  recorder.note({ type: 'start', node: leader.index });
  await lab.start(leader);
  await s.goOn(lab.nodes);
}

/** First one, then the other, once the first is back: nobody has more than one relay at times. */
async function relaysAreKilled({ lab, ...s }: Scenario): Promise<void> {
  for (const relay of lab.relays) {
    await lab.killRelay(relay);
    await s.goOn(lab.nodes);
    await lab.restartRelay(relay);
    await s.until(`${relay.name} to be found again`, () =>
      lab.nodes.every(({ status }) => status?.relays.every(({ connected }) => connected)),
    );
  }
  await s.goOn(lab.nodes);
}
