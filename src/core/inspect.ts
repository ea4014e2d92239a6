/**
 * From a command off the wire to an input of the core
 * (docs/ARCHITECTURE.md, "The pump"): decodes the signed statements inside,
 * checks everything that needs no state, and lists the signatures that the
 * driver must verify before the core sees it. A step so neither signs nor
 * verifies.
 *
 * It may look at a channel's state to spare work on what is known already; it
 * never changes it.
 */

import type { Branch } from './branch.js';
import { inspectPage, type Page } from './catchup.js';
import {
  type Certificate,
  certificateSignatures,
  certifiedPoint,
  decodeCertificate,
  decodeHeaders,
  recordSignatures,
} from './certificate.js';
import { type Chain, endOf, type Stretch, stretchOf } from './chain.js';
import type { ChannelState } from './channel-state.js';
import type { Command, Payload } from './commands.js';
import { roomForProof } from './convictions.js';
import type { Hash } from './crypto.js';
import { electedProof, expectedGrant } from './election.js';
import { ballotSignatures, decodeElectionProof, type ElectionProof } from './epoch-record.js';
import { ConclaveError } from './errors.js';
import type { BranchPage } from './exchange.js';
import { decodeGenesis } from './genesis.js';
import { type ChannelId, type Digest, hex32, type UserId } from './ids.js';
import { TAIL_ENTRIES_MAX } from './limits.js';
import { checkMisbehaviour, type Misbehaviour } from './misbehaviour.js';
import { decodePortableProof } from './portable-proof.js';
import { committedInLog } from './provisional.js';
import { BatchProofs, batchOf, type ChannelRecord, decodeRecord, encodeProof } from './record.js';
import { isMembership, joinSignatures, nestedSignatures } from './roster.js';
import {
  type Ack,
  type Ballot,
  type Beacon,
  type Beat,
  decodeAs,
  type Lead,
  type Prevote,
  type Propose,
  type Recall,
  type Report,
  type Signed,
  signedRecords,
} from './statements.js';
import { grantSignatures } from './voting.js';

export interface RecordItem {
  readonly record: ChannelRecord;
  readonly proof: () => Uint8Array;
}

/** A command as the core takes it, once `checks` are verified. */
export type Inspected =
  /** `shown`: a beacon of this node's own. */
  | { type: 'beacon'; beacon: Beacon; sig: Uint8Array; shown?: Beacon }
  | { type: 'records'; items: readonly RecordItem[] }
  | {
      type: 'propose';
      propose: Propose;
      stretch: Stretch;
      signed: Omit<Signed, 'by'>;
    }
  | { type: 'ack'; ack: Ack; sig: Uint8Array }
  | { type: 'commit'; cert: Certificate }
  | { type: 'prevote'; prevote: Prevote }
  | { type: 'grant'; payload: Payload<'CH_GRANT'> }
  | { type: 'lead'; lead: Lead; electorate: readonly UserId[]; grants: readonly UserId[] }
  | { type: 'ballot'; ballot: Ballot; sig: Uint8Array }
  | { type: 'elected'; proof: ElectionProof; beat: Beat }
  | { type: 'pull'; payload: Payload<'CH_PULL'> }
  | { type: 'branch-page'; page: BranchPage }
  | { type: 'recall'; recall: Recall }
  | { type: 'report'; report: Report }
  | { type: 'misbehaviour'; misbehaviour: Misbehaviour; id: Digest; proof: Uint8Array }
  | { type: 'confirm'; payload: Payload<'CH_MSG_CONFIRM'> }
  | { type: 'page'; page: Page; genesis: { bytes: Uint8Array; sig: Uint8Array } | null }
  | { type: 'join'; payload: Payload<'CH_JOIN'> }
  | { type: 'refuse'; payload: Payload<'CH_REFUSE'> }
  | { type: 'status'; payload: Payload<'CH_STATUS'> }
  | { type: 'rate'; retryMs: number }
  | { type: 'error'; payload: Payload<'ERR'> }
  | { type: 'hint' };

export interface Inspection {
  /** Absent on what a relay says for itself. */
  readonly from: UserId | null;
  readonly channel: ChannelId | null;
  readonly what: Inspected;
  readonly checks: readonly Signed[];
}

