/**
 * Portable proofs judged a second time, after sections "Portable proofs",
 * "Misbehaviour", "Certificates", "Batches" and "Chain" of docs/PROTOCOL.md.
 * Nothing here is the product's but the type of a roster; signatures are the
 * caller's to verify.
 */

import { createHash } from 'node:crypto';
import type { ChannelId, Digest, SealingPublic, UserId } from '../../src/core/ids.js';
import type { Roster } from '../../src/core/roster.js';
import { commitmentTo, openUnder } from './cipher-twin.js';
import { intBytes, intOf, parse, type Shape, type Tree, textOf } from './grammar.js';
import { nextRoster } from './roster-twin.js';
import * as shapes from './shapes.js';

export type IsSigned = (by: string, statement: Uint8Array, sig: Uint8Array) => boolean;

export const sha256 = (...parts: readonly Uint8Array[]): Buffer =>
  parts.reduce((h, part) => h.update(part), createHash('sha256')).digest();
export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const unhex = (hex: string): Buffer => Buffer.from(hex, 'hex');
const u64 = (n: number): Uint8Array => intBytes(BigInt(n), 8);
const withLength = (bytes: Uint8Array): Buffer =>
  Buffer.concat([intBytes(BigInt(bytes.length), 4), bytes]);
const text = (content: string): Buffer => withLength(Buffer.from(content));
const idOf = (tree: Tree): string => hexOf(tree.bytes);

/** The parts of a value of this shape, if the bytes are one. */
const partsOf = (shape: Shape, bytes: Uint8Array): readonly Tree[] | undefined =>
  parse(shape, bytes)?.parts;

/** RFC 9162, section 2.1.3.2, which walks from the leaf up by the bits of its index. */
export function rootOf(
  leaf: Uint8Array,
  index: number,
  count: number,
  path: readonly Uint8Array[],
): Buffer | undefined {
  let fn = index;
  let sn = count - 1;
  let node: Buffer = sha256(Uint8Array.of(0), leaf);
  for (const p of path) {
    if (sn === 0) return undefined;
    if (fn % 2 === 1 || fn === sn) {
      node = sha256(Uint8Array.of(1), p, node);
      while (fn % 2 === 0 && fn !== 0) {
        fn >>= 1;
        sn >>= 1;
      }
    } else node = sha256(Uint8Array.of(1), node, p);
    fn >>= 1;
    sn >>= 1;
  }
  return sn === 0 ? node : undefined;
}

const statement = (tag: string, context: readonly Uint8Array[], ...fields: Uint8Array[]): Buffer =>
  Buffer.concat([text(`conclave/${tag}`), Uint8Array.of(0), ...context, ...fields]);

/** Over these headers, from behind `at` on. */
function chain(at: string, seq: number, headers: readonly Uint8Array[]): string {
  let hash = at;
  for (const [i, header] of headers.entries()) {
    hash = hexOf(sha256(text('conclave/chain'), unhex(hash), u64(seq + 1 + i), header));
  }
  return hash;
}

interface Header {
  readonly bytes: Uint8Array;
  readonly epoch: string;
  readonly term: number;
  readonly roster: number;
  readonly digest: string;
}

function headerOf({ parts }: Tree): Header {
  const [epoch, term, roster, digest] = parts as [Tree, Tree, Tree, Tree];
  return {
    bytes: Buffer.concat(parts.map((part) => part.bytes)),
    ...{ epoch: idOf(epoch), term: intOf(term), roster: intOf(roster), digest: idOf(digest) },
  };
}

interface RecordRead {
  readonly digest: string;
  readonly channel: string;
  readonly author: string;
  readonly boot: string;
  readonly n: number;
  readonly prev: string;
  readonly kind: string;
  readonly time: number;
  readonly body: Uint8Array;
}

function recordOf(bytes: Uint8Array): RecordRead | undefined {
  const parts = partsOf(shapes.record, bytes);
  if (!parts) return undefined;
  const [, channel, author, boot, n, prev, kind, , time, , body] = parts as Tree[];
  return {
    digest: hexOf(sha256(Buffer.from('conclave/record'), bytes)),
    ...{ channel: idOf(channel!), author: idOf(author!), boot: idOf(boot!), n: intOf(n!) },
    ...{ prev: idOf(prev!), kind: textOf(kind!.parts[0]!), time: intOf(time!), body: body!.bytes },
  };
}

