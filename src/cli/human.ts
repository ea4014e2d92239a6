/**
 * Results as people read them, one function for each kind of result. Whatever
 * somebody else wrote goes through `printable`. Times are UTC.
 */

import type { OpenInvite } from '../node/api.js';
import { isLeading } from './kinds.js';
import type { Json, Paint } from './output.js';
import { printable } from './printable.js';
import {
  departureText,
  isCutOff,
  type NamedStatus,
  notFinal,
  stateWord,
  waitingFor,
} from './waiting.js';
import { formatTime } from './when.js';

export type Human = (result: Json, paint: Paint) => string | undefined;

const show = (value: unknown): string => printable(String(value));
const SHORT_ID_CHARS = 8;
const short = (id: unknown): string => show(id).slice(0, SHORT_ID_CHARS);

/** `[2026-01-02 10:11] nick: text`, and behind it the state while that is not final. Who leads is left out. */
export const entryLine: Human = (entry, paint) =>
  isLeading(entry.kind) ? undefined : anyEntryLine(entry, paint);

/** Every entry, with its place and its id. */
export const longEntryLine: Human = (entry, paint) => {
  const line = anyEntryLine(entry, paint);
  if (line === undefined || entry.id === undefined) return line;
  const seq = entry.seq === null ? '-' : show(entry.seq);
  return `${paint('dim', `${seq.padStart(SEQ_CHARS)}  ${show(entry.id)}`)}  ${line}`;
};

const SEQ_CHARS = 7;

const anyEntryLine: Human = (entry, paint) => {
  // What is final comes in its place, and a merge was told before what it brought.
  if (entry.event === 'moved' || entry.event === 'merged') return undefined;
  if (entry.event === 'removed') {
    const how = entry.how === undefined ? '' : `: ${show(departureText(entry as never))}`;
    return paint('yellow', `--- this node is not in the channel any more${how}`);
  }
  if (entry.merge) return paint('dim', `--- ${mergeText(entry)}`);
  const at = paint('dim', `[${formatTime(Number(entry.time))}]`);
  if (typeof entry.text !== 'string') return `${at} ${paint('dim', `* ${recordText(entry)}`)}`;
  const mark = entry.state === 'final' ? '' : ` ${paint('yellow', `(${stateText(entry)})`)}`;
  const twin =
    entry.disputed === true ? ` ${paint('red', '(its author signed another in its place)')}` : '';
  return `${at} ${paint('bold', show(entry.name))}: ${show(entry.text)}${mark}${twin}`;
};

/** What a record that is no message says. */
function recordText({ kind, name, member, replacement, role, epoch, plain }: Json): string {
  const by = show(name || 'nobody known');
  const who = show((member as { readonly name?: string } | undefined)?.name || 'nobody known');
  const term = (epoch as { readonly term?: number } | null | undefined)?.term;
  switch (kind) {
    case 'message':
      return plain
        ? `${by} wrote something without encrypting it: it is not shown`
        : `${by} wrote something that this node has no key for`;
    case 'keys':
      return `${by} made a new key`;
    case 'join':
      return `${who} joined, let in by ${by}`;
    case 'vote':
      return `${who} has a vote now`;
    case 'invite':
      return `${by} made an invitation${member ? ` for ${invitee(member)}` : ''}`;
    case 'revoke':
      return `${by} revoked an invitation`;
    case 'relays':
      return `${by} changed the relays`;
    case 'leave':
      return `${who} left`;
    case 'remove':
      return `${by} removed ${who}`;
    case 'role':
      return `${by} made ${who} ${role === 'admin' ? 'an admin' : 'a plain member'}`;
    case 'replace':
      return `${who} has a new key, as ${invitee(replacement)}: ${by} made it so`;
    case 'recovery':
      return `${by} registered a recovery key`;
    case 'epoch':
      return `${by} leads${term === undefined ? '' : `, term ${term}`}`;
    default:
      return `${show(kind)}, by ${by}`;
  }
}

/** Who is invited may have no name here yet. */
const invitee = (member: unknown): string => {
  const { name, user } = member as { readonly name: string; readonly user: string };
  return show(name) || short(user);
};

/** `committed`, and that this is so in an online epoch alone. */
function stateText({ state, epoch }: Json): string {
  const isOnline = (epoch as { kind?: unknown } | null | undefined)?.kind === 'online';
  return isOnline ? `${show(state)}, online epoch` : show(state);
}

/** What a merge brings into the log, directly behind its own place. */
function mergeText({ name, seq, merge }: Json): string {
  const { entries, branches } = merge as NamedMerge;
  const from = branches.map(
    ({ kind, term, leaderName }) => `${show(kind)} term ${show(term)} under ${show(leaderName)}`,
  );
  const first = Number(seq) + 1;
  const last = Number(seq) + entries;
  const where = first === last ? `at ${first}` : `at ${first} to ${last}`;
  const what = entries === 1 ? 'message' : 'messages';
  const by = show(name || 'nobody known');
  return `${by} merged ${entries} ${what} of ${from.join(', ')}: in the log ${where}`;
}