export interface InspectContext {
  readonly hash: Hash;
  readonly self: UserId;
  readonly channel: (id: ChannelId) => ChannelState | undefined;
}

function mismatch(what: string): never {
  throw new ConclaveError('bad_payload', `a command whose ${what} is not that of its statement`);
}

function ofChannel(statement: { channel: ChannelId }, id: ChannelId): void {
  if (statement.channel !== id) mismatch('channel');
}

/**
 * Undefined for commands that the core does not handle (the node does), and
 * for what is known already. Throws a ConclaveError for what cannot be right.
 */
export function inspect(ctx: InspectContext, command: Command): Inspection | undefined {
  switch (command.name) {
    case 'BEACON': {
      const { from, s, sig, shown } = command.payload;
      const beacon = decodeAs('beacon', s);
      if (beacon.user !== from) mismatch('sender');
      const checks: Signed[] = [{ by: from, statement: s, sig }];
      const own = shown?.find(({ user }) => user === ctx.self);
      if (!own) return { from, channel: null, what: { type: 'beacon', beacon, sig }, checks };
      const of = decodeAs('beacon', own.s);
      if (of.user !== ctx.self) mismatch('user');
      checks.push({ by: ctx.self, statement: own.s, sig: own.sig });
      return { from, channel: null, what: { type: 'beacon', beacon, sig, shown: of }, checks };
    }
    case 'UCNN':
      return { from: null, channel: null, what: { type: 'hint' }, checks: [] };
    case 'RATE': {
      const { about, retry_ms: retryMs } = command.payload;
      if (about !== 'CH_ROSTER') return undefined;
      return { from: null, channel: null, what: { type: 'rate', retryMs }, checks: [] };
    }
    case 'ERR': {
      const { payload } = command;
      if (!payload.id) return undefined;
      return { from: null, channel: payload.id, what: { type: 'error', payload }, checks: [] };
    }
    case 'CH_STATUS': {
      const { payload } = command;
      return { from: null, channel: payload.id, what: { type: 'status', payload }, checks: [] };
    }
    default:
      return inspectMember(ctx, command);
  }
}

function inspectMember(ctx: InspectContext, command: Command): Inspection | undefined {
  const parts = partsOf(ctx, command);
  if (!parts) return undefined;
  const { from, id } = command.payload as { from: UserId; id: ChannelId };
  // What this node found is judged like what others say.
  if (from === ctx.self && command.name !== 'CH_PROOF') return undefined;
  return { from, channel: id, ...parts };
}

type Parts = { what: Inspected; checks: readonly Signed[] };

function partsOf(ctx: InspectContext, command: Command): Parts | undefined {
  switch (command.name) {
    case 'CH_MSG':
      return recordsOf(ctx, command.payload);
    case 'CH_PROPOSE':
      return proposeOf(ctx, command.payload);
    case 'CH_MSG_ACK':
      return ackOf(command.payload);
    case 'CH_MSG_COMMIT':
      return commitOf(ctx, command.payload);
    case 'CH_PREVOTE': {
      const { id, from, s, sig } = command.payload;
      const prevote = decodeAs('prevote', s);
      ofChannel(prevote, id);
      return { what: { type: 'prevote', prevote }, checks: [{ by: from, statement: s, sig }] };
    }
    case 'CH_GRANT':
      return grantOf(ctx, command.payload);
    case 'CH_VOTE':
      return voteOf(command.payload);
    case 'CH_ELECTED':
      return electedOf(ctx, command.payload);
    case 'CH_PULL':
      return { what: { type: 'pull', payload: command.payload }, checks: [] };
    case 'CH_APPEND':
      return pageOf(ctx, command.payload);
    case 'CH_RECALL': {
      const { id, from, s, sig } = command.payload;
      const recall = decodeAs('recall', s);
      ofChannel(recall, id);
      return { what: { type: 'recall', recall }, checks: [{ by: from, statement: s, sig }] };
    }
    case 'CH_REPORT': {
      const { id, from, s, sig } = command.payload;
      const report = decodeAs('report', s);
      ofChannel(report, id);
      return { what: { type: 'report', report }, checks: [{ by: from, statement: s, sig }] };
    }
    case 'CH_PROOF':
      return misbehaviourOf(ctx, command.payload);
    case 'CH_MERGE':
      return branchPageOf(ctx, command.payload);
    case 'CH_MSG_CONFIRM':
      return { what: { type: 'confirm', payload: command.payload }, checks: [] };
    case 'CH_JOIN':
      return joinOf(command.payload);
    case 'CH_REFUSE':
      return { what: { type: 'refuse', payload: command.payload }, checks: [] };
    default:
      return undefined;
  }
}

