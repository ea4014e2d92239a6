/**
 * The picture of a run, as data (docs/simulation.md, "Pictures"): collects the
 * events of one run (observer.ts) for a space-time diagram. A page of fixed
 * size shows it (diagram-page.ts), so what is collected is bounded: of a long
 * run signs of life are left out first, then everything outside a window.
 */

import type { FewPolicy } from '../core/genesis.js';
import type { Millis } from '../core/ids.js';
import { describeBatch, describeCommand, receiverOf } from './describe.js';
import { describeFault, describePairs, SPLIT } from './describe-fault.js';
import { Deeds } from './diagram-deeds.js';
import { counted, storyOf, summaryOf } from './diagram-story.js';
import type { Fault, FaultKind } from './faults.js';
import { Names } from './names.js';
import type { EpochView, NodeView, SimEvent } from './observer.js';
import { OldNews } from './old-news.js';
import type { Pairs } from './partitions.js';
import type { SimulateResult, Violation } from './simulate.js';
import { describeState } from './transcript.js';

/** Frames in one picture at most. */
const FRAMES_MAX = 20_000;
const MOMENTS_MAX = 20_000;

/** One copy of a frame on its way to one receiver; times in ms, negative where it never came. */
export interface Arrow {
  /** The group by which it can be hidden: its name, marked when it is a sign of life. */
  readonly group: string;
  /** A node, or null for what a relay says itself. */
  readonly from: number | null;
  readonly relay: number;
  /** Null when it was lost before the relay. */
  readonly to: number | null;
  readonly sentAt: Millis;
  readonly relayedAt: Millis;
  readonly endsAt: Millis;
  readonly lost?: string;
  readonly text: string;
}

/** What a node did or saw at one moment. */
export interface Moment {
  readonly at: Millis;
  readonly node: number;
  readonly kind: 'state' | 'disk' | 'told' | 'post' | 'refused' | 'start' | 'crash';
  readonly text: string;
}

/** How long a node was in one state. */
export interface Period {
  readonly node: number;
  readonly from: Millis;
  until: Millis;
  readonly what: 'leads' | 'follows' | 'alone' | 'down' | 'outside';
  readonly epoch?: EpochView;
  /** Why somebody leads anew, where that can be seen. */
  readonly because?: string;
}

export interface FaultPeriod {
  readonly from: Millis;
  until: Millis;
  readonly kind: Fault['kind'];
  readonly drawnFrom?: FaultKind;
  readonly text: string;
  /** What it and the splits before it amount to together. */
  readonly together?: string;
  readonly nodes: readonly number[];
  readonly relays: readonly number[];
}

export interface Diagram {
  readonly title: string;
  readonly ok: boolean;
  readonly summary: string;
  /** What was left out, if anything was. */
  readonly note: string;
  readonly facts: readonly (readonly [string, string])[];
  readonly story: readonly { readonly at: Millis; readonly text: string }[];
  readonly nodes: number;
  readonly relays: number;
  readonly from: Millis;
  readonly until: Millis;
  readonly arrows: readonly Arrow[];
  readonly moments: readonly Moment[];
  readonly periods: readonly Period[];
  readonly faults: readonly FaultPeriod[];
  readonly violation: { readonly at: Millis; readonly text: string } | null;
}

interface Frame {
  readonly group: string;
  readonly from: number | null;
  readonly relay: number;
  readonly sentAt: Millis;
  relayedAt: Millis;
  readonly text: string;
}

const NEVER = -1;