interface NamedMerge {
  readonly entries: number;
  readonly branches: readonly {
    readonly kind: string;
    readonly term: number;
    readonly leaderName: string;
  }[];
}

/**
 * For a log that is followed: an entry is shown when it is first seen, and not
 * again for each state it reaches, unless that is that it will never be final.
 */
export function followedEntries(line: Human): Human {
  const open = new Set<unknown>();
  return (entry, paint) => {
    const { id, state } = entry;
    const seen = open.has(id) && entry.event !== 'opened';
    if (state === 'final' || state === 'withheld') open.delete(id);
    else if (id !== undefined) open.add(id);
    return seen && state !== 'withheld' ? undefined : line(entry, paint);
  };
}

export const sentLine: Human = ({ id, state, seq }, paint) => {
  const place = seq === null ? '' : ` at ${show(seq)}`;
  return `${paint('green', show(state))}${place}  ${paint('dim', show(id))}`;
};

/** A member by its name and the beginning of its id. */
export const userText = ({ user, name }: Json): string =>
  name === '' ? show(user) : `${show(name)} (${short(user)})`;

/** What a command warns of, besides its result. */
export const warningLines = ({ warnings = [] }: Json, paint: Paint): string[] =>
  (warnings as readonly string[]).map((one) => paint('yellow', `warning: ${show(one)}`));

/** Each open invitation, and how to end it; `invite` is the command but for its options. */
export function openInviteLines({ invites = [] }: Json, invite: string, paint: Paint): string[] {
  const open = invites as readonly OpenInvite[];
  if (open.length === 0) return [];
  const what =
    open.length === 1
      ? 'an invitation is open: who has it can join'
      : `${open.length} invitations are open: who has one can join`;
  const lines = open.map(
    (one) => `  ${inviteText(one)}: ${show(invite)} --revoke ${short(one.id)}`,
  );
  return [paint('yellow', `warning: ${what}, under a new identity too. To end it:`), ...lines];
}

function inviteText({ by, uses, expires, archive }: OpenInvite): string {
  const kind = archive ? ', for an archive' : '';
  const until = expires === undefined ? '' : `, until ${formatTime(expires)}`;
  return `by ${userText({ ...by })}, ${uses === 1 ? '1 use' : `${uses} uses`} left${until}${kind}`;
}

/** An open invitation, as a list shows it. */
export const inviteLine: Human = (result) => {
  const open = result as unknown as OpenInvite;
  const whom = open.for ? `, for ${userText({ ...open.for })} alone` : '';
  return `${short(open.id)}  ${inviteText(open)}${whom}`;
};

export const memberLine: Human = (member, paint) => {
  if (member.former === true) return formerLine(member, paint);
  const { user, name, role, archive, online, leads, replaces } = member;
  const dot = online === true ? paint('green', '●') : paint('dim', '○');
  const epoch = leads as { readonly term: number; readonly kind: string } | null;
  const old = (replaces as readonly string[] | undefined) ?? [];
  const before = old.length > 0 ? `  (was ${old.map(short).join(', ')})` : '';
  const leader = epoch ? `  ${paint('bold', `leads ${epochText(epoch)}`)}` : '';
  const as = archive === true ? 'archive' : show(role);
  return `${dot} ${show(name).padEnd(20)} ${as.padEnd(8)} ${show(user)}${leader}${before}`;
};

const formerLine: Human = ({ user, name, removed, replacedBy }, paint) => {
  const how = replacedBy ? 'replaced' : removed ? 'removed' : 'left';
  const by = replacedBy ? `  (by ${short(replacedBy)})` : '';
  return paint('dim', `- ${show(name).padEnd(20)} ${how.padEnd(8)} ${show(user)}${by}`);
};

/** An online epoch commits, and makes nothing final. */
const epochText = ({ term, kind }: { readonly term: number; readonly kind: string }): string =>
  `${show(kind)} epoch, term ${show(term)}`;

export const relayLine: Human = ({ url, connected, problem }, paint) => {
  const link = connected === true ? paint('green', 'connected ') : paint('dim', 'no link   ');
  const { message } = (problem ?? {}) as { readonly message?: string };
  return `${link} ${show(url)}${message === undefined ? '' : `  (${show(message)})`}`;
};

