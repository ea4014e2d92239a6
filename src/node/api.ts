/**
 * The node's public interface: what `openNode` gives to an application
 * (README, "Embedding"; names are a contract). Implemented by node.ts and
 * channel.ts.
 *
 * Reading is pull-based: a slow reader slows itself and nothing else. Every
 * wait takes an AbortSignal. Every error is a ConclaveError.
 */

import type { FewPolicy, HistoryPolicy, QuorumPolicy } from '../core/genesis.js';
import type { ChannelId, Digest, Ulid, UserId } from '../core/ids.js';
import type { Offence } from '../core/misbehaviour.js';
import type { GivenRole, Role } from '../core/roster.js';

export type { Offence } from '../core/misbehaviour.js';

/**
 * What is true of a record, never more (docs/PROTOCOL.md, section "States"):
 * queued (kept here) → sent (the leader has it) → committed (on more than half
 * of those online) → final (on more than half of the members, place fixed).
 */
export type RecordState = 'queued' | 'sent' | 'committed' | 'final' | 'withheld';

export interface WaitOptions {
  readonly signal?: AbortSignal;
}

/** A leadership: elected by more than half of the voters, or of those online only. */
export interface EpochRef {
  readonly term: number;
  readonly kind: 'roster' | 'online';
}

/** One thing in a channel, as a reader sees it. */
export interface ChannelEntry {
  /** Place in the channel's log; null while it has none that is final. */
  readonly seq: number | null;
  readonly digest: Digest;
  readonly id: Ulid;
  readonly from: UserId;
  /** The name to show: the message's own, else the member's. */
  readonly name: string;
  /** Author's clock, ms since 1970, UTC. */
  readonly time: number;
  readonly state: RecordState;
  /** 'message', or what else it is: 'epoch', 'merge', 'join', 'invite', … */
  readonly kind: string;
  /** The leadership that placed it; null while none has. What an online epoch placed is not final. */
  readonly epoch: EpochRef | null;
  /** The text of a message; absent for other kinds, and for one that is `sealed` or `plain`. */
  readonly text?: string;
  /** A message that this node has no key for, yet: once it has, the entry comes again as `opened`. */
  readonly sealed?: true;
  /** A message that its author did not encrypt, against the rule: what it says is not shown. */
  readonly plain?: true;
  /** Whom a 'join', 'vote', 'leave', 'remove', 'role' or 'replace' is about, or an 'invite' for one user names; else absent. */
  readonly member?: Named;
  /** What a 'role' makes of its member. */
  readonly role?: GivenRole;
  /** Of a 'replace': who has the place of `member` from then on. */
  readonly replacement?: Named;
  /** The key that has the place of `from` by now: that was replaced. */
  readonly fromReplacedBy?: UserId;
  /** Its author signed another record with the same counter, and a proof of that is kept here. */
  readonly disputed?: true;
  /** What a 'merge' brings, directly behind it, unless its leader was deposed before the end; absent for other kinds. */
  readonly merge?: Pick<Merged, 'entries' | 'branches'>;
}

/** How this node's user ceased to be a member. */
export interface Departure {
  readonly how: 'left' | 'removed' | 'replaced';
  /** Who made the record that says so. */
  readonly by: Named;
  /** When, by that one's clock, ms since 1970. */
  readonly time: number;
  /** The key that has its place now. */
  readonly replacedBy?: UserId;
}

/** Opaque position in a channel's reading order; give it to `read` to go on behind it. */
export type Cursor = string;

/**
 * What one `merge` record brought into the log: messages that other leaders had
 * placed while the network was cut, or that fell out of the log.
 */
export interface Merged {
  /** Place of the `merge` record, and the leader that made it. */
  readonly seq: number;
  readonly by: UserId;
  /** How many messages it moved, and the places that they have now, directly behind it. */
  readonly entries: number;
  readonly first: number;
  readonly last: number;
  /** The leaderships that had placed them, and how many each, as the record says. */
  readonly branches: readonly {
    readonly kind: 'roster' | 'online';
    readonly term: number;
    readonly leader: UserId;
    readonly entries: number;
  }[];
}

