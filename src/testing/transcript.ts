/**
 * A run as text, one line for each thing that happened: commands with sender,
 * receiver and essential fields, what became durable, state changes, faults
 * (docs/simulation.md, "Transcripts"). The lines carry no times of their own,
 * so that they change only when the exchange does.
 *
 *     1 → all   CH_MSG "hello"
 *     0 has on disk: log 7 "hello"
 *     0 leads term 3
 */

import type { Outgoing } from '../core/commands.js';
import type { CoreEvent } from '../core/effects.js';
import type { Millis } from '../core/ids.js';
import { describeBatch, describeCommand, isPulse, receiverOf } from './describe.js';
import type { Fault, Victim } from './faults.js';
import { Names } from './names.js';
import type { NodeView, SimEvent } from './observer.js';

export interface Line {
  readonly at: Millis;
  /** The name of a command, or what else it tells of: `disk`, `state`, `told` … */
  readonly kind: string;
  text: string;
}

export interface TranscriptOptions {
  /** Beacons, heartbeats and what is said again too, and what relays say for themselves. */
  readonly pulses?: boolean;
}

/** Kinds of lines that are not called like their event. */
const KINDS: { readonly [type: string]: string } = {
  durable: 'disk',
  crashed: 'node',
  started: 'node',
};

/** Turns events into lines; those that did not reach somebody are completed later. */
export class Transcript {
  readonly names = new Names();
  readonly #pulses: boolean;
  #lines: Line[] = [];
  #lastAt: Millis = 0;
  /** The line of a frame, and whom it missed. */
  readonly #frames = new Map<
    number,
    { readonly line: Line; readonly text: string; missed: Set<number> }
  >();
  /** What each node said last of what it says again and again. */
  readonly #repeated = new Map<string, string>();
  #said: { readonly line: Line; readonly node: number } | undefined;

  constructor({ pulses = false }: TranscriptOptions = {}) {
    this.#pulses = pulses;
  }

  /** The lines since the last call. */
  take(): Line[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }

  event(event: SimEvent): void {
    this.names.learn(event);
    if (event.type !== 'sent') this.#said = undefined;
    switch (event.type) {
      case 'says':
        return this.#says(event);
      case 'sent':
        return this.#sent(event);
      case 'lost':
        return this.#lost(event);
      default: {
        const text = this.#describe(event);
        if (text !== undefined) this.#add(event.at, KINDS[event.type] ?? event.type, text);
      }
    }
  }

  /** When the last line was added. */
  get lastAt(): Millis {
    return this.#lastAt;
  }

  #add(at: Millis, kind: string, text: string): Line {
    this.#lastAt = at;
    const line = { at, kind, text };
    this.#lines.push(line);
    return line;
  }

  #says({ at, node, command }: Extract<SimEvent, { type: 'says' }>): void {
    if (!this.#pulses && this.#isOldNews(node, command)) return;
    const to = receiverOf(command);
    const receiver = to === undefined ? 'all' : this.names.user(to);
    const said = `${node} → ${receiver}`.padEnd(9);
    const text = `${said} ${command.name} ${describeCommand(this.names, command)}`.trimEnd();
    this.#said = { line: this.#add(at, command.name, text), node };
  }

  /** Signs of life, what is said again in answer to them, and what only concerns a relay. */
  #isOldNews(node: number, command: Outgoing): boolean {
    if (isPulse(command) || command.name === 'CH_ROSTER') return true;
    const isRepeated =
      (command.name === 'ACK_CH_MSG' && !command.payload.re) ||
      (command.name === 'CH_PULL' && command.payload.set !== undefined);
    if (!isRepeated) return false;
    const place = `${node} ${command.name} ${receiverOf(command) ?? 'all'}`;
    const text = describeCommand(this.names, command);
    if (this.#repeated.get(place) === text) return true;
    this.#repeated.set(place, text);
    return false;
  }

  #sent({ at, frame, node, relay, command }: Extract<SimEvent, { type: 'sent' }>): void {
    if (node === null) {
      if (!this.#pulses) return;
      const said = `relay ${relay}`.padEnd(9);
      this.#add(
        at,
        command.name,
        `${said} ${command.name} ${describeCommand(this.names, command)}`,
      );
      return;
    }
    const said = this.#said;
    if (said) this.#frames.set(frame, { line: said.line, text: said.line.text, missed: new Set() });
  }

  #lost({ frame, to, relay }: Extract<SimEvent, { type: 'lost' }>): void {
    const known = this.#frames.get(frame);
    if (!known) return;
    const { line, text, missed } = known;
    if (to === null) {
      line.text = `${text}   ✗ lost before relay ${relay}`;
    } else {
      missed.add(to);
      line.text = `${text}   ✗ not to ${[...missed].sort((a, b) => a - b).join(' ')}`;
    }
  }

  #describe(event: SimEvent): string | undefined {
    switch (event.type) {
      case 'started':
        return `${event.node} starts`;
      case 'crashed':
        return `${event.node} crashes`;
      case 'state':
        return describeState(event.node, event.view, event.changed);
      case 'durable': {
        const parts = describeBatch(this.names, event.ops);
        return parts.length > 0 ? `${event.node} has on disk: ${parts.join('; ')}` : undefined;
      }
      case 'refused':
        return `${event.node} refuses ${event.name}: ${event.why}`;
      case 'told':
        return this.#told(event.node, event.event);
      case 'fault':
        return `fault: ${describeFault(event.fault)}`;
      case 'fault-over':
        return `over: ${describeFault(event.fault)}`;
      case 'phase':
        return `-- ${event.phase}`;
      case 'violation':
        return `BROKEN ${event.invariant}: ${event.message}`;
      default:
        return undefined;
    }
  }

  #told(node: number, event: CoreEvent): string | undefined {
    if (event.type === 'progress') {
      const at = event.seq === null ? '' : ` at ${event.seq}`;
      return `${node} is told: ${this.names.record(event.digest)} is ${event.state}${at}`;
    }
    if (event.type === 'joined') return `${node} is told: you are a member`;
    if (event.type === 'failed') return `${node} is told: failed, ${event.code}`;
    if (event.type === 'note') return `${node} is told: ${event.note}, ${event.detail}`;
    return undefined;
  }
}

