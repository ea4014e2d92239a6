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
import type { CoreEvent, Ready } from '../core/effects.js';
import type { ConclaveError } from '../core/errors.js';
import type { FewPolicy } from '../core/genesis.js';
import type { Millis, UserId } from '../core/ids.js';
import type { Input } from '../core/input.js';
import type { StoreOp } from '../core/store.js';
import { Application } from './application.js';
import { Chaos } from './chaos.js';
import { checkHistory } from './check-history.js';
import { checkOptions } from './check-options.js';
import { describeCommand } from './describe.js';
import { drawSettings, isPlan, type Settings } from './draw-settings.js';
import { errorText } from './error-text.js';
import { type Fault, type FaultKind, isLasting, LASTING_KINDS } from './faults.js';
import type { Guest, GuestRun } from './guest.js';
import type { History } from './history.js';
import { Invariants } from './invariants.js';
import { loadLasts, outOfTime } from './load-times.js';
import { MarkWatch } from './mark-watch.js';
import { Names } from './names.js';
import { type Observer, Reporter } from './observer.js';
import { type Pause, type PauseOptions, pauses } from './pauses.js';
import { planFaults } from './plan-faults.js';
import { type Draw, drawsOf } from './prng.js';
import { HistoryRecorder } from './record-history.js';
import { nodesWith } from './replacing.js';
import { invented, membersOf, unsettled } from './settled.js';
import { type CryptoKind, type SimCrypto, simCrypto } from './sim-crypto.js';
import { type DiskSabotage, SimDisk } from './sim-disk.js';
import { SimNetwork } from './sim-network.js';
import { type NodeSabotage, type NodeWatcher, SimNode } from './sim-node.js';
import { Timeline } from './timeline.js';
import { allCanCommit, type Reach, reachOf } from './topology.js';
import { describeTold } from './transcript.js';
import type { Weather } from './weather.js';
import { planWorkload, type Workload, type WorkloadPlan } from './workload.js';

export type Sabotage = DiskSabotage | NodeSabotage;

export interface SimulateOptions extends PauseOptions {
  readonly seed: number;
  /** What is left out is drawn from the seed. */
  readonly nodes?: number;
  readonly relays?: number;
  readonly minOnline?: number;
  /** Whether a `minOnline` below 3 counts always, or while an archive is a member. */
  readonly few?: FewPolicy;
  /** So many of the nodes, the last ones, join as archives. */
  readonly archives?: number;
  readonly quorum?: 'online' | 'roster';
  /** How links treat frames where no fault says otherwise. */
  readonly weather?: Weather;
  /** Kinds of faults to draw a plan of, or the plan. */
  readonly faults?: readonly FaultKind[] | readonly Fault[];
  /** Faults begin at once, not after all have joined. */
  readonly early?: boolean;
  /** What the applications do; what is left out is drawn from the seed. */
  readonly workload?: Workload;
  /** How long faults and load last; what is planned beyond it does not happen. */
  readonly loadMs?: Millis;
  /** How long after it everything may take to come to rest. */
  readonly settleMs?: Millis;
  /** How disks, links and clocks behave when nothing is broken; what is left out is drawn from the seed. */
  readonly conditions?: Partial<Conditions>;
  /** Real hashes and signatures, or fast ones that serve as well in a run. */
  readonly crypto?: CryptoKind;
  /** Lets every node or disk break a promise, to see that the run notices. */
  readonly sabotage?: Sabotage;
  /** Called with a line for everything that happens; slow. */
  readonly log?: (line: string) => void;
  /** Called at the end with what was seen of the channel from outside, before it is checked. */
  readonly onHistory?: (history: History) => void;
  /** Called with everything that can be seen of the run, as it happens; slow. */
  readonly observe?: Observer;
}

