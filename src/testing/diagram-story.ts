/** What happened in a run, in words: a paragraph that sums it up, and its key moments. */

import type { Millis } from '../core/ids.js';
import { countFaults, describeEnd } from './describe-fault.js';
import type { DiagramRecorder, FaultPeriod, Outcome, Period } from './diagram.js';
import type { Told } from './diagram-deeds.js';

type Seen = Pick<DiagramRecorder, 'periods' | 'faults' | 'phases' | 'posts' | 'moments' | 'deeds'>;

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
const beside = ({ few, archives }: Outcome): string =>
  few === 'always' ? '' : ` beside an archive, else 3; ${counted(archives, 'archive')} joined`;

export function summaryOf(seen: Seen, result: Outcome, begin: Millis): string {
  const begins = seen.phases.find(({ phase }) => phase === 'load');
  const load = seen.faults.length > 0 ? 'load and faults begin' : 'load begins';
  const sentences = [
    `${counted(result.nodes, 'node')} over ${counted(result.relays, 'relay')}, where messages need ${result.minOnline} members online${beside(result)}`,
    begins
      ? result.early
        ? `At once, while the channel is made, ${load}`
        : `At ${clock(begins.at)} all are members of one channel, and ${load}`
      : 'Not all became members',
    faultsText(seen.faults),
    leadersText(
      seen.periods.filter(({ until }) => until > begin),
      result.loadAt,
    ),
    outcome(seen, result),
  ];
  return `${sentences.filter((text) => text !== '').join('. ')}.`;
}

const beginning = ({ text, together }: FaultPeriod): string =>
  together === undefined ? text : `${text} (${together})`;

const isForEver = ({ kind }: FaultPeriod): boolean => kind === 'gone';

function faultsText(faults: readonly FaultPeriod[]): string {
  if (faults.length === 0) return 'Nothing is broken on purpose';
  if (faults.length <= FAULTS_TOLD_MAX) {
    return faults
      .map(
        (f) =>
          `At ${clock(f.from)} ${beginning(f)}${isForEver(f) ? '' : `, until ${clock(f.until)}`}`,
      )
      .join('. ');
  }
  const last = Math.max(...faults.filter((f) => !isForEver(f)).map(({ until }) => until));
  const splits = faults.filter(({ kind }) => kind === 'block');
  const overlap = splits.some((a, i) =>
    splits.some((b, j) => j > i && b.from < a.until && a.from < b.until),
  );
  const sum = overlap ? '; splits that overlap add up' : '';
  const end = Number.isFinite(last) ? `, the last until ${clock(last)}` : '';
  return `${counted(faults.length, 'fault')} (${countFaults(faults).join(', ')})${end}${sum}`;
}

/** The first period of each leadership. */
const leaderships = (periods: readonly Period[]): Period[] =>
  periods.filter(
    ({ what, epoch }, i) =>
      what === 'leads' &&
      periods.findIndex((p) => p.what === what && p.epoch!.id === epoch!.id) === i,
  );

const nodesOf = (periods: readonly Period[]): string => {
  const nodes = [...new Set(periods.map(({ node }) => node))].sort((a, b) => a - b);
  return `${nodes.length === 1 ? 'node' : 'nodes'} ${list(nodes)}`;
};

function leadersText(periods: readonly Period[], loadAt: Millis): string {
  const led = leaderships(periods);
  if (led.length === 0) return 'Nobody ever leads';
  const online = led.filter(({ epoch }) => epoch!.kind === 'online');
  const roster = led.filter(({ epoch }) => epoch!.kind === 'roster');
  const early = roster.filter(({ from }) => from < loadAt).length;
  const joining = early > 0 ? `, ${early} of them while the members join` : '';
  const text =
    roster.length === 0
      ? 'Nobody leads by a majority of all members'
      : `${counted(roster.length, 'leadership')} by a majority of all members (${nodesOf(roster)})${joining}`;
  if (online.length === 0) return text;
  const first = online[0]!;
  const beside = led.find(
    (other) => other !== first && other.from < first.until && other.until > first.from,
  );
  const both = beside
    ? `; at ${clock(Math.max(first.from, beside.from))} nodes ${list([first.node, beside.node].sort((a, b) => a - b))} lead at once, each on its side`
    : '';
  const where =
    online.length === 1
      ? `1 in an online epoch (${nodesOf(online)}), which commits`
      : `${online.length} in online epochs (${nodesOf(online)}), which commit`;
  return `${text}, and ${where} without one${both}`;
}

