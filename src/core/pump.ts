/**
 * The pump between the core and the world (docs/ARCHITECTURE.md, "The pump"):
 * inspects and has verified what arrives, looks up what a step needs to know,
 * steps, and carries out the Ready in its order. One Ready is in flight; what
 * arrives meanwhile is the next batch, so one disk sync serves it all.
 *
 * It is synchronous and does no I/O: the ports call back, at once or later.
 * Production and simulator run this same code.
 */

import { lookupsFor } from './catchup.js';
import type { Command, Outgoing } from './commands.js';
import type { Hash } from './crypto.js';
import type { Announce, CoreEvent, Ready, Send, Serve, ServeBranch } from './effects.js';
import { ConclaveError } from './errors.js';
import { rememberFact } from './facts.js';
import type { ChannelId, Digest, Millis } from './ids.js';
import type { Clock, Input } from './input.js';
import { type Inspection, inspect, recordsIn } from './inspect.js';
import { SERVES_PER_ASKER_MAX } from './limits.js';
import type { Machine } from './machine.js';
import type { LinkId } from './presence.js';
import { linksToMembers } from './sending.js';
import { type Reader, serve, serveAnnounce } from './serve.js';
import { serveBranch } from './serve-branch.js';
import { Serving } from './serving.js';
import type { Signed } from './statements.js';
import type { StoreOp } from './store.js';

export interface PumpPorts extends Reader {
  clock(): Clock;
  /** One verdict for each. */
  verify(signed: readonly Signed[], done: (valid: readonly boolean[]) => void): void;
  /** Fills in each `sig` with the key of its `by`. */
  sign(signed: readonly Signed[], done: () => void): void;
  write(ops: readonly StoreOp[], sync: boolean, done: (error?: unknown) => void): void;
  send(links: readonly LinkId[], command: Outgoing): void;
  event(event: CoreEvent): void;
  /** Calls `run` soon, after what is arriving now; once for several calls. */
  soon(run: () => void): void;
  /** Calls `run` at this time at the latest; replaces the call before. */
  wake(at: Millis, run: () => void): void;
  /** A command that was refused: malformed, or a signature did not verify. */
  refused(link: LinkId, command: Command, error: ConclaveError): void;
  /** The store failed: the node must not go on. */
  failed(error: unknown): void;
}

/** Commands and bytes that wait; beyond it what arrives is dropped, as a network may do. */
const QUEUE_COMMANDS_MAX = 8_192;
const QUEUE_BYTES_MAX = 33_554_432;

/** Pages that one step takes in: heartbeats and acknowledgements that came behind more of them go first. */
const PAGES_PER_STEP = 4;

/** What a page follows; undefined for other commands. */
function pageKey({ name, payload }: Command): string | undefined {
  if (name !== 'CH_APPEND' && name !== 'CH_MERGE') return undefined;
  const { id, anchor } = payload;
  return `${id} ${name} ${anchor.seq} ${anchor.hash} ${payload.headers.length}`;
}

/** About what a waiting command holds in memory, in bytes. */
function weightOf({ name, payload }: Command): number {
  const base = 512;
  const sum = (records: readonly Uint8Array[]): number =>
    records.reduce((n, r) => n + r.length, base);
  if (name === 'CH_MSG') return sum(payload.batch?.records ?? payload.each?.records ?? []);
  if (name === 'CH_APPEND' || name === 'CH_MERGE') {
    const proof = payload.proof?.length ?? 0;
    const cert = payload.cert?.length ?? 0;
    return sum(payload.records) + sum(payload.proofs) + payload.headers.length + proof + cert;
  }
  if (name === 'CH_MSG_COMMIT') return base + payload.cert.length;
  if (name === 'CH_ELECTED') return base + 128 * payload.ballots.length;
  if (name === 'CH_PROOF') return base + payload.conviction.length;
  return name === 'CH_PROPOSE' ? base + payload.headers.length : base;
}

interface Arrived {
  readonly link: LinkId;
  readonly command: Command;
}