export interface Conditions {
  /** Frames are encoded and decoded as on a real wire. */
  readonly encoded: boolean;
  /** Longest time that signing, verifying or reading takes. */
  readonly workMs: Millis;
  /** Longest time that a write takes. */
  readonly diskMs: Millis;
  /** Most that two wall clocks differ. */
  readonly skewMs: Millis;
  readonly weather: Weather;
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
  /** The run ended early: faults went beyond what the protocol promises anything for. */
  readonly beyond?: string;
  readonly traceHash: string;
  /** Names of the marks reached (marks.ts). */
  readonly marks: readonly string[];
  /** Steps of the core on all nodes. */
  readonly steps: number;
  readonly virtualMs: Millis;
  readonly frames: number;
  /** The run with nothing left to draw but its noise: these options and the seed give it again. */
  readonly plan: Required<
    Pick<
      SimulateOptions,
      'nodes' | 'relays' | 'minOnline' | 'few' | 'archives' | 'early' | 'loadMs' | 'settleMs'
    >
  > & {
    readonly quorum: 'online' | 'roster';
    readonly crypto: CryptoKind;
    readonly conditions: Conditions;
    readonly faults: readonly Fault[];
    readonly workload: WorkloadPlan;
  };
  /** When faults and load began. */
  readonly loadAt: Millis;
  /** What of the plan did not happen, since it lies outside of the time of the load. */
  readonly outOfTime: readonly string[];
  /** Entries of the final log, and how many of them are messages. */
  readonly final: number;
  readonly messages: number;
  /** Leaderships seen. */
  readonly terms: number;
}

const JOIN_MS = 60_000;
const POLL_MS = 100;
const TRACE_CHUNK_CHARS = 16_384;
/** More steps than a run of a few nodes has reason for: ten times as many as the busiest among thousands took. */
const STEPS_MAX = 100_000;
const STEPS_PER_MS_MAX = 2;
/** More steps without time passing than any node has reason for. */
const STEPS_PER_MOMENT_MAX = 5_000;

const DEPARTURES: ReadonlySet<string> = new Set(['remove', 'leave', 'replace']);

/** What is true of histories of which two are final. */
const HOLDS_IN_A_FORK: ReadonlySet<string> = new Set(['well formed', 'no invention']);

class Run implements NodeWatcher {
  readonly #o: SimulateOptions;
  readonly #s: Settings;
  readonly #timeline = new Timeline();
  readonly #network: SimNetwork;
  readonly #nodes: SimNode[];
  readonly #app: Application;
  readonly #invariants: Invariants;
  readonly #marks: MarkWatch;
  readonly #recorder: HistoryRecorder;
  readonly #guest: Guest | undefined;
  readonly #isOfGuest: boolean;
  readonly #reporter: Reporter | undefined;
  /** For the log. */
  readonly #names = new Names();
  readonly #pause: Pause | undefined;
  readonly #trace = createHash('sha256');
  /** Lines that are not in `#trace` yet. */
  #lines = '';
  #faults: readonly Fault[] = [];
  /** Who reaches whom when the faults are over. */
  #reach: Reach = () => true;
  #workload: WorkloadPlan = { posts: [], invites: [], changes: [] };
  #load = { from: 0, lasts: 0 };
  #steps = 0;
  #moment = { at: 0, steps: 0 };
  #violation: Violation | undefined;
  #beyond: string | undefined;

