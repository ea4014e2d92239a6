/**
 * A network of namespaces: every node and relay is a host of its own, with one
 * cable (a veth pair) to a switch (a bridge), which is a namespace too. Nothing
 * of it is seen outside, and it needs no root where a user may make namespaces.
 *
 *     [node] eth0 ──── p3 ┐                      ┌ p1 ──── eth0 [relay]
 *     [node] eth0 ──── p4 ┴ br0 [switch] ────────┴ p2 ──── eth0 [relay]
 *
 * A cut is an nftables rule on both hosts that drops what arrives from the
 * other; loss is one that drops one packet in so many; delay is a queue of `tc`
 * at both ends of the cable; a pulled cable is a port that is down.
 *
 * A namespace lives as long as the process that holds it, and that one ends
 * when its stdin does: so nothing is left behind, however the test ends. For
 * the same reason processes on a host die with the test.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Network, NodeHost, RelayHost } from './network.js';

const SUBNET = '10.77.0';
const PORT = 7_420;
const LOSS_PERCENT = 5;
/** What the line delays: netem says it, else a line too thin for its traffic does it. */
const NETEM = ['netem', 'delay', '60ms', '20ms'];
const THIN_LINE = ['tbf', 'rate', '600kbit', 'burst', '1600', 'latency', '3s'];

const RULES = `
table inet faults {
  counter cut {}
  counter lost {}
  set blocked { type ipv4_addr; }
  chain loss {}
  chain input {
    type filter hook input priority 0; policy accept;
    ip saddr @blocked counter name "cut" drop
    jump loss
  }
}`;

/** Users other than root often lack the folders of these tools in their PATH. */
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
const isRoot = process.getuid?.() === 0;
const UNSHARE = ['unshare', ...(isRoot ? [] : ['--user', '--map-root-user']), '--net', '--'];
const HOLD = ['sh', '-c', 'echo ready; exec cat >/dev/null'];

