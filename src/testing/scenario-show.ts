/** What a scenario's `show` prints of a node: its log, its status, itself in a line. */

import type { Ulid } from '../core/ids.js';
import {
  channelKeys,
  decodeEntry,
  decodeFinal,
  decodeHardState,
  type Entry,
  FRESH_HARD_STATE,
} from '../core/layout.js';
import { isMessageLane } from '../core/log.js';
import { committedInLog } from '../core/provisional.js';
import type { ChannelRecord } from '../core/record.js';
import { provisional } from '../core/view.js';
import type { Stage } from './scenario-stage.js';
import type { SimNode } from './sim-node.js';

/** How sure a record's place is, as the node itself knows. */
export type PlaceState = 'placed' | 'committed' | 'final';

export interface ShownEntry extends Pick<Entry, 'seq' | 'header' | 'record'> {
  readonly state: PlaceState;
}

/** The log as the node's disk has it, whether or not the node is up. */
export function logOf({ cluster }: Stage, node: SimNode): ShownEntry[] {
  const { channel } = cluster.app;
  const keys = channelKeys(channel);
  const stored = node.disk.get(keys.final);
  const final = stored ? decodeFinal(stored).seq : 0;
  const state = node.state(channel);
  const committed = state ? committedInLog(state) : final;
  const stateAt = (seq: number): PlaceState =>
    seq <= final ? 'final' : seq <= committed ? 'committed' : 'placed';
  return node.disk.scan(keys.logs).map(([, value]) => {
    const { seq, header, record } = decodeEntry(cluster.crypto.sha256, value);
    return { seq, header, record, state: stateAt(seq) };
  });
}

/** How sure a message's place is on a node, in its log or beside it; undefined where it has none. */
export function placeOf(stage: Stage, node: SimNode, id: Ulid): PlaceState | undefined {
  const st = node.state(stage.cluster.app.channel);
  const beside = st && provisional(st).find(({ record }) => record.id === id)?.state;
  if (beside === 'committed') return beside;
  const inLog = logOf(stage, node).find(({ record }) => record.id === id)?.state;
  return inLog ?? (beside === 'sent' ? 'placed' : undefined);
}

/** What a reader on the node sees from `from` on: final messages, then all that is not final, in order. */
export function showPage(stage: Stage, node: SimNode, from: number): string[] {
  const { names } = stage.transcript;
  const line = (record: ChannelRecord, state: string): string =>
    `${names.record(record.digest)} of ${names.user(record.author)}: ${state}`;
  const final = logOf(stage, node).filter(({ seq, state }) => seq >= from && state === 'final');
  const st = node.state(stage.cluster.app.channel);
  return [
    ...final.map(({ seq, record }) => ({ record, state: `final at ${seq}` })),
    ...(st ? provisional(st) : []),
  ]
    .filter(({ record }) => isMessageLane(record))
    .map(({ record, state }) => line(record, state));
}

/** The branches of the provisional set: `online term 9 of 3: 1 "hello", 2 "there"; committed 2`. */
export function showSet(stage: Stage, node: SimNode): string[] {
  const { names } = stage.transcript;
  const branches = [...(node.state(stage.cluster.app.channel)?.branches.values() ?? [])];
  const shown = branches
    .filter(({ size }) => size > 0)
    .map((branch) => {
      const places = branch
        .digests()
        .map((digest) => `${branch.seqOf(digest)} ${names.record(digest)}`);
      return `${names.epoch(branch.id)}: ${places.join(', ')}; committed ${branch.certified}`;
    });
  return shown.length > 0 ? shown.sort() : ['nothing beside the log'];
}

/** `12 "hello" of 1, term 5: final`. */
export function showLog(stage: Stage, node: SimNode, from: number): string[] {
  const { names } = stage.transcript;
  return logOf(stage, node)
    .filter(({ seq }) => seq >= from)
    .map(({ seq, header, record, state }) => {
      const author = isMessageLane(record) ? ` of ${names.user(record.author)}` : '';
      return `${seq} ${names.record(record.digest)}${author}, term ${header.term}: ${state}`;
    });
}

/** What a node's disk says it has promised: `0 has promised term 8, online term 9`. */
export function showPromises({ cluster }: Stage, node: SimNode): string {
  const stored = node.disk.get(channelKeys(cluster.app.channel).hard);
  const { roster, online } = stored ? decodeHardState(stored) : FRESH_HARD_STATE;
  return `${node.index} has promised term ${roster.term}, online term ${online.term}`;
}

/** What `status` tells the node's user. */
export function showStatus(stage: Stage, node: SimNode): string[] {
  const view = node.view(stage.cluster.app.channel);
  if (!view) return [`${node.index} is ${node.isUp ? 'no member' : 'down'}`];
  const { names } = stage.transcript;
  const { state, leader, epoch, online, waiting, queued, sent, committed } = view;
  const kind = epoch?.kind === 'online' ? 'online ' : '';
  const led = leader && epoch ? `, led by ${names.user(leader)} in ${kind}term ${epoch.term}` : '';
  const counts = { queued, sent, committed };
  const own = Object.entries(counts).flatMap(([what, n]) => (n > 0 ? [`${n} ${what}`] : []));
  const lines = [
    `${node.index} is ${state}${led}; online: ${names.users(online)}${own.map((text) => `; ${text}`).join('')}`,
  ];
  if (waiting) lines.push(`waiting: ${waiting.reason}; missing: ${names.users(waiting.missing)}`);
  return lines;
}

/** `0 leads term 5; log 13, final 13`. */
export function showNode(stage: Stage, node: SimNode): string {
  const st = node.state(stage.cluster.app.channel);
  if (!st) return `${node.index} is ${node.isUp ? 'no member' : 'down'}`;
  const { names } = stage.transcript;
  const lead = st.leading || st.leadership?.live ? st.leadership : null;
  const kind = lead?.epoch.kind === 'online' ? 'online ' : '';
  const does = !lead
    ? 'follows nobody'
    : st.leading
      ? `leads ${kind}term ${lead.epoch.term}`
      : `follows ${names.user(lead.epoch.leader)} in ${kind}term ${lead.epoch.term}`;
  return `${node.index} ${does}; log ${st.log.tip.seq}, final ${st.log.final.seq}`;
}