/** Whether the record's author signed it; under which roster, then. */
function signedUnder(isSigned: IsSigned, record: RecordRead, bytes: Uint8Array) {
  const parts = partsOf(shapes.proof, bytes)?.[0]?.parts;
  if (!parts) return undefined;
  const [roster, rosterHash, count, index, path, sig] = parts as [
    Tree,
    Tree,
    Tree,
    Tree,
    Tree,
    Tree,
  ];
  const hashes = path.parts.map((part) => part.bytes);
  const root = rootOf(unhex(record.digest), intOf(index), intOf(count), hashes);
  if (!root) return undefined;
  const context = [unhex(record.channel), roster.bytes, rosterHash.bytes];
  const signed = statement('records', context, root, count.bytes);
  return isSigned(record.author, signed, sig.bytes) ? intOf(roster) : undefined;
}

const ZERO_KEY = '0'.repeat(64);
const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

/** Whether the signatures inside a record are good: those of a join, a replacement, a recovery key. */
function isSignedWithin(isSigned: IsSigned, { kind, body }: RecordRead): boolean {
  if (!Object.hasOwn(shapes.MEMBERSHIP, kind)) return true;
  const parts = partsOf(shapes.MEMBERSHIP[kind as keyof typeof shapes.MEMBERSHIP], body);
  if (!parts) return false;
  if (kind !== 'join' && kind !== 'replace' && kind !== 'recovery') return true;
  const [, request, ...sigs] = parts as [Tree, Tree, ...Tree[]];
  const asked = partsOf(shapes.STATEMENTS[kind], request.bytes);
  if (!asked) return false;
  const by = { join: [8, 5], replace: [6, 10], recovery: [7] }[kind].map((at) => idOf(asked[at]!));
  return by.every((user, i) => {
    const sig = sigs[i]!.bytes;
    const isNobody = kind !== 'join' && i === by.length - 1 && user === ZERO_KEY;
    return isNobody ? isZero(sig) : isSigned(user, request.bytes, sig);
  });
}

interface Inclusion {
  readonly seq: number;
  readonly record: RecordRead;
  /** Under which roster its author signed it. */
  readonly under: number;
  readonly header: Header;
  readonly certificate: { readonly seq: number; readonly term: number; readonly by: string[] };
}

/** What a step, or what has the form of one, proves on a roster. */
function inclusionOf(isSigned: IsSigned, roster: Roster, step: Tree): Inclusion | undefined {
  const [seqTree, prev, list, recordTree, proof, certTree] = step.parts as Tree[];
  const [seq, headers] = [intOf(seqTree!), list!.parts.map(headerOf)];
  const cert = partsOf(shapes.certificate, certTree!.bytes);
  const record = recordOf(recordTree!.bytes);
  if (!cert || !record || record.channel !== roster.channel) return undefined;
  const certified = certifiedBy(isSigned, roster, cert);
  const header = headers[0] ?? headerOf(cert[8]!);
  if (!certified || header.digest !== record.digest) return undefined;
  if (certified.seq !== seq + headers.length) return undefined;
  const before = chain(
    idOf(prev!),
    seq - 1,
    headers.map((h) => h.bytes),
  );
  if (before !== idOf(cert[7]!)) return undefined;
  const under = signedUnder(isSigned, record, proof!.bytes);
  if (under === undefined || !isSignedWithin(isSigned, record)) return undefined;
  return { seq, record, under, header, certificate: certified };
}

/** Who signed a final certificate of this roster. */
function certifiedBy(isSigned: IsSigned, roster: Roster, cert: readonly Tree[]) {
  const [kind, channel, number, rosterHash, epoch, term, seqTree, prev, head, links, acks] =
    cert as Tree[];
  const [seq, first] = [intOf(seqTree!), headerOf(head!)];
  if (intOf(kind!) !== 1 || idOf(channel!) !== (roster.channel as string)) return undefined;
  if (intOf(number!) !== roster.number || idOf(rosterHash!) !== roster.hash) return undefined;
  if (first.epoch !== idOf(epoch!) || first.term !== intOf(term!)) return undefined;
  const headers = [first, ...links!.parts.map(headerOf)].map((h) => h.bytes);
  if (seq + headers.length - 1 > Number.MAX_SAFE_INTEGER) return undefined;
  const by = acks!.parts.map(({ parts }) => idOf(parts[0]!));
  const votes = [...roster.members.values()].filter((m) => m.votes).map((m) => m.user as string);
  if (new Set(by).size !== by.length || !by.every((user) => votes.includes(user))) return undefined;
  if (2 * by.length <= votes.length) return undefined;
  const context = [channel!, number!, rosterHash!].map((t) => t.bytes);
  for (const { parts } of acks!.parts) {
    const [user, at, sig] = parts as [Tree, Tree, Tree];
    const ahead = intOf(at) - seq;
    if (ahead < 0 || ahead >= headers.length) return undefined;
    const hash = unhex(chain(idOf(prev!), seq - 1, headers.slice(0, ahead + 1)));
    const said = [Uint8Array.of(0), epoch!.bytes, term!.bytes, at.bytes, hash];
    if (!isSigned(idOf(user), statement('ack', context, ...said), sig.bytes)) return undefined;
  }
  return { seq, term: intOf(term!), by };
}

