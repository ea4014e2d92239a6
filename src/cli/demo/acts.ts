/**
 * What happens in the demo, act by act, while the traffic flows. Every act
 * waits for what it shows, says what it saw, and fails if that is not what
 * conclave promises. The split of the network is in split.ts.
 */

import { callNode } from './control.js';
import { bridgedLine } from './merged.js';
import { type DemoNode, down, heal, isolate, nameIn } from './node.js';
import { aLeader, allEqual, areFinal, ENOUGH, goOn, type Play, postedNow, until } from './play.js';
import { leaderOf } from './show.js';
import { splitAndHeal } from './split.js';
import { type DemoRelay, sample, startNode } from './stage.js';
import { demoFailed } from './wait.js';

/** What was on a dead relay goes over another one within this, on a machine that is not overloaded. */
const FAILOVER_MS = 1_000;

/** Returns how many messages were committed on the smaller side of the split, and nowhere else. */
export async function perform(play: Play): Promise<number> {
  const { traffic } = play;
  traffic.release(0.14);
  await trafficFlows(play);
  traffic.release(0.45);
  const apart = await splitAndHeal(play);
  traffic.release(0.6);
  const killed = await leaderDies(play);
  traffic.release(0.75);
  const relay = await relayDies(play);
  traffic.release(0.9);
  await leaderReturns(play, killed);
  traffic.release(1);
  await nodeRestarts(play, killed);
  await allIsSaid(play, killed);
  await end(play, relay);
  return apart;
}

async function trafficFlows(play: Play): Promise<void> {
  const { stage, show, traffic } = play;
  show.act('Act 1: everybody talks');
  await goOn(play, stage.nodes);
  const leader = await aLeader(play);
  show.say(`${leader.name} was elected and orders what is said`);
  show.table(stage, traffic, true);
}

async function leaderDies(play: Play): Promise<DemoNode> {
  const { stage, show } = play;
  const leader = await aLeader(play);
  const rest = stage.nodes.filter((node) => node !== leader);
  show.act(`Act 4: kill -9 of ${leader.name}, the leader`);
  const from = (leader.status?.final ?? 0) + 1;
  const killed = performance.now();
  await down(leader, 'kill');
  const next = await until(play, 'another leader', () => {
    const now = leaderOf(stage);
    return now !== leader && now;
  });
  await goOn(play, rest);
  const gap_s = (longestGap(rest, killed) / 1_000).toFixed(1);
  show.say(
    `${next.name} was elected (term ${next.status?.epoch?.term}); nothing was final for ${gap_s} s`,
  );
  const args = { channel: stage.channel, from };
  const log = await callNode(next.dir, 'log', { args, signal: play.signal });
  const bridged = bridgedLine(log, nameIn(stage.nodes));
  if (bridged) show.say(bridged);
  return leader;
}

const longestGap = (nodes: readonly DemoNode[], since: number): number =>
  Math.max(...nodes.map(({ reader }) => reader.longestGap(since)));

/** Returns the relay that lives. */
async function relayDies(play: Play): Promise<DemoRelay> {
  const { stage, show } = play;
  const leader = await aLeader(play);
  const term = leader.status?.epoch?.term;
  const live = stage.nodes.filter(({ running }) => running);
  const { relay, other } = await busierRelay(play);
  const handed = await until(play, 'messages to be under way', () => underWay(play, live));
  show.act(`Act 5: kill -9 of ${relay.name}, which carries the traffic`);
  const killed = performance.now();
  await relay.process.kill();
  const took_ms = Math.round((await areFinal(play, live, handed)) - killed);
  await goOn(play, live);
  show.say(
    `${other.name} carries it on: what was under way was final ${took_ms} ms after the kill`,
  );
  if (took_ms > FAILOVER_MS) show.say(`(promised: ${FAILOVER_MS} ms; this machine has much to do)`);
  const same = leader.status?.epoch?.term === term;
  show.say(same ? `${leader.name} still leads, in term ${term}` : 'there was an election since');
  return other;
}

