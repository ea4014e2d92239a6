/**
 * What happens in the demo, act by act, while the traffic flows. Every act
 * waits for what it shows, says what it saw, and fails if that is not what
 * conclave promises.
 */

import { callNode } from './control.js';
import { isolation } from './isolation.js';
import { cut, type DemoNode, down, heal } from './node.js';
import { leaderOf, type Show } from './show.js';
import { type DemoRelay, type Stage, sample, startNode } from './stage.js';
import type { Traffic } from './traffic.js';
import { demoFailed, type Probe, until as waitUntil } from './wait.js';

/** What was on a dead relay goes over another one within this, on a machine that is not overloaded. */
const FAILOVER_MS = 1_000;
/** Messages that must become final to show that things go on. */
const ENOUGH = 60;
const LIMIT_S = 30;

export interface Play {
  readonly stage: Stage;
  readonly traffic: Traffic;
  readonly show: Show;
  readonly signal: AbortSignal;
}

/** Waits, with fresh statuses, and shows how things are meanwhile. */
function until<T>(
  { stage, traffic, show, signal }: Play,
  what: string,
  probe: Probe<T>,
): Promise<T> {
  return waitUntil({ what, limit_s: LIMIT_S, signal }, async (limit) => {
    await sample(stage, limit);
    show.table(stage, traffic);
    return probe(limit);
  });
}

export async function perform(play: Play): Promise<void> {
  const { traffic } = play;
  traffic.release(0.14);
  await trafficFlows(play);
  traffic.release(0.38);
  await partition(play);
  traffic.release(0.54);
  const killed = await leaderDies(play);
  traffic.release(0.7);
  const relay = await relayDies(play);
  traffic.release(0.86);
  await leaderReturns(play, killed);
  traffic.release(1);
  await nodeRestarts(play, killed);
  await allIsSaid(play, killed);
  await end(play, relay);
}

const names = (nodes: readonly DemoNode[]): string => nodes.map(({ name }) => name).join(', ');

/** Waits until `count` more messages are final on each of these nodes. */
async function goOn(play: Play, nodes: readonly DemoNode[], count = ENOUGH): Promise<void> {
  const before = nodes.map(({ reader }) => reader.messages);
  await until(play, `${count} more final messages on ${names(nodes)}`, () => {
    play.traffic.keepFlowing();
    return nodes.every(({ reader }, i) => reader.messages >= before[i]! + count);
  });
}

async function trafficFlows(play: Play): Promise<void> {
  const { stage, show, traffic } = play;
  show.act('Act 1: everybody talks');
  await goOn(play, stage.nodes);
  const leader = await until(play, 'a leader', () => leaderOf(stage));
  show.say(`${leader.name} was elected and orders what is said`);
  show.table(stage, traffic, true);
}

async function partition(play: Play): Promise<void> {
  const { stage, traffic, show } = play;
  const leader = await until(play, 'a leader', () => leaderOf(stage));
  const alone = stage.nodes.filter((node) => node !== leader).slice(-2);
  const rest = stage.nodes.filter((node) => !alone.includes(node));
  const [first, second] = alone as [DemoNode, DemoNode];

  show.act(`Act 2: the network cuts ${first.name} and ${second.name} off from both relays`);
  show.say(`${first.name}'s connections break; ${second.name}'s fall silent`);
  const handed = new Map(alone.map((node) => [node, traffic.feed(node).handed]));
  cut(first, 'reset');
  cut(second, 'silence');
  await noticeTheCut(play, alone);
  const seen = alone.map(({ reader }) => reader.messages);
  await until(play, `${names(alone)} to queue what is said there`, () => {
    traffic.keepFlowing();
    return alone.every((node) => (node.status?.queued ?? 0) >= ENOUGH / 3);
  });
  await goOn(play, rest);
  show.table(stage, traffic, true);
  for (const [i, node] of alone.entries()) {
    await provesIsolation(play, node, { handed: handed.get(node)!, finalThen: seen[i]! });
  }
  show.say(`${names(rest)} went on, and know nothing of what is queued on the other two`);
  await rejoin(play, alone);
}