export class DiagramRecorder {
  readonly #names = new Names();
  readonly #oldNews = new OldNews(this.#names);
  readonly #frames = new Map<number, Frame>();
  #said: { readonly group: string; readonly text: string } | undefined;
  #nodes = 0;
  #relays = 0;
  readonly arrows: Arrow[] = [];
  readonly moments: Moment[] = [];
  readonly periods: Period[] = [];
  readonly faults: FaultPeriod[] = [];
  readonly phases: { readonly at: Millis; readonly phase: string }[] = [];
  readonly posts: { readonly at: Millis; readonly count: number }[] = [];
  readonly #current = new Map<number, Period>();
  #lastLed: { readonly node: number; readonly roster: number } | undefined;
  readonly #begun = new Map<number, FaultPeriod>();
  readonly #splits = new Map<number, Pairs>();
  readonly deeds = new Deeds(this.#names);
  #violation: Diagram['violation'] = null;
  #lastAt: Millis = 0;

  event(event: SimEvent): void {
    this.#names.learn(event);
    this.#lastAt = event.at;
    switch (event.type) {
      case 'begins':
        this.#nodes = event.users.length;
        this.#relays = event.relays;
        for (let node = 0; node < this.#nodes; node++) this.#period(0, node, 'down');
        return;
      case 'says':
        return this.#says(event);
      case 'sent':
      case 'relayed':
      case 'delivered':
      case 'lost':
        return this.#frame(event);
      case 'fault':
      case 'fault-over':
        return this.#fault(event);
      case 'violation':
        this.#violation = { at: event.at, text: `${event.invariant}: ${event.message}` };
        return;
      case 'phase':
        this.phases.push({ at: event.at, phase: event.phase });
        if (event.phase === 'settling') this.#endFaults(event.at);
        return;
      default:
        return this.#ofNode(event);
    }
  }

  #says({ node, command }: Extract<SimEvent, { type: 'says' }>): void {
    this.deeds.said(command);
    const isOld = this.#oldNews.isOld(node, command);
    const isHeartbeat = isOld && command.name === 'CH_PROPOSE';
    const mark = isHeartbeat
      ? ' (heartbeat)'
      : isOld && command.name !== 'BEACON'
        ? ' (again)'
        : '';
    const to = receiverOf(command);
    const receiver = to === undefined ? '' : `to ${this.#names.user(to)}: `;
    this.#said = {
      group: `${command.name}${mark}`,
      text: `${receiver}${describeCommand(this.#names, command)}`,
    };
  }

  #frame(event: Extract<SimEvent, { frame: number }>): void {
    const { at, frame } = event;
    if (event.type === 'sent') {
      const { node: from, relay, command } = event;
      const said = from === null ? undefined : this.#said;
      const group = said?.group ?? command.name;
      const text = said?.text ?? describeCommand(this.#names, command);
      const relayedAt = from === null ? at : NEVER;
      this.#frames.set(frame, { group, text, from, relay, sentAt: at, relayedAt });
      return;
    }
    const known = this.#frames.get(frame);
    if (!known) return;
    if (event.type === 'relayed') known.relayedAt = at;
    else if (event.type === 'delivered') this.arrows.push({ ...known, to: event.to, endsAt: at });
    else this.arrows.push({ ...known, to: event.to, endsAt: at, lost: event.why });
  }

