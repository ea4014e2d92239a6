/**
 * Relays and nodes of one test: each `conclave` of the build, as a process of
 * its own, on a host of its own, with a directory of its own, all nodes members
 * of one channel. `close` ends all of it, whatever became of it.
 */

import { setMaxListeners } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { callNode } from '../../src/cli/demo/control.js';
import { type Launch, Processes, type Running } from '../../src/cli/demo/processes.js';
import { isAway } from '../../src/cli/demo/reader.js';
import { type Probe, until } from '../../src/cli/demo/wait.js';
import type { Json } from '../../src/cli/output.js';
import type { ChannelStatus } from '../../src/node/api.js';
import { builtCli } from '../unit/fixtures/built-cli.js';
import { type Network, type NodeHost, openNetwork, type RelayHost } from './network.js';

const CHANNEL = 'team';
/** A wait that takes longer has failed. */
const LIMIT_S = 60;

export interface LabNode {
  readonly index: number;
  readonly name: string;
  readonly dir: string;
  readonly user: string;
  readonly host: NodeHost;
  running: Running | undefined;
  /** What it last said of the channel; undefined while it is not up. */
  status: ChannelStatus | undefined;
}

export interface LabRelay {
  readonly name: string;
  readonly host: RelayHost;
  running: Running;
  readonly url: string;
}

export interface LabOptions {
  readonly nodes: number;
  readonly relays: number;
  readonly signal: AbortSignal;
}

export class Lab {
  readonly network: Network;
  readonly nodes: LabNode[] = [];
  readonly relays: LabRelay[] = [];
  readonly signal: AbortSignal;
  channel = '';
  readonly #root: string;
  readonly #processes: Processes;

  private constructor(network: Network, root: string, signal: AbortSignal) {
    this.network = network;
    this.signal = signal;
    setMaxListeners(0, signal);
    this.#root = root;
    this.#processes = new Processes(root);
  }

  static async open({ nodes, relays, signal }: LabOptions): Promise<Lab> {
    builtCli();
    const root = await mkdtemp(join(tmpdir(), 'conclave-partitions-'));
    const lab = new Lab(await openNetwork(), root, signal);
    try {
      for (let i = 0; i < relays; i++) await lab.#addRelay(`relay-${i + 1}`);
      for (let i = 0; i < nodes; i++) await lab.#addNode(`n${i}`, i);
      await lab.start(...lab.nodes);
      await lab.#makeChannel();
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  async #addRelay(name: string): Promise<void> {
    const host = await this.network.addRelay(name);
    const running = await this.#runRelay(host);
    this.relays.push({ name, host, running, url: String(running.first.url) });
  }

  #runRelay(host: RelayHost): Promise<Running> {
    const args = ['relay', '--listen', host.listen, '--dir', join(this.#root, host.name)];
    return this.#processes.start(host.name, args, launchOn(host));
  }

  async #addNode(name: string, index: number): Promise<void> {
    const host = await this.network.addNode(name);
    const dir = join(this.#root, name);
    await mkdir(dir);
    const { user } = await this.command('init', '--dir', dir, '--name', name);
    const now = { running: undefined, status: undefined };
    this.nodes.push({ index, name, dir, host, user: String(user), ...now });
  }

  async #makeChannel(): Promise<void> {
    const [founder, ...others] = this.nodes as [LabNode, ...LabNode[]];
    const relays = this.relays.flatMap(({ url }) => ['--relay', url]);
    const { channel } = await this.command('create', ...onDir(founder), ...relays, CHANNEL);
    this.channel = String(channel);
    const uses = ['--uses', String(others.length)];
    const { invite } = await this.command('invite', ...onDir(founder), CHANNEL, ...uses);
    await Promise.all(others.map((node) => this.command('join', ...onDir(node), String(invite))));
  }

  /** `conclave …args`, which finds a node over its socket or opens its directory. */
  command(...args: readonly string[]): Promise<Json> {
    const [name] = args;
    return this.#processes.result(`${name}-command`, args, { conclave: builtCli() });
  }

  async start(...nodes: readonly LabNode[]): Promise<void> {
    await Promise.all(
      nodes.map(async (node) => {
        const relays = this.relays.flatMap(({ host, url }) => [
          ...['--relay', this.network.urlFor(node.host, host, url)],
        ]);
        const args = ['up', '--dir', node.dir, ...relays];
        node.running = await this.#processes.start(node.name, args, launchOn(node.host));
      }),
    );
  }

  /** kill -9. */
  async kill(node: LabNode): Promise<void> {
    await this.#down(node, 'kill');
  }

  /** SIGTERM, of which it must end well. */
  async stop(...nodes: readonly LabNode[]): Promise<void> {
    await Promise.all(nodes.map((node) => this.#down(node, 'stop')));
  }

  async #down(node: LabNode, how: 'kill' | 'stop'): Promise<void> {
    const running = node.running!;
    node.running = undefined;
    node.status = undefined;
    await running[how]();
    node.status = undefined;
  }

  killRelay({ running }: LabRelay): Promise<void> {
    return running.kill();
  }

  async restartRelay(relay: LabRelay): Promise<void> {
    relay.running = await this.#runRelay(relay.host);
  }

  /** Waits for what `probe` sees in the nodes' newest statuses. */
  until<T>(what: string, probe: Probe<T>): Promise<T> {
    const wait = { what, limit_s: LIMIT_S, signal: this.signal };
    return until(wait, async (signal) => {
      await Promise.all(this.nodes.map((node) => this.#ask(node, signal)));
      return probe(signal);
    });
  }

  async #ask(node: LabNode, signal: AbortSignal): Promise<void> {
    const { running } = node;
    if (!running) return;
    try {
      const args = { channel: this.channel };
      const [status] = await callNode(node.dir, 'status', { args, signal });
      if (node.running === running) node.status = status as unknown as ChannelStatus;
    } catch (error) {
      if (!isAway(error)) throw error;
    }
  }

  /** What a node's store holds while it is not up: every entry, and what `verify` says. */
  async stored({ name, dir }: LabNode): Promise<{ log: readonly Json[]; verified: Json }> {
    const launch = { conclave: builtCli() };
    const [log, verify] = [
      await this.#processes.run(name, ['log', '--dir', dir, this.channel], launch),
      await this.#processes.run(name, ['verify', '--dir', dir, this.channel], launch),
    ];
    if (log.code !== 0) {
      throw new Error(`conclave log on ${name} failed: ${JSON.stringify(log.lines.at(-1))}`);
    }
    return { log: log.lines, verified: verify.lines[0] ?? {} };
  }

  async close(): Promise<void> {
    await this.#processes.close();
    await this.network.close();
    await rm(this.#root, { recursive: true, force: true });
  }
}

const onDir = ({ dir }: LabNode): string[] => ['--dir', dir];

const launchOn = ({ through }: NodeHost | RelayHost): Launch => ({ conclave: builtCli(), through });
