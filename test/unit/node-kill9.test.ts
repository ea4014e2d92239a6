/**
 * kill -9 at any moment loses nothing that a node acknowledged: a process sends
 * under load and names each message and each state that it reached; it is killed
 * at random moments, and its store must open, verify, and hold all that was named.
 *
 * It does not test syncing, since the page cache outlives a process: that is
 * node-sync.test.ts.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, expect, test } from 'vitest';
import type { Channel, Node } from '../../src/node/index.js';
import { seededRandom } from './fixtures/seeded-random.js';
import { type Acknowledged, broken, type Reached } from './node-acknowledged.js';
import { Cluster, NOWHERE, patience, seed, textsOf, together } from './node-cluster.js';

const ROUNDS = 4;
const ROUND_LINES_MAX = 1_200;
const KILL_DELAY_MS_MAX = 5;
const SEED = Number(process.env.KILL9_SEED ?? Date.now() % 1_000_000);

let cluster = new Cluster();
let child: ChildProcess | undefined;
afterEach(async () => {
  child?.kill('SIGKILL');
  await cluster.stop();
  cluster = new Cluster();
});

interface Victim {
  readonly dir: string;
  readonly seed: Uint8Array;
}

/** Lets a process send, kills it, and returns what it named, each at its highest. */
async function sendUntilKilled(
  { dir, seed: own }: Victim,
  prefix: string,
  lines: number,
  delayMs: number,
): Promise<Acknowledged[]> {
  const script = join(import.meta.dirname, 'fixtures/node-child.ts');
  const args = ['--import', 'tsx', script, dir, Buffer.from(own).toString('hex'), 'victim', prefix];
  const sender = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  child = sender;
  const closed = once(sender, 'close');
  const named = new Map<string, Acknowledged>();
  let seen = 0;
  for await (const line of createInterface({ input: sender.stdout })) {
    const [reached, id, text] = line.split(' ') as [Reached, string, string];
    named.set(id, { id, text, reached });
    if (++seen === lines) setTimeout(() => sender.kill('SIGKILL'), delayMs);
  }
  await closed;
  expect(sender.signalCode).toBe('SIGKILL');
  return [...named.values()];
}

/** What is wrong with the victim's store, opened alone. */
async function inspect(victim: Victim, acknowledged: readonly Acknowledged[]): Promise<string[]> {
  const node = await cluster.levelNode('victim', victim.dir, { ...victim, offline: true });
  try {
    const [report] = await node.verify();
    const problems = report!.problems.map(({ where, what }) => `${where}: ${what}`);
    return [...problems, ...(await broken(node.channels()[0], acknowledged))];
  } finally {
    await node.close();
  }
}

async function killRounds(victim: Victim, rounds: number, random: () => number) {
  const acknowledged: Acknowledged[] = [];
  for (let round = 0; round < rounds; round++) {
    const lines = 1 + Math.floor(random() * ROUND_LINES_MAX);
    const prefix = `${round}:`;
    acknowledged.push(
      ...(await sendUntilKilled(victim, prefix, lines, random() * KILL_DELAY_MS_MAX)),
    );
    expect(await inspect(victim, acknowledged), `round ${round}`).toEqual([]);
  }
  expect(acknowledged.some(({ reached }) => reached === 'final')).toBe(true);
  return acknowledged;
}

test(`a node alone (KILL9_SEED=${SEED})`, { timeout: 120_000 }, async () => {
  const victim = { dir: await cluster.dir(), seed: seed() };
  const node = await cluster.levelNode('victim', victim.dir, victim);
  await together([node], [NOWHERE]);
  await node.close();
  await killRounds(victim, ROUNDS, seededRandom(SEED));
});

test(`one of three (KILL9_SEED=${SEED})`, { timeout: 120_000 }, async () => {
  const relay = await cluster.relay();
  const victim = { dir: await cluster.dir(), seed: seed() };
  const own = await cluster.levelNode('victim', victim.dir, victim);
  const others: Node[] = [await cluster.node('b'), await cluster.node('c')];
  const [mine, b, c] = (await together([own, ...others], [relay.url])) as [
    Channel,
    Channel,
    Channel,
  ];
  const { id } = mine;
  await mine.send('first').until('final', patience());
  await own.close();
  const acknowledged = await killRounds(victim, ROUNDS, seededRandom(SEED + 1));

  // Back for good, it and the others agree, and what waited becomes final, once.
  const back = await cluster.levelNode('victim', victim.dir, victim);
  await back.channel(id).send('last').until('final', patience());
  await b.send('very last').until('final', patience());
  const final = acknowledged.map((each): Acknowledged => ({ ...each, reached: 'final' }));
  expect(await broken(back.channel(id), final)).toEqual([]);
  const texts = await textsOf(b);
  expect(new Set(texts).size).toBe(texts.length);
  expect((await textsOf(c)).slice(0, -1)).toEqual(texts.slice(0, -1));
});