function recordsOf(ctx: InspectContext, p: Payload<'CH_MSG'>): Parts | undefined {
  const { items, checks } = p.batch ? batchItems(ctx, p, p.batch) : eachItems(ctx, p);
  if (items.length === 0) return undefined;
  for (const { record } of items) ofChannel(record, p.id);
  return { what: { type: 'records', items }, checks };
}

type Items = { items: RecordItem[]; checks: Signed[] };

function batchItems(
  ctx: InspectContext,
  p: Payload<'CH_MSG'>,
  batch: NonNullable<Payload<'CH_MSG'>['batch']>,
): Items {
  const records = batch.records.map((bytes) => decodeRecord(ctx.hash, bytes.slice()));
  if (records.length === 0 || records.some((r) => r.author !== batch.author)) mismatch('author');
  const context = { channel: p.id, roster: batch.roster, rosterHash: batch.roster_hash };
  const { root, proofs } = batchOf(ctx.hash, records, context);
  const statement = signedRecords(context, root, records.length);
  let encoded: Uint8Array[] | undefined;
  const proofAt = (i: number) => () => {
    encoded ??= proofs(batch.sig).map(encodeProof);
    return encoded[i]!;
  };
  return {
    items: records.map((record, i) => ({ record, proof: proofAt(i) })),
    checks: [
      { by: batch.author, statement, sig: batch.sig },
      ...records.flatMap((record) => nestedSignatures(record)),
    ],
  };
}

/** One check for all records that share a signature. */
function eachItems(ctx: InspectContext, p: Payload<'CH_MSG'>): Items {
  const { records, proofs } = p.each ?? { records: [], proofs: [] };
  if (records.length !== proofs.length) mismatch('number of proofs');
  const st = ctx.channel(p.id);
  const items: RecordItem[] = [];
  const checks: Signed[] = [];
  const batches = new BatchProofs(ctx.hash);
  records.forEach((bytes, i) => {
    // A copy: records outlive the chunk of the socket that they came in.
    const record = decodeRecord(ctx.hash, bytes.slice());
    if (st && isKnown(st, record.digest)) return;
    const proof = proofs[i]!;
    checks.push(...recordSignatures(ctx.hash, record, proof, batches));
    let copy: Uint8Array | undefined;
    items.push({
      record,
      proof: () => {
        copy ??= proof.slice();
        return copy;
      },
    });
  });
  return { items, checks };
}

/** A leader still wants to hear of a record that waits: it may have become placeable. */
const isKnown = (st: ChannelState, digest: Digest): boolean =>
  st.log.seqOf(digest) !== undefined || (!st.leading && st.pool.get(digest) !== undefined);

function proposeOf(ctx: InspectContext, p: Payload<'CH_PROPOSE'>): Parts {
  const propose = decodeAs('propose', p.s);
  ofChannel(propose, p.id);
  const headers = decodeHeaders(p.headers, TAIL_ENTRIES_MAX);
  const base = { seq: propose.baseSeq, hash: propose.baseHash };
  const stretch = stretchOf(ctx.hash, base, headers);
  const end = endOf(stretch);
  if (end.seq !== propose.tipSeq || end.hash !== propose.tipHash) mismatch('chain');
  return {
    what: {
      type: 'propose',
      propose,
      stretch,
      signed: { statement: p.s.slice(), sig: p.sig.slice() },
    },
    checks: [{ by: p.from, statement: p.s, sig: p.sig }],
  };
}

function ackOf(p: Payload<'CH_MSG_ACK'>): Parts {
  const ack = decodeAs('ack', p.s);
  ofChannel(ack, p.id);
  return {
    what: { type: 'ack', ack, sig: p.sig },
    checks: [{ by: p.from, statement: p.s, sig: p.sig }],
  };
}