/** Names an entry that another stands behind. */
export type EntryRef = Pick<ChannelEntry, 'digest' | 'id'>;

/**
 * What a reader is told. Whoever keeps a page applies it in order: a final
 * entry goes to the end of the final ones, and away from where it stood before;
 * one that is not final goes directly behind `after`, or, where that is null, to
 * the front of all that is not final.
 */
export type ReadEvent =
  | {
      readonly type: 'entry';
      readonly entry: ChannelEntry;
      /** Of what is not final; absent on what is. */
      readonly after?: EntryRef | null;
      readonly cursor: Cursor;
    }
  /** A message that was shown before, in the same state, stands elsewhere now. */
  | {
      readonly type: 'moved';
      readonly entry: ChannelEntry;
      readonly after: EntryRef | null;
      readonly cursor: Cursor;
    }
  /** A message that was shown sealed, where it stands, with its text: the key has come. */
  | { readonly type: 'opened'; readonly entry: ChannelEntry; readonly cursor: Cursor }
  /** All that a merge moved was shown just now, as final. */
  | (Merged & { readonly type: 'merged'; readonly cursor: Cursor })
  | { readonly type: 'removed'; readonly departure?: Departure; readonly cursor: Cursor };

export interface ReadOptions extends WaitOptions {
  /** Start behind this cursor, or at this seq; from the beginning by default. */
  readonly from?: Cursor | number;
  /** Go on with what comes, until aborted; otherwise end at the newest. An abort ends the reading, it throws nothing. */
  readonly live?: boolean;
  /** No more than so many `entry` events. */
  readonly limit?: number;
  /**
   * Also messages that are not final yet (default true). Each is seen again whenever its state
   * has grown, and announced when it moved.
   */
  readonly provisional?: boolean;
}

/** Somebody, with the name that the roster has; empty for who is no member. */
export interface Named {
  readonly user: UserId;
  readonly name: string;
}

/** A leadership; kind and leader are null where this node has forgotten them. */
export interface ExplainedLeadership {
  readonly kind: 'roster' | 'online' | null;
  readonly term: number;
  readonly leader: Named | null;
}

/** Who acknowledged a place up to `seq`: more than half of so many. */
export interface ExplainedCertificate {
  readonly seq: number;
  readonly by: readonly Named[];
  readonly of: number;
}

export type ExplainStep =
  /** Its author made it: when by its own clock, and which of its records in which boot it is. */
  | {
      readonly step: 'made';
      readonly by: Named;
      readonly time: number;
      readonly boot: Ulid;
      readonly n: number;
    }
  /** Under which roster, and under one signature with how many records. */
  | { readonly step: 'signed'; readonly roster: number; readonly records: number }
  /** It is this node's own, and kept in its outbox until it is final. */
  | { readonly step: 'queued' }
  /** A leader gave it a place: in the log, or in the branch of an online epoch. */
  | {
      readonly step: 'placed';
      readonly in: 'log' | 'branch';
      readonly under: ExplainedLeadership;
      readonly seq: number;
      /** This node acknowledged it there. */
      readonly acknowledged: boolean;
      readonly committed: ExplainedCertificate | null;
    }
  /** It fell out of the log: a later leader had another tail. */
  | { readonly step: 'displaced'; readonly under: ExplainedLeadership; readonly seq: number }
  /** A `merge` record brought it into the log. */
  | {
      readonly step: 'merged';
      readonly seq: number;
      readonly by: Named;
      readonly branches: readonly {
        readonly under: ExplainedLeadership;
        readonly entries: number;
      }[];
    }
  | {
      readonly step: 'final';
      readonly seq: number;
      readonly under: ExplainedLeadership;
      readonly certificate: ExplainedCertificate | null;
    };

