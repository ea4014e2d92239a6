/**
 * What can be seen of a run: one stream of events, from which pictures,
 * transcripts and logs are made (docs/simulation.md, "Watching a run"). A run
 * that nobody observes builds none of these.
 *
 * Events come in the order in which things happen. Nodes and relays are named
 * by their index, times are virtual.
 */

import type { Outgoing } from '../core/commands.js';
import type { Hash } from '../core/crypto.js';
import type { CoreEvent } from '../core/effects.js';
import type { ChannelId, Digest, EpochId, Millis, Ulid, UserId } from '../core/ids.js';
import { committedInLog } from '../core/provisional.js';
import type { EpochKind } from '../core/statements.js';
import type { StoreOp } from '../core/store.js';
import type { Fault } from './faults.js';
import type { SimNode } from './sim-node.js';
import type { Timeline } from './timeline.js';

/** A node's channel as its core has it, in short. */
export interface NodeView {
  /** Highest terms that it promised, for each kind of epoch. */
  readonly term: number;
  readonly onlineTerm: number;
  /** The live epoch that it follows or leads. */
  readonly epoch: EpochView | null;
  readonly leads: boolean;
  /** Stage of the election in which it stands. */
  readonly stands: 'prevote' | 'ballots' | null;
  /** Last entry of its log. */
  readonly tip: number;
  readonly tipHash: Digest;
  /** Up to here the log is committed, and final. */
  readonly committed: number;
  readonly final: number;
  /** The chain of the online epoch that it follows or leads: how far, and up to where committed. */
  readonly branchTip: number;
  readonly branchCommitted: number;
  /** Branches of the provisional set, and the places in them. */
  readonly branches: number;
  readonly places: number;
  readonly roster: number;
  readonly isMember: boolean;
  /** Why it stopped for good. */
  readonly stopped: string | null;
}

export interface EpochView {
  readonly id: EpochId;
  readonly kind: EpochKind;
  readonly term: number;
  readonly leader: number;
}

/**
 * Why a frame did not arrive: lost on the way, a link cut, no link any more, a
 * narrow link with too much before it, or a relay that did not forward it.
 */
export type Loss = 'loss' | 'cut' | 'closed' | 'full' | 'blocked';

/**
 * A frame goes from a node to a relay (`sent`, `relayed`), and a copy from
 * there to each receiver (`delivered`). `node` is null for what a relay says
 * for itself.
 */
export type FrameEvent =
  | {
      readonly type: 'sent';
      readonly frame: number;
      readonly node: number | null;
      readonly relay: number;
      readonly command: Outgoing;
    }
  | { readonly type: 'relayed'; readonly frame: number; readonly relay: number }
  | {
      readonly type: 'delivered';
      readonly frame: number;
      readonly relay: number;
      readonly to: number;
    }
  /** `to` is null when it was lost before the relay. */
  | {
      readonly type: 'lost';
      readonly frame: number;
      readonly relay: number;
      readonly to: number | null;
      readonly why: Loss;
    };

export type Phase = 'joining' | 'load' | 'settling' | 'over';