function commitOf(ctx: InspectContext, p: Payload<'CH_MSG_COMMIT'>): Parts | undefined {
  const cert = decodeCertificate(p.cert);
  ofChannel(cert, p.id);
  const st = ctx.channel(p.id);
  if (st && isKnownCertificate(st, cert)) return undefined;
  const checks = certificateSignatures(ctx.hash, cert, st && chainOf(st, cert));
  return { what: { type: 'commit', cert }, checks };
}

const branchOf = (st: ChannelState, { epochKind, epoch }: Certificate): Branch | undefined =>
  epochKind === 'online' ? st.branches.get(epoch) : undefined;

const chainOf = (st: ChannelState, cert: Certificate): Chain => branchOf(st, cert) ?? st.log;

function isKnownCertificate(st: ChannelState, cert: Certificate): boolean {
  const branch = branchOf(st, cert);
  const chain = chainOf(st, cert);
  const known = branch
    ? branch.certified
    : cert.kind === 'final'
      ? st.log.final.seq
      : committedInLog(st);
  return known >= cert.seq && chain.hashAt(cert.seq - 1) === cert.prevHash;
}

function grantOf(ctx: InspectContext, payload: Payload<'CH_GRANT'>): Parts | undefined {
  if (payload.refused !== undefined) return { what: { type: 'grant', payload }, checks: [] };
  const st = ctx.channel(payload.id);
  const expected = st && expectedGrant(st, ctx.self, payload);
  return expected && { what: { type: 'grant', payload }, checks: [expected] };
}

function voteOf(p: Payload<'CH_VOTE'>): Parts {
  if (p.ballot) {
    const ballot = decodeAs('ballot', p.ballot.s);
    ofChannel(ballot, p.id);
    const { s: statement, sig } = p.ballot;
    return { what: { type: 'ballot', ballot, sig }, checks: [{ by: p.from, statement, sig }] };
  }
  if (!p.request) return mismatch('purpose');
  const { s: statement, sig, electorate, grants } = p.request;
  const lead = decodeAs('lead', statement);
  ofChannel(lead, p.id);
  if (lead.candidate !== p.from) mismatch('candidate');
  return {
    what: { type: 'lead', lead, electorate, grants: grants.map((g) => g.user) },
    checks: [{ by: p.from, statement, sig }, ...grantSignatures(lead, grants)],
  };
}

function electedOf(ctx: InspectContext, p: Payload<'CH_ELECTED'>): Parts | undefined {
  const { epoch, id, ballots, beat, signatures } = electedProof(ctx.hash, p);
  ofChannel(beat, p.id);
  if (p.leader !== p.from) mismatch('leader');
  const known = ctx.channel(p.id)?.leadership?.id === id;
  return {
    what: { type: 'elected', proof: { id, epoch, ballots }, beat },
    checks: [{ by: p.from, statement: p.s, sig: p.sig }, ...(known ? [] : signatures)],
  };
}

function pageOf(ctx: InspectContext, p: Payload<'CH_APPEND'>): Parts {
  const propose = p.propose ? decodeAs('propose', p.propose.s) : null;
  if (propose) ofChannel(propose, p.id);
  const page = inspectPage(ctx.hash, p, propose);
  if (page.cert) ofChannel(page.cert, p.id);
  const checks: Signed[] = [];
  if (page.cert) checks.push(...certificateSignatures(ctx.hash, page.cert));
  else if (p.propose) {
    const by = page.proof?.epoch.leader ?? p.from;
    checks.push({ by, statement: p.propose.s, sig: p.propose.sig });
    if (page.proof) checks.push(...ballotSignatures(ctx.hash, page.proof));
  } else if (p.report) checks.push({ by: p.from, statement: p.report.s, sig: p.report.sig });
  else mismatch('end');
  const batches = new BatchProofs(ctx.hash);
  page.records.forEach((record, i) => {
    // Whoever certified a message checked its signature; a change of membership is passed on for ever.
    if (page.cert && !isMembership(record.kind)) return;
    checks.push(...recordSignatures(ctx.hash, record, page.proofs[i]!, batches));
  });
  const genesis = p.genesis
    ? { ...p.genesis, founder: decodeGenesis(p.genesis.bytes).founder }
    : null;
  if (genesis) checks.push({ by: genesis.founder, statement: genesis.bytes, sig: genesis.sig });
  return { what: { type: 'page', page, genesis }, checks };
}