/** What happened to one record, as far as this node's store says. */
export interface Explanation {
  readonly id: Ulid;
  readonly digest: Digest;
  readonly from: UserId;
  readonly name: string;
  readonly kind: string;
  /** As of an entry. */
  readonly text?: string;
  readonly sealed?: true;
  readonly plain?: true;
  /** As of an entry. */
  readonly member?: Named;
  readonly role?: GivenRole;
  readonly replacement?: Named;
  readonly state: RecordState;
  readonly seq: number | null;
  readonly steps: readonly ExplainStep[];
  /** What it waits for, in words; null once it is final. */
  readonly waits: string | null;
}

/** What a portable proof shows, all of it checked against signatures alone. */
export interface CheckedFinal {
  readonly proves: 'final';
  /** Whoever knows the channel by its id knows by it that the proof is of that channel: anybody can found another. */
  readonly channel: ChannelId;
  readonly founder: Named;
  /** Place in the channel's log, which never changes. */
  readonly seq: number;
  readonly id: Ulid;
  readonly digest: Digest;
  readonly from: UserId;
  /** As of an entry. */
  readonly name: string;
  /** False of what a merge brought into the log after its author had left. */
  readonly authorIsMember: boolean;
  /** Author's clock, ms since 1970, UTC: a claim of the author. */
  readonly time: number;
  readonly kind: string;
  /** The text of a message, where the proof carries one that can be read. */
  readonly text?: string;
  readonly member?: Named;
  readonly role?: GivenRole;
  readonly replacement?: Named;
  /** Who vouches for it: more than half of the `of` voters of the channel's roster number `roster`. */
  readonly certificate: {
    readonly seq: number;
    readonly term: number;
    readonly roster: number;
    readonly by: readonly Named[];
    readonly of: number;
  };
}

/** What a proof of misbehaviour shows: a key signed two things that nobody signs who follows the protocol. */
export interface CheckedMisbehaviour {
  readonly proves: 'misbehaviour';
  readonly channel: ChannelId;
  readonly user: UserId;
  readonly offence: Offence;
  /** What contradicts what, in words. */
  readonly about: string;
}

export type CheckedProof = CheckedFinal | CheckedMisbehaviour;

export interface SendOptions {
  /** The name to show with this message instead of the member's. */
  readonly name?: string;
  /** ms since 1970; the node's clock by default. */
  readonly time?: number;
}

export interface Progress {
  readonly id: Ulid;
  readonly state: RecordState;
  readonly seq: number | null;
}

/** A message on its way. Nothing to await until you want to. */
export interface Sending extends Progress {
  /** Resolves once the message is safely in this node's own store. Rejects with `outbox_full`, `removed`, `offline`, `closed`. */
  readonly stored: Promise<void>;
  /** Resolves once the message has reached `state`. Rejects with `aborted`, `closed` or `removed`. */
  until(state: 'sent' | 'committed' | 'final', options?: WaitOptions): Promise<Progress>;
}

export interface RelayStatus {
  readonly url: string;
  readonly connected: boolean;
  /** Why this node has no link to it, or what the relay said when it ended the last one. */
  readonly problem?: { readonly code: string; readonly message: string };
}

export type ChannelHealth = 'healthy' | 'electing' | 'waiting' | 'offline' | 'removed';

/** One who signed what contradicts itself: two records, ballots, proposals or acknowledgements. */
export interface Misbehaved {
  readonly user: UserId;
  readonly offence: Offence;
  readonly since: number;
}

