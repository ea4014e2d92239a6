/**
 * Commands and batches in words: what a member says, and what it made durable,
 * in one line for people (transcript.ts, diagram.ts). A command whose name is
 * not known here shows its plain fields.
 */

import { decodeCertificate, decodeHeaders } from '../core/certificate.js';
import type { Outgoing } from '../core/commands.js';
import type { UserId } from '../core/ids.js';
import {
  decodeFinal,
  decodeHardState,
  decodeRawEntry,
  decodeRun,
  type VotePromise,
} from '../core/layout.js';
import { TAIL_ENTRIES_MAX } from '../core/limits.js';
import { decodeAs, type EpochKind } from '../core/statements.js';
import type { StoreOp } from '../core/store.js';
import { type Names, short, shortList } from './names.js';

type Of<N extends Outgoing['name']> = Extract<Outgoing, { name: N }>['payload'];

/** An empty list of headers. */
const NO_HEADERS_BYTES = 2;

const kindOf = (kind: EpochKind): string => (kind === 'online' ? 'online ' : '');
const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

/** `5` or `5–9`: so many places behind `base`. */
const rangeOf = (base: number, length: number): string =>
  length === 1 ? `${base + 1}` : `${base + 1}–${base + length}`;

/** To whom a command goes, where it says so. */
export function receiverOf({ payload }: Outgoing): UserId | undefined {
  return (payload as { to?: UserId }).to;
}

/** Whether it says nothing but that its sender lives. */
export function isPulse(command: Outgoing): boolean {
  if (command.name === 'BEACON') return true;
  return command.name === 'CH_PROPOSE' && command.payload.headers.length <= NO_HEADERS_BYTES;
}

/** What a command says, without its name. A relay may lie, and a node send what it must not: nothing is thrown. */
export function describeCommand(names: Names, command: Outgoing): string {
  try {
    return inWords(names, command);
  } catch (error) {
    return `unreadable: ${(error as Error).message}`;
  }
}

function inWords(names: Names, command: Outgoing): string {
  switch (command.name) {
    case 'BEACON': {
      const { counter, heard } = decodeAs('beacon', command.payload.s);
      return `${counter}, heard ${names.users(heard.map((h) => h.user)) || 'nobody'}`;
    }
    case 'UCNN':
      return `${names.user(command.payload.id)} is here`;
    case 'CH_STATUS':
      return `roster ${command.payload.roster}, here: ${names.users(command.payload.online)}`;
    case 'CH_ROSTER': {
      const { first, number, steps } = command.payload;
      return steps.length > 0 ? `from roster ${first} to ${number}` : `roster ${number}`;
    }
    case 'CH_JOIN':
      return 'asks to be let in';
    case 'CH_REFUSE':
      return command.payload.code;
    case 'CH_MSG':
      return describeRecords(names, command.payload);
    case 'CH_PROPOSE':
      return describeProposal(names, command.payload);
    case 'ACK_CH_MSG':
    case 'CH_MSG_ACK': {
      const { seq, hash: at, epoch } = decodeAs('ack', command.payload.s);
      const again = command.payload.re ? ', again' : '';
      return `has ${seq} (${short(at)}), under ${names.epoch(epoch)}${again}`;
    }
    case 'CH_COMMIT':
    case 'CH_MSG_COMMIT':
      return describeCertificate(names, command.payload.cert);
    case 'CH_PREVOTE': {
      const { kind, term, lastTerm, lastSeq } = decodeAs('prevote', command.payload.s);
      return `may I lead ${kindOf(kind)}term ${term}? my log ends at ${lastSeq}, of term ${lastTerm}`;
    }
    case 'CH_GRANT': {
      const { refused, term } = command.payload;
      return refused ? `no: ${refused} (promised term ${term})` : 'you may';
    }
    case 'CH_LEAD':
    case 'CH_VOTE':
      return describeVote(names, command.payload);
    case 'CH_ELECTED': {
      const { kind, election, electorate, ballots } = command.payload;
      const by = names.users(ballots.map((b) => b.user));
      return `leads ${kindOf(kind)}term ${election}: ballots of ${by}, electorate ${names.users(electorate)}`;
    }
    case 'CH_PULL':
      return describePull(names, command.payload);
    case 'CH_APPEND':
      return describePage(names, command.payload);
    case 'CH_MERGE':
      return describeBranchPage(names, command.payload);
    case 'CH_ACK_REQ':
    case 'CH_MSG_CONFIRM': {
      const { users, epoch, seq, message } = command.payload;
      const asked = `${names.users(users)} acknowledged ${seq} ${names.record(message)}`;
      return `have ${asked} under ${names.epoch(epoch)}?`;
    }
    default:
      return plainFields(names, command);
  }
}

