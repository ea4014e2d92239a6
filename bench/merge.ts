/**
 * Merging after a partition: six nodes, cut three against three by relay, each
 * side commits its records in an online epoch; then the network heals. What is
 * measured is the time from the heal to equal heads with everything final, and
 * where it goes: until the first roster leader, until one node and until every
 * node holds both sides' records, until the first merged records are final.
 * One node goes on writing meanwhile: what its messages wait is measured too.
 * Beside it the processor time of each node, which says what the six would
 * take on machines of their own.
 *
 * With BENCH_PROFILE=DIR each node's profile from the heal on goes to DIR.
 */

import { join } from 'node:path';

import { startCluster } from './processes.js';

const BYTES = 256;
/** Looking costs too: counting what is committed, up to 40 ms of a node's time; so one node is asked at a time. */
const POLL_MS = 250;
/** A message now and then while the merge goes on. */
const CHAT_MS = 250;
/** Of those some may be on their way when all that was there before is final. */
const REST = 20;

interface Status {
  readonly final: number;
  readonly head: string;
  readonly committed: number;
  readonly leader: string | null;
  readonly kind: 'roster' | 'online' | null;
  readonly rss: number;
}

export interface MergeRow {
  readonly records: number;
  /** Seconds since the heal. */
  readonly led: number;
  /** One node holds the records of both sides; every node does. */
  readonly oneHolds: number;
  readonly allHold: number;
  readonly merging: number;
  readonly equal: number;
  /** Seconds of a core since the heal, of the node that needed most, of all six, and of both relays. */
  readonly cpuMost: number;
  readonly cpuSum: number;
  readonly cpuRelays: number;
  readonly rssMiB: number;
  /** New messages, sent while the merge goes on: how many were committed meanwhile, and milliseconds that took. */
  readonly fresh: { readonly count: number; readonly median: number; readonly most: number };
  /** Of one node that commits as many with a majority, no partition. */
  readonly plainSeconds: number;
}

export async function benchMerge(perSide: number): Promise<MergeRow> {
  const cluster = await startCluster(6, 2);
  const { nodes, servers, relays } = cluster;
  const statuses = (): Promise<Status[]> => Promise.all(nodes.map((n) => n.call<Status>('status')));
  const pause = () => new Promise((resolve) => setTimeout(resolve, POLL_MS));
  const until = async (fits: (all: Status[]) => boolean): Promise<Status[]> => {
    for (;;) {
      const all = await statuses();
      if (fits(all)) return all;
      await pause();
    }
  };
  try {
    const sides = [nodes.slice(0, 3), nodes.slice(3)] as const;
    const quiet = nodes.at(-1)!;
    const plainSeconds = await nodes[0]!.call<number>('send', 2 * perSide, BYTES);
    const nowhere = relays.map((url) => url.replace(/:\d+$/, ':1'));
    const reach = (first: string, second: string) =>
      Promise.all([
        ...sides[0].map((n) => n.call('override', second)),
        ...sides[1].map((n) => n.call('override', first)),
      ]);
    await reach(nowhere[0]!, nowhere[1]!);
    await until((all) => all.every((s) => s.kind === 'online'));
    // One writes nothing yet: an author's new messages wait for its old ones, and its own wait for none.
    const writing = sides.map((side) => side.filter((n) => n !== quiet));
    const shares = writing.map((side) => Math.ceil(perSide / side.length));
    const written = writing.reduce((sum, side, i) => sum + side.length * shares[i]!, 0);
    await Promise.all(
      writing.flatMap((side, i) => side.map((n) => n.call('send', shares[i]!, BYTES))),
    );
    const before = Math.max(...(await statuses()).map((s) => s.final));
    const processes = [...nodes, ...servers];
    const cpu = (): Promise<number[]> => Promise.all(processes.map((n) => n.call<number>('cpu')));
    const cpuBefore = await cpu();
    const profiles = process.env.BENCH_PROFILE;
    if (profiles) await Promise.all(nodes.map((n) => n.call('profile', null)));
    const started = performance.now();
    const seconds = (): number => (performance.now() - started) / 1000;
    const reached = new Map<string, number>();
    const note = (what: string, isReached: boolean): void => {
      if (isReached && !reached.has(what)) reached.set(what, seconds());
    };
    const holdsAll = (s: Status): boolean => s.final + s.committed >= before + written;
    await reach(relays[0]!, relays[1]!);
    const holding = new Set<number>();
    for (let i = 0, done = false; !done; i = (i + 1) % nodes.length) {
      const s = await nodes[i]!.call<Status>('status');
      // What it wrote before would be in an online epoch, and merged with the rest.
      if (s.kind === 'roster' && !reached.has('led')) await quiet.call('chat', CHAT_MS);
      note('led', s.kind === 'roster');
      if (holdsAll(s)) holding.add(i);
      note('oneHolds', holding.size > 0);
      note('allHold', holding.size === nodes.length);
      note('merging', s.final > before + 1);
      done = s.final > before + written && s.committed < REST;
      if (!done) await pause();
    }
    const chat = await quiet.call<number[]>('chat', CHAT_MS);
    chat.sort((a, b) => a - b);
    const end = await until((all) =>
      all.every((s) => s.head === all[0]!.head && s.final > before + written),
    );
    const equal = seconds();
    const all = (await cpu()).map((after, i) => after - cpuBefore[i]!);
    const used = all.slice(0, nodes.length);
    if (profiles) {
      const file = (i: number): string => join(profiles, `node${i}.cpuprofile`);
      await Promise.all(nodes.map((n, i) => n.call('profile', file(i))));
    }
    const at = (what: string): number => reached.get(what) ?? equal;
    return {
      records: written,
      led: at('led'),
      oneHolds: at('oneHolds'),
      allHold: at('allHold'),
      merging: at('merging'),
      equal,
      cpuMost: Math.max(...used),
      cpuSum: used.reduce((sum, s) => sum + s, 0),
      cpuRelays: all.slice(nodes.length).reduce((sum, s) => sum + s, 0),
      fresh: {
        count: chat.length,
        median: chat[Math.floor(chat.length / 2)] ?? 0,
        most: chat.at(-1) ?? 0,
      },
      rssMiB: Math.max(...end.map((s) => s.rss)) / 2 ** 20,
      plainSeconds,
    };
  } finally {
    await cluster.stop();
  }
}