export interface ChannelStatus {
  readonly channel: ChannelId;
  readonly name: string;
  /** True where this node is an archive of the channel. */
  readonly archive?: boolean;
  readonly relays: readonly RelayStatus[];
  readonly members: number;
  readonly online: readonly UserId[];
  readonly leader: UserId | null;
  readonly epoch: EpochRef | null;
  readonly state: ChannelHealth;
  /** How many members must be online for messages to be placed: what the founder chose, or 3 where that takes an archive and none is a member. */
  readonly minOnline: number;
  readonly waiting: {
    readonly need: number;
    readonly have: number;
    readonly missing: readonly UserId[];
    /** How many more members the channel needs, whoever is online; absent where it has enough. */
    readonly lacking?: number;
    readonly reason: string;
  } | null;
  /** Where the state is `removed`: how that came. */
  readonly departure?: Departure;
  /** This node's own messages that no leader has yet, and that a leader has. */
  readonly queued: number;
  readonly sent: number;
  /** Everybody's that are committed and not final. */
  readonly committed: number;
  /** Seq of the last final entry, and the chain hash there. */
  readonly final: number;
  readonly head: Digest;
  /** Who signed what contradicts itself, as proofs show that this node keeps; since when it does, ms since 1970. */
  readonly misbehaved: readonly Misbehaved[];
}

export interface MemberInfo {
  readonly user: UserId;
  readonly name: string;
  readonly role: Role;
  /** True of an archive: it stores, acknowledges, votes and serves, holds no key and never reads. */
  readonly archive?: boolean;
  readonly online: boolean;
  /** The leadership that this member holds now. */
  readonly leads: EpochRef | null;
  /** It has a recovery key, which may put another key in its place. */
  readonly recoverable?: true;
  /** The keys that it had before, first to last. */
  readonly replaces?: readonly UserId[];
}

/** One who was a member. */
export interface FormerMember extends Named {
  /** It was removed: only an invitation for it brings it back. Else it left. */
  readonly removed: boolean;
  /** The key that has its place now: nothing brings this one back. */
  readonly replacedBy?: UserId;
}

/** An invitation with which somebody can join. */
export interface OpenInvite {
  /** Its public key: what `revoke` takes too. */
  readonly id: UserId;
  readonly by: Named;
  /** How many may still join with it. */
  readonly uses: number;
  /** ms since 1970 after which it is refused. */
  readonly expires?: number;
  /** The one user that it is for. */
  readonly for?: Named;
  readonly archive?: true;
}

export interface InviteOptions extends WaitOptions {
  /** How many may join with it (default 1). */
  readonly uses?: number;
  /** ms since 1970 after which it is refused; none by default. */
  readonly expires?: number;
  /** The id of the one user that may join with it, once; the only kind that brings back who was removed. */
  readonly for?: string;
  /**
   * True: for an archive, and nobody else may join with it. It does not say the channel's name
   * (default false).
   */
  readonly archive?: boolean;
}

export interface ProveOptions {
  /** Whether the proof shows the text of the message (default true). */
  readonly text?: boolean;
}

