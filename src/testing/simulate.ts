/**
 * One simulated run: the production core and pump of several nodes on virtual
 * time, network and disks, under faults and load drawn from a seed
 * (docs/ARCHITECTURE.md, "Simulator"). The same seed and options give the same
 * run, to the byte of its trace.
 *
 *   1. nodes boot, a founder creates a channel, the others join;
 *   2. faults and load together, invariants checked after every step;
 *   3. faults stop; a bounded time later all that liveness promises must hold.
 */

import { createHash } from 'node:crypto';
import type { Command, Outgoing } from '../core/commands.js';
import type { Hash } from '../core/crypto.js';
import type { CoreEvent, Ready } from '../core/effects.js';
import { ConclaveError } from '../core/errors.js';
import { type ChannelId, hex32, type Millis, type UserId } from '../core/ids.js';
import type { Input } from '../core/machine.js';
import type { StoreOp } from '../core/store.js';
import { nativeCrypto } from '../native/crypto-native.js';
import { Application } from './application.js';
import { Chaos } from './chaos.js';
import { checkHistory } from './check-history.js';
import { drawWeather, FAULT_KINDS, type Fault, type FaultKind, planFaults } from './faults.js';
import { Invariants } from './invariants.js';
import { between, chance, type Draw, drawsOf, pick } from './prng.js';
import { HistoryRecorder } from './record-history.js';
import { invented, unsettled } from './settled.js';
import { type DiskSabotage, SimDisk } from './sim-disk.js';
import { CALM, SimNetwork } from './sim-network.js';
import { type NodeSabotage, type NodeWatcher, SimNode } from './sim-node.js';
import { Timeline } from './timeline.js';
import { planInvites, planPosts } from './workload.js';

export type Sabotage = DiskSabotage | NodeSabotage;

export interface SimulateOptions {
  readonly seed: number;
  /** What is left out is drawn from the seed. */
  readonly nodes?: number;
  readonly relays?: number;
  readonly minOnline?: number;
  /** Kinds of faults to draw a plan of, or the plan. */
  readonly faults?: readonly FaultKind[] | readonly Fault[];
  /** Faults begin at once, not after all have joined. */
  readonly early?: boolean;
  /** How long faults and load last. */
  readonly loadMs?: Millis;
  /** How long after it everything may take to come to rest. */
  readonly settleMs?: Millis;
  /** Lets every node or disk break a promise, to see that the run notices. */
  readonly sabotage?: Sabotage;
  /** Called with a line for everything that happens; slow. */
  readonly log?: (line: string) => void;
}

/** What a guest is given of a run. */
export interface GuestRun {
  readonly nodes: readonly SimNode[];
  readonly timeline: Timeline;
  readonly channel: ChannelId;
  readonly hash: Hash;
  readonly application: Application;
  readonly recorder: HistoryRecorder;
  readonly onBreak: (invariant: string, message: string) => void;
  readonly note: (text: string) => void;
}

/** What runs on the nodes in place of the load of the run itself: an application and its users. */
export interface Guest {
  started(node: SimNode): void;
  stepped(node: SimNode, inputs: readonly Input[]): void;
  event(node: SimNode, event: CoreEvent): void;
  load(from: Millis, until: Millis): void;
  /** Lets all go on that waited for what just happened; undefined if nothing did. */
  flush(): Promise<void> | undefined;
  /** Why it has not come to rest, or is wrong there. */
  unsettled(): string | undefined;
}

export interface Violation {
  readonly invariant: string;
  readonly message: string;
  /** Virtual time. */
  readonly at: Millis;
  readonly step: number;
}

export interface SimulateResult {
  readonly seed: number;
  readonly ok: boolean;
  readonly violation?: Violation;
  readonly traceHash: string;
  /** Steps of the core on all nodes. */
  readonly steps: number;
  readonly virtualMs: Millis;
  readonly frames: number;
  readonly plan: {
    readonly nodes: number;
    readonly relays: number;
    readonly minOnline: number;
    readonly early: boolean;
    readonly faults: readonly Fault[];
  };
  /** Entries of the final log, and how many of them are messages. */
  readonly final: number;
  readonly messages: number;
  /** Leaderships seen. */
  readonly terms: number;
}

