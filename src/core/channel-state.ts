/**
 * The state of one channel on one node. Plain data; the rules that change it
 * stand in election.ts, leader.ts, follower.ts, catchup.ts, offers.ts and
 * membership.ts, one file for each section of docs/PROTOCOL.md.
 */

import type { EpochDescriptor, Header, Point } from './chain.js';
import type { Genesis } from './genesis.js';
import type { ChannelId, Digest, EpochId, Millis, Ulid, UserId } from './ids.js';
import type { ChannelKeys, HardState, StoredGenesis } from './layout.js';
import type { Log } from './log.js';
import type { Pool, Pooled } from './pool.js';
import type { MembershipBody, Roster } from './roster.js';
import type { JoinRequest, Signed } from './statements.js';

/** The leadership that this node follows (or holds). */
export interface Leadership {
  readonly id: EpochId;
  readonly epoch: EpochDescriptor;
  /** CH_ELECTED's proof: the ballots. */
  readonly ballots: readonly { user: UserId; sig: Uint8Array }[];
  /** False until this boot knows that the leadership is not a replay of a dead one. */
  live: boolean;
  lastBeat: number;
  lastHeardAt: Millis;
  /** Up to where this node's log is known to be the leader's. */
  matched: number;
  /** What this node acknowledged last. */
  acked: { seq: number; signed: Signed } | null;
  /** A heartbeat asked for the acknowledgement again. */
  ackAgain: boolean;
  /** Committed by more than half of the electorate, up to here. */
  committed: number;
}

/** What a leader keeps of its own leadership. */
export interface Leading {
  beat: number;
  /** Seq of its `epoch` record: nothing before it is certified by counting. */
  readonly firstSeq: number;
  readonly acks: Map<UserId, { seq: number; sig: Uint8Array }>;
  readonly heardAt: Map<UserId, Millis>;
  proposed: Point;
  lastProposalAt: Millis;
  /** Asked for a heartbeat before its time. */
  nudge: boolean;
  /** Digests whose predecessor is placed, in order of arrival. */
  placeable: Digest[];
  membershipQueue: Pooled[];
}

export interface Election {
  stage: 'prevote' | 'ballots';
  readonly round: Ulid;
  readonly term: number;
  readonly last: { readonly term: number; readonly seq: number };
  readonly startedAt: Millis;
  readonly grants: Map<UserId, Uint8Array>;
  readonly ballots: Map<UserId, Uint8Array>;
  /** Set once the grants suffice: then late ones are waited for until here. */
  gatherUntil: Millis | null;
  electorate: readonly UserId[];
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
  readonly pinned: Point;
  /** Where the inviter said that members are; the roster known here may be an old one. */
  readonly relays: readonly string[];
  nextAt: Millis;
  /** Since when a relay says that the invitation is not open. */
  refusedSince: Millis | null;
}

export interface ChannelState {
  readonly id: ChannelId;
  readonly keys: ChannelKeys;
  readonly stored: StoredGenesis;
  readonly genesis: Genesis;

  roster: Roster;
  /** Hash of each roster, by number. */
  readonly rosterHashes: Digest[];
  readonly log: Log;
  hard: HardState;
  /** Newest final certificate, and the last one kept at a checkpoint. */
  cert: Uint8Array;
  kept: { seq: number; bytesSince: number };

  readonly pool: Pool;
  /** Own records that are not final, oldest first, and the key each is stored under. */
  readonly outbox: Map<
    Digest,
    { pooled: Pooled; count: number; state: 'queued' | 'sent' | 'committed' }
  >;
  outCount: number;
  outBytes: number;
  /** Digest of this node's last message, placed or not. */
  ownPrev: Digest | null;
  /** Records of this node in this boot. */
  ownN: number;
  offerAt: Millis;
  /** When this node looks again for records of others that it should offer. */
  offerOthersAt: Millis;
  /** Own records offered to the current leader and not placed yet. */
  readonly offered: Set<Digest>;

  leadership: Leadership | null;
  leading: Leading | null;
  election: Election | null;
  electionAt: Millis;
  /** Whom this boot voted for last: a leader it helped to elect is no replay of a dead one. */
  votedFor: { term: number; candidate: UserId } | null;
  /** Term that a refusal showed; the next attempt goes above it. */
  seenTerm: number;

  /** A proposal whose records are not all here. */
  limbo: { base: Point; headers: Header[]; end: Point } | null;
  pull: { to: UserId; at: Millis } | null;
  challenge: { id: Ulid; at: Millis } | null;
  /** Final records looked up in the store, by digest: their seq. Bounded. */
  readonly facts: Map<Digest, number>;

  /** Requests to join, by user. */
  readonly joins: Map<UserId, JoinAttempt>;
  wishes: Wish[];
  joining: Joining | null;
  /** Acknowledgements that went to all, kept while a membership change is in flight. */
  readonly heardAcks: Map<UserId, { epoch: EpochId; seq: number; hash: Digest; sig: Uint8Array }>;
  /** Set when two final certificates conflict: this node has stopped. */
  conflict: string | null;
}
