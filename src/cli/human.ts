/**
 * Results as people read them, one function for each kind of result. Whatever
 * somebody else wrote goes through `printable`. Times are UTC.
 */

import type { Json, Paint } from './output.js';
import { printable } from './printable.js';
import { formatTime } from './when.js';

export type Human = (result: Json, paint: Paint) => string | undefined;

const show = (value: unknown): string => printable(String(value));
const SHORT_ID_CHARS = 8;
const short = (id: unknown): string => show(id).slice(0, SHORT_ID_CHARS);

/** `[2026-01-02 10:11] nick: text`, and behind it the state while that is not final. */
export const entryLine: Human = (entry, paint) => {
  if (entry.event === 'merged') {
    return paint('dim', `--- ${mergedText(entry)}`);
  }
  // What is final comes in its place.
  if (entry.event === 'moved') return undefined;
  if (entry.event === 'removed')
    return paint('yellow', '--- this node was removed from the channel');
  const at = paint('dim', `[${formatTime(Number(entry.time))}]`);
  if (typeof entry.text !== 'string') {
    return `${at} ${paint('dim', `* ${show(entry.kind)}, by ${show(entry.name || 'nobody known')}`)}`;
  }
  const mark = entry.state === 'final' ? '' : ` ${paint('yellow', `(${show(entry.state)})`)}`;
  return `${at} ${paint('bold', show(entry.name))}: ${show(entry.text)}${mark}`;
};

/** What a merge brought into the log. */
function mergedText({ entries, first, last, branches }: Json): string {
  const sources = branches as readonly { kind: string; term: number; leader: string }[];
  const from = sources.map(
    ({ kind, term, leader }) => `${show(kind)} term ${show(term)} under ${short(leader)}`,
  );
  const what = entries === 1 ? 'message' : 'messages';
  const where = first === last ? `at ${show(first)}` : `at ${show(first)} to ${show(last)}`;
  return `merged ${show(entries)} ${what} of ${from.join(', ')}: in the log ${where}`;
}

/**
 * For a log that is followed: an entry is shown when it is first seen, and not
 * again for each state it reaches, unless that is that it will never be final.
 */
export function followedEntries(): Human {
  const open = new Set<unknown>();
  return (entry, paint) => {
    const { id, state } = entry;
    const seen = open.has(id);
    if (state === 'final' || state === 'withheld') open.delete(id);
    else if (id !== undefined) open.add(id);
    return seen && state !== 'withheld' ? undefined : entryLine(entry, paint);
  };
}

export const sentLine: Human = ({ id, state, seq }, paint) => {
  const place = seq === null ? '' : ` at ${show(seq)}`;
  return `${paint('green', show(state))}${place}  ${paint('dim', show(id))}`;
};

export const memberLine: Human = ({ user, name, role, online }, paint) => {
  const dot = online === true ? paint('green', '●') : paint('dim', '○');
  return `${dot} ${show(name).padEnd(20)} ${show(role).padEnd(8)} ${show(user)}`;
};

export const relayLine: Human = ({ url, connected }, paint) =>
  `${connected === true ? paint('green', 'connected ') : paint('dim', 'no link   ')} ${show(url)}`;

export const privateLine: Human = ({ from, to, time, state, text }, paint) => {
  const who = state === 'received' ? `from ${short(from)}` : `to ${short(to)}`;
  const mark = state === 'received' || state === 'delivered' ? '' : ` (${show(state)})`;
  return `${paint('dim', `[${formatTime(Number(time))}]`)} ${paint('bold', who)}: ${show(text)}${paint('yellow', mark)}`;
};

export const verifyLines: Human = (report, paint) => {
  const { ok, channel, entries, final, head, problems } = report;
  const whole = ok === true ? 'no channels' : 'the files of the store';
  const what = channel === undefined ? whole : `channel ${show(channel)}`;
  if (ok === true) {
    const counts = `${show(entries)} messages, ${show(final)} final, head ${short(head)}`;
    return `${paint('green', 'ok')}  ${what}: ${counts}`;
  }
  const lines = (problems as readonly { where: string; what: string }[]).map(
    ({ where, what }) => `  ${show(where)}: ${show(what)}`,
  );
  return [`${paint('red', 'BROKEN')}  ${what}`, ...lines].join('\n');
};

interface Status {
  readonly channel: string;
  readonly name: string;
  readonly state: string;
  readonly members: number;
  readonly online: readonly string[];
  readonly leader: string | null;
  readonly epoch: { readonly term: number; readonly kind: string } | null;
  readonly waiting: { readonly reason: string } | null;
  readonly relays: readonly Json[];
  readonly queued: number;
  readonly sent: number;
  readonly committed: number;
  readonly final: number;
  readonly head: string;
}

const STATE_COLOURS = {
  healthy: 'green',
  electing: 'yellow',
  waiting: 'yellow',
  offline: 'dim',
  removed: 'red',
} as const;

function paintState(state: string, paint: Paint): string {
  const colour = STATE_COLOURS[state as keyof typeof STATE_COLOURS] ?? 'yellow';
  return paint(colour, show(state));
}

const channelStatus: Human = (result, paint) => {
  const s = result as unknown as Status;
  const epoch = s.epoch ? `term ${s.epoch.term} (${show(s.epoch.kind)})` : 'none';
  const rows: (readonly [string, string])[] = [
    ['channel', show(s.channel)],
    ['members', `${s.members}, ${s.online.length} online`],
    ['leader', s.leader === null ? 'none' : `${short(s.leader)}, ${epoch}`],
    ['log', `${s.final} final, ${s.committed} more committed, head ${short(s.head)}`],
    ['own messages', `${s.queued} queued, ${s.sent} sent`],
    ...s.relays.map((relay) => ['relay', relayLine(relay, paint)!] as const),
  ];
  if (s.waiting) rows.splice(1, 0, ['waiting', paint('yellow', show(s.waiting.reason))]);
  const title = `${paint('bold', show(s.name))}  ${paintState(s.state, paint)}`;
  return [title, ...rows.map(([name, value]) => `  ${name.padEnd(13)} ${value}`)].join('\n');
};

export const nodeStatus: Human = (result, paint) => {
  if (result.channels === undefined) return channelStatus(result, paint);
  const channels = result.channels as readonly Json[];
  const up = result.up === true ? paint('green', 'up') : paint('dim', 'not up');
  const head = `${paint('bold', show(result.name))}  ${show(result.user)}  ${up}`;
  const none = 'No channels yet: "conclave create" makes one, "conclave join" enters one.';
  const list = channels.map((channel) => channelStatus(channel, paint)!);
  return [head, ...(list.length > 0 ? list : [none])].join('\n\n');
};