  #fault(event: Extract<SimEvent, { fault: unknown }>): void {
    const { at, index, fault } = event;
    const begun = this.#begun.get(index);
    if (event.type === 'fault-over') {
      if (begun) begun.until = at;
      this.#begun.delete(index);
      this.#splits.delete(index);
      return;
    }
    const fields = fault as { node?: unknown; nodes?: unknown; pairs?: unknown; relay?: unknown };
    const nodes = [fields.node, fields.nodes, fields.pairs].flat(3);
    const isIndex = (value: unknown): value is number => typeof value === 'number';
    const period: FaultPeriod = {
      ...{ from: at, until: NEVER, kind: fault.kind, text: describeFault(fault, this.#nodes) },
      ...(fault.drawnFrom && { drawnFrom: fault.drawnFrom }),
      ...this.#together(index, fault),
      nodes: [...new Set(nodes.filter(isIndex))].sort((a, b) => a - b),
      relays: [fields.relay].filter(isIndex),
    };
    this.faults.push(period);
    this.#begun.set(index, period);
  }

  /** Splits that overlap add up. */
  #together(index: number, fault: Fault): Pick<FaultPeriod, 'together'> {
    if (fault.kind !== 'block') return {};
    this.#splits.set(index, fault.pairs);
    if (this.#splits.size === 1) return {};
    const all = describePairs([...this.#splits.values()].flat(), this.#nodes);
    return { together: `with the splits before it: ${all.replace(SPLIT, '')}` };
  }

  /** What is still broken when all faults stop ends then. */
  #endFaults(at: Millis): void {
    for (const [index, fault] of this.#begun) {
      if (fault.kind === 'gone') continue;
      fault.until = at;
      this.#begun.delete(index);
    }
    this.#splits.clear();
  }

  #ofNode(event: SimEvent): void {
    if (!('node' in event) || event.node === null) return;
    const { at, node } = event;
    const moment = (kind: Moment['kind'], text: string): void => {
      this.moments.push({ at, node, kind, text });
    };
    switch (event.type) {
      case 'started':
        this.#period(at, node, 'outside');
        return moment('start', 'starts');
      case 'crashed':
        this.#period(at, node, 'down');
        return moment('crash', 'loses power');
      case 'state':
        this.#state(at, node, event.view, event.changed);
        return;
      case 'durable': {
        this.deeds.durable(at, node, event.ops);
        const parts = describeBatch(this.#names, event.ops);
        return parts.length > 0 ? moment('disk', `on disk: ${parts.join('; ')}`) : undefined;
      }
      case 'refused':
        return moment('refused', `refuses ${event.name}: ${event.why}`);
      case 'posted':
        this.posts.push({ at, count: event.ids.length });
        this.deeds.posted(event);
        return event.ids.length > 0 ? moment('post', `posts ${event.ids.length}`) : undefined;
      case 'told': {
        const told = event.event;
        this.deeds.told(event, this.#current.get(node)?.epoch);
        if (told.type === 'joined') return moment('told', 'is a member');
        if (told.type === 'note') return moment('told', `${told.note}: ${told.detail}`);
        if (told.type !== 'progress') return;
        return moment('told', `${this.#names.record(told.digest)} is ${told.state}`);
      }
    }
  }

  #state(at: Millis, node: number, view: NodeView, changed: readonly (keyof NodeView)[]): void {
    const { epoch, leads, isMember } = view;
    if (changed.some((field) => field === 'epoch' || field === 'leads' || field === 'isMember')) {
      const what = epoch ? (leads ? 'leads' : 'follows') : isMember ? 'alone' : 'outside';
      this.#period(at, node, what, epoch ?? undefined, this.#because(what, view));
      if (what === 'leads') this.#lastLed = { node, roster: view.roster };
    }
    const text = describeState(node, view, changed)?.slice(`${node} `.length);
    const log = changed.includes('tip') || changed.includes('final');
    if (text || log) {
      const where = `log ${view.tip}, committed ${view.committed}, final ${view.final}`;
      this.moments.push({ at, node, kind: 'state', text: text ? `${text} (${where})` : where });
    }
  }

  #because(what: Period['what'], { roster }: NodeView): string | undefined {
    const last = this.#lastLed;
    if (what !== 'leads' || !last) return undefined;
    if (roster > last.roster) return 'the roster changed';
    return this.#current.get(last.node)?.what === 'down' ? `node ${last.node} is down` : undefined;
  }

  #period(
    at: Millis,
    node: number,
    what: Period['what'],
    epoch?: EpochView,
    because?: string,
  ): void {
    const before = this.#current.get(node);
    if (before && before.what === what && before.epoch?.id === epoch?.id) return;
    if (before) before.until = at;
    const period: Period = {
      ...{ node, from: at, until: NEVER, what },
      ...(epoch && { epoch }),
      ...(because !== undefined && { because }),
    };
    this.#current.set(node, period);
    this.periods.push(period);
  }

