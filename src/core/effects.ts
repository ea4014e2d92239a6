/**
 * What one step of the core asks of its driver: a Ready
 * (docs/ARCHITECTURE.md, "One Ready"). The driver
 *
 *   1. signs all of `sign`, in place, then runs `onSigned`;
 *   2. sends `early`;
 *   3. writes `ops` as one atomic batch, synced if `sync`;
 *   4. only then sends `late`, reports `events`, feeds `self` back, serves `serves`,
 *      and inspects `found` like a command that came.
 *
 * So "durable before acknowledged" is a matter of which list a message is in,
 * and one Ready in flight per node makes one disk sync serve all that arrived
 * meanwhile.
 */

import type { Point } from './chain.js';
import type { Outgoing } from './commands.js';
import type { Crypto } from './crypto.js';
import type { ChannelId, Digest, EpochId, Millis, Ulid, UserId } from './ids.js';
import type { OpenRun } from './layout.js';
import type { Timing } from './limits.js';
import type { LinkId } from './presence.js';
import type { ChannelRecord, SealedBody } from './record.js';
import type { Ack, Ballot, Signed } from './statements.js';
import type { StoreOp } from './store.js';

/** An operation whose value may depend on signatures: it is built after signing. */
export interface PendingOp {
  readonly key: string;
  readonly value?: () => Uint8Array;
}

export interface Send {
  readonly links: readonly LinkId[];
  /** Called after signing. */
  readonly command: () => Outgoing;
}

/** A request of another member that needs the store to answer. */
export interface Serve {
  readonly type: 'page';
  readonly channel: ChannelId;
  readonly to: UserId;
  readonly anchor: readonly Point[];
  readonly want: readonly Digest[];
  readonly withGenesis: boolean;
  /** For one who is no member any more: pages of the rosters below this number alone. */
  readonly rostersBelow?: number;
}

/** A member asks for pages of a branch. */
export interface ServeBranch {
  readonly type: 'branch';
  readonly channel: ChannelId;
  readonly to: UserId;
  readonly toAll: boolean;
  readonly epoch: EpochId;
  /** What the first page follows. */
  readonly seq: number;
  readonly pages: number;
}

/** Tell a relay who the members of a channel are, from roster number `first` on. */
export interface Announce {
  readonly type: 'announce';
  readonly channel: ChannelId;
  readonly link: LinkId;
  readonly first: number;
}

/** A proof of misbehaviour that this node put together. */
export interface Found {
  readonly channel: ChannelId;
  readonly proof: Uint8Array;
}

export type CoreEvent =
  /** Own records reached a state. */
  | {
      readonly type: 'progress';
      readonly channel: ChannelId;
      /** The author's name for the record. */
      readonly id: Ulid;
      readonly digest: Digest;
      readonly state: 'queued' | 'sent' | 'committed' | 'final' | 'withheld';
      readonly seq: number | null;
    }
  /** What a reader or `status` shows may have changed. */
  | { readonly type: 'changed'; readonly channel: ChannelId }
  | { readonly type: 'roster'; readonly channel: ChannelId }
  /** A record became final that the core only carries, of a kind that it gives no meaning. */
  | {
      readonly type: 'carried';
      readonly channel: ChannelId;
      readonly seq: number;
      readonly record: ChannelRecord;
    }
  /** This node is a member; `token` names who asked for it, if somebody did in this boot. */
  | { readonly type: 'joined'; readonly channel: ChannelId; readonly token: number | null }
  /** An operation that `token` named is done, or failed. */
  | { readonly type: 'done'; readonly token: number; readonly digest?: Digest }
  | {
      readonly type: 'failed';
      readonly token: number;
      readonly code: string;
      readonly message: string;
      readonly retryable: boolean;
    }
  /** Something a person should see in the log. */
  | {
      readonly type: 'note';
      readonly channel: ChannelId;
      readonly note: string;
      readonly detail: string;
    };

/** A statement of this node to itself, valid once it is durable. */
export type SelfInput =
  | {
      readonly type: 'own-ack';
      readonly channel: ChannelId;
      readonly ack: Ack;
      readonly signed: Signed;
    }
  | {
      readonly type: 'own-records';
      readonly channel: ChannelId;
      readonly digests: readonly Digest[];
    }
  | {
      readonly type: 'own-ballot';
      readonly channel: ChannelId;
      readonly ballot: Ballot;
      readonly signed: Signed;
    };

export class Ready {
  readonly sign: Signed[] = [];
  /** Fills in what depends on signatures. */
  readonly onSigned: (() => void)[] = [];
  readonly ops: PendingOp[] = [];
  sync = false;
  /** Of each branch the run that this step writes at its end. */
  readonly runs = new Map<EpochId, OpenRun>();
  readonly early: Send[] = [];
  readonly late: Send[] = [];
  readonly events: CoreEvent[] = [];
  readonly self: SelfInput[] = [];
  readonly serves: (Serve | ServeBranch | Announce)[] = [];
  /** Proofs of misbehaviour, to be judged as if they had come from another. */
  readonly found: Found[] = [];
  /** When `step` must be called again at the latest. */
  wakeAt: Millis = Number.POSITIVE_INFINITY;

  /** Asks for a signature by a key of this node over `statement`; filled in before anything leaves. */
  signed(by: UserId, statement: Uint8Array): Signed {
    const signed: Signed = { by, statement, sig: new Uint8Array(0) };
    this.sign.push(signed);
    return signed;
  }

  /** Writes a value that is known now. */
  put(key: string, value: Uint8Array): void {
    this.ops.push({ key, value: () => value });
  }

  del(key: string): void {
    this.ops.push({ key });
  }

  /** The batch, once everything is signed. */
  batch(): StoreOp[] {
    return this.ops.map(({ key, value }) => (value ? { key, value: value() } : { key }));
  }

  wake(at: Millis): void {
    this.wakeAt = Math.min(this.wakeAt, at);
  }
}

/** What every rule of a channel needs beside the channel: time, randomness, who is online, where to put effects. */
export interface StepContext {
  readonly crypto: Pick<Crypto, 'sha256'>;
  readonly self: UserId;
  readonly boot: Ulid;
  readonly now: Millis;
  /** Wall clock, ms since 1970. */
  readonly wall: number;
  readonly timing: Timing;
  /** Whether a user is online over a link that this channel uses. */
  readonly isOnline: (user: UserId) => boolean;
  /** Whether a user named this boot of this node: it knows of none that this node forgot. */
  readonly isKnownTo: (user: UserId) => boolean;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** The same, for the patience of who may stand for election. */
  readonly patience: () => number;
  readonly ulid: () => Ulid;
  readonly ready: Ready;
  /** Links that together reach these users. */
  readonly linksTo: (users: readonly UserId[]) => readonly LinkId[];
}

/** What a user of the node wants done; `token` names it in `done` and `failed`. */
export interface Submission {
  readonly kind: string;
  readonly id: Ulid;
  readonly time: number;
  readonly body: Uint8Array | SealedBody;
}

/** Makes records of this node's own. */
export interface Submit {
  readonly type: 'submit';
  readonly channel: ChannelId;
  readonly token: number;
  readonly submissions: readonly Submission[];
  /**
   * They were encrypted for the readers of a roster with this `readersSince`: under another the
   * input fails with `readers_changed`.
   */
  readonly readersSince?: number;
  readonly also?: readonly { key: string; value: Uint8Array }[];
}
