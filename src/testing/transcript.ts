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

import type { CoreEvent } from '../core/effects.js';
import type { Millis } from '../core/ids.js';
import { describeBatch, describeCommand, receiverOf } from './describe.js';
import { describeEnd, describeFault } from './describe-fault.js';
import { Names } from './names.js';
import type { NodeView, SimEvent } from './observer.js';
import { OldNews } from './old-news.js';

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
  readonly #oldNews = new OldNews(this.names);
  #said: { readonly line: Line; readonly node: number } | undefined;

  constructor({ pulses = false }: TranscriptOptions = {}) {
    this.#pulses = pulses;
  }

  /** The lines that were not taken. */
  get lines(): readonly Line[] {
    return this.#lines;
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
    if (this.#oldNews.isOld(node, command) && !this.#pulses) return;
    const to = receiverOf(command);
    const receiver = to === undefined ? 'all' : this.names.user(to);
    const said = `${node} → ${receiver}`.padEnd(9);
    const text = `${said} ${command.name} ${describeCommand(this.names, command)}`.trimEnd();
    this.#said = { line: this.#add(at, command.name, text), node };
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
      case 'told': {
        const told = describeTold(this.names, event.event);
        return told && `${event.node} is told: ${told}`;
      }
      case 'fault':
        return `fault: ${describeFault(event.fault)}`;
      case 'fault-over':
        return describeEnd(describeFault(event.fault));
      case 'phase':
        return `-- ${event.phase}`;
      case 'violation':
        return `BROKEN ${event.invariant}: ${event.message}`;
      default:
        return undefined;
    }
  }
}

/** What a node tells its application; undefined for what only moves it to look again. */
export function describeTold(names: Names, event: CoreEvent): string | undefined {
  if (event.type === 'progress') {
    const at = event.seq === null ? '' : ` at ${event.seq}`;
    return `${names.record(event.digest)} is ${event.state}${at}`;
  }
  if (event.type === 'joined') return 'you are a member';
  if (event.type === 'failed') return `failed, ${event.code}`;
  if (event.type === 'note') return `${event.note}, ${event.detail}`;
  return undefined;
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