/** The roster that a genesis makes. */
function founded(bytes: Uint8Array, genesis: readonly Tree[]): Roster {
  const [, , founder, name, sealing, , , , minOnline, few] = genesis as Tree[];
  const user = idOf(founder!) as UserId;
  const channel = hexOf(sha256(text('conclave/channel'), withLength(bytes))) as ChannelId;
  const key = idOf(sealing!) as SealingPublic;
  const member = {
    ...{ user, name: textOf(name!), role: 'founder' as const, votes: true, since: 0 },
    ...{ sealing: key, recovery: null, cameBy: [] },
    root: channel as string as Digest,
  };
  return {
    ...{
      channel,
      policy: {
        minOnline: intOf(minOnline!),
        few: intOf(few!) === 1 ? ('always' as const) : ('archive' as const),
      },
      number: 0,
      hash: hexOf(sha256(text('conclave/roster'), unhex(channel))) as Digest,
    },
    ...{ members: new Map([[user, member]]), invites: new Map(), departed: new Map() },
    ...{ relays: genesis.at(-1)!.parts.map(textOf), readersSince: 0, lastMembership: new Map() },
  };
}

/** What a proof of something final says. */
export interface Says {
  readonly channel: string;
  readonly founder: string;
  readonly seq: number;
  readonly digest: string;
  readonly author: string;
  readonly authorIsMember: boolean;
  /** What the message says, where the proof opens it. */
  readonly opened: string | undefined;
  readonly roster: string;
  readonly certificate: Inclusion['certificate'] & { readonly of: number; readonly roster: number };
}

/** What the key of a message opens. */
function openedBy(key: Uint8Array, { bytes }: Tree): Uint8Array | undefined {
  const parts = partsOf(shapes.record, bytes) as Tree[];
  const [keyEpoch, body] = [intOf(parts[9]!), parts[10]!.bytes];
  if (keyEpoch !== 1 || !commitmentTo(key).equals(body.subarray(40, 72))) return undefined;
  const header = bytes.subarray(0, bytes.length - body.length - 4);
  return openUnder(key, body.subarray(16, 40), header, body.subarray(72));
}

/** Undefined where the proof does not hold. */
export function finalIn(isSigned: IsSigned, bytes: Uint8Array): Says | undefined {
  const parts = partsOf(shapes.finalProof, bytes);
  if (!parts) return undefined;
  const [, , , genesisTree, sig, steps, last, key] = parts as Tree[];
  const genesisBytes = genesisTree!.bytes;
  const genesis = partsOf(shapes.genesis, genesisBytes)?.[0]?.parts;
  if (!genesis || !isSigned(idOf(genesis[2]!), genesisBytes, sig!.bytes)) return undefined;
  const rosters = [founded(genesisBytes, genesis)];
  let before = 0;
  for (const { parts: inner } of steps!.parts) {
    const step = inclusionOf(isSigned, rosters.at(-1)!, inner[0]!);
    const next = step && changed(rosters.at(-1)!, step);
    if (!next || step.seq <= before) return undefined;
    before = step.seq;
    rosters.push(next);
  }
  const roster = rosters.at(-1)!;
  const found = inclusionOf(isSigned, roster, last!.parts[0]!);
  const placed = found && rosters[found.header.roster];
  if (!placed || found.certificate.seq <= before) return undefined;
  const shownKey = key!.parts[0]!.bytes;
  const opened = shownKey.length > 0 ? openedBy(shownKey, last!.parts[0]!.parts[3]!) : undefined;
  if (shownKey.length > 0 && !opened) return undefined;
  const isChange = Object.hasOwn(shapes.MEMBERSHIP, found.record.kind);
  const shown = isChange && placed === roster ? changed(roster, found) : roster;
  if (!shown) return undefined;
  const author = placed.members.get(found.record.author as UserId);
  const of = [...roster.members.values()].filter((m) => m.votes).length;
  return {
    ...{ channel: roster.channel, founder: idOf(genesis[2]!), seq: found.seq },
    ...{ digest: found.record.digest, author: found.record.author, roster: shown.hash },
    opened: opened && hexOf(opened),
    authorIsMember: author !== undefined && (author.since === 0 || found.under >= author.since),
    certificate: { ...found.certificate, of, roster: roster.number },
  };
}