const hash = nativeCrypto.sha256;
const JOIN_MS = 60_000;
const POLL_MS = 100;
/** More steps without time passing than any node has reason for. */
const STEPS_PER_MOMENT_MAX = 5_000;

const usersOf = (seed: number, what: string, count: number): UserId[] =>
  Array.from({ length: count }, (_, i) =>
    hex32<UserId>(hash(new TextEncoder().encode(`${what} ${i} of ${seed}`))),
  );

/** What the seed decides about a run where the options leave it open. */
function settings(o: SimulateOptions) {
  const draw = drawsOf(o.seed, 'settings');
  const nodes = pick(draw, [1, 2, 3, 3, 3, 3, 4, 4, 5, 5, 5, 6, 7]);
  const relays = pick(draw, [1, 1, 2, 2, 3]);
  const low = chance(draw, 0.4);
  const kinds = chance(draw, 0.1) ? [] : FAULT_KINDS.filter(() => chance(draw, 0.4));
  const drawn = {
    early: chance(draw, 0.25),
    loadMs: Math.floor(between(draw, 4_000, 16_000)),
    encoded: chance(draw, 0.15),
    workMs: chance(draw, 0.3) ? between(draw, 0.1, 10) : 0,
    diskMs: pick(draw, [0, 1, 5, 30]),
    skewMs: chance(draw, 0.5) ? 300_000 : 0,
    weather: chance(draw, 0.4) ? drawWeather(draw) : CALM,
  };
  const count = o.nodes ?? nodes;
  return {
    ...drawn,
    nodes: count,
    relays: o.relays ?? relays,
    minOnline: o.minOnline ?? (low ? Math.min(3, Math.max(1, Math.ceil(count / 2))) : 3),
    kinds: o.faults ?? kinds,
    early: o.early ?? drawn.early,
    loadMs: o.loadMs ?? drawn.loadMs,
    settleMs: o.settleMs ?? 60_000,
  };
}

type Settings = ReturnType<typeof settings>;

const isPlan = (faults: Settings['kinds']): faults is readonly Fault[] =>
  typeof faults[0] === 'object';

class Run implements NodeWatcher {
  readonly #o: SimulateOptions;
  readonly #s: Settings;
  readonly #timeline = new Timeline();
  readonly #network: SimNetwork;
  readonly #nodes: SimNode[];
  readonly #app: Application;
  readonly #invariants: Invariants;
  readonly #recorder: HistoryRecorder;
  readonly #guest: Guest | undefined;
  readonly #trace = createHash('sha256');
  #faults: readonly Fault[] = [];
  #steps = 0;
  #moment = { at: 0, steps: 0 };
  #violation: Violation | undefined;