export class Pump {
  readonly machine: Machine;
  readonly #hash: Hash;
  readonly #ports: PumpPorts;
  readonly #serving: Serving;
  #arrived: Arrived[] = [];
  #inputs: Input[] = [];
  /** Pages among them, by what they follow. */
  readonly #pages = new Set<string>();
  /** Of all that arrived since the last step began. */
  #waitingBytes = 0;
  readonly #looks: (() => void)[] = [];
  #verifying = false;
  #busy = false;
  #stopped = false;
  /** Steps taken so far. */
  steps = 0;
  dropped = 0;

  constructor(machine: Machine, hash: Hash, ports: PumpPorts) {
    this.machine = machine;
    this.#hash = hash;
    this.#ports = ports;
    this.#serving = new Serving(ports);
  }

  /** Nothing is under way and nothing waits. */
  get idle(): boolean {
    return !this.#busy && !this.#verifying && this.#arrived.length + this.#inputs.length === 0;
  }

  stop(): void {
    this.#stopped = true;
  }

  /**
   * Calls `look` when all that the machine's state says is durable: at once, or
   * after the write under way. What is shown to readers is looked at here, so
   * that no crash takes back what somebody saw.
   */
  whenDurable(look: () => void): void {
    if (this.#busy && !this.#stopped) this.#looks.push(look);
    else look();
  }

  /** A command arrived over a link. */
  receive(link: LinkId, command: Command): void {
    const waiting = this.#arrived.length + this.#inputs.length;
    if (waiting >= QUEUE_COMMANDS_MAX || this.#waitingBytes >= QUEUE_BYTES_MAX) {
      this.dropped += 1;
      return;
    }
    this.#waitingBytes += weightOf(command);
    this.#arrived.push({ link, command });
    this.#ports.soon(this.#run);
  }

  /** Something else happened: a link, a submission, a wish. Never dropped. */
  input(input: Input): void {
    this.#inputs.push(input);
    this.#ports.soon(this.#run);
  }

  readonly #run = (): void => {
    if (this.#stopped) return;
    if (!this.#verifying && this.#arrived.length > 0) this.#inspectArrived();
    if (!this.#busy && !this.#verifying) this.#lookUp();
  };

  /** What came, without the pages for which the next step has no room, and second copies: after it they are known. */
  #takeArrived(): Arrived[] {
    const all = this.#arrived;
    const later = new Set<Arrived>();
    for (const came of all) {
      const key = pageKey(came.command);
      if (key === undefined) continue;
      if (this.#pages.size < PAGES_PER_STEP && !this.#pages.has(key)) this.#pages.add(key);
      else later.add(came);
    }
    this.#arrived = [...later];
    return later.size === 0 ? all : all.filter((came) => !later.has(came));
  }

  #inspectArrived(): void {
    const arrived = this.#takeArrived();
    if (arrived.length === 0) return;
    const context = {
      hash: this.#hash,
      self: this.machine.self,
      channel: (id: ChannelId) => this.machine.channel(id),
    };
    const inspected: { link: LinkId; command: Command; inspection: Inspection }[] = [];
    const checks: Signed[] = [];
    for (const { link, command } of arrived) {
      try {
        const inspection = inspect(context, command);
        if (!inspection) continue;
        inspected.push({ link, command, inspection });
        checks.push(...inspection.checks);
      } catch (error) {
        this.#ports.refused(link, command, asConclaveError(error));
      }
    }
    this.#verifying = true;
    this.#ports.verify(checks, (valid) => {
      this.#verifying = false;
      let at = 0;
      for (const { link, command, inspection } of inspected) {
        const verdicts = valid.slice(at, at + inspection.checks.length);
        at += inspection.checks.length;
        if (verdicts.every(Boolean)) this.#inputs.push({ type: 'message', link, inspection });
        else this.#ports.refused(link, command, BAD_SIGNATURE);
      }
      this.#run();
    });
  }

