/**
 * Sees from outside when a run is in one of the situations of marks.ts: from
 * the states of its nodes, what they send, and what they write. It has no
 * hooks in the core, and looks closer only at what is rare.
 */

import { decodeCertificate } from '../core/certificate.js';
import type { ChannelState } from '../core/channel-state.js';
import type { Outgoing } from '../core/commands.js';
import type { CoreEvent } from '../core/effects.js';
import { type ChannelId, type Digest, type EpochId, hex32, type UserId } from '../core/ids.js';
import type { Input } from '../core/input.js';
import type { ChannelKeys } from '../core/layout.js';
import { channelKeys } from '../core/layout.js';
import { isMessageLane } from '../core/log.js';
import { decodeMergeBody } from '../core/merge-record.js';
import { committedInLog } from '../core/provisional.js';
import { isArchive, minOnline, type Roster } from '../core/roster.js';
import { decodeAs, type EpochKind } from '../core/statements.js';
import type { StoreOp } from '../core/store.js';
import type { ChainEntry } from './chains.js';
import type { Fault } from './faults.js';
import { MARKS, type MarkName } from './marks.js';
import type { SimNode } from './sim-node.js';

/** Where a record's author stands in its bytes: behind version and channel. */
const AUTHOR_AT = 33;

interface Followed {
  readonly id: EpochId;
  readonly kind: EpochKind;
  readonly leads: boolean;
  /** Size of the electorate. */
  readonly electors: number;
}

/** What is known of one node. */
interface Known {
  followed: Followed | null;
  /** The last online epoch that it led, by its electorate's size. */
  ledOnline: number;
  /** Refused candidacies that were not followed by a victory yet. */
  refusedTip: number | null;
  wasRefused: boolean;
  final: number;
  /** What its roster says, and the number of that. */
  minOnline: number;
  roster: number;
  /** A write is under way. */
  writes: readonly StoreOp[] | null;
  /** Lost power in the middle of one. */
  diedWriting: readonly StoreOp[] | null;
  pulls: UserId | null;
  readonly wishes: Map<number, Digest>;
  /** The leadership that it suspects. */
  suspects: EpochId | null;
}

export class MarkWatch {
  readonly #channel: ChannelId;
  readonly #keys: ChannelKeys;
  readonly #reached = new Set<MarkName>();
  readonly #nodes = new Map<number, Known>();
  /** Candidates by kind and term. */
  readonly #candidates = new Map<string, UserId>();
  readonly #records = new Set<Digest>();
  readonly #merges: ChainEntry[] = [];
  readonly #committed = new Set<Digest>();
  readonly #faults = new Set<number>();
  /** Nodes that led an online epoch when it had committed entries. */
  readonly #committing = new Set<number>();
  readonly #nodesOfRun: readonly SimNode[];
  /** A relay forgot everything. */
  #isForgotten = false;

  constructor(channel: ChannelId, nodes: readonly SimNode[]) {
    this.#channel = channel;
    this.#nodesOfRun = nodes;
    this.#keys = channelKeys(channel);
  }

  /** What was reached, in the order of the list. */
  get names(): MarkName[] {
    return MARKS.map(({ name }) => name).filter((name) => this.#reached.has(name));
  }

  #mark(name: MarkName): void {
    this.#reached.add(name);
  }