const changed = (roster: Roster, { record }: Inclusion): Roster | undefined =>
  nextRoster(roster, { ...record, author: record.author as UserId });

const NAMES = ['records', 'ballots', 'proposals', 'acknowledgements'] as const;

export interface Convicts {
  readonly offence: (typeof NAMES)[number];
  readonly channel: string;
  readonly offender: string;
}

/** Whom a proof of misbehaviour convicts; undefined where it convicts nobody. */
export function convictedIn(isSigned: IsSigned, bytes: Uint8Array): Convicts | undefined {
  const found = partsOf(shapes.misbehaviourProof, bytes)?.[3]?.parts[0]?.parts;
  if (!found) return undefined;
  const [channel, offence, offender] = found as [Tree, Tree, Tree];
  const which = intOf(offence);
  const said = {
    ...{ channel: idOf(channel), offender: idOf(offender), isSigned, which },
    seq: which < 2 ? 0 : intOf(found[3]!),
    sides: found.at(-1)!.parts[0]!.parts.map(({ parts }) => parts),
  };
  const isGuilty = which === 0 ? signedTwice(said) : which === 1 ? votedTwice(said) : forked(said);
  if (!isGuilty) return undefined;
  return { offence: NAMES[which]!, channel: said.channel, offender: said.offender };
}

interface Said {
  readonly channel: string;
  readonly offender: string;
  readonly isSigned: IsSigned;
  readonly which: number;
  readonly seq: number;
  readonly sides: readonly (readonly Tree[])[];
}

function signedTwice({ channel, offender, isSigned, sides }: Said): boolean {
  const [a, b] = sides.map(([record]) => recordOf(record!.bytes));
  if (!a || !b || a.digest === b.digest || a.boot !== b.boot || a.n !== b.n) return false;
  if (isZero(unhex(a.boot))) return false;
  return [a, b].every(
    (record, i) =>
      record.channel === channel &&
      record.author === offender &&
      signedUnder(isSigned, record, sides[i]![1]!.bytes) !== undefined,
  );
}

const isSignedBy = ({ isSigned, offender, sides }: Said): boolean =>
  sides.every((side) => isSigned(offender, side.at(-2)!.bytes, side.at(-1)!.bytes));

function votedTwice(said: Said): boolean {
  const [a, b] = said.sides.map(([vote]) => partsOf(shapes.STATEMENTS.ballot, vote!.bytes));
  if (!a || !b || !isSignedBy(said)) return false;
  const field = (at: number) => [idOf(a[at]!), idOf(b[at]!)] as const;
  const isSame = (at: number): boolean => field(at)[0] === field(at)[1];
  if (!field(2).every((channel) => channel === said.channel)) return false;
  // Fields 5 to 8: kind, candidate, term, electorate.
  return isSame(5) && isSame(7) && !(isSame(6) && isSame(8));
}

/** Of a proposal its base and tip, of an acknowledgement the one point: fields of number and hash. */
const POINTS = {
  propose: [
    [9, 10],
    [11, 12],
  ],
  ack: [[8, 9]],
} as const;

function forked(said: Said): boolean {
  const tag = said.which === 2 ? 'propose' : 'ack';
  const [a, b] = said.sides.map((side) => partsOf(shapes.STATEMENTS[tag], side.at(-2)!.bytes));
  const [one, other] = said.sides.map(([hash]) => idOf(hash!));
  if (!a || !b || one === other || idOf(a[6]!) !== idOf(b[6]!) || !isSignedBy(said)) return false;
  return [a, b].every((fields, i) => {
    const [hash, headers] = said.sides[i]! as [Tree, Tree];
    const end = said.seq + headers.parts.length;
    if (idOf(fields[2]!) !== said.channel || end > Number.MAX_SAFE_INTEGER) return false;
    const bytes = headers.parts.map((header) => headerOf(header).bytes);
    const at = chain(idOf(hash), said.seq, bytes);
    return POINTS[tag].some(([n, h]) => intOf(fields[n]!) === end && idOf(fields[h]!) === at);
  });
}