function postedText(posted: number, messages: number, ok: boolean): string {
  if (posted === 0) return 'Nothing is posted';
  const areLost = ok && messages < posted;
  if (posted === 1) {
    if (messages === 1) return '1 message is posted, and ends in the log';
    return `1 message is posted${areLost ? ', and never reaches a disk' : ''}`;
  }
  const all = messages === posted ? 'all' : messages === 0 ? 'none' : String(messages);
  const rest = areLost ? '; the others never reached a disk' : '';
  return `${counted(posted, 'message')} are posted, ${all} of them end in the log${rest}`;
}

function outcome(
  { phases, posts, faults }: Seen,
  { violation, virtualMs, final, messages, nodes, ok }: Outcome,
): string {
  const posted = posts.reduce((sum, post) => sum + post.count, 0);
  const areGone = faults.some(isForEver);
  const told = postedText(posted, messages, ok && !areGone);
  if (violation) {
    return `${told}. At ${clock(violation.at)} the run breaks what must always hold: ${violation.invariant}`;
  }
  const healed = phases.find(({ phase }) => phase === 'settling');
  const all = areGone ? 'all nodes that are left' : 'all nodes';
  const equal = nodes === 1 ? 'the log has' : `${all} hold the same log of`;
  const broken = areGone ? 'nothing else is broken' : 'nothing is broken';
  const since = faults.length > 0 ? broken : 'nobody posts';
  return `${told}. ${healed ? `From ${clock(healed.at)} on ${since}, and at` : 'At'} ${clock(virtualMs)} ${equal} ${counted(final, 'entry', 'entries')}`;
}

/** What matters, in order: faults, who leads, who is gone, what became of messages, and how it ends. */
export function storyOf(seen: Seen, result: Outcome): Told[] {
  const inOrder = (told: Told[]): Told[] => told.sort((a, b) => a.at - b.at);
  const landmarks = inOrder([
    ...phasesTold(seen, result),
    ...faultsTold(seen),
    ...leadersTold(seen.periods, result.loadAt),
    ...powerTold(seen),
  ]);
  const { violation } = result;
  const end = violation
    ? [
        {
          at: violation.at,
          text: `broken: ${violation.invariant}: ${violation.message.split('\n')[0]}`,
        },
      ]
    : [];
  const deeds = seen.deeds.lines(landmarks.map(({ at }) => at));
  const whole = landmarks.length + deeds.length <= STORY_MAX ? deeds : [];
  return inOrder([...landmarks, ...whole])
    .slice(0, STORY_MAX)
    .concat(end);
}

function phasesTold({ phases, faults }: Seen, result: Outcome): Told[] {
  const areThereFaults = faults.length > 0;
  const names: { readonly [phase: string]: string } = {
    load: areThereFaults ? 'load and faults begin' : 'load begins',
    settling: areThereFaults ? 'all faults are over' : 'the load is over',
    over: result.ok ? 'all is at rest, and as it should be' : 'the run ends',
  };
  return phases.flatMap(({ at, phase }) => (names[phase] ? [{ at, text: names[phase] }] : []));
}

function faultsTold({ faults, phases }: Seen): Told[] {
  const allOver = phases.find(({ phase }) => phase === 'settling')?.at;
  return faults.flatMap((fault) => {
    const { from, until, kind, text } = fault;
    // What is told of the node says more.
    if (kind === 'crash') return [];
    const isOver = until > from && until !== allOver && !isForEver(fault);
    const over = isOver ? [{ at: until, text: describeEnd(text) }] : [];
    return [{ at: from, text: beginning(fault) }, ...over];
  });
}

/** While members join, each of them is a new electorate: those leaderships are told together. */
function leadersTold(periods: readonly Period[], loadAt: Millis): Told[] {
  const led = periods.filter(({ what }) => what === 'leads');
  const early = led.filter(({ from }) => from < loadAt);
  const told = early.length > 2 ? led.filter(({ from }) => from >= loadAt) : led;
  const lines = told.map(({ from, node, epoch, because }) => ({
    at: from,
    text: `node ${node} leads ${epoch!.kind === 'online' ? 'online ' : ''}term ${epoch!.term}${because ? `: ${because}` : ''}`,
  }));
  if (early.length <= 2) return lines;
  const last = early.at(-1)!;
  const text = `${counted(leaderships(early).length, 'leadership')} while the members join; node ${last.node} leads term ${last.epoch!.term} at the end`;
  return [{ at: early[0]!.from, text }, ...lines];
}

function powerTold({ moments }: Seen): Told[] {
  return moments.flatMap(({ at, node, kind }) => {
    if (kind === 'crash') return [{ at, text: `node ${node} loses power` }];
    if (kind === 'start' && at > STARTED_BY_MS) return [{ at, text: `node ${node} starts again` }];
    return [];
  });
}
