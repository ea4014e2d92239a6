/**
 * The exchange of provisional sets (docs/PROTOCOL.md, section "Exchange").
 * Members that reach each other compare what they hold, at any time and
 * whoever leads: a member says which branches it has and up to where they are
 * certified; who lacks something asks one sender for it, page by page. So a
 * member that reaches both sides of a partition carries each side's records to
 * the other. Each page ends at a certificate and proves itself: nobody can put
 * anything into a branch that its members did not acknowledge. What is not
 * certified its holders confirm (confirm.ts), or offer anew.
 *
 *     CH_PULL {set}  →  CH_PULL {take}  →  CH_MERGE page, again until it has all
 */

import type { Branch } from './branch.js';
import { type Certificate, committedFlaw } from './certificate.js';
import { endOf, type Stretch } from './chain.js';
import type { ChannelState, Served } from './channel-state.js';
import type { Payload } from './commands.js';
import type { StepContext } from './effects.js';
import type { ElectionProof } from './epoch-record.js';
import { hearsLeader, hearsRosterLeader } from './hearing.js';
import type { EpochId, UserId } from './ids.js';
import {
  ASKED_KEEP_MS,
  BRANCHES_LISTED_MAX,
  BRANCHES_PER_LEADER_MAX,
  LOCATORS_MAX,
  PAGES_PER_ANSWER_MAX,
} from './limits.js';
import { isMessageLane } from './log.js';
import { noteOwnAck, noteOwnBallot, noteOwnRecord } from './memory.js';
import { type Pooled, pooledFrom } from './pool.js';
import {
  branchesLedBy,
  heldRecord,
  isPredecessorKnown,
  isProven,
  isShareFull,
  pruneSet,
  rememberEpoch,
  takeCommitted,
  uniteCertified,
} from './provisional.js';
import { pullFrom } from './pulls.js';
import type { ChannelRecord } from './record.js';
import { sendToUser } from './sending.js';
import { pageEnd } from './serve-branch.js';

type Pull = Payload<'CH_PULL'>;
type Summary = NonNullable<Pull['set']>;

/** A page of a branch as the driver's inspection found it. */
export interface BranchPage extends Stretch {
  readonly epoch: EpochId;
  readonly proof: ElectionProof;
  /** Null for records that vanish when they are displaced. */
  readonly records: readonly (ChannelRecord | null)[];
  readonly proofs: readonly Uint8Array[];
  readonly cert: Certificate;
  /** Up to where the sender's branch is certified. */
  readonly tip: number;
  /** What the sender's branch begins behind. */
  readonly base: number;
  /** How many pages of the same answer follow. */
  readonly more: number;
  readonly isForAll: boolean;
}

/** How long an unanswered question for a branch keeps others from being asked; more than an answer is remembered there. */
const patience = (ctx: StepContext): number => 4 * ctx.timing.pull_ms;
/** Questions for branches that nobody answered in a row; then a merge waits for none until a page came. */
const VAIN_MAX = 2;

/** Whether some branch is on its way to this node, and worth waiting for: what members tell of nobody may have. */
export function isFetching(ctx: StepContext, st: ChannelState): boolean {
  if (st.exchange.vain >= VAIN_MAX) return false;
  for (const { at } of st.exchange.asked.values()) if (ctx.now - at < patience(ctx)) return true;
  return false;
}

/** Counts the questions that were in vain, and forgets them later: until then the next one goes elsewhere. */
function pruneAsked(ctx: StepContext, { exchange }: ChannelState): void {
  for (const [epoch, asked] of exchange.asked) {
    if (ctx.now - asked.at >= patience(ctx) && !asked.isVain) {
      asked.isVain = true;
      exchange.vain += 1;
    }
    if (ctx.now - asked.at >= ASKED_KEEP_MS) exchange.asked.delete(epoch);
  }
}

const isMember = (ctx: StepContext, st: ChannelState): boolean =>
  st.roster.members.has(ctx.self) && st.conflict === null;

/** Compares with those who came, and now and then with somebody, while something is not final. */
export function tickExchange(ctx: StepContext, st: ChannelState): void {
  const { exchange } = st;
  pruneAsked(ctx, st);
  if (!isMember(ctx, st)) return;
  const isOpen = st.branches.size > 0 || !hearsLeader(ctx, st);
  for (const user of exchange.greet) if (ctx.isOnline(user)) tellSet(ctx, st, user);
  exchange.greet.clear();
  if (!isOpen) return;
  if (ctx.now >= exchange.at) {
    exchange.at = ctx.now + ctx.timing.exchange_ms * (0.5 + ctx.random());
    const others = [...st.roster.members.keys()].filter((u) => u !== ctx.self && ctx.isOnline(u));
    const user = others[Math.floor(ctx.random() * others.length)];
    if (user) tellSet(ctx, st, user);
  }
  ctx.ready.wake(exchange.at);
}