export interface Channel {
  readonly id: ChannelId;
  readonly name: string;
  /** Throws `bad_text`, `bad_name`, `bad_time` and `record_too_large`; what comes later, `stored` and `until` tell. */
  send(text: string, options?: SendOptions): Sending;
  read(options?: ReadOptions): AsyncIterable<ReadEvent>;
  /**
   * What happened to a message, step by step; one for each record of that id, since nothing keeps
   * others from using it too. Rejects with `bad_id` or `no_message`.
   */
  explain(id: string): Promise<Explanation[]>;
  /**
   * A text with which anybody can check, by `checkProof`, that a message is final: no store and no
   * network is needed for that. By the message's id, or its digest. It shows the text of that message
   * to whoever has it, and of no other, unless `text` is false or this node has no key for it.
   * Rejects with `bad_id`, `no_message`, `not_final`, `ambiguous_id`, `proof_too_large` or `cannot_prove`.
   */
  prove(id: string, options?: ProveOptions): Promise<string>;
  /** A text with which anybody can check that a member misbehaved, as `status` says. Throws `no_proof`. */
  proveMisbehaviour(user: string): string;
  /** The newest status, at once and whenever it changes; conflated for a slow reader. Throws `aborted`. */
  status(options?: WaitOptions): AsyncIterable<ChannelStatus>;
  currentStatus(): ChannelStatus;
  readonly members: {
    list(): MemberInfo[];
    /** Those who left, were removed or were replaced, and are no members now. */
    former(): FormerMember[];
    /** Resolves with one string to hand over, once the invitation is in force. */
    invite(options?: InviteOptions): Promise<string>;
    /** Invitations that are in force. */
    invites(): OpenInvite[];
    /** By the string that was handed over, or by its id. Throws `invite_not_open` when there is nothing to revoke. */
    revoke(invite: string, options?: WaitOptions): Promise<void>;
    /**
     * Ends a membership. Of one who left meanwhile it says that it stays out. Throws `not_member`,
     * `not_allowed` where the own role does not suffice, `removed` where this node is out itself.
     */
    remove(user: string, options?: WaitOptions): Promise<void>;
    /** Throws as `remove` does, and `bad_role`; `not_allowed` where an archive is to be an admin. */
    setRole(user: string, role: GivenRole, options?: WaitOptions): Promise<void>;
    /**
     * Puts a new key in the place of a user's, for good: what the old key signs is refused from then
     * on. Resolves with an invitation by which the new key's node gets the channel. The own role has
     * to suffice, as for `remove`, or the request carries the signature of the user's recovery key.
     * Throws as `remove` does, and `bad_replace_request`.
     */
    replace(user: string, request: string, options?: WaitOptions): Promise<string>;
    /**
     * Registers this user's recovery key, by its public half. One that follows another needs the
     * secret of that one, `previous`. Throws as `remove` does, and `bad_recovery_key`.
     */
    setRecoveryKey(
      key: string,
      options?: WaitOptions & { readonly previous?: string },
    ): Promise<void>;
  };
  /**
   * Replaces the key that messages are encrypted under; resolves once the new one is final. Each change
   * of the members does that too, and so does a log that grew long. Throws `no_key` for an archive.
   */
  rotateKey(options?: WaitOptions): Promise<void>;
  /** Ends the own membership. Throws `not_allowed` where nobody would be left to go on. */
  leave(options?: WaitOptions): Promise<void>;
  readonly relays: {
    list(): RelayStatus[];
    /** Adds to or removes from the channel's relays, for everyone; resolves when in force, at once if there is nothing to change. */
    add(url: string, options?: WaitOptions): Promise<void>;
    remove(url: string, options?: WaitOptions): Promise<void>;
    /** This node alone reaches the relay with `url`'s key at `url`'s address, until told otherwise. Stored. */
    override(url: string): Promise<void>;
  };
  /**
   * Posts many messages, each at most once over restarts: `source` names where
   * they come from, `index` each one's place in it, ascending. Waits while the
   * outbox is full. Resolves once all are in this node's store, with how many
   * were new. Throws `import_running` for a source that is being imported.
   */
  importFrom(
    source: string,
    messages: AsyncIterable<{ index: number; text: string; name: string; time: number }>,
    options?: WaitOptions & { onProgress?: (done: number) => void },
  ): Promise<{ imported: number; skipped: number }>;
}

export interface PrivateMessage {
  readonly id: Ulid;
  readonly from: UserId;
  readonly to: UserId;
  readonly time: number;
  /** Of own ones: queued (kept here) → sent (a relay took it) → delivered (its receiver signed that it holds it). */
  readonly state: 'queued' | 'sent' | 'delivered' | 'received';
  readonly text: string;
  /** Of what its author signed. */
  readonly digest: Digest;
  /** What an own message waits for, in words; absent once it is delivered. */
  readonly waits?: string;
  /** The receiver's signature, in hex, that it holds this message, and when it came here. */
  readonly receipt?: { readonly time: number; readonly sig: string };
  /** Its author had forgotten what came of it since an earlier message: restored from an old copy, or begun anew. */
  readonly rewound?: boolean;
}