function describeRecords(names: Names, { batch, each }: Of<'CH_MSG'>): string {
  const records = batch?.records ?? each?.records ?? [];
  return shortList(records.map((bytes) => names.recordIn(bytes)));
}

function describeProposal(names: Names, p: Of<'CH_PROPOSE'>): string {
  const { baseSeq, tipSeq, finalSeq, quiet } = decodeAs('propose', p.s);
  const headers = decodeHeaders(p.headers, TAIL_ENTRIES_MAX);
  if (headers.length === 0) {
    return `heartbeat at ${tipSeq}, final ${finalSeq}${quiet ? ', falls quiet' : ''}`;
  }
  return `${rangeOf(baseSeq, headers.length)}: ${names.records(headers.map((h) => h.digest))}`;
}

function describeCertificate(names: Names, bytes: Uint8Array): string {
  const { kind, epochKind, epoch, seq, acks } = decodeCertificate(bytes);
  const where = epochKind === 'online' ? ` in ${names.epoch(epoch)}` : '';
  return `${seq}${where} is ${kind}: ${names.users(acks.map((a) => a.user))} have it`;
}

function describeVote(names: Names, p: Of<'CH_LEAD'> | Of<'CH_VOTE'>): string {
  if ('ballot' in p && p.ballot) {
    const { kind, term, candidate } = decodeAs('ballot', p.ballot.s);
    return `votes for ${names.user(candidate)} in ${kindOf(kind)}term ${term}`;
  }
  if (!p.request) return '';
  const { kind, term } = decodeAs('lead', p.request.s);
  return `asks for votes in ${kindOf(kind)}term ${term}, granted by ${names.users(p.request.electorate)}`;
}

function describePull(names: Names, p: Of<'CH_PULL'>): string {
  const { anchor, want, challenge, set, take } = p;
  const parts: string[] = [];
  if (set) {
    const held = set.map((b) => `${names.epoch(b.epoch)} committed to ${b.seq}`);
    return `log ${anchor[0]?.seq ?? 0}, and ${shortList(held) || 'no branches'}`;
  }
  if (take) return `wants ${names.epoch(take.epoch)} behind ${take.seq}`;
  if (anchor.length > 0) parts.push(`what is behind ${anchor.map((p) => p.seq).join(' or ')}?`);
  if (want.length > 0) parts.push(`wants ${names.records(want)}`);
  if (challenge) parts.push('do you lead now?');
  return parts.join(', ') || 'where are you?';
}

function describePage(names: Names, p: Of<'CH_APPEND'>): string {
  const headers = decodeHeaders(p.headers, TAIL_ENTRIES_MAX);
  const { seq } = p.anchor;
  const proof = p.cert ? `, certified ${decodeCertificate(p.cert).seq}` : '';
  const what =
    headers.length > 0
      ? `${rangeOf(seq, headers.length)}: ${names.records(headers.map((h) => h.digest))}`
      : `nothing behind ${seq}`;
  return `${what}${proof}, final ${p.final}`;
}

function describeBranchPage(names: Names, p: Of<'CH_MERGE'>): string {
  const headers = decodeHeaders(p.headers, TAIL_ENTRIES_MAX);
  const cert = p.cert ? `, committed ${decodeCertificate(p.cert).seq}` : '';
  const range = headers.length > 0 ? rangeOf(p.anchor.seq, headers.length) : 'nothing';
  const what = names.records(headers.map((h) => h.digest));
  return `${range} of ${p.tip} of ${names.epoch(p.epoch)}${what ? `: ${what}` : ''}${cert}`;
}