  constructor(options: SimulateOptions, invite?: (run: GuestRun) => Guest) {
    this.#o = options;
    this.#s = settings(options);
    const { seed } = options;
    const { nodes, relays, minOnline, encoded } = this.#s;
    const timeline = this.#timeline;
    const relayKeys = usersOf(seed, 'relay', relays);
    const users = usersOf(seed, 'node', nodes);
    const urls = relayKeys.map((key, i) => `conclave://${key}@relay${i}:7000`);
    const draw = drawsOf(seed, 'network');
    this.#network = new SimNetwork({ timeline, draw, hash, relays, encoded });
    this.#network.onArrival = (at, name) => this.#note(`${at} ${name}`);
    this.#app = new Application({ seed, hash, timeline, users, relays: urls, minOnline });
    const { channel } = this.#app;
    this.#recorder = new HistoryRecorder({ seed, hash, timeline, channel });
    this.#app.onSent = (node, submissions) => this.#recorder.sent(node, submissions);
    this.#app.onStored = (node, submissions) => this.#recorder.stored(node, submissions);
    const onBreak = (invariant: string, message: string) => this.#break(invariant, message);
    this.#invariants = new Invariants(hash, this.#app.channel, users[0]!, onBreak);
    this.#nodes = users.map((user, index) => this.#node(user, index, relayKeys));
    for (const node of this.#nodes) this.#network.add(node);
    this.#app.nodes = this.#nodes;
    this.#guest = invite?.({
      nodes: this.#nodes,
      timeline,
      channel,
      hash,
      application: this.#app,
      recorder: this.#recorder,
      onBreak,
      note: (text) => this.#note(text),
    });
  }

  #node(user: UserId, index: number, relayKeys: readonly UserId[]): SimNode {
    const { seed, sabotage } = this.#o;
    const { workMs, skewMs, diskMs } = this.#s;
    const timeline = this.#timeline;
    const draw = drawsOf(seed, `node ${index}`);
    const onDisk: Draw = drawsOf(seed, `disk ${index}`);
    const isNodes = sabotage === 'late-first';
    const disk = new SimDisk(timeline, onDisk, isNodes ? undefined : sabotage);
    disk.latency = () => diskMs * onDisk();
    return new SimNode({
      index,
      user,
      timeline,
      network: this.#network,
      disk,
      hash,
      draw,
      watcher: this,
      relayKeys,
      skewMs: Math.floor((draw() - 0.5) * skewMs),
      workMs,
      sabotage: isNodes ? sabotage : undefined,
    });
  }

  async run(): Promise<SimulateResult> {
    try {
      await this.#phases();
    } catch (error) {
      this.#break('no crash', error instanceof Error ? (error.stack ?? error.message) : `${error}`);
    }
    const { final } = this.#invariants;
    const { nodes, relays, minOnline, early } = this.#s;
    return {
      seed: this.#o.seed,
      ok: this.#violation === undefined,
      ...(this.#violation ? { violation: this.#violation } : {}),
      traceHash: this.#trace.digest('hex'),
      steps: this.#steps,
      virtualMs: this.#timeline.now,
      frames: this.#network.frames,
      plan: { nodes, relays, minOnline, early, faults: this.#faults },
      final: final.length,
      messages: final.filter(({ entry }) => entry.kind === 'message').length,
      terms: this.#invariants.terms,
    };
  }

  async #phases(): Promise<void> {
    const { early, loadMs, settleMs, minOnline } = this.#s;
    this.#nodes.forEach((node) => {
      this.#timeline.in(node.index * 3, () => node.start());
    });
    if (!early && !(await this.#until(() => this.#app.allJoined, JOIN_MS))) {
      return this.#break('liveness', 'not all could join without faults');
    }
    const chaos = this.#unleash(this.#timeline.now, this.#timeline.now + loadMs);
    await this.#until(() => false, loadMs);
    chaos.stop();
    this.#note('faults stop');
    const why = () =>
      unsettled(this.#nodes, this.#app, this.#invariants, minOnline) ??
      this.#recorder.unfinished(this.#nodes);
    if (!(await this.#until(() => why() === undefined, settleMs))) {
      this.#break('liveness', `${settleMs} ms after the last fault ${why()}`);
    }
    const rest = () => this.#guest?.unsettled() ?? why();
    if (!(await this.#until(() => rest() === undefined, settleMs))) {
      this.#break('application: eventually', rest() ?? 'not in time');
    }
    const what = invented(this.#nodes, this.#app, this.#invariants, minOnline);
    if (what) this.#break('10 no invention', what);
    this.#checkHistory();
  }

  #checkHistory(): void {
    if (this.#violation) return;
    const settled = this.#nodes.length >= this.#s.minOnline;
    const [problem] = checkHistory(this.#recorder.history(this.#nodes, settled));
    if (problem) this.#break(`history: ${problem.check}`, problem.message);
  }

  #unleash(from: Millis, until: Millis): Chaos {
    const { seed } = this.#o;
    const { nodes, relays, kinds } = this.#s;
    this.#faults = isPlan(kinds)
      ? kinds
      : planFaults({ seed, nodes, relays, kinds: kinds as FaultKind[], from, until });
    const chaos = new Chaos(this.#timeline, this.#network, this.#nodes, this.#app.channel);
    chaos.onFault = (text) => this.#note(text);
    chaos.plan(this.#faults);
    this.#network.weather = this.#s.weather;
    this.#recorder.plan(this.#nodes, until + this.#s.settleMs);
    const load = { seed, nodes, from, until };
    if (this.#guest) this.#guest.load(from, until);
    else for (const post of planPosts(load)) this.#timeline.at(post.at, () => this.#app.post(post));
    for (const at of planInvites(load)) this.#timeline.at(at, () => this.#app.inviteOneMore());
    return chaos;
  }

  /** Lets time pass until `isDone`, looked at now and then, or for `most`. */
  async #until(isDone: () => boolean, most: Millis): Promise<boolean> {
    const end = this.#timeline.now + most;
    let over: boolean | undefined;
    const poll = (): void => {
      if (isDone()) over = true;
      else if (this.#timeline.now >= end) over = false;
      else this.#timeline.at(Math.min(end, this.#timeline.now + POLL_MS), poll);
    };
    poll();
    while (over === undefined && !this.#violation) {
      const event = this.#timeline.next();
      if (!event) break;
      const waits = event();
      if (waits) await waits;
      const code = this.#guest?.flush();
      if (code) await code;
    }
    return over === true || this.#violation !== undefined;
  }

  #break(invariant: string, message: string): void {
    this.#violation ??= { invariant, message, at: this.#timeline.now, step: this.#steps };
    this.#note(`BROKEN ${invariant}: ${message}`);
  }

  #note(text: string): void {
    this.#trace.update(`${this.#timeline.now} ${text}\n`);
    this.#o.log?.(`${this.#timeline.now.toFixed(1).padStart(9)} ${text}`);
  }

  stepped(node: SimNode, inputs: readonly Input[], ready: Ready): void {
    this.#steps += 1;
    if (this.#timeline.now > this.#moment.at) this.#moment = { at: this.#timeline.now, steps: 0 };
    this.#moment.steps += 1;
    if (this.#moment.steps > STEPS_PER_MOMENT_MAX) this.#break('no spin', 'time stands still');
    this.#invariants.stepped(node, inputs, ready);
    this.#guest?.stepped(node, inputs);
    const st = node.state(this.#app.channel);
    if (!st) return this.#note(`node ${node.index} steps`);
    const { term, seq, leads } = {
      term: st.hard.roster.term,
      seq: st.log.tip.seq,
      leads: st.leading ? ' leads' : '',
    };
    const tip = st.log.tip.hash.slice(0, 8);
    this.#note(
      `node ${node.index} steps: term ${term}, tip ${seq} ${tip}, final ${st.log.final.seq}${leads}`,
    );
  }

  writing(node: SimNode, ops: readonly StoreOp[]): void {
    this.#invariants.writing(node, ops);
  }
  durable(node: SimNode, ops: readonly StoreOp[]): void {
    this.#invariants.durable(node, ops);
  }
  sending(node: SimNode, command: Outgoing): void {
    this.#invariants.sending(node, command);
    this.#o.log?.(`${' '.repeat(10)}node ${node.index} sends ${describe(command)}`);
  }
  event(node: SimNode, event: CoreEvent): void {
    this.#invariants.event(node, event);
    this.#recorder.event(node, event);
    this.#app.event(node, event);
    this.#guest?.event(node, event);
    if (event.type !== 'changed') {
      this.#o.log?.(`${' '.repeat(10)}node ${node.index} event ${JSON.stringify(event)}`);
    }
  }
  refused(node: SimNode, command: Command, error: ConclaveError): void {
    this.#note(`node ${node.index} refuses ${command.name}: ${error.code} ${error.message}`);
    if (error.code === 'internal') this.threw(node, error);
  }
  threw(node: SimNode, error: unknown): void {
    const cause = error instanceof ConclaveError && error.cause ? error.cause : error;
    const text = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    this.#break('no crash', `node ${node.index} threw: ${text}`);
  }
  started(node: SimNode): void {
    this.#note(`node ${node.index} starts`);
    this.#invariants.started(node);
    this.#recorder.started(node);
    this.#guest?.started(node);
    this.#app.started(node);
  }
}

function describe({ name, payload }: Outgoing): string {
  const { id: _, s: _s, sig: _sig, from: _f, ...rest } = payload as { [k: string]: unknown };
  return `${name} ${JSON.stringify(rest, (_k, v) => (v instanceof Uint8Array ? `<${v.length}>` : v))}`.slice(
    0,
    300,
  );
}

/** Runs one simulation. Never throws for what goes wrong inside: see `ok` and `violation`. */
export function simulate(
  options: SimulateOptions,
  invite?: (run: GuestRun) => Guest,
): Promise<SimulateResult> {
  return new Run(options, invite).run();
}