export type SimEvent = { readonly at: Millis } /** Always the first. */ & (
  | {
      readonly type: 'begins';
      /** The run's hash, which may be a fast one. */
      readonly hash: Hash;
      readonly channel: ChannelId;
      readonly users: readonly UserId[];
      readonly relays: number;
      readonly minOnline: number;
    }
  | { readonly type: 'phase'; readonly phase: Phase }
  | { readonly type: 'started'; readonly node: number }
  | { readonly type: 'crashed'; readonly node: number }
  /** A step changed what one sees of the node: `changed` names the fields. */
  | {
      readonly type: 'state';
      readonly node: number;
      readonly step: number;
      readonly view: NodeView;
      readonly changed: readonly (keyof NodeView)[];
    }
  /** A command leaves the node, over how many links ever. */
  | { readonly type: 'says'; readonly node: number; readonly command: Outgoing }
  | FrameEvent
  | { readonly type: 'durable'; readonly node: number; readonly ops: readonly StoreOp[] }
  | { readonly type: 'refused'; readonly node: number; readonly name: string; readonly why: string }
  /** The application handed messages to its node. */
  | { readonly type: 'posted'; readonly node: number; readonly ids: readonly Ulid[] }
  /** The node told its application something. */
  | { readonly type: 'told'; readonly node: number; readonly event: CoreEvent }
  /** `index` is the fault's place in the plan; its victims are resolved. */
  | { readonly type: 'fault'; readonly index: number; readonly fault: Fault }
  | { readonly type: 'fault-over'; readonly index: number; readonly fault: Fault }
  | { readonly type: 'violation'; readonly invariant: string; readonly message: string }
);

export type Observer = (event: SimEvent) => void;

/** Omit that keeps the members of a union apart. */
type Without<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

const FIELDS: readonly (keyof NodeView)[] = [
  'term',
  'onlineTerm',
  'epoch',
  'leads',
  'stands',
  'tip',
  'tipHash',
  'committed',
  'final',
  'branchTip',
  'branchCommitted',
  'branches',
  'places',
  'roster',
  'isMember',
  'stopped',
];

/** Turns what happens in a run into events for an observer. */
export class Reporter {
  readonly #observer: Observer;
  readonly #timeline: Timeline;
  readonly #channel: ChannelId;
  readonly #indexOf: ReadonlyMap<UserId, number>;
  readonly #views = new Map<number, NodeView>();

  constructor(
    observer: Observer,
    timeline: Timeline,
    channel: ChannelId,
    users: readonly UserId[],
  ) {
    this.#observer = observer;
    this.#timeline = timeline;
    this.#channel = channel;
    this.#indexOf = new Map(users.map((user, index) => [user, index]));
  }

  tell(event: Without<SimEvent, 'at'>): void {
    this.#observer({ at: this.#timeline.now, ...event } as SimEvent);
  }

  started(node: SimNode): void {
    this.tell({ type: 'started', node: node.index });
  }

  crashed(node: SimNode): void {
    this.#views.delete(node.index);
    this.tell({ type: 'crashed', node: node.index });
  }

  stepped(node: SimNode, step: number): void {
    const view = this.#view(node);
    if (!view) return;
    const before = this.#views.get(node.index);
    const changed = FIELDS.filter((field) => !before || isOther(before[field], view[field]));
    if (changed.length === 0) return;
    this.#views.set(node.index, view);
    this.tell({ type: 'state', node: node.index, step, view, changed });
  }

  #view(node: SimNode): NodeView | undefined {
    const st = node.state(this.#channel);
    if (!st) return undefined;
    const lead = st.leadership?.live || st.leading ? st.leadership : null;
    const { final, tip } = st.log;
    return {
      term: st.hard.roster.term,
      onlineTerm: st.hard.online.term,
      epoch: lead && {
        id: lead.id,
        kind: lead.epoch.kind,
        term: lead.epoch.term,
        leader: this.#indexOf.get(lead.epoch.leader) ?? -1,
      },
      leads: st.leading !== null,
      stands: st.election?.stage ?? null,
      tip: tip.seq,
      tipHash: tip.hash,
      committed: committedInLog(st),
      final: final.seq,
      branchTip: lead?.branch?.tip.seq ?? 0,
      branchCommitted: lead?.branch?.certified ?? 0,
      branches: st.branches.size,
      places: [...st.branches.values()].reduce((sum, { size }) => sum + size, 0),
      roster: st.roster.number,
      isMember: st.roster.members.has(node.user),
      stopped: st.conflict,
    };
  }
}

function isOther(a: NodeView[keyof NodeView], b: NodeView[keyof NodeView]): boolean {
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return a !== b;
  return a.id !== b.id;
}
