/** Starts benchmark processes and calls them. */

import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class Remote {
  readonly #child: ChildProcess;
  #next = 0;
  readonly #calls = new Map<number, { resolve: (v: never) => void; reject: (e: Error) => void }>();

  constructor(path = './child.ts') {
    const file = new URL(path, import.meta.url);
    this.#child = fork(file, { execArgv: ['--import', 'tsx'] });
    this.#child.on(
      'message',
      ({ id, value, error }: { id: number; value: never; error?: string }) => {
        const call = this.#calls.get(id)!;
        this.#calls.delete(id);
        if (error === undefined) call.resolve(value);
        else call.reject(new Error(error));
      },
    );
    this.#child.on('exit', (code) => {
      for (const { reject } of this.#calls.values())
        reject(new Error(`a process exited with ${code}`));
    });
  }

  call<T>(call: string, ...args: unknown[]): Promise<T> {
    const id = ++this.#next;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      this.#child.send({ id, call, args });
    });
  }

  async stop(): Promise<void> {
    const exited = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.disconnect();
    await exited;
  }
}

export interface Cluster {
  readonly nodes: readonly Remote[];
  /** The relays' processes. */
  readonly servers: readonly Remote[];
  readonly dirs: readonly string[];
  readonly seeds: readonly string[];
  readonly relays: readonly string[];
  readonly invite: string;
  stop(): Promise<void>;
}

/** Relays and `count` nodes, of which `members` join one channel, each a process with a LevelDB of its own. */
export async function startCluster(
  count: number,
  relayCount = 1,
  members = count,
): Promise<Cluster> {
  const root = mkdtempSync(join(tmpdir(), 'conclave-bench-'));
  const servers = Array.from({ length: relayCount }, () => new Remote());
  const relays = await Promise.all(servers.map((relay) => relay.call<string>('relay')));
  const nodes = Array.from({ length: count }, () => new Remote());
  const dirs = nodes.map((_, i) => join(root, `node${i}`));
  const seeds = nodes.map(() => randomBytes(32).toString('hex'));
  await Promise.all(nodes.map((node, i) => node.call('open', dirs[i], seeds[i], `node${i}`)));
  const invite = await nodes[0]!.call<string>('create', relays, Math.min(3, count));
  for (const node of nodes.slice(1, members)) await node.call('join', invite);
  return {
    nodes,
    servers,
    dirs,
    seeds,
    relays,
    invite,
    async stop() {
      await Promise.all(nodes.map((node) => node.call('close')));
      await Promise.all([...nodes, ...servers].map((r) => r.stop()));
      rmSync(root, { recursive: true });
    },
  };
}

export const percentile = (samples: readonly number[], p: number): number => {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * p) / 100))]!;
};