/** Tries what a network needs, in a namespace of its own; undefined when all is there. */
export async function whyNoNamespaces(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'they are a part of Linux';
  const script = `set -e
    for tool in ip tc nft nsenter setpriv; do
      command -v $tool >/dev/null || { echo "$tool is missing" >&2; exit 1; }
    done
    ip link add br0 type bridge
    ip link add eth0 type veth peer name p1
    tc qdisc add dev eth0 root ${THIN_LINE.join(' ')}
    nft -f -`;
  try {
    await run([...UNSHARE, 'sh', '-c', script], RULES);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

interface Host {
  readonly name: string;
  readonly address: string;
  /** The port of the switch that its cable is in. */
  readonly port: string;
  readonly holder: Holder;
  readonly through: readonly string[];
}

export async function openNamespaces(): Promise<Network> {
  const network = new Namespaces(await Holder.start([...UNSHARE, ...HOLD]));
  await network.open();
  return network;
}

class Namespaces implements Network {
  readonly kind = 'namespaces';
  readonly #switch: Holder;
  readonly #hosts = new Map<string, Host>();
  #delay = THIN_LINE;
  #delayed = 0;

  constructor(holder: Holder) {
    this.#switch = holder;
  }

  async open(): Promise<void> {
    await this.#switch.run(['ip', 'link', 'add', 'br0', 'type', 'bridge']);
    await this.#switch.run(['ip', 'link', 'set', 'br0', 'up']);
    const hasNetem = await this.#switch
      .run(['tc', 'qdisc', 'add', 'dev', 'br0', 'root', ...NETEM])
      .then(
        () => true,
        () => false,
      );
    if (hasNetem) {
      await this.#switch.run(['tc', 'qdisc', 'del', 'dev', 'br0', 'root']);
      this.#delay = NETEM;
    }
  }

  async addRelay(name: string): Promise<RelayHost> {
    const { address, through } = await this.#addHost(name);
    return { name, listen: `${address}:${PORT}`, through };
  }

  async addNode(name: string): Promise<NodeHost> {
    const { through } = await this.#addHost(name);
    return { name, through };
  }

  async #addHost(name: string): Promise<Host> {
    const number = this.#hosts.size + 1;
    const holder = await Holder.start(this.#switch.inside(['unshare', '--net', '--', ...HOLD]));
    const address = `${SUBNET}.${number}`;
    const port = `p${number}`;
    await this.#switch.run(
      ['ip', '-batch', '-'],
      `link add ${port} type veth peer name eth0 netns ${holder.pid}
       link set ${port} master br0 up`,
    );
    await holder.run(
      ['ip', '-batch', '-'],
      `addr add ${address}/24 dev eth0
       link set lo up
       link set eth0 up`,
    );
    await holder.run(['nft', '-f', '-'], RULES);
    const through = holder.inside(['setpriv', '--pdeathsig', 'KILL', '--']);
    const host: Host = { name, address, port, holder, through };
    this.#hosts.set(name, host);
    return host;
  }

  urlFor(_node: NodeHost, _relay: RelayHost, url: string): string {
    return url;
  }

  cut(node: NodeHost, relay: RelayHost): Promise<void> {
    return this.#block('add', this.#host(node), this.#host(relay));
  }

  heal(node: NodeHost, relay: RelayHost): Promise<void> {
    return this.#block('delete', this.#host(node), this.#host(relay));
  }

  async #block(verb: 'add' | 'delete', a: Host, b: Host): Promise<void> {
    const rule = (from: Host): string[] => [
      'nft',
      verb,
      'element',
      'inet',
      'faults',
      'blocked',
      `{ ${from.address} }`,
    ];
    await Promise.all([a.holder.run(rule(b)), b.holder.run(rule(a))]);
  }

  async unplug(node: NodeHost): Promise<void> {
    await this.#switch.run(['ip', 'link', 'set', this.#host(node).port, 'down']);
  }

  async plug(node: NodeHost): Promise<void> {
    await this.#switch.run(['ip', 'link', 'set', this.#host(node).port, 'up']);
  }

  async impair(node: NodeHost): Promise<void> {
    const { holder, port } = this.#host(node);
    const loss = `numgen random mod 100 < ${LOSS_PERCENT} counter name "lost" drop`;
    await holder.run(['nft', 'add', 'rule', 'inet', 'faults', 'loss', loss]);
    await holder.run(['tc', 'qdisc', 'add', 'dev', 'eth0', 'root', ...this.#delay]);
    await this.#switch.run(['tc', 'qdisc', 'add', 'dev', port, 'root', ...this.#delay]);
  }

  async repair(node: NodeHost): Promise<void> {
    const { holder, port } = this.#host(node);
    this.#delayed += (await delayedBy(holder, 'eth0')) + (await delayedBy(this.#switch, port));
    await holder.run(['nft', 'flush', 'chain', 'inet', 'faults', 'loss']);
    await holder.run(['tc', 'qdisc', 'del', 'dev', 'eth0', 'root']);
    await this.#switch.run(['tc', 'qdisc', 'del', 'dev', port, 'root']);
  }

  async hits(): Promise<Record<string, number>> {
    const count = async (name: string): Promise<number> => {
      const each = await Promise.all([...this.#hosts.values()].map((h) => counted(h.holder, name)));
      return each.reduce((a, b) => a + b, 0);
    };
    return { cut: await count('cut'), lost: await count('lost'), delayed: this.#delayed };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#hosts.values()].map(({ holder }) => holder.end()));
    await this.#switch.end();
  }

  #host({ name }: NodeHost | RelayHost): Host {
    return this.#hosts.get(name)!;
  }
}

/** Packets that a named counter of a host's rules counted. */
async function counted(holder: Holder, name: string): Promise<number> {
  const out = await holder.run(['nft', '-j', 'list', 'counter', 'inet', 'faults', name]);
  const { nftables } = JSON.parse(out) as { nftables: { counter?: { packets: number } }[] };
  return nftables.find(({ counter }) => counter)?.counter?.packets ?? 0;
}

/** Packets that had to wait in the queue of a device. */
async function delayedBy(holder: Holder, device: string): Promise<number> {
  const out = await holder.run(['tc', '-s', '-j', 'qdisc', 'show', 'dev', device]);
  const [queue] = JSON.parse(out) as { kind: string; packets: number; overlimits: number }[];
  return queue ? (queue.kind === 'netem' ? queue.packets : queue.overlimits) : 0;
}

/** A process that does nothing but keep a namespace. */
class Holder {
  readonly #process: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#process = child;
  }

  static async start([command, ...args]: readonly string[]): Promise<Holder> {
    const child = spawn(command!, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
    const [line] = await Promise.race([
      once(createInterface({ input: child.stdout }), 'line'),
      once(child, 'exit').then(() => ['']),
    ]);
    if (line !== 'ready') throw new Error(`${command} made no namespace`);
    return new Holder(child);
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** The command that runs `argv` in this namespace, in place of itself. */
  inside(argv: readonly string[]): string[] {
    const user = isRoot ? [] : ['--user', '--preserve-credentials'];
    return ['nsenter', '--target', String(this.pid), ...user, '--net', '--', ...argv];
  }

  run(argv: readonly string[], input = ''): Promise<string> {
    return run(this.inside(argv), input);
  }

  async end(): Promise<void> {
    const exited = once(this.#process, 'exit');
    this.#process.stdin!.end();
    await exited;
  }
}

/** Runs a command to its end: what it printed. Rejects with what it complained about. */
function run([command, ...args]: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(command!, args, { env }, (error, stdout, stderr) => {
      if (!error) return resolve(stdout);
      const complaint = stderr.trim().split('\n')[0] || error.message;
      reject(new Error(complaint, { cause: error }));
    });
    // Whoever does not read its input says why in other words.
    child.stdin!.on('error', () => {});
    child.stdin!.end(input);
  });
}