  /** Before a step: which records that came are final already, and which predecessors. */
  #lookUp(): void {
    const opened = this.#inputs.filter(({ type }) => type === 'open');
    if (opened.length > 0 && opened.length < this.#inputs.length) {
      // What came meanwhile is looked up in a channel once that is there.
      this.#inputs = this.#inputs.filter(({ type }) => type !== 'open');
      this.#busy = true;
      return this.#step(opened);
    }
    const inputs = this.#inputs;
    this.#inputs = [];
    this.#pages.clear();
    this.#waitingBytes = this.#arrived.reduce((sum, { command }) => sum + weightOf(command), 0);
    this.#busy = true;
    const wanted: { channel: ChannelId; digest: Digest }[] = [];
    for (const input of inputs) {
      if (input.type !== 'message') continue;
      const records = recordsIn(input.inspection.what);
      const st = records.length > 0 && this.machine.channel(input.inspection.channel!);
      if (!st) continue;
      for (const digest of lookupsFor(st, records)) wanted.push({ channel: st.id, digest });
    }
    if (wanted.length === 0) return this.#step(inputs);
    const keys = wanted.map(({ channel, digest }) =>
      this.machine.channel(channel)!.keys.placed(digest),
    );
    this.#ports.getMany(keys, (values) => {
      wanted.forEach(({ channel, digest }, i) => {
        if (values[i]) rememberFact(this.machine.channel(channel)!, digest);
      });
      this.#step(inputs);
    });
  }

  #step(inputs: readonly Input[]): void {
    if (this.#stopped) return;
    const ready = this.machine.step(this.#ports.clock(), inputs);
    this.steps += 1;
    if (ready.sign.length === 0) this.#carryOut(ready);
    else this.#ports.sign(ready.sign, () => this.#carryOut(ready));
  }

  #carryOut(ready: Ready): void {
    for (const fill of ready.onSigned) fill();
    this.#sendAll(ready.early);
    if (ready.ops.length === 0) return this.#finish(ready);
    this.#ports.write(ready.batch(), ready.sync, (error) => {
      if (error === undefined) return this.#finish(ready);
      this.#stopped = true;
      this.#ports.failed(error);
    });
  }

  #sendAll(sends: readonly Send[]): void {
    for (const { links, command } of sends) {
      if (links.length > 0) this.#ports.send(links, command());
    }
  }

  #finish(ready: Ready): void {
    if (this.#stopped) return;
    this.#sendAll(ready.late);
    for (const event of ready.events) this.#ports.event(event);
    for (const s of ready.serves) this.#serve(s);
    this.#inputs.unshift(...ready.self);
    for (const { channel, proof } of ready.found) {
      const payload = { id: channel, from: this.machine.self, conviction: proof, ...NEVER_SENT };
      this.#arrived.push({ link: 0, command: { name: 'CH_PROOF', payload } });
    }
    this.#busy = false;
    for (const look of this.#looks.splice(0)) look();
    if (this.#inputs.length + this.#arrived.length > 0) this.#ports.soon(this.#run);
    else this.#ports.wake(ready.wakeAt, this.#run);
  }

  #serve(s: Serve | ServeBranch | Announce): void {
    const st = this.machine.channel(s.channel);
    if (!st) return;
    if (s.type === 'announce') {
      serveAnnounce(st, s, this.#ports, (command) => this.#ports.send([s.link], command));
      return;
    }
    const reply = (command: Outgoing): void => {
      const ctx = this.machine.context(st.id, this.#ports.clock());
      const isForAll = s.type === 'branch' && s.toAll;
      this.#ports.send(isForAll ? linksToMembers(ctx, st) : ctx.linksTo([s.to]), command);
    };
    const { self } = this.machine;
    if (s.type === 'branch') {
      const asker = `${s.channel} ${s.to} ${s.epoch}`;
      this.#serving.add(asker, 1, (reader) => serveBranch(st, self, s, reader, reply));
    } else {
      const asker = `${s.channel} ${s.to}`;
      this.#serving.add(asker, SERVES_PER_ASKER_MAX, (reader) => serve(st, self, s, reader, reply));
    }
  }
}

/** What a command has that came over a link. */
const NEVER_SENT = { timestamp: 0, nonce: new Uint8Array(8) };

const BAD_SIGNATURE = new ConclaveError('bad_signature', 'a signature does not verify');

export function asConclaveError(error: unknown): ConclaveError {
  if (error instanceof ConclaveError) return error;
  return new ConclaveError('internal', 'an unexpected error', { cause: error });
}
