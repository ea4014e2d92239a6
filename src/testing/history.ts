/**
 * A history: what could be seen of a channel from outside while it was used.
 * Plain data, so that a simulation, a test over real processes or a recording
 * in another language can write one as JSON; check-history.ts judges it. It
 * holds nothing of the implementation: no terms, leaders, certificates, stores.
 *
 * `events` stand in the order in which their one observer saw them; `at` is
 * that observer's clock in ms and never falls. An action (`send`, `cut`) is
 * written down before it is done, an observation after it was made: so what
 * the history says came first did come first.
 */

/** What a record can be said to be (docs/PROTOCOL.md, section "States"). */
export type HistoryState = 'queued' | 'sent' | 'committed' | 'final' | 'withheld';

/** One entry as a reader saw it. */
export interface HistoryEntry {
  /**
   * The message's name: unique among all that was ever sent. The protocol's own
   * id, or, where the sender may never learn that (a command that was killed),
   * the text, if the test made it unique.
   */
  readonly id: string;
  readonly author: string;
  /** Its place in the log; null while it is not final. */
  readonly seq: number | null;
  readonly state: HistoryState;
  /** 'message' by default. Others (joins, epochs, merges) take a place, and nobody sends them. */
  readonly kind?: string;
  /** The text, or a digest of it; compared with what was sent where both are there. */
  readonly content?: string;
}

interface At {
  readonly at: number;
}

/** `author`'s application gives its node a message. */
export interface SendEvent extends At {
  readonly type: 'send';
  readonly node: number;
  readonly id: string;
  readonly author: string;
  /**
   * The message that this node took last from the same author; null for the first.
   * Leave it out where that is not known: after a start with old memory, and of
   * sends that overlap.
   */
  readonly prev?: string | null;
  readonly content?: string;
}

/** A node told its application how far a message is that it sent. */
export interface ToldEvent extends At {
  readonly type: 'told';
  readonly node: number;
  readonly id: string;
  readonly state: HistoryState;
  readonly seq: number | null;
}

/**
 * Someone read at a node all that it shows from seq `from` on: final entries in
 * log order, then what is not final, in display order. `from` is at most one
 * above the last final entry that was read at this node before. Kinds may be
 * left out that a reader hides, the same ones in every page of the history.
 */
export interface ReadEvent extends At {
  readonly type: 'read';
  readonly node: number;
  /** When the reading began, if it took time; `at` is when it ended. */
  readonly began?: number;
  /** 1 by default. */
  readonly from?: number;
  readonly page: readonly HistoryEntry[];
}

/**
 * A following reader (`tail --follow`, `read({ live: true })`) was shown one
 * entry: final ones in log order, others whenever their state has grown.
 */
export interface ShownEvent extends At {
  readonly type: 'shown';
  readonly node: number;
  /** Names one reading, from its start to its end. */
  readonly reader: string;
  readonly entry: HistoryEntry;
}

/** A node told its readers that what is not final may stand elsewhere now. */
export interface MovedEvent extends At {
  readonly type: 'merged' | 'changed';
  readonly node: number;
}

export interface CrashEvent extends At {
  readonly type: 'crash';
  readonly node: number;
}

/** A node is off for good, and its disk is lost. */
export interface GoneEvent extends At {
  readonly type: 'gone';
  readonly node: number;
}

export interface StartEvent extends At {
  readonly type: 'start';
  readonly node: number;
  /** What its disk holds: all it had (default), an older copy of it, or nothing. */
  readonly memory?: 'kept' | 'old' | 'none';
}

/** Somebody asked that `author` be removed: from here on its messages may be withheld. */
export interface RemovalEvent extends At {
  readonly type: 'removal';
  readonly author: string;
}

/** The network is cut: nothing passes from one side to another until the next `heal`. */
export interface CutEvent extends At {
  readonly type: 'cut';
  readonly sides: readonly {
    readonly nodes: readonly number[];
    /** Whoever cuts expects this side to commit messages, and reads it until the heal. */
    readonly commits?: boolean;
  }[];
}

export interface HealEvent extends At {
  readonly type: 'heal';
}

export type HistoryEvent =
  | SendEvent
  | ToldEvent
  | ReadEvent
  | ShownEvent
  | MovedEvent
  | CrashEvent
  | GoneEvent
  | StartEvent
  | RemovalEvent
  | CutEvent
  | HealEvent;

export interface History {
  /** The channel's policy: with 'roster', committed and final are one. */
  readonly quorum: 'online' | 'roster';
  /** How many members vote. */
  readonly members: number;
  /** The fewest members that had to be online at any time; 3 by default. */
  readonly minOnline?: number;
  /** Authors that do as they like: nothing is promised of their own messages. */
  readonly distrusted?: readonly string[];
  readonly events: readonly HistoryEvent[];
  /** The whole log that each node ends with, what is not final included. */
  readonly ends: readonly { readonly node: number; readonly log: readonly HistoryEntry[] }[];
  /** The run came to rest before `ends` were read: faults over, all messages final. True by default. */
  readonly settled?: boolean;
}

/** What is wrong with a history. */
export interface HistoryProblem {
  /** Name of the check, as in `CHECKS` of check-history.ts. */
  readonly check: string;
  readonly message: string;
}