/** What a change of state means; undefined for changes that other lines show. */
export function describeState(
  node: number,
  view: NodeView,
  changed: readonly (keyof NodeView)[],
): string | undefined {
  const parts: string[] = [];
  const { epoch } = view;
  if (changed.includes('epoch') || changed.includes('leads')) {
    const kind = epoch?.kind === 'online' ? 'online ' : '';
    if (!epoch) parts.push('follows nobody');
    else if (view.leads) parts.push(`leads ${kind}term ${epoch.term}`);
    else parts.push(`follows ${epoch.leader} in ${kind}term ${epoch.term}`);
  }
  if (changed.includes('stands') && view.stands === 'prevote') parts.push('stands for election');
  if (changed.includes('committed') && view.committed > view.final) {
    parts.push(`committed ${view.committed}`);
  }
  if (changed.includes('stopped') && view.stopped) parts.push(`stops: ${view.stopped}`);
  return parts.length > 0 ? `${node} ${parts.join(', ')}` : undefined;
}

const pairsOf = (pairs: readonly (readonly [number, number])[]): string =>
  pairs.length > 8 ? `${pairs.length} pairs` : pairs.map(([a, b]) => `${a}→${b}`).join(' ');

const nodesOf = (nodes: readonly number[]): string => `nodes ${nodes.join(', ')}`;
const linkOf = ({ node, relay }: { node: Victim; relay: number }): string =>
  `the link of node ${node} to relay ${relay}`;

/** A fault in words. */
export function describeFault(fault: Fault): string {
  switch (fault.kind) {
    case 'crash':
      return `node ${fault.node} loses power${fault.inWrite ? ' in its next write' : ''}`;
    case 'pause':
      return `node ${fault.node} pauses`;
    case 'slow':
      return `node ${fault.node} takes up to ${fault.ms} ms for everything`;
    case 'clock':
      return `the clock of node ${fault.node} jumps by ${fault.ms} ms`;
    case 'disk-full':
      return `the disk of node ${fault.node} is full`;
    case 'disk-sync':
      return `the disk of node ${fault.node} fails to sync`;
    case 'slow-disk':
      return `the disk of node ${fault.node} takes ${fault.ms} ms`;
    case 'damage':
      return `a value on the disk of node ${fault.node} is damaged`;
    case 'old-disk':
      return `${nodesOf(fault.nodes)} lose power and come back with ${
        fault.copiedAt === null ? 'empty disks' : `their disks of ${fault.copiedAt} ms`
      }`;
    case 'cut':
      return `${linkOf(fault)} is cut (${fault.directions.join(', ')})`;
    case 'clog':
      return `${linkOf(fault)} is clogged (${fault.directions.join(', ')})`;
    case 'narrow':
      return `${linkOf(fault)} carries ${fault.bytesPerMs.toFixed(1)} bytes a millisecond`;
    case 'half-open':
      return `${linkOf(fault)} is half open: the ${fault.gone} is gone`;
    case 'dead':
      return `${linkOf(fault)} connects and carries nothing`;
    case 'reset':
      return `${linkOf(fault)} is reset`;
    case 'isolate':
      return `node ${fault.node} is cut off (${fault.directions.join(', ')})`;
    case 'block':
      return `nothing passes ${pairsOf(fault.pairs)}`;
    case 'relay-split':
      return fault.sides
        .map((side, relay) => `${nodesOf(side)} reach relay ${relay} alone`)
        .join(', ');
    case 'relay-restart':
      return `relay ${fault.relay} restarts and knows nothing`;
    case 'relay-forgets':
      return `relay ${fault.relay} forgets its channels`;
    case 'lying-relay':
      return `relay ${fault.relay} lies`;
    case 'weather':
      return fault.node === undefined
        ? 'the weather changes'
        : `the weather of node ${fault.node} changes`;
  }
}