/** Waits until these nodes say whom they wait for. */
async function noticeTheCut(play: Play, alone: readonly DemoNode[]): Promise<void> {
  const reasons = await until(play, `${names(alone)} to notice that they are alone`, () => {
    const waiting = alone.flatMap(({ status }) =>
      status?.waiting?.have === 1 ? status.waiting : [],
    );
    return waiting.length === alone.length && waiting;
  });
  for (const [i, { need, have, reason }] of reasons.entries()) {
    play.show.say(`${alone[i]!.name} waits: needs ${need}, has ${have} ("${reason}")`);
  }
}

async function provesIsolation(
  { stage, traffic, show, signal }: Play,
  node: DemoNode,
  before: { readonly handed: number; readonly finalThen: number },
): Promise<void> {
  const { name, user, dir, reader } = node;
  const { posted } = traffic.feed(node);
  const log = await callNode(dir, 'log', { args: { channel: stage.channel }, signal });
  const others = stage.nodes.filter((other) => other !== node);
  const { queued, problem } = isolation({
    user,
    log,
    ...before,
    posted,
    finalNow: reader.messages,
    knownElsewhere: Math.max(...others.map(({ reader }) => reader.messagesOf(user))),
  });
  if (problem !== undefined) throw demoFailed(`${name}, while it was cut off, ${problem}`);
  show.say(`${name} committed nothing since the cut, and keeps ${queued} messages in its queue`);
}

async function rejoin(play: Play, alone: readonly DemoNode[]): Promise<void> {
  const { stage, show } = play;
  show.act('Act 3: the network is healed');
  const posted = postedNow(play, stage.nodes);
  for (const node of alone) heal(node);
  await areFinal(play, stage.nodes, posted);
  show.say(`what ${names(alone)} had queued is final on all nodes, and they have what they missed`);
}

/** How many lines each of these nodes has in its store. */
const postedNow = ({ traffic }: Play, nodes: readonly DemoNode[]): Map<DemoNode, number> =>
  new Map(nodes.map((node) => [node, traffic.feed(node).posted]));

/** Waits until so many messages of each are final on each of `nodes`; returns since when. */
function areFinal(
  play: Play,
  nodes: readonly DemoNode[],
  counts: ReadonlyMap<DemoNode, number>,
): Promise<number> {
  return until(play, `what was posted to be final on ${names(nodes)}`, () => {
    const times = [...counts].flatMap(([{ user }, count]) =>
      nodes.map(({ reader }) => reader.timeOf(user, count) ?? Number.POSITIVE_INFINITY),
    );
    const last = Math.max(...times);
    return last < Number.POSITIVE_INFINITY && last;
  });
}

async function leaderDies(play: Play): Promise<DemoNode> {
  const { stage, show } = play;
  const leader = await until(play, 'a leader', () => leaderOf(stage));
  const rest = stage.nodes.filter((node) => node !== leader);
  show.act(`Act 4: kill -9 of ${leader.name}, the leader`);
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
  return leader;
}

const longestGap = (nodes: readonly DemoNode[], since: number): number =>
  Math.max(...nodes.map(({ reader }) => reader.longestGap(since)));

/** Returns the relay that lives. */
async function relayDies(play: Play): Promise<DemoRelay> {
  const { stage, show } = play;
  const leader = await until(play, 'a leader', () => leaderOf(stage));
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
  const leader = await until(play, 'a leader', () => leaderOf(stage));
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
  await until(play, 'all nodes to hold the same', async (signal) => {
    if (!allEqual(stage)) return false;
    // From here on nobody reaches anybody: so no log grows while the nodes stop one by one.
    for (const node of stage.nodes) cut(node, 'reset');
    await sample(stage, signal);
    if (allEqual(stage)) return true;
    stage.nodes.forEach(heal);
    return false;
  });
  show.table(stage, traffic, true);
  await Promise.all(stage.nodes.map((node) => down(node, 'stop')));
  await relay.process.stop();
  show.say('all nodes hold the same; they and the relay are stopped');
}

/** Whether all nodes are up, have nothing to do, and have the same final log. */
function allEqual({ nodes }: Stage): boolean {
  const statuses = nodes.flatMap(({ status }) => status ?? []);
  const idle = statuses.filter(({ queued, sent, committed }) => queued + sent + committed === 0);
  return idle.length === nodes.length && new Set(idle.map(({ head }) => head)).size === 1;
}
