/**
 * The state of one channel on one node. Plain data; the rules that change it
 * stand in election.ts, leader.ts, follower.ts, catchup.ts, offers.ts and
 * membership.ts, one file for each section of docs/PROTOCOL.md.
 */

import type { Branch } from './branch.js';
import type { Electors } from './certificate.js';
import type { Chain, EpochDescriptor, Point, Stretch } from './chain.js';
import type { ElectionProof } from './epoch-record.js';
import type { Genesis } from './genesis.js';
import type { ChannelId, Digest, EpochId, Millis, SealingPublic, Ulid, UserId } from './ids.js';
import type { ChannelKeys, HardState, StoredGenesis } from './layout.js';
import type { Log } from './log.js';
import type { Offence } from './misbehaviour.js';
import type { Pool, Pooled } from './pool.js';
import type { MembershipBody, Roster } from './roster.js';
import type { Ack, EpochKind, JoinRequest, Propose, Report, Signed } from './statements.js';
import type { Witness } from './witness.js';

/** The leadership that this node follows (or holds). */
export interface Leadership {
  readonly id: EpochId;
  readonly epoch: EpochDescriptor;
  /** CH_ELECTED's proof: the ballots. */
  readonly ballots: readonly { user: UserId; sig: Uint8Array }[];
  /** The chain of an online epoch; a roster epoch's entries go to the log. */
  readonly branch: Branch | null;
  /** False until this boot knows that the leadership is not a replay of a dead one. */
  live: boolean;
  /** When this node began to hold or follow it. */
  readonly since: Millis;
  lastBeat: number;
  lastHeardAt: Millis;
  /** Up to where this node's chain is known to be the leader's. */
  matched: number;
  /** What this node acknowledged last. */
  acked: { seq: number; signed: Signed } | null;
  /** Newest proposal of a roster leader, kept as proof once the log has reached its tip. */
  proposal: { readonly propose: Propose; readonly signed: Omit<Signed, 'by'> } | null;
  /** A heartbeat asked for the acknowledgement again. */
  ackAgain: boolean;
  /** When a `merge` record came into the log last. */
  mergedAt: Millis;
  /** When the certified part of its branch grew last. */
  certifiedAt: Millis;
  readonly suspicion: Suspicion;
}

/** Whether a leader that is alive does its work (suspicion.ts). */
export interface Suspicion {
  /** Since when it is heard without a break. */
  since: Millis;
  /** Ends of the log when it was looked at last; when they moved, or nothing waited there. */
  tip: number;
  final: number;
  placedAt: Millis;
  movedAt: Millis;
  /** When the newest came, of the records that this leader placed. */
  newest: Millis;
  /** There is a reason to suspect it: others are granted. */
  holds: boolean;
  /** This node stands against it until here, and again from there; how often it did. */
  until: Millis;
  nextAt: Millis;
  times: number;
}

/** The chain that a leadership's entries go to. */
export const chainOf = (st: ChannelState, lead: Leadership): Chain => lead.branch ?? st.log;

/** What a leader keeps of its own leadership. */
export interface Leading {
  beat: number;
  /** Seq of its first entry, in a roster epoch its `epoch` record: nothing before it is certified by counting. */
  readonly firstSeq: number;
  readonly acks: Map<UserId, { seq: number; sig: Uint8Array }>;
  readonly heardAt: Map<UserId, Millis>;
  proposed: Point;
  lastProposalAt: Millis;
  /** Asked for a heartbeat before its time. */
  nudge: boolean;
  /** Digests whose predecessor is placed, in order of arrival. */
  placeable: Digest[];
  /** In an online epoch: what `placeable` holds, to queue nothing twice. */
  readonly queued: Set<Digest>;
  membershipQueue: Pooled[];
  /** What is left of the merge under way, in order, and the set's version that it was planned on. */
  merging: { rest: Digest[]; version: number } | null;
  /** New messages that it placed since the last part of a merge. */
  newSincePart: number;
  /** Since when a member that answers is missing from an online leader's electorate. */
  missingSince: Millis | null;
}

/** The exchange of provisional sets with other members (docs/PROTOCOL.md, section "Exchange"). */
export interface Exchange {
  /** When to compare with somebody again. */
  at: Millis;
  /** Members to compare with at once: they came online, or lead. */
  readonly greet: Set<UserId>;
  /** What was asked for each branch last: one sender for a branch. Bounded for each teller, and forgotten after a while. */
  readonly asked: Map<EpochId, Asked>;
  /** Questions that nobody answered, since a page brought something or this node leads. */
  vain: number;
  /** What left here lately of each branch, and who asked for it. */
  readonly served: Map<EpochId, Served>;
  /** When a leader asked last for the acknowledgements that a branch lacks, and how often. */
  readonly confirms: Map<EpochId, { at: Millis; times: number; tip: number }>;
  /** The branch that was named last: the next to be told is named those behind it, where not all fit. */
  lastNamed: EpochId | null;
  /** When each member was last told what this node holds, in answer to what it said. */
  readonly told: Map<UserId, Millis>;
  /** Branches whose places up to `tip` are all final, or have vanished. Bounded. */
  readonly done: Map<EpochId, Done>;
}