/** A member came online: worth comparing with where something is not final, or nobody leads. */
export function greet(st: ChannelState, user: UserId): void {
  if (st.branches.size > 0 || st.leadership === null) st.exchange.greet.add(user);
}

/** The branches that this node can show, and up to where they are certified. */
const summaryOf = (st: ChannelState): Summary =>
  [...st.branches.values()]
    .filter((b) => b.size > 0 && b.certified > b.base.seq && st.epochs.has(b.id))
    .map(({ id, certified }) => ({ epoch: id, seq: certified }));

/** As many of them as are named at once, from behind the one that was named last. */
function nextNamed(st: ChannelState): Summary {
  const all = summaryOf(st);
  const last = all.findIndex(({ epoch }) => epoch === st.exchange.lastNamed);
  const from = all.length > BRANCHES_LISTED_MAX ? last + 1 : 0;
  const named = [...all.slice(from), ...all.slice(0, from)].slice(0, BRANCHES_LISTED_MAX);
  st.exchange.lastNamed = named.at(-1)?.epoch ?? null;
  return named;
}

/** Says to `user` what this node holds. */
function tellSet(ctx: StepContext, st: ChannelState, user: UserId): void {
  if (user === ctx.self) return;
  const anchor = st.log.locators(LOCATORS_MAX);
  const set = nextNamed(st);
  sendToUser(ctx, ctx.ready.early, user, () => ({
    name: 'CH_PULL',
    payload: { id: st.id, from: ctx.self, to: user, anchor, want: [], set },
  }));
}

/** A member said what it holds: asks it for what is missing here, and tells it what it lacks. */
export function onSet(
  ctx: StepContext,
  st: ChannelState,
  from: UserId,
  p: Pull,
  set: Summary,
): void {
  if (!isMember(ctx, st)) return;
  if ((p.anchor.at(-1)?.seq ?? 0) > st.log.final.seq) pullFrom(ctx, st, from);
  if (!isElecting(ctx, st)) {
    for (const { epoch } of set.filter((theirs) => isMissing(ctx, st, theirs))) {
      if (mayAskOn(st, from, epoch)) take(ctx, st, senderOf(ctx, st, from, epoch), epoch, from);
    }
  }
  const listed = new Map(set.map((b) => [b.epoch, b]));
  // Who names as many as it may can have what it did not name.
  const namesAll = set.length < BRANCHES_LISTED_MAX;
  const hasMore = summaryOf(st).some((mine) => {
    const theirs = listed.get(mine.epoch);
    return theirs ? theirs.seq < mine.seq : namesAll;
  });
  const { told } = st.exchange;
  if (!hasMore || ctx.now - (told.get(from) ?? Number.NEGATIVE_INFINITY) < ctx.timing.pull_ms)
    return;
  told.set(from, ctx.now);
  tellSet(ctx, st, from);
}

/** A roster leader is about to be elected: then all ask the same member. Not for long, or it would be waited for in vain. */
const isElecting = (ctx: StepContext, st: ChannelState): boolean =>
  !hearsRosterLeader(ctx, st) &&
  st.majoritySince !== null &&
  ctx.now - st.majoritySince < ctx.timing.election_max_ms;

/**
 * Whom to ask for a branch that `from` has: first the roster leader, which has
 * it or takes it in, and then all get the pages that it gets.
 */
function senderOf(ctx: StepContext, st: ChannelState, from: UserId, epoch: EpochId): UserId {
  const lead = st.leadership;
  if (!lead || st.leading || st.exchange.asked.has(epoch)) return from;
  return hearsRosterLeader(ctx, st) ? lead.epoch.leader : from;
}

function isMissing(ctx: StepContext, st: ChannelState, theirs: Summary[number]): boolean {
  const { epoch, seq } = theirs;
  const lead = st.leadership;
  if (lead?.id === epoch) {
    // The running chain comes from its leader; what certifies it is said once, and may be lost.
    const { branch, certifiedAt } = lead;
    if (!branch || seq <= branch.certified || seq > branch.tip.seq) return false;
    return ctx.now - certifiedAt >= ctx.timing.exchange_ms;
  }
  const here = st.branches.get(epoch);
  if (here) return seq > here.certified;
  const done = st.exchange.done.get(epoch);
  if (!done) return true;
  return done.againAt === null ? seq > done.tip : ctx.now >= done.againAt;
}

/** One member's word leads to so many open questions as it may name branches at once. */
function mayAskOn({ exchange: { asked } }: ChannelState, teller: UserId, epoch: EpochId): boolean {
  let open = 0;
  for (const [id, { told }] of asked) if (told === teller && id !== epoch) open += 1;
  return open < BRANCHES_LISTED_MAX;
}