export interface SendingPrivately {
  readonly id: Ulid;
  /** Resolves once the message has reached `state`; `stored` is in this node's own store. */
  until(state: 'stored' | 'sent' | 'delivered', options?: WaitOptions): Promise<PrivateMessage>;
  /** What it waits for now, in words; undefined once it is delivered. */
  waits(): string | undefined;
}

export interface Dm {
  send(text: string): SendingPrivately;
  /** Those with this user, in the order that they came or were sent; live, also what comes and what changes. */
  read(options?: WaitOptions & { live?: boolean }): AsyncIterable<PrivateMessage>;
}

export interface CreateOptions extends WaitOptions {
  readonly name: string;
  readonly relays: readonly string[];
  /** Members that must be online for messages to be placed (default 3). 2 counts while an archive is a member, else 3. */
  readonly minOnline?: number;
  /** `always`: a `minOnline` of 1 or 2 counts without an archive too (default `archive`). */
  readonly few?: FewPolicy;
  readonly quorum?: QuorumPolicy;
  /** Whether a newcomer can read what was written before it joined (default), or only what comes after. */
  readonly history?: HistoryPolicy;
}

export interface JoinOptions extends WaitOptions {
  /** From now on these addresses are used for the relays with their keys. */
  readonly relays?: readonly string[];
  /** As an archive (default: as the node was opened). */
  readonly archive?: boolean;
}

export interface ReplacementOptions {
  /** The channel's id. */
  readonly channel: string;
  /** Whose place is asked for: the user id of the key that was lost or stolen. */
  readonly user: string;
  /** The secret of that user's recovery key: with it any member may put the request into force. The new key keeps it. */
  readonly recovery?: string;
  /** For the place of an archive (default: as the node was opened). */
  readonly archive?: boolean;
}

export interface VerifyReport {
  readonly channel: ChannelId;
  /** Absent where the genesis can't be read. */
  readonly name?: string;
  readonly ok: boolean;
  /** Messages in the log, and how many of them are final. */
  readonly entries: number;
  readonly final: number;
  readonly head: Digest;
  readonly problems: readonly { readonly where: string; readonly what: string }[];
  /** As in a status, where there is somebody; each proof was checked. */
  readonly misbehaved?: readonly Misbehaved[];
}

export interface Node {
  readonly user: UserId;
  readonly name: string;
  /** Resolves once the channel is in this node's store; no relay need answer. */
  create(options: CreateOptions): Promise<Channel>;
  /**
   * Resolves once the membership is final and what the policy gives of the history can be read; without
   * the latter where nobody who has the keys is online for 5 s, or gives them within 30 s. With `archive`, or on a node opened so, as an archive: then
   * the invitation must be for one, else for none (`invite_for_archive`, `invite_for_reader`).
   */
  join(invite: string, options?: JoinOptions): Promise<Channel>;
  /**
   * A text by which this node's key asks for the place of another, which was lost or stolen: for
   * `members.replace`. Throws `bad_recovery_key`, `same_user` and what is wrong with an id.
   */
  requestReplacement(asked: ReplacementOptions): string;
  /** Throws `no_channel`. */
  channel(id: string): Channel;
  channels(): Channel[];
  /** Those that this node has a link to, or wants one to: of its channels, and of one that it is joining. */
  relays(): RelayStatus[];
  dm(user: string): Dm;
  /** All private messages, of everyone. */
  inbox(options?: WaitOptions & { live?: boolean }): AsyncIterable<PrivateMessage>;
  /** Recomputes chains and checks every signature and certificate in the store. */
  verify(id?: string, onProgress?: (entries: number) => void): Promise<VerifyReport[]>;
  /** The whole store as it is at the first page, for `restoreStore`; it holds no identity. */
  snapshot(): AsyncIterable<Uint8Array>;
  close(options?: { readonly drainMs?: number }): Promise<void>;
}
