/** What happened in a run, in words: a paragraph that sums it up, and its key moments. */

import type { Millis } from '../core/ids.js';
import type { DiagramRecorder, FaultPeriod, Outcome, Period } from './diagram.js';

type Seen = Pick<DiagramRecorder, 'periods' | 'faults' | 'phases' | 'posts' | 'moments'>;

/** Faults that are told one by one; of more, only how many of each kind. */
const FAULTS_TOLD_MAX = 4;
const STORY_MAX = 200;
/** All nodes of a run start within this. */
const STARTED_BY_MS = 100;

const clock = (ms: Millis): string => `${(ms / 1_000).toFixed(1)} s`;
const list = (words: readonly (string | number)[]): string =>
  words.length <= 1 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
/** `3 nodes`, `no nodes`, `1 node`. */
export const counted = (n: number, one: string, many = `${one}s`): string =>
  `${n === 0 ? 'no' : n.toLocaleString('en')} ${n === 1 ? one : many}`;

/** What an observer would say happened, for somebody who was not there. */
export function summaryOf(seen: Seen, result: Outcome, begin: Millis): string {
  const begins = seen.phases.find(({ phase }) => phase === 'load');
  const sentences = [
    `${counted(result.nodes, 'node')} over ${counted(result.relays, 'relay')}, where messages need ${result.minOnline} members online`,
    begins
      ? result.early
        ? 'Faults and load begin at once, while the channel is made'
        : `At ${clock(begins.at)} all are members of one channel, and load and faults begin`
      : 'Not all became members',
    faultsText(seen.faults),
    leadersText(seen.periods.filter(({ until }) => until > begin)),
    outcome(seen, result),
  ];
  return `${sentences.filter((text) => text !== '').join('. ')}.`;
}

function faultsText(faults: readonly FaultPeriod[]): string {
  if (faults.length === 0) return 'Nothing is broken on purpose';
  if (faults.length <= FAULTS_TOLD_MAX) {
    return faults.map((f) => `At ${clock(f.from)} ${f.text}, until ${clock(f.until)}`).join('. ');
  }
  const kinds = new Map<string, number>();
  for (const { kind } of faults) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  const told = [...kinds].map(([kind, n]) => `${n} ${kind}`);
  const last = Math.max(...faults.map(({ until }) => until));
  return `${counted(faults.length, 'fault')} (${list(told)}), the last until ${clock(last)}`;
}

function leadersText(periods: readonly Period[]): string {
  const led = periods.filter(
    ({ what, epoch }, i) =>
      what === 'leads' &&
      periods.findIndex((p) => p.what === what && p.epoch!.id === epoch!.id) === i,
  );
  if (led.length === 0) return 'Nobody ever leads';
  const online = led.filter(({ epoch }) => epoch!.kind === 'online');
  const leaders = [...new Set(led.map(({ node }) => node))].sort((a, b) => a - b);
  const text = `${counted(led.length, 'leadership')} of ${leaders.length === 1 ? 'node' : 'nodes'} ${list(leaders)}`;
  if (online.length === 0) return text;
  const first = online[0]!;
  const beside = led.find(
    (other) => other !== first && other.from < first.until && other.until > first.from,
  );
  const both = beside
    ? `; at ${clock(Math.max(first.from, beside.from))} nodes ${list([first.node, beside.node].sort((a, b) => a - b))} lead at once, each on its side`
    : '';
  return `${text}, ${online.length} of them in online epochs, which commit without a majority of all members${both}`;
}

function outcome(
  { phases, posts }: Seen,
  { violation, virtualMs, final, messages, nodes, ok }: Outcome,
): string {
  const posted = posts.reduce((sum, post) => sum + post.count, 0);
  const lost = ok && messages < posted ? '; the others never reached a disk' : '';
  const told = `${counted(posted, 'message')} ${posted === 1 ? 'is' : 'are'} posted, ${messages === posted ? 'all' : messages} of them end in the log${lost}`;
  if (violation) {
    return `${told}. At ${clock(violation.at)} the run breaks what must always hold: ${violation.invariant}`;
  }
  const healed = phases.find(({ phase }) => phase === 'settling');
  const equal = nodes === 1 ? 'the log has' : 'all nodes hold the same log of';
  return `${told}. ${healed ? `From ${clock(healed.at)} on nothing is broken, and at` : 'At'} ${clock(virtualMs)} ${equal} ${counted(final, 'entry', 'entries')}`;
}

/** Key moments: faults, who leads, who is gone, and how it ends. */
export function storyOf(seen: Seen, result: Outcome): { at: Millis; text: string }[] {
  const story: { at: Millis; text: string }[] = [];
  const add = (at: Millis, text: string): void => {
    story.push({ at, text });
  };
  const names: { readonly [phase: string]: string } = {
    load: 'load and faults begin',
    settling: 'all faults are over',
    over: result.ok ? 'all is at rest, and as it should be' : 'the run ends',
  };
  for (const { at, phase } of seen.phases) if (names[phase]) add(at, names[phase]);
  for (const { from, until, kind, text } of seen.faults) {
    // What is told of the node says more.
    if (kind === 'crash') continue;
    add(from, text);
    if (until > from) add(until, `over: ${text}`);
  }
  for (const { from, node, what, epoch } of seen.periods) {
    if (what !== 'leads') continue;
    add(from, `node ${node} leads ${epoch!.kind === 'online' ? 'online ' : ''}term ${epoch!.term}`);
  }
  for (const { at, node, kind, text } of seen.moments) {
    if (kind === 'crash') add(at, `node ${node} loses power`);
    if (kind === 'start' && at > STARTED_BY_MS) add(at, `node ${node} starts again`);
    if (kind === 'disk' && text.includes(`merge record of ${node}`)) add(at, `node ${node} merges`);
  }
  if (result.violation) {
    const { at, invariant, message } = result.violation;
    add(at, `broken: ${invariant}: ${message.split('\n')[0]}`);
  }
  return story.sort((a, b) => a.at - b.at).slice(0, STORY_MAX);
}