/** A question for a branch. */
export interface Asked {
  readonly to: UserId;
  /** For what follows here. */
  readonly seq: number;
  readonly at: Millis;
  /** Whose word it rests on; null where a page has proven the branch. */
  readonly told: UserId | null;
  /** It counts as one in vain. */
  isVain: boolean;
}

/** A branch of which nothing is left here. */
export interface Done {
  /** Its end, and up to where it was certified; 0 where it is asked for from the start, if at all. */
  readonly tip: number;
  readonly certified: number;
  /** Part of it was withheld here: from then on who still names it may have a warrant for that. Null for others. */
  readonly againAt: Millis | null;
}

/** Answers to questions for a branch that may be under way still. */
export interface Served {
  readonly askers: Map<UserId, Millis>;
  /** Pages by what they follow: to whom they went, null for all. */
  readonly pages: Map<number, { readonly to: UserId | null; readonly at: Millis }>;
}

export interface Election {
  readonly kind: EpochKind;
  stage: 'prevote' | 'ballots';
  readonly round: Ulid;
  readonly term: number;
  readonly last: { readonly term: number; readonly seq: number };
  /** When its stage began, and how long each may take. */
  startedAt: Millis;
  readonly lasts: Millis;
  readonly grants: Map<UserId, Uint8Array>;
  /** Who answered, and refused because of the term or the log. */
  readonly refusals: Set<UserId>;
  readonly ballots: Map<UserId, Uint8Array>;
  /** Set once the grants suffice: then late ones are waited for until here. */
  gatherUntil: Millis | null;
  electorate: readonly UserId[];
}

/** What a node that lost memory does to find out what it forgot. */
export interface Forgotten {
  /** Fresh for each attempt; empty before the first. */
  round: Ulid | '';
  /** The highest terms that it may have voted in, as far as it was told; null until more than half have said. */
  known: { roster: number; online: number } | null;
  /** What each voter had seen when it reported first. */
  readonly firstSeen: Map<UserId, { readonly roster: number; readonly online: number }>;
  askAt: Millis;
  readonly reports: Map<UserId, Report>;
  /** Where this node votes alone: since when its final point stands. */
  alone: { readonly final: number; readonly since: Millis } | null;
}

/** A membership record that this node wants in the log. */
export interface Wish {
  readonly token: number;
  readonly make: (roster: Roster) => MembershipBody | null;
  /** Made for this roster number; made anew when another change came first. */
  current: Pooled | null;
  base: number;
  /** The record that brought it about is final; done once the new roster spoke. */
  doneAt: number | null;
}

export interface JoinAttempt {
  readonly request: JoinRequest;
  readonly bytes: Uint8Array;
  readonly inviteSig: Uint8Array;
  readonly userSig: Uint8Array;
  at: Millis;
}

/** This node asks to become a member. */
export interface Joining {
  readonly token: number;
  readonly invite: UserId;
  readonly name: string;
  readonly sealing: SealingPublic | null;
  readonly pinned: Point;
  /** Where the inviter said that members are; the roster known here may be an old one. */
  readonly relays: readonly string[];
  nextAt: Millis;
  /** Since when a relay says that the invitation is not open. */
  refusedSince: Millis | null;
}

/** A proof that a member contradicted itself, as this node keeps it. */
export interface Conviction {
  readonly offence: Offence;
  readonly offender: UserId;
  /** Wall clock, ms since 1970, when this node got it. */
  readonly since: number;
  /** The two records, where it is of records: whoever reads them is told. */
  readonly records: readonly Digest[];
  /** The portable proof. */
  readonly proof: Uint8Array;
  /** Whom this node need not tell. */
  readonly told: Set<UserId>;
  /** This node found it, in this boot. */
  readonly isOwn: boolean;
}

export interface ChannelState {
  readonly id: ChannelId;
  readonly keys: ChannelKeys;
  readonly stored: StoredGenesis;
  readonly genesis: Genesis;
  /** The channel's name, as relays may have it: encrypted; empty until this node holds a key. */
  sealedName: Uint8Array;

  roster: Roster;
  /** Who votes under each roster, by number. */
  readonly electors: Electors[];
  readonly log: Log;
  hard: HardState;
  /** Newest final certificate, and the last one kept at a checkpoint. */
  cert: Uint8Array;
  kept: { seq: number; bytesSince: number };