/** How many lines each node was given, if not all of them are final everywhere. */
function underWay(
  { traffic }: Play,
  nodes: readonly DemoNode[],
): Map<DemoNode, number> | undefined {
  traffic.keepFlowing();
  const handed = new Map(nodes.map((node) => [node, traffic.feed(node).handed]));
  const open = nodes.some(({ reader }) =>
    [...handed].some(([{ user }, count]) => reader.messagesOf(user) < count),
  );
  return open ? handed : undefined;
}

/** Whichever carried more between now and the next few messages. */
async function busierRelay(play: Play): Promise<{ relay: DemoRelay; other: DemoRelay }> {
  const { nodes, relays } = play.stage;
  const bytes = (): number[] =>
    relays.map((_, i) => nodes.reduce((sum, { proxies }) => sum + proxies[i]!.bytes, 0));
  const before = bytes();
  await goOn(
    play,
    nodes.filter(({ running }) => running),
  );
  const [first, second] = bytes().map((sum, i) => sum - before[i]!) as [number, number];
  const [relay, other] = first > second ? relays : relays.toReversed();
  return { relay: relay!, other: other! };
}

async function leaderReturns(play: Play, node: DemoNode): Promise<void> {
  const { stage, traffic, show } = play;
  show.act(`Act 6: ${node.name} starts again, with its directory`);
  const before = node.reader.messages;
  const { posted } = traffic.feed(node);
  await startNode(stage.processes, stage.relays, node);
  await until(play, `${node.name} to get its lines`, () => {
    traffic.keepFlowing();
    return traffic.feed(node).posted > posted;
  });
  await areFinal(play, stage.nodes, postedNow(play, stage.nodes));
  const missed = node.reader.messages - before;
  show.say(
    `it caught up on ${missed} messages; what it had queued when it died is final everywhere`,
  );
  if (traffic.known > 0) show.say(`lines that it was given again and knew: ${traffic.known}`);
}

async function nodeRestarts(play: Play, notThis: DemoNode): Promise<void> {
  const { stage, show } = play;
  const leader = await aLeader(play);
  const node = stage.nodes.find((one) => one !== leader && one !== notThis)!;
  show.act(`Act 7: ${node.name} is stopped with SIGTERM and started again, with its directory`);
  await down(node, 'stop');
  await goOn(
    play,
    stage.nodes.filter((one) => one !== node),
    ENOUGH / 3,
  );
  await startNode(stage.processes, stage.relays, node);
  await areFinal(play, stage.nodes, postedNow(play, stage.nodes));
  show.say(`${node.name} has caught up`);
}

async function allIsSaid(play: Play, node: DemoNode): Promise<void> {
  const { stage, traffic, show } = play;
  show.act('Act 8: the rest is said');
  await until(play, 'all lines to be posted', () => traffic.posted === stage.lines);
  const { name, dir, share } = node;
  const again = ['import', '--dir', dir, stage.channel, '--irc', share.path];
  const { imported, skipped } = await stage.processes.result(name, again);
  show.say(`conclave import of ${name}'s lines again: ${imported} imported, ${skipped} known`);
  if (imported !== 0) throw demoFailed(`${name} imported ${imported} lines twice`);
}

/** Stops everything, once no node knows more than another. */
async function end(play: Play, relay: DemoRelay): Promise<void> {
  const { stage, traffic, show } = play;
  await until(
    play,
    'all nodes to be healthy',
    () => stage.nodes.every(({ status }) => status?.state === 'healthy') && allEqual(stage),
  );
  show.table(stage, traffic, true);
  await until(play, 'all nodes to hold the same', async (signal) => {
    if (!allEqual(stage)) return false;
    // From here on nobody reaches anybody: so no log grows while the nodes stop one by one.
    for (const node of stage.nodes) isolate(node);
    await sample(stage, signal);
    if (allEqual(stage)) return true;
    stage.nodes.forEach(heal);
    return false;
  });
  await Promise.all(stage.nodes.map((node) => down(node, 'stop')));
  await relay.process.stop();
  show.say('all nodes hold the same; they and the relay are stopped');
}