/** Every field that is short, for commands without words of their own. */
function plainFields(names: Names, { payload }: Outgoing): string {
  const hidden = new Set(['id', 'from', 'to', 'sig', 's', 'timestamp', 'nonce']);
  return Object.entries(payload)
    .filter(([field, value]) => !hidden.has(field) && value !== undefined)
    .map(([field, value]) => `${field} ${plainValue(names, value)}`)
    .join(', ');
}

function plainValue(names: Names, value: unknown): string {
  if (value instanceof Uint8Array) return count(value.length, 'byte');
  if (Array.isArray(value)) {
    return value.length > 4
      ? count(value.length, 'item')
      : `[${value.map((one) => plainValue(names, one)).join(' ')}]`;
  }
  if (typeof value === 'string') return /^[0-9a-f]{64}$/.test(value) ? short(value) : value;
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .map(([field, one]) => `${field} ${plainValue(names, one)}`)
      .join(', ')}}`;
  }
  return String(value);
}

/** What a batch made durable: its parts in words, indexes left out. */
export function describeBatch(names: Names, ops: readonly StoreOp[]): string[] {
  return inOrder(ops.map((op) => describeOp(names, op)).filter((part) => part !== undefined));
}

const INDEXES: ReadonlySet<string> = new Set([
  'at',
  'tip',
  'cert',
  'ack',
  'epoch',
  'branch',
  'proposal',
]);

function describeOp(names: Names, { key, value }: StoreOp): [string, string] | undefined {
  const [space, , folder = '', last = ''] = key.split('/');
  if (space === 'node' || INDEXES.has(folder)) return undefined;
  switch (folder) {
    case 'log': {
      if (!value) return ['drops', String(Number.parseInt(last, 16))];
      const { seq, header } = decodeRawEntry(value);
      return ['log', `${seq} ${names.record(header.digest)}`];
    }
    case 'hard': {
      const { roster, online } = decodeHardState(value!);
      const made = (p: VotePromise): string =>
        `term ${p.term}${p.votedFor ? ` for ${names.user(p.votedFor.candidate)}` : ''}`;
      return ['promise', `${made(roster)}${online.term > 0 ? `, online ${made(online)}` : ''}`];
    }
    case 'final':
      return ['final', String(decodeFinal(value!).seq)];
    case 'place': {
      if (!value) return undefined;
      const first = Number.parseInt(key.split('/')[4]!, 16);
      const places = decodeRun(value).map(({ header, record }, i) => {
        const kept = record.length > 0 ? ' kept' : '';
        return `${first + i} ${names.record(header.digest)}${kept}`;
      });
      return ['branch', shorten(places)];
    }
    case 'committed':
      return value ? ['committed', String(decodeCertificate(value).seq)] : undefined;
    case 'commit':
      return value ? ['branch committed', String(decodeCertificate(value).seq)] : undefined;
    case 'out':
      return value ? ['outbox', names.offerIn(value)] : undefined;
    case 'pool':
      return value ? ['keeps', names.offerIn(value)] : undefined;
    case 'step':
      return ['roster', String(Number.parseInt(last, 16))];
    default:
      return value ? [folder, ''] : undefined;
  }
}

/** Joins what belongs together: `log 4 "a", 5 "b"`. */
function inOrder(written: readonly (readonly [string, string])[]): string[] {
  const groups = new Map<string, string[]>();
  for (const [what, which] of written) groups.set(what, [...(groups.get(what) ?? []), which]);
  return [...groups].map(([what, all]) => {
    return `${what} ${shorten(all)}`.trim();
  });
}

const shorten = (all: readonly string[]): string =>
  (all.length > 6 ? [...all.slice(0, 2), '…', ...all.slice(-1)] : all).join(', ');