/** Up to where this node has a branch, or had it before all of it was final. */
const certifiedHere = ({ branches, exchange }: ChannelState, epoch: EpochId): number =>
  branches.get(epoch)?.certified ?? exchange.done.get(epoch)?.certified ?? 0;

/** Asks `from` for what follows this node's part of a branch, unless somebody else was asked just now. */
function take(
  ctx: StepContext,
  st: ChannelState,
  from: UserId,
  epoch: EpochId,
  told: UserId | null,
): void {
  const asked = st.exchange.asked.get(epoch);
  if (asked && ctx.now - asked.at < patience(ctx) && ctx.isOnline(asked.to)) return;
  if (asked?.isVain === false) st.exchange.vain += 1;
  const seq = certifiedHere(st, epoch);
  st.exchange.asked.set(epoch, { to: from, seq, at: ctx.now, told, isVain: false });
  const at = { epoch, seq };
  sendToUser(ctx, ctx.ready.early, from, () => ({
    name: 'CH_PULL',
    payload: { id: st.id, from: ctx.self, to: from, anchor: [], want: [], take: at },
  }));
}

/**
 * A member asks for a branch: it gets some pages. They go to all where the
 * leader asks, since what it takes in all will need, or where another asked
 * lately; then they are the answer to whoever else asks.
 */
export function onTake(
  ctx: StepContext,
  st: ChannelState,
  from: UserId,
  { epoch, seq }: Summary[number],
): void {
  const branch = st.branches.get(epoch);
  if (!branch || !st.epochs.has(epoch)) return;
  const { askers, pages } = servedLately(ctx, st, epoch);
  askers.set(from, ctx.now);
  const sent = pages.get(seq);
  if (sent && (sent.to === null || sent.to === from)) return;
  const lead = st.leadership;
  const isLeader = lead !== null && lead.branch === null && lead.epoch.leader === from;
  const toAll = isLeader || askers.size > 1;
  const starts = pageStarts(st, branch, seq);
  if (starts.length === 0) return;
  const to = from;
  for (const start of starts) pages.set(start, { to: toAll ? null : to, at: ctx.now });
  const serve = { type: 'branch' as const, channel: st.id, to, toAll, epoch, seq };
  ctx.ready.serves.push({ ...serve, pages: starts.length });
}

/** What of a branch may still be under way to those who asked for it. */
function servedLately(ctx: StepContext, st: ChannelState, epoch: EpochId): Served {
  const known = st.exchange.served.get(epoch) ?? { askers: new Map(), pages: new Map() };
  st.exchange.served.set(epoch, known);
  const since = ctx.now - 2 * ctx.timing.pull_ms;
  for (const [user, at] of known.askers) if (at <= since) known.askers.delete(user);
  for (const [seq, { at }] of known.pages) if (at <= since) known.pages.delete(seq);
  return known;
}

/** What the pages of one answer follow: who has nothing gets one, and may then choose whom to ask. */
function pageStarts(st: ChannelState, branch: Branch, seq: number): number[] {
  const most = seq === 0 ? 1 : PAGES_PER_ANSWER_MAX;
  const starts: number[] = [];
  let at: number | undefined = Math.max(seq, branch.base.seq);
  while (at !== undefined && at < branch.certified && starts.length < most) {
    starts.push(at === branch.base.seq ? seq : at);
    at = pageEnd(st, branch, at);
  }
  return starts;
}

/** Takes in a page of a branch. The driver verified all its signatures. */
export function onBranchPage(
  ctx: StepContext,
  st: ChannelState,
  from: UserId,
  page: BranchPage,
): void {
  if (!isMember(ctx, st)) return;
  const inPlace = isInPlace(st, page);
  const asked = st.exchange.asked.get(page.epoch);
  // Whoever sent it; what comes twice is no answer to the next question.
  const isAnswer = inPlace && asked !== undefined && endOf(page).seq > asked.seq;
  if (isAnswer) st.exchange.asked.delete(page.epoch);
  const before = st.branches.get(page.epoch)?.certified ?? 0;
  if (page.proof.epoch.roster > st.roster.number) return pullFrom(ctx, st, from);
  if (!isAcceptable(st, page)) return;
  if (!inPlace) return take(ctx, st, from, page.epoch, null);
  if (!isWithinShares(st, page)) {
    // It is asked for again: there is room once what is here is in the log.
    if (asked) st.exchange.asked.set(page.epoch, { ...asked, at: ctx.now });
    return;
  }
  if (page.isForAll) {
    servedLately(ctx, st, page.epoch).pages.set(page.anchor.seq, { to: null, at: ctx.now });
  }
  noteOwnBallot(ctx, st, page.proof);
  noteOwnAck(ctx, st, page.cert);
  const held = holdRecords(ctx, st, page);
  rememberEpoch(ctx, st, page.proof);
  const branch = uniteCertified(ctx, st, page);
  noteOrphans(st, page);
  if (!branch) return letGo(st, held);
  takeCommitted(ctx, st, page.cert);
  ctx.ready.events.push({ type: 'changed', channel: st.id });
  const isNews = isAnswer || branch.certified > before;
  if (isNews) st.exchange.vain = 0;
  if (isNews && branch.certified < page.tip) goOn(ctx, st, from, page, isAnswer);
  // It may have come late: then all that it places is final already.
  pruneSet(ctx, st, []);
}