/** Names are as their owners chose them, so the id stands beside. */
export const privateLine: Human = (message, paint) => {
  const { from, to, name, time, state, text, waits, rewound } = message;
  const other = state === 'received' ? from : to;
  const known = name === undefined ? short(other) : `${show(name)} (${short(other)})`;
  const who = `${state === 'received' ? 'from' : 'to'} ${known}`;
  const reason = waits === undefined ? '' : `: ${show(waits)}`;
  const again = rewound === true ? ' (the sender had forgotten what it wrote before this)' : '';
  const mark = state === 'received' || state === 'delivered' ? again : ` (${show(state)}${reason})`;
  return `${paint('dim', `[${formatTime(Number(time))}]`)} ${paint('bold', who)}: ${show(text)}${paint('yellow', mark)}`;
};

export const verifyLines: Human = (report, paint) => {
  const { ok, channel, name, entries, final, head, problems, filesChecked } = report;
  const id = name === undefined ? show(channel) : `${show(name)} (${short(channel)})`;
  const subject = channel === undefined ? 'the files of the store' : `channel ${id}`;
  if (ok === true) {
    const verdict = filesChecked === false ? 'ok, files not checked while the node is up' : 'ok';
    if (channel === undefined) return `${paint('green', verdict)}  there are no channels`;
    const what = entries === 1 ? 'message' : 'messages';
    const counts = `${show(entries)} ${what}, ${show(final)} of them final, head ${short(head)}`;
    const line = `${paint('green', verdict)}  ${subject}: ${counts}`;
    return [line, ...misbehavedLines(report.misbehaved ?? [])].join('\n');
  }
  const lines = (problems as readonly { where: string; what: string }[]).map(
    ({ where, what }) => `  ${show(where)}: ${show(what)}`,
  );
  return [`${paint('red', 'BROKEN')}  ${subject}`, ...lines].join('\n');
};

/** By id: what a store proves, it proves of a key. */
const misbehavedLines = (misbehaved: unknown): string[] =>
  (misbehaved as readonly { user: string; offence: string }[]).map(
    ({ user, offence }) =>
      `  ${show(user)} misbehaved: it signed two ${show(offence)} that contradict each other`,
  );

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
  const s = result as unknown as NamedStatus;
  const epoch = s.epoch ? epochText(s.epoch) : 'none';
  const waits = s.state === 'offline' ? s.waiting?.reason : waitingFor(s);
  const lacks = notFinal(s);
  const warn = (name: string, text: string | undefined): (readonly [string, string])[] =>
    text === undefined ? [] : [[name, paint('yellow', show(text))]];
  const rows: (readonly [string, string])[] = [
    ...warn(isCutOff(s) ? 'cut off' : 'waiting', waits),
    ...warn('removed', s.departure && departureText(s.departure)),
    ...warn('not final', lacks),
    ['channel', show(s.channel)],
    ...(s.archive ? [['archive', 'stores and serves, reads nothing'] as const] : []),
    ['members', `${s.members}, ${s.online.length} online${lackingText(s)}`],
    ['leader', s.leader === null ? 'none' : `${show(s.leaderName)}, ${epoch}`],
    ['log', logText(s)],
    ['own messages', `${s.queued} queued, ${s.sent} sent`],
    ...s.misbehaved.map(
      ({ name, user, offence, since }) =>
        [
          'misbehaved',
          paint(
            'red',
            `${show(name)} (${short(user)}): two ${show(offence)} that contradict each other, known since ${formatTime(since)}`,
          ),
        ] as const,
    ),
    ...s.relays.map((relay) => ['relay', relayLine({ ...relay }, paint)!] as const),
  ];
  const title = `${paint('bold', show(s.name || short(s.channel)))}  ${paintState(stateWord(s), paint)}`;
  return [title, ...rows.map(([name, value]) => `  ${name.padEnd(13)} ${value}`)].join('\n');
};

/** Said of a store that nobody has up, too. */
const lackingText = ({ members, minOnline, state }: NamedStatus): string =>
  state === 'removed' || members >= minOnline ? '' : `; messages need ${minOnline} members online`;

/** Places count all entries, those by which members lead and join too; `verify` counts messages. */
function logText({ final, head, committed }: NamedStatus): string {
  const behind = committed === 1 ? '1 message committed' : `${committed} messages committed`;
  return `final up to place ${final} (head ${short(head)}), ${behind} behind it`;
}

export const nodeStatus: Human = (result, paint) => {
  if (result.channels === undefined) return channelStatus(result, paint);
  const channels = result.channels as readonly Json[];
  const up = result.up === true ? paint('green', 'up') : paint('dim', 'not up');
  const head = `${paint('bold', show(result.name))}  ${show(result.user)}  ${up}`;
  const none = 'No channels yet: "conclave create" makes one, "conclave join" enters one.';
  const list = channels.map((channel) => channelStatus(channel, paint)!);
  return [head, ...(list.length > 0 ? list : [none])].join('\n\n');
};