  /** The picture, once the run is over; from `begin` on. */
  finish(outcome: Outcome, begin: Millis = 0): Diagram {
    const end = this.#lastAt;
    for (const period of [...this.#current.values(), ...this.#begun.values()]) period.until = end;
    const { arrows, moments, from, until, note } = bounded(
      this.arrows.filter((arrow) => arrow.sentAt >= begin),
      this.moments.filter((moment) => moment.at >= begin),
      { begin, end, at: this.#violation?.at ?? outcome.loadAt },
    );
    const { title, ok, facts } = outcome;
    return {
      ...{ title, ok, facts, note, arrows, moments, from, until },
      summary: summaryOf(this, outcome, begin),
      story: storyOf(this, outcome).filter(({ at }) => at >= begin),
      nodes: this.#nodes,
      relays: this.#relays,
      periods: this.periods
        .filter((p) => p.until > from && p.from < until)
        .map((p) => ({ ...p, from: Math.max(p.from, from) })),
      faults: this.faults.filter((f) => f.until >= from && f.from <= until),
      violation: this.#violation ?? violationOf(outcome),
    };
  }
}

const violationOf = ({ violation }: Outcome): Diagram['violation'] =>
  violation ? { at: violation.at, text: `${violation.invariant}: ${violation.message}` } : null;

/** What is known of a run once it is over. */
export interface Outcome {
  readonly title: string;
  readonly ok: boolean;
  readonly violation?: Pick<Violation, 'at' | 'invariant' | 'message'>;
  readonly nodes: number;
  readonly relays: number;
  readonly minOnline: number;
  readonly few: FewPolicy;
  readonly archives: number;
  /** Faults and load began with the run. */
  readonly early: boolean;
  readonly loadAt: Millis;
  readonly virtualMs: Millis;
  /** Entries of the final log, and how many of them are messages. */
  readonly final: number;
  readonly messages: number;
  readonly facts: Diagram['facts'];
}

export function outcomeOf(result: SimulateResult): Outcome {
  const { seed, ok, violation, plan, loadAt, virtualMs, final, messages } = result;
  const { nodes, relays, minOnline, few, archives, early } = plan;
  return {
    title: `seed ${seed}: ${counted(nodes, 'node')}, ${counted(relays, 'relay')}`,
    ...{ ok, nodes, relays, minOnline, few, archives, early, loadAt, virtualMs, final, messages },
    ...(violation && { violation }),
    facts: [
      ['steps of the core', result.steps.toLocaleString('en')],
      ['frames', result.frames.toLocaleString('en')],
      ['leaderships by a majority of all members', String(result.terms)],
      ['marks reached', result.marks.join(', ') || 'none'],
      ['trace', result.traceHash],
    ],
  };
}

interface Bounded {
  readonly arrows: readonly Arrow[];
  readonly moments: readonly Moment[];
  readonly from: Millis;
  readonly until: Millis;
  readonly note: string;
}

const isSignOfLife = ({ group }: Arrow): boolean => group === 'BEACON' || group.endsWith(')');

/** All of a run that fits, else without signs of life, else what is around `at`. */
export function bounded(
  arrows: readonly Arrow[],
  moments: readonly Moment[],
  { begin, end, at }: { readonly begin: Millis; readonly end: Millis; readonly at: Millis },
  most = { frames: FRAMES_MAX, moments: MOMENTS_MAX },
): Bounded {
  const whole = { from: begin, until: end };
  if (arrows.length <= most.frames && moments.length <= most.moments) {
    return { arrows, moments, ...whole, note: '' };
  }
  const spoken = arrows.filter((arrow) => !isSignOfLife(arrow));
  if (spoken.length <= most.frames && moments.length <= most.moments) {
    const note = `beacons, heartbeats and repetitions are left out: ${arrows.length - spoken.length} frames`;
    return { arrows: spoken, moments, ...whole, note };
  }
  const around = (time: Millis): number => Math.abs(time - at);
  const farthest = (times: number[], max: number): number =>
    times.length <= max ? Number.POSITIVE_INFINITY : times.sort((a, b) => a - b)[max]!;
  const reach = Math.min(
    farthest(
      spoken.map((a) => around(a.sentAt)),
      most.frames,
    ),
    farthest(
      moments.map((m) => around(m.at)),
      most.moments,
    ),
  );
  const from = Math.max(begin, at - reach);
  const until = Math.min(end, at + reach);
  const isInside = (time: Millis): boolean => time >= from && time <= until;
  return {
    arrows: spoken.filter((a) => isInside(a.sentAt)).slice(0, most.frames),
    moments: moments.filter((m) => isInside(m.at)).slice(0, most.moments),
    ...{ from, until },
    note: `only ${(from / 1_000).toFixed(1)} s to ${(until / 1_000).toFixed(1)} s of the run are drawn, without beacons, heartbeats and repetitions`,
  };
}