/**
 * Whether a page may open its branch here: it begins where the sender's does,
 * or where this node's own ended. Behind a page from the middle, that another
 * asked for, nobody would ask for what is before it.
 */
const isInPlace = (st: ChannelState, { epoch, anchor, base }: BranchPage): boolean =>
  st.branches.has(epoch) || anchor.seq <= Math.max(base, certifiedHere(st, epoch));

/**
 * More of the branch is to come: by itself, where more pages of this answer do
 * or another asked for them; else this node asks on, after the first page the
 * branch's own leader, so that all who lack it ask the same member.
 */
function goOn(
  ctx: StepContext,
  st: ChannelState,
  from: UserId,
  { epoch, anchor, proof, more }: BranchPage,
  isAnswer: boolean,
): void {
  const { leader } = proof.epoch;
  const isFirst = anchor.seq === 0 && leader !== ctx.self && ctx.isOnline(leader);
  if (isAnswer && more === 0) return take(ctx, st, isFirst ? leader : from, epoch, null);
  const seq = st.branches.get(epoch)!.certified;
  st.exchange.asked.set(epoch, { to: from, seq, at: ctx.now, told: null, isVain: false });
}

/** A proven election, whose electorate acknowledged the page's last entry; the inspection tied the parts together. */
function isAcceptable(st: ChannelState, page: BranchPage): boolean {
  const { epoch, proof, cert } = page;
  if (st.genesis.quorum === 'roster' || !isProven(st, proof)) return false;
  // What this node placed itself needs no telling.
  if (st.leading && st.leadership?.id === epoch) return false;
  if (committedFlaw(cert, epoch, proof.epoch) !== undefined) return false;
  return proof.epoch.kind === 'roster' || isWhole(st, page);
}

/**
 * Whether there is room for it by whose it is. Two members can elect each other
 * with a third as often as they like, and one can write what it likes.
 */
function isWithinShares(st: ChannelState, { epoch, proof, records }: BranchPage): boolean {
  const { kind, leader } = proof.epoch;
  const isNew = kind === 'online' && !st.branches.has(epoch);
  if (isNew && branchesLedBy(st, leader) >= BRANCHES_PER_LEADER_MAX) return false;
  return records.every((r) => !r || !isShareFull(st, r.author) || heldRecord(st, r.digest));
}

/** Entries of one online epoch alone, each with its record. */
const isWhole = (st: ChannelState, { epoch, headers, records }: BranchPage): boolean =>
  headers.every((header, i) => {
    const isHere = records[i] !== null || heldRecord(st, header.digest) !== undefined;
    return header.epoch === epoch && (isHere || st.facts.has(header.digest));
  });

/** Puts the page's records beside those that this node holds; returns the new ones. */
function holdRecords(ctx: StepContext, st: ChannelState, page: BranchPage): Pooled[] {
  const held: Pooled[] = [];
  page.records.forEach((record, i) => {
    if (!record || !isMessageLane(record)) return;
    const { digest } = record;
    if (st.facts.has(digest) || heldRecord(st, digest)) return;
    noteOwnRecord(ctx, st, record);
    const proof = page.proofs[i]!;
    const pooled = pooledFrom({ record, proof }, { cameAt: ctx.now, kept: false });
    st.pool.add(pooled, true);
    held.push(pooled);
  });
  return held;
}

/** A page that does not connect, since one before it was lost, leaves nothing here: no share counts its records. */
function letGo(st: ChannelState, held: readonly Pooled[]): void {
  for (const { kept, record } of held) {
    if (kept) continue;
    st.pool.remove(record.digest);
    st.orphans.delete(record.digest);
  }
}

/** Marks the records of a page whose predecessor is neither final here nor placed, by the page or otherwise. */
function noteOrphans(st: ChannelState, { records }: BranchPage): void {
  for (const record of records) {
    if (!record || !isMessageLane(record) || st.facts.has(record.digest)) continue;
    if (!isPredecessorKnown(st, record)) st.orphans.add(record.digest);
  }
}