/** Nothing of what is known, or has no room, is verified. */
function misbehaviourOf(ctx: InspectContext, p: Payload<'CH_PROOF'>): Parts | undefined {
  const st = ctx.channel(p.id);
  const id = hex32<Digest>(ctx.hash(p.conviction));
  if (!st || st.convictions.has(id)) return undefined;
  const decoded = decodePortableProof(p.conviction);
  if (decoded.kind !== 'misbehaviour') return mismatch('kind of proof');
  const { misbehaviour } = decoded;
  ofChannel(misbehaviour, p.id);
  if (!roomForProof(st, misbehaviour, p.conviction.length)) return undefined;
  const checks = checkMisbehaviour(ctx.hash, misbehaviour);
  return { what: { type: 'misbehaviour', misbehaviour, id, proof: p.conviction.slice() }, checks };
}

const isKept = (st: ChannelState, digest: Digest): boolean =>
  st.pool.get(digest)?.kept === true || st.outbox.has(digest);

/** A page of a branch: its records' authors signed them, its voters elected, its members acknowledged. */
function branchPageOf(ctx: InspectContext, p: Payload<'CH_MERGE'>): Parts | undefined {
  const st = ctx.channel(p.id);
  const cert = decodeCertificate(p.cert);
  ofChannel(cert, p.id);
  const point = certifiedPoint(ctx.hash, cert);
  const branch = st?.branches.get(p.epoch);
  if (branch && branch.certified >= cert.seq && branch.hashAt(point.seq) === point.hash) {
    return undefined;
  }
  const headers = decodeHeaders(p.headers, TAIL_ENTRIES_MAX);
  if (headers.length !== p.records.length || headers.length !== p.proofs.length) {
    mismatch('number of records');
  }
  const stretch = stretchOf(ctx.hash, p.anchor, headers);
  const end = endOf(stretch);
  const proof = decodeElectionProof(ctx.hash, p.id, p.proof);
  if (point.seq !== end.seq || point.hash !== end.hash) mismatch('certificate');
  if (cert.epoch !== p.epoch || proof.id !== p.epoch) mismatch('election');
  const checks: Signed[] = certificateSignatures(ctx.hash, cert);
  if (!st?.epochs.has(proof.id)) checks.push(...ballotSignatures(ctx.hash, proof));
  const batches = new BatchProofs(ctx.hash);
  const records = p.records.map((bytes, i) => {
    if (bytes.length === 0) return null;
    const record = decodeRecord(ctx.hash, bytes.slice());
    if (record.digest !== headers[i]!.digest) mismatch('record');
    ofChannel(record, p.id);
    // What is kept here was verified, and does not go before the page is taken in.
    const isKnown = st !== undefined && isKept(st, record.digest);
    if (!isKnown) checks.push(...recordSignatures(ctx.hash, record, p.proofs[i]!, batches));
    return record;
  });
  const proofs = p.proofs.map((bytes) => bytes.slice());
  const { epoch, tip, base = 0, more = 0 } = p;
  const isForAll = p.to === undefined;
  const page = { ...stretch, epoch, proof, records, proofs, cert, tip, base, more, isForAll };
  return { what: { type: 'branch-page', page }, checks };
}

function joinOf(payload: Payload<'CH_JOIN'>): Parts {
  const body = {
    kind: 'join' as const,
    base: 0,
    request: payload.request,
    inviteSig: payload.invite_sig,
    userSig: payload.sig,
  };
  const { request, signed } = joinSignatures(body);
  ofChannel(request, payload.id);
  if (request.user !== payload.from) mismatch('sender');
  return { what: { type: 'join', payload }, checks: signed };
}

/** Records that a step is about to take in, and must know the places of. */
export function recordsIn(what: Inspection['what']): ChannelRecord[] {
  if (what.type === 'records') return what.items.map((item) => item.record);
  // A certified page says itself where its records are placed.
  if (what.type === 'page' && what.page.cert === null) return [...what.page.records];
  return what.type === 'branch-page' ? what.page.records.filter((r) => r !== null) : [];
}