  readonly pool: Pool;
  /** Elections whose entries are not all final here. */
  readonly epochs: Map<EpochId, ElectionProof>;
  /** The provisional set's places, by the leadership that acknowledged them. */
  readonly branches: Map<EpochId, Branch>;
  /** The newest proposal of a roster leader that this log has reached: proof of whose tail it holds. */
  tailProof: { readonly propose: Propose; readonly signed: Omit<Signed, 'by'> } | null;
  /** Whom a candidate asked for a better log than its own, while that ended with `tip`. */
  tailAsked: { readonly tip: Digest; readonly users: Set<UserId> } | null;
  /** What this node acknowledged last under each of them. */
  readonly acks: Map<EpochId, { readonly ack: Ack; readonly signed: Signed }>;
  /** Newest certificate of commitment over the log's tail. */
  logCert: { readonly seq: number; readonly bytes: Uint8Array } | null;
  /** Records of branches whose predecessor was neither final nor placed here yet. */
  readonly orphans: Set<Digest>;
  /** Grows with each change of the provisional set and the tail. */
  version: number;
  readonly exchange: Exchange;
  /** Own records that are not final, oldest first, and the key each is stored under. */
  readonly outbox: Map<
    Digest,
    { pooled: Pooled; count: number; state: 'queued' | 'sent' | 'committed' | 'withheld' }
  >;
  outCount: number;
  outBytes: number;
  /** Digest of this node's last message, placed or not. */
  ownPrev: Digest | null;
  /** Records of this node in this boot. */
  ownN: number;
  offerAt: Millis;
  /** Since own records wait though a leader is there: it may reach more members than this node. */
  unsureSince: Millis | null;
  /** When this node looks again for records of others that it should offer, in its pool and in its tail. */
  offerOthersAt: Millis;
  offerTailAt: Millis;
  /** Where that look goes on, and over how many more: it sees a part of a large pool at a time. */
  offerOthersRest: { readonly records: IterableIterator<Pooled>; left: number } | null;
  /** What a look at the outbox that found nothing to offer rests on: until it changes, there is nothing. */
  nothingToOffer: {
    readonly outCount: number;
    readonly version: number;
    readonly leadership: Leadership | null;
    readonly until: Millis;
  } | null;
  /** Own records offered to the current leader and not placed yet. */
  readonly offered: Set<Digest>;

  leadership: Leadership | null;
  /** Members without a vote that said something in this channel: they are in, not only online. */
  readonly spoke: Set<UserId>;
  /** The last leadership that was left under suspicion. */
  suspected: { readonly id: EpochId; readonly suspicion: Suspicion } | null;
  leading: Leading | null;
  election: Election | null;
  electionAt: Millis;
  /** How long a stage of its next round may take; 0 before a round found nobody in time. */
  roundMs: Millis;
  /** Until when other candidates may keep this node from standing; null before the first did. */
  yieldUntil: Millis | null;
  /** Since when more than half of the voters answer while an online leader is followed. */
  majoritySince: Millis | null;
  /** The last roster pre-vote did not find a majority: the next is of kind online. */
  standOnline: boolean;
  /** Whom this boot voted for last: a leader it helped to elect is no replay of a dead one. */
  votedFor: { kind: EpochKind; term: number; candidate: UserId } | null;
  /** Who hears a leader that this node does not, and said so last: it carries this node's records there. */
  carrier: { readonly user: UserId; readonly at: Millis } | null;
  /** Terms that refusals showed; the next attempt goes above them. */
  readonly seenTerm: Record<EpochKind, number>;

  /** A proposal whose records are not all here. */
  limbo: Stretch | null;
  pull: { to: UserId; at: Millis } | null;
  /** What a leader is asked to sign, since when, and when last. */
  challenge: { readonly id: Ulid; readonly since: Millis; readonly at: Millis } | null;
  /** Records that are known to be final: looked up in the store, or of late. Bounded. */
  readonly facts: Set<Digest>;

  /** Requests to join, by user. */
  readonly joins: Map<UserId, JoinAttempt>;
  /** Members that ask to join as if they were none, while a leader is heard. */
  readonly asked: Map<UserId, { readonly since: Millis; readonly last: Millis }>;
  wishes: Wish[];
  joining: Joining | null;
  /** A relay said that this member is none. */
  shutOut: { toldAt: Millis; nextAt: Millis } | null;
  /** When relays are asked which roster they know, if no leader is heard until then. */
  askRelaysAt: Millis;
  /** Acknowledgements that went to all, kept while a membership change is in flight. */
  readonly heardAcks: Map<UserId, { epoch: EpochId; seq: number; hash: Digest; sig: Uint8Array }>;
  /** Set while this node has lost memory: it neither votes nor acknowledges. */
  memory: Forgotten | null;
  /** When this node promises again for a member that lost memory. */
  readonly recalled: Map<UserId, { readonly pause: Millis; readonly nextAt: Millis }>;
  /** Boot in which this node recovered last: its own records up to then are no news. */
  recoveredIn: Ulid | null;
  /** Recognises members that contradict themselves. */
  readonly witness: Witness;
  /** What it handed on to be judged in this boot, by offence and offender. */
  readonly denounced: Map<string, number>;
  /** Proofs of misbehaviour that are kept, by the hash of their bytes. */
  readonly convictions: Map<Digest, Conviction>;
  /** Set when two final certificates conflict: this node has stopped. */
  conflict: string | null;
}