  constructor(options: SimulateOptions, invite?: (run: GuestRun) => Guest) {
    this.#o = options;
    this.#isOfGuest = invite !== undefined;
    this.#s = drawSettings(options, this.#isOfGuest);
    this.#pause = pauses(options);
    const { seed } = options;
    const { nodes, relays, minOnline, few, archives, quorum } = this.#s;
    const { encoded } = this.#s.conditions;
    const timeline = this.#timeline;
    const crypto = simCrypto(this.#s.crypto);
    const usersOf = (what: string, count: number): UserId[] =>
      Array.from({ length: count }, (_, i) => crypto.userOf(`${what} ${i} of ${seed}`));
    const relayKeys = usersOf('relay', relays);
    const users = usersOf('node', nodesWith(nodes, this.#plannedLoad(0, 1).changes));
    const urls = relayKeys.map((key, i) => `conclave://${key}@relay${i}:7000`);
    this.#network = new SimNetwork({ timeline, seed, hash: crypto.sha256, relays, encoded });
    this.#network.onArrival = (relay, node, name) => this.#note(`${relay}>${node} ${name}`);
    this.#app = new Application({
      ...{ seed, crypto, timeline, users, relays: urls },
      ...{ members: nodes, minOnline, few, archives, quorum },
    });
    const { channel, leastEver } = this.#app;
    this.#recorder = new HistoryRecorder({
      ...{ seed, hash: crypto.sha256, timeline, channel, nodes: users.length, leastEver },
    });
    this.#app.onSent = (node, submissions) => {
      this.#recorder.sent(node, submissions);
      const ids = submissions.map(({ id }) => id);
      this.#reporter?.tell({ type: 'posted', node: node.index, ids });
    };
    this.#app.onStored = (node, submissions) => this.#recorder.stored(node, submissions);
    const onBreak = (invariant: string, message: string) => this.#break(invariant, message);
    this.#invariants = new Invariants(crypto, this.#app.channel, users[0]!, () => this.#nodes, {
      broke: onBreak,
      beyond: (why) => this.#endEarly(why),
    });
    this.#nodes = users.map((user, index) => this.#node(user, index, relayKeys, crypto));
    for (const node of this.#nodes) this.#network.add(node);
    this.#app.nodes = this.#nodes;
    this.#invariants.leastOnline = this.#app.leastOnline;
    this.#invariants.mayBeGone = (user) => this.#app.mayBeGone(users.indexOf(user));
    this.#marks = new MarkWatch(this.#app.channel, this.#nodes);
    this.#invariants.chains.onEntry = (entry) => this.#marks.placed(entry);
    this.#guest = invite?.({
      nodes: this.#nodes,
      timeline,
      channel,
      crypto,
      application: this.#app,
      recorder: this.#recorder,
      onBreak,
      note: (text) => this.#note(text),
    });
    const { observe, log } = options;
    if (observe || log) {
      const observer: Observer = (event) => {
        if (log) this.#names.learn(event);
        observe?.(event);
      };
      const reporter = new Reporter(observer, timeline, this.#app.channel, users);
      this.#network.onFrame = (event) => reporter.tell(event);
      this.#reporter = reporter;
      reporter.tell({ type: 'begins', hash: crypto.sha256, channel, users, relays, minOnline });
    }
  }

  #node(user: UserId, index: number, relayKeys: readonly UserId[], crypto: SimCrypto): SimNode {
    const { seed, sabotage } = this.#o;
    const { workMs, skewMs, diskMs } = this.#s.conditions;
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
      crypto,
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
      if (this.#o.signal?.aborted) throw error;
      this.#break('no crash', errorText(error));
    }
    this.#flush();
    this.#marks.finish(this.#invariants.final);
    const { final } = this.#invariants;
    const { kinds: _, ...settled } = this.#s;
    const { from, lasts } = this.#load;
    return {
      seed: this.#o.seed,
      ok: this.#violation === undefined,
      ...(this.#violation ? { violation: this.#violation } : {}),
      ...(this.#beyond ? { beyond: this.#beyond } : {}),
      traceHash: this.#trace.digest('hex'),
      marks: this.#marks.names,
      steps: this.#steps,
      virtualMs: this.#timeline.now,
      frames: this.#network.frames,
      plan: { ...settled, loadMs: lasts, faults: this.#faults, workload: this.#workload },
      loadAt: from,
      outOfTime: outOfTime(this.#faults, this.#workload, from, from + lasts),
      final: final.length,
      messages: final.filter(({ entry }) => entry.kind === 'message').length,
      terms: this.#invariants.terms,
    };
  }

  async #phases(): Promise<void> {
    const { early, loadMs, settleMs } = this.#s;
    this.#reporter?.tell({ type: 'phase', phase: 'joining' });
    this.#nodes.forEach((node) => {
      this.#timeline.in(node.index * 3, () => node.start());
    });
    if (!early && !(await this.#until(() => this.#app.allJoined, JOIN_MS))) {
      return this.#break('liveness', 'not all could join without faults');
    }
    this.#reporter?.tell({ type: 'phase', phase: 'load' });
    const from = this.#timeline.now;
    const lasts = loadLasts(this.#o, from, loadMs);
    this.#load = { from, lasts };
    const chaos = this.#unleash(from, from + lasts);
    await this.#until(() => false, lasts);
    chaos.stop();
    this.#recorder.healed();
    this.#note('faults stop');
    this.#marks.healed();
    this.#reporter?.tell({ type: 'phase', phase: 'settling' });
    // What a step decided is at rest once it is on the disk, and told.
    const why = () =>
      unsettled(this.#nodes, this.#app, this.#invariants, this.#reach) ??
      this.#recorder.unfinished(this.#honest()) ??
      (this.#nodes.every((node) => node.isIdle) ? undefined : 'a node is at work');
    if (!(await this.#until(() => why() === undefined, settleMs))) {
      const beyond = this.#invariants.irreparable(this.#reach);
      if (beyond) this.#endEarly(beyond);
      else this.#break('liveness', `${settleMs} ms after the last fault ${why()}`);
    }
    const rest = () => this.#guest?.unsettled() ?? why();
    if (!(await this.#until(() => rest() === undefined, settleMs))) {
      this.#break('application: eventually', rest() ?? 'not in time');
    }
    const what = this.#isOver ? undefined : invented(this.#nodes, this.#app, this.#invariants);
    if (what) this.#break('10 no invention', what);
    this.#checkHistory();
    this.#reporter?.tell({ type: 'phase', phase: 'over' });
  }

  /** Nodes that follow the protocol in all they say, those that are gone left out. */
  #honest(): SimNode[] {
    const { offences } = this.#invariants;
    return this.#nodes.filter(({ user, isGone }) => offences.isHonest(user) && !isGone);
  }

  #checkHistory(): void {
    if (this.#isOver) return;
    const { offences } = this.#invariants;
    const { members, minOnline, mayVote } = membersOf(this.#nodes, this.#app);
    const honest = this.#honest().filter((node) => members.includes(node));
    // All who did not leave are gone for good, or lost all they knew.
    if (!honest.some((node) => node.state(this.#app.channel))) return;
    // Under a leader with two faces some hold what the others never knew, for as long as it leads.
    const isSame = offences.stalling(this.#nodes, this.#app.channel) === undefined;
    const settled = isSame && allCanCommit(members.filter(mayVote), honest, minOnline, this.#reach);
    const offenders = this.#nodes.filter(({ user }) => !offences.isHonest(user));
    const history = this.#recorder.history(this.#nodes, settled, offenders);
    this.#o.onHistory?.(history);
    const problem = checkHistory(history).find(
      ({ check }) => !offences.isForked || HOLDS_IN_A_FORK.has(check),
    );
    if (problem) this.#break(`history: ${problem.check}`, problem.message);
  }

  #unleash(from: Millis, until: Millis): Chaos {
    const { seed } = this.#o;
    const { relays, kinds } = this.#s;
    const nodes = this.#nodes.length;
    this.#faults = isPlan(kinds)
      ? kinds
      : planFaults({ seed, nodes, relays, kinds: kinds as FaultKind[], from, until });
    const chaos = new Chaos(this.#timeline, this.#network, this.#nodes, this.#app.channel, seed);
    this.#reach = reachOf(this.#faults, relays);
    this.#invariants.doRelaysLie = this.#faults.some(({ kind }) => kind === 'lying-relay');
    chaos.mayMisbehave = () => this.#app.allJoined;
    chaos.onMisbehave = (node, misdeeds) => {
      this.#invariants.mayMisbehave(
        node,
        misdeeds.map((misdeed) => misdeed.do),
      );
    };
    chaos.onFault = (text) => this.#note(text);
    let haveJoined = this.#app.allJoined;
    chaos.mayLeave = () => {
      haveJoined ||= this.#app.allJoined;
      return haveJoined;
    };
    chaos.onGone = (node) => {
      this.#note(`node ${node.index} is gone for good`);
      this.#recorder.gone(node);
      this.#invariants.committed.forget();
      this.#app.forgets(node, (digest) => this.#invariants.isHeld(digest));
    };
    chaos.onForget = (node, _memory, before) => {
      this.#invariants.forgot(node, before);
      this.#app.forgets(node, (digest) => this.#invariants.isHeld(digest));
    };
    chaos.onChange = (type, index, fault) => {
      this.#marks.fault(type, index, fault);
      this.#recorder.fault(fault, type === 'fault' ? 1 : -1, this.#app.allJoined);
      this.#reporter?.tell({ type, index, fault });
    };
    chaos.plan(this.#faults);
    this.#network.weather = this.#s.conditions.weather;
    this.#recorder.plan(this.#nodes, until + this.#s.settleMs);
    this.#workload = this.#plannedLoad(from, until);
    const { posts, invites, changes } = this.#workload;
    this.#guest?.load(from, until);
    for (const post of posts) this.#timeline.at(post.at, () => void this.#app.post(post));
    for (const at of invites) this.#timeline.at(at, () => this.#app.inviteOneMore());
    for (const change of changes) {
      this.#timeline.at(change.at, () => {
        if (DEPARTURES.has(change.what)) {
          this.#recorder.removal(this.#nodes[change.node]!.user);
        }
        this.#app.change(change);
      });
    }
    return chaos;
  }

  #plannedLoad(from: Millis, until: Millis): WorkloadPlan {
    const { nodes, kinds, early } = this.#s;
    const load = { seed: this.#o.seed, nodes, from, until, early };
    // What members may hold back who misbehave, or who reaches whom for good, is asked of all.
    const isPlain = isPlan(kinds)
      ? !kinds.some(isLasting)
      : !(kinds as FaultKind[]).some((kind) => LASTING_KINDS.has(kind));
    const none = isPlain && !this.#isOfGuest ? {} : { changes: [] };
    const own = this.#isOfGuest ? { posts: [] } : this.#o.workload;
    return planWorkload({ ...none, ...own, ...load });
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
    while (over === undefined && !this.#isOver) {
      const event = this.#timeline.next();
      if (!event) break;
      const waits = event();
      if (waits) await waits;
      const code = this.#guest?.flush();
      if (code) await code;
      const pause = this.#pause?.(this.#timeline.now);
      if (pause) await pause;
    }
    return over === true || this.#isOver;
  }

  get #isOver(): boolean {
    return this.#violation !== undefined || this.#beyond !== undefined;
  }

  #endEarly(why: string): void {
    if (this.#isOver) return;
    this.#beyond = why;
    this.#note(`the run ends: ${why}`);
  }

  #break(invariant: string, message: string): void {
    if (this.#beyond) return;
    if (!this.#violation) {
      this.#violation = { invariant, message, at: this.#timeline.now, step: this.#steps };
      this.#reporter?.tell({ type: 'violation', invariant, message });
    }
    // The first line alone: the trace must not depend on where files are.
    this.#note(`BROKEN ${invariant}: ${message.split('\n')[0]}`);
  }

  #note(text: string): void {
    // Times are multiples of 1/1024 ms: whole numbers are printed much faster.
    this.#lines += `${this.#timeline.now * 1_024} ${text}\n`;
    if (this.#lines.length > TRACE_CHUNK_CHARS) this.#flush();
    this.#o.log?.(`${this.#timeline.now.toFixed(1).padStart(9)} ${text}`);
  }

  #flush(): void {
    this.#trace.update(this.#lines);
    this.#lines = '';
  }

  stepped(node: SimNode, inputs: readonly Input[], ready: Ready): void {
    this.#steps += 1;
    if (this.#timeline.now > this.#moment.at) this.#moment = { at: this.#timeline.now, steps: 0 };
    this.#moment.steps += 1;
    if (this.#moment.steps > STEPS_PER_MOMENT_MAX) this.#break('no spin', 'time stands still');
    const most = STEPS_MAX + STEPS_PER_MS_MAX * this.#timeline.now;
    if (this.#steps > most) this.#break('no spin', `${this.#steps} steps`);
    this.#invariants.stepped(node, inputs, ready);
    this.#marks.stepped(node, inputs);
    this.#guest?.stepped(node, inputs);
    this.#reporter?.stepped(node, this.#steps);
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
    this.#marks.writing(node, ops);
  }
  durable(node: SimNode, ops: readonly StoreOp[]): void {
    this.#invariants.durable(node, ops);
    this.#marks.durable(node, ops);
    this.#reporter?.tell({ type: 'durable', node: node.index, ops });
  }
  sending(node: SimNode, command: Outgoing, links: number): void {
    this.#invariants.sending(node, command);
    this.#marks.sending(node, command, links);
    this.#reporter?.tell({ type: 'says', node: node.index, command });
    this.#logSaid(node, command);
  }
  misbehaves(node: SimNode, command: Outgoing): void {
    this.#invariants.misbehaves(node, command);
    this.#note(`node ${node.index} misbehaves: ${command.name}`);
    this.#reporter?.tell({ type: 'says', node: node.index, command });
    this.#logSaid(node, command);
  }
  #logSaid(node: SimNode, command: Outgoing): void {
    if (!this.#o.log) return;
    const words = `${command.name} ${describeCommand(this.#names, command)}`.trimEnd();
    this.#o.log(`${' '.repeat(10)}node ${node.index} sends ${words}`);
  }
  event(node: SimNode, event: CoreEvent): void {
    this.#invariants.event(node, event);
    this.#recorder.event(node, event);
    this.#app.event(node, event);
    this.#marks.event(node, event);
    this.#guest?.event(node, event);
    this.#reporter?.tell({ type: 'told', node: node.index, event });
    const told = this.#o.log && describeTold(this.#names, event);
    if (told) this.#o.log?.(`${' '.repeat(10)}node ${node.index} is told: ${told}`);
  }
  refused(node: SimNode, command: Command, error: ConclaveError): void {
    this.#note(`node ${node.index} refuses ${command.name}: ${error.code} ${error.message}`);
    const why = `${error.code}: ${error.message}`;
    this.#reporter?.tell({ type: 'refused', node: node.index, name: command.name, why });
    if (error.code === 'internal') this.threw(node, error);
  }
  threw(node: SimNode, error: unknown): void {
    this.#break('no crash', `node ${node.index} threw: ${errorText(error)}`);
  }
  started(node: SimNode): void {
    this.#note(`node ${node.index} starts`);
    this.#marks.started(node);
    this.#reporter?.started(node);
    this.#invariants.started(node);
    this.#recorder.started(node);
    this.#guest?.started(node);
    this.#app.started(node);
  }
  crashed(node: SimNode): void {
    this.#marks.crashed(node);
    this.#recorder.crashed(node);
    this.#reporter?.crashed(node);
  }
  lost(node: SimNode): void {
    this.#invariants.lost(node);
  }
}

/**
 * Runs one simulation. Never throws for what goes wrong inside: see `ok` and `violation`. Rejects
 * with `bad_options`, and with `aborted` when its signal is.
 */
export async function simulate(
  options: SimulateOptions,
  invite?: (run: GuestRun) => Guest,
): Promise<SimulateResult> {
  checkOptions(options);
  return new Run(options, invite).run();
}
