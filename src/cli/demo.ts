/**
 * The demonstration that `npm start` runs: two relays and seven nodes as
 * processes of their own, each node with its own LevelDB, real chat, a split
 * network and crashes (demo/acts.ts); then what the seven stores hold, counted
 * against what was put in. Progress is for people; the last line is JSON.
 */

import { setMaxListeners } from 'node:events';
import { rmSync, writeSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { perform } from './demo/acts.js';
import { type Measured, measure } from './demo/measure.js';
import { Processes } from './demo/processes.js';
import { createShow, type Show } from './demo/show.js';
import { type Props, type Stage, setUp } from './demo/stage.js';
import { Traffic } from './demo/traffic.js';
import { type Played, verdict } from './demo/verdict.js';
import { aborted, asConclaveError, EXIT } from './errors.js';
import type { DemoOptions } from './host.js';
import { Writer } from './writer.js';

/** Resolves with the exit code. Throws only when it is interrupted. */
export async function runDemo({ json, stdout, stderr, signal }: DemoOptions): Promise<number> {
  const out = new Writer(stdout);
  const people = json ? new Writer(stderr) : out;
  const show = createShow((line) => {
    people.write(`${line}\n`).catch(() => {});
  });
  const root = await mkdtemp(join(tmpdir(), 'conclave-demo-'));
  const logs = join(root, 'logs');
  await mkdir(logs);
  const props: Props = { root, processes: new Processes(logs), proxies: [] };
  // A second signal ends this process at once; the other ones are killed by then.
  const removeNow = (): void => removeAtExit(root, signal);
  process.on('exit', removeNow);
  const breakOff = (): void => void props.processes.close();
  signal.addEventListener('abort', breakOff, { once: true });
  let ok = false;
  try {
    const played = await play(props, show, signal);
    if (signal.aborted) throw aborted(signal);
    const { result, problems } = verdict(played);
    ok = result.ok;
    for (const problem of problems) show.say(`FAILED: ${problem}`);
    if (!ok) show.say(`what the processes said, and their stores, are in ${root}`);
    const seconds = Number(show.seconds.toFixed(1));
    await people.flush();
    await out.write(`${JSON.stringify({ ...result, seconds })}\n`);
  } finally {
    signal.removeEventListener('abort', breakOff);
    await props.processes.close();
    await Promise.all(props.proxies.map((proxy) => proxy.close()));
    if (ok || signal.aborted) await rm(root, REMOVAL);
    process.off('exit', removeNow);
  }
  return ok ? EXIT.done : EXIT.failed;
}

/** Processes that were just killed may still make files. */
const REMOVAL = { recursive: true, force: true, maxRetries: 10, retryDelay: 20 } as const;

function removeAtExit(root: string, signal: AbortSignal): void {
  if (!signal.aborted) return;
  try {
    rmSync(root, REMOVAL);
  } catch {
    writeSync(2, `conclave: what the demo left is in ${root}: remove it\n`);
  }
}

async function play(props: Props, show: Show, outer: AbortSignal): Promise<Played> {
  let stage: Stage | undefined;
  let failure: string | undefined;
  let apart = 0;
  let measured: Measured[] = [];
  const attempt = async (part: () => Promise<void>): Promise<void> => {
    try {
      await part();
    } catch (error) {
      failure ??= asConclaveError(error).message;
    }
  };
  await attempt(async () => {
    show.act('Two relays, seven nodes, each a process of its own');
    stage = await setUp(props, outer, show.say);
    apart = await withTraffic(stage, show, outer);
  });
  await attempt(async () => {
    if (!stage || outer.aborted) return;
    await props.processes.killAll();
    show.act('The seven stores, read while nothing runs');
    measured = await measure(stage, show.say);
  });
  return { measured, failure, apart };
}

/** Plays the acts, while lines are posted and every node's log is followed. Returns what `perform` does. */
async function withTraffic(stage: Stage, show: Show, outer: AbortSignal): Promise<number> {
  const over = new AbortController();
  const broken = new AbortController();
  const signal = AbortSignal.any([outer, over.signal, broken.signal]);
  setMaxListeners(0, signal);
  const traffic = new Traffic(stage.channel, stage.nodes);
  const background = [
    traffic.run(signal),
    ...stage.nodes.map(({ reader, dir }) => reader.follow(dir, stage.channel, signal)),
  ].map((work) =>
    work.catch((error) => {
      if (!signal.aborted) broken.abort(asConclaveError(error));
    }),
  );
  try {
    return await perform({ stage, traffic, show, signal });
  } finally {
    over.abort();
    await Promise.all(background);
  }
}