  #known(node: number): Known {
    let known = this.#nodes.get(node);
    if (!known) {
      known = {
        ...{ followed: null, ledOnline: 0, refusedTip: null, wasRefused: false, final: 0 },
        ...{ minOnline: 0, roster: 0 },
        ...{ writes: null, diedWriting: null, pulls: null, wishes: new Map(), suspects: null },
      };
      this.#nodes.set(node, known);
    }
    return known;
  }

  /** A node's core took a step. */
  stepped(node: SimNode, inputs: readonly Input[]): void {
    const st = node.state(this.#channel);
    if (!st) return;
    const known = this.#known(node.index);
    const { leadership: lead } = st;
    const leads = st.leading !== null;
    const before = known.followed;
    if (lead?.id !== before?.id || leads !== (before?.leads ?? false)) {
      this.#changesLeader(st, known);
    }
    if (st.leading) this.#leads(node, st);
    if (st.log.final.seq > known.final) {
      if (lead?.branch) this.#mark('final-while-online');
      known.final = st.log.final.seq;
    }
    if (st.roster.number !== known.roster) this.#changesRoster(st, known);
    if (st.branches.size >= 3) this.#setOfThree(st);
    if (st.orphans.size > 0) this.#mark('orphan');
    if (st.wishes.length > 0) this.#wishes(st, known);
    if (st.roster.departed.size > 0 && this.#hasTakenOver(node, st)) this.#mark('key-replaced');
    if (known.pulls !== null) {
      for (const input of inputs) {
        const isPage = input.type === 'message' && input.inspection.what.type === 'page';
        if (isPage && input.inspection.from === known.pulls) known.pulls = null;
      }
    }
  }

  #changesRoster({ roster }: ChannelState, known: Known): void {
    const before = known.minOnline;
    known.roster = roster.number;
    known.minOnline = minOnline(roster);
    if (before > 0 && before < known.minOnline) this.#mark('archive-departed');
  }

  #changesLeader(st: ChannelState, known: Known): void {
    const before = known.followed;
    const { leadership: lead } = st;
    known.followed = lead && {
      id: lead.id,
      kind: lead.epoch.kind,
      leads: st.leading !== null,
      electors: lead.epoch.electorate.length,
    };
    if (known.suspects && lead && lead.id !== known.suspects) {
      known.suspects = null;
      if (!lead.branch) this.#mark('censor-replaced');
    }
    if (before && lead && lead.id !== before.id) {
      if (before.kind === 'online' && lead.epoch.kind === 'roster') this.#mark('online-gives-way');
      const isLed = [...this.#nodes.values()].some(
        ({ followed }) => followed?.leads && followed.id === before.id,
      );
      if (before.kind === 'online' && lead.epoch.kind === 'online' && isLed && !before.leads) {
        this.#mark('highest-followed');
      }
    }
    if (before?.leads && lead?.id !== before.id && hasUncommitted(st, before.id)) {
      this.#mark('deposed-before-commit');
    }
    if (st.leading && !(before?.leads && before.id === lead!.id)) this.#wins(st, known);
  }

  #wins(st: ChannelState, known: Known): void {
    const { epoch, branch, id } = st.leadership!;
    if (known.wasRefused) this.#mark('election-after-refusal');
    if (known.refusedTip !== null && st.log.tip.seq > known.refusedTip + 1) {
      this.#mark('better-log-copied');
    }
    known.wasRefused = false;
    known.refusedTip = null;
    const change = st.log.membershipInFlight();
    if (change && change.header.epoch !== id) this.#mark('membership-inherited');
    const leading = [...this.#nodes.values()].filter(({ followed }) => followed?.leads);
    const online = leading.filter(({ followed }) => followed!.kind === 'online').length;
    if (branch) {
      this.#mark('online-epoch');
      const isOfTwo = epoch.electorate.length === 2 && isByFew(st.roster);
      if (isOfTwo) this.#mark('online-epoch-of-two');
      if (known.ledOnline > 0 && epoch.electorate.length > known.ledOnline) {
        this.#mark('electorate-grew');
      }
      known.ledOnline = epoch.electorate.length;
    } else {
      known.ledOnline = 0;
    }
    if (online >= 2) this.#mark('online-both-sides');
    if (online >= 1 && leading.length > online) this.#mark('online-beside-roster');
    if (leading.length - online >= 2) this.#mark('two-leaders');
  }

  /** What may come true in any step of a leader. */
  #leads(node: SimNode, st: ChannelState): void {
    const { branch } = st.leadership!;
    if (st.leading!.placeable.length > 0 && !this.#reached.has('held-back')) {
      const online = node.view(this.#channel)?.online.length ?? 0;
      if (online < minOnline(st.roster)) this.#mark('held-back');
    }
    if (!this.#reached.has('placed-by-few') && isByFew(st.roster)) {
      const online = node.view(this.#channel)?.online.length;
      if (online === 2 && hasUncommitted(st, st.leadership!.id)) this.#mark('placed-by-few');
    }
    if (!branch || branch.certified === 0 || this.#reached.has('both-sides-commit')) return;
    this.#committing.add(node.index);
    const leadsOnline = (index: number): boolean => {
      const followed = this.#nodes.get(index)?.followed;
      return followed?.leads === true && followed.kind === 'online';
    };
    const others = [...this.#committing].filter((index) => index !== node.index);
    if (others.some(leadsOnline)) this.#mark('both-sides-commit');
  }

  #setOfThree(st: ChannelState): void {
    const filled = [...st.branches.values()].filter(({ size }) => size > 0).length;
    if (filled >= 3) this.#mark('set-of-three');
  }

  #hasTakenOver({ user }: SimNode, { roster }: ChannelState): boolean {
    return [...roster.departed.values()].some(({ replacedBy }) => replacedBy === user);
  }

  #wasReplaced({ user }: SimNode): boolean {
    return this.#nodesOfRun.some(
      (node) => node.state(this.#channel)?.roster.departed.get(user)?.replacedBy != null,
    );
  }

  #wishes(st: ChannelState, known: Known): void {
    for (const { token, current } of st.wishes) {
      if (!current) continue;
      const { digest } = current.record;
      const before = known.wishes.get(token);
      if (before !== undefined && before !== digest) this.#mark('wish-made-anew');
      known.wishes.set(token, digest);
    }
  }

  sending(node: SimNode, command: Outgoing, links: number): void {
    if (links > 1 && command.name !== 'BEACON') this.#mark('several-links');
    switch (command.name) {
      case 'CH_GRANT':
        return this.#refuses(command.payload);
      case 'CH_LEAD':
        return this.#stands(node, command.payload.request.s);
      case 'CH_MSG':
        if (command.payload.batch?.author === node.user && this.#wasReplaced(node))
          this.#mark('old-key-writes');
        for (const bytes of command.payload.each?.records ?? []) {
          const author = hex32<UserId>(bytes.subarray(AUTHOR_AT, AUTHOR_AT + 32));
          if (author !== node.user) this.#mark('offered-by-another');
        }
        return;
      case 'CH_APPEND':
        return this.#serves(node, command.payload);
      case 'CH_PULL':
        return this.#pulls(node, command.payload);
      case 'CH_ROSTER':
        if (this.#isForgotten && command.payload.steps.length > 0) this.#mark('relay-learnt-again');
        return;
      case 'CH_MERGE': {
        const st = node.state(this.#channel);
        if (st && !st.acks.has(command.payload.epoch)) this.#mark('branch-carried');
        return;
      }
      case 'ACK_CH_MSG': {
        const { re, to, s } = command.payload;
        if (!re) return;
        const epoch = node.state(this.#channel)?.epochs.get(decodeAs('ack', s).epoch)?.epoch;
        const isThird = epoch && epoch.leader !== node.user && epoch.leader !== to;
        if (isThird) this.#mark('confirmed-by-third');
      }
    }
  }

  #refuses(p: Extract<Outgoing, { name: 'CH_GRANT' }>['payload']): void {
    if (p.refused === undefined) return;
    const refused = this.#nodesOfRun.find(({ user }) => user === p.to);
    if (!refused) return;
    const candidate = this.#known(refused.index);
    candidate.wasRefused = true;
    if (p.refused !== 'log') return;
    this.#mark('refused-for-log');
    candidate.refusedTip ??= refused.state(this.#channel)?.log.tip.seq ?? null;
  }

  #stands(node: SimNode, statement: Uint8Array): void {
    const { kind, term } = decodeAs('lead', statement);
    const place = `${kind} ${term}`;
    const other = this.#candidates.get(place);
    if (other !== undefined && other !== node.user) this.#mark('rivals');
    this.#candidates.set(place, node.user);
  }

  #serves(node: SimNode, p: Extract<Outgoing, { name: 'CH_APPEND' }>['payload']): void {
    const st = node.state(this.#channel);
    if (!st || !p.cert || p.records.length === 0) return;
    if (!st.leading) this.#mark('page-by-non-leader');
    if (this.#reached.has('page-of-older-roster')) return;
    if (decodeCertificate(p.cert).roster < st.roster.number) this.#mark('page-of-older-roster');
  }

  #pulls(node: SimNode, p: Extract<Outgoing, { name: 'CH_PULL' }>['payload']): void {
    if (p.set || p.take || p.anchor.length === 0) return;
    const known = this.#known(node.index);
    if (known.pulls !== null && known.pulls !== p.to) this.#mark('pull-interrupted');
    known.pulls = p.to;
  }

  writing(node: SimNode, ops: readonly StoreOp[]): void {
    this.#known(node.index).writes = ops;
    for (const { key, value } of ops) {
      if (value === undefined) {
        if (key.startsWith(this.#keys.logs)) this.#mark('tail-replaced');
      } else if (key.startsWith(this.#keys.commits)) {
        this.#keepsCertificate(node, key);
      }
    }
  }

  /** A certificate beside the log: of an online epoch, or of what fell out. */
  #keepsCertificate(node: SimNode, key: string): void {
    const id = key.slice(this.#keys.commits.length).split('/')[0] as EpochId;
    const epoch = node.state(this.#channel)?.epochs.get(id)?.epoch;
    if (epoch?.kind === 'roster') this.#mark('certified-tail-displaced');
  }

  durable(node: SimNode, ops: readonly StoreOp[]): void {
    const known = this.#known(node.index);
    if (known.writes === ops) known.writes = null;
    if (known.diedWriting === ops) {
      this.#mark('write-kept');
      known.diedWriting = null;
    }
  }

  /** Called before the disk loses anything. */
  crashed(node: SimNode): void {
    const known = this.#known(node.index);
    known.diedWriting = known.writes;
    if (known.followed?.leads) this.#mark('leader-crashed');
    Object.assign(known, {
      followed: null,
      writes: null,
      pulls: null,
      ledOnline: 0,
      suspects: null,
    });
    known.wishes.clear();
  }

  started(node: SimNode): void {
    const known = this.#known(node.index);
    if (known.diedWriting) this.#mark('write-lost');
    known.diedWriting = null;
  }

  event(node: SimNode, event: CoreEvent): void {
    if (event.type === 'note' && event.note === 'leader suspected') {
      this.#known(node.index).suspects = node.state(this.#channel)?.leadership?.id ?? null;
    }
    if (event.type === 'note' && event.note === 'stepped down') this.#mark('stepped-down');
    if (event.type === 'note' && event.note === 'memory regained') this.#mark('memory-lost');
    if (event.type === 'joined' && this.#faults.size > 0) this.#mark('joined-under-fire');
    if (event.type !== 'progress') return;
    if (event.state === 'withheld') this.#mark('withheld');
    if (event.state === 'committed') this.#committed.add(event.digest);
    if (event.state === 'final' && this.#committed.has(event.digest)) this.#mark('committed-first');
  }

  /** A fault begins or ends. */
  fault(type: 'fault' | 'fault-over', index: number, fault: Fault): void {
    if (type === 'fault') this.#faults.add(index);
    else this.#faults.delete(index);
    if (fault.kind === 'relay-restart') this.#isForgotten = true;
  }

  /** All faults stop. */
  healed(): void {
    this.#faults.clear();
  }

  /** An entry stands in a log for the first time. */
  placed(entry: ChainEntry): void {
    if (entry.kind === 'merge') {
      this.#merges.push(entry);
      if (decodeMergeBody(entry.body).branches.length >= 3) this.#mark('three-branches-merged');
    } else if (entry.kind === 'message') {
      if (this.#records.has(entry.digest)) this.#mark('placed-again');
      this.#records.add(entry.digest);
    }
  }

  /** The run is over; `final` is the log that it ends with, by seq - 1. */
  finish(final: readonly { readonly entry: ChainEntry }[]): void {
    const isFinal = (entry: ChainEntry): boolean => final[entry.seq - 1]?.entry === entry;
    const merges = this.#merges.filter(isFinal);
    if (merges.length > 0) this.#mark('merged');
    const leaderships = new Set(merges.map(({ epoch }) => epoch));
    if (leaderships.size < merges.length) this.#mark('merge-in-parts');
    if (merges.length > 0 && merges.length < this.#merges.length) this.#mark('merge-displaced');
  }
}

/** Whether two are enough, and were not without an archive. */
const isByFew = (roster: Roster): boolean =>
  roster.policy.few === 'archive' &&
  minOnline(roster) === 2 &&
  [...roster.members.values()].some(isArchive);

/** Whether messages of this epoch are in the log or its branch, and not committed. */
function hasUncommitted(st: ChannelState, id: EpochId): boolean {
  const branch = st.branches.get(id);
  if (branch && branch.tip.seq > branch.certified) return true;
  const committed = committedInLog(st);
  return st.log.tail.some(
    ({ seq, header, record }) => seq > committed && header.epoch === id && isMessageLane(record),
  );
}
