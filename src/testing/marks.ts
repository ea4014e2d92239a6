/**
 * Coverage marks: situations that a good set of runs must have been in
 * (docs/simulation.md, "Coverage marks"). A simulator that never gets there
 * proves nothing about them, so `test/sim/marks.test.ts` fails when its seeds
 * miss one. mark-watch.ts says from outside when a run is in one.
 */

export interface Mark {
  readonly name: string;
  /** What is going on. */
  readonly means: string;
  /** Waits for a part of the core or of the simulator that is not there yet. */
  readonly pending?: string;
}

export const MARKS = [
  // Elections
  {
    name: 'election-after-refusal',
    means: 'a candidate that was refused wins a later election',
  },
  { name: 'refused-for-log', means: 'a candidate is refused because its log is behind' },
  {
    name: 'better-log-copied',
    means: 'a candidate that was refused for its log has caught up with it when it wins',
  },
  { name: 'rivals', means: 'two candidates ask for votes in the same term' },
  {
    name: 'two-leaders',
    means: 'a roster leader has not noticed yet that another leads a higher term',
  },
  {
    name: 'deposed-before-commit',
    means: 'a leader loses its leadership with messages placed and not committed',
  },
  { name: 'stepped-down', means: 'a leader steps down because too few answer it' },
  { name: 'leader-crashed', means: 'a leader loses power' },
  {
    name: 'membership-inherited',
    means: 'a new leader finds a membership change in its tail that is not final',
  },

  // Log and offers
  { name: 'tail-replaced', means: 'a member gives up part of its log for its leader’s' },
  { name: 'placed-again', means: 'a record stands at a second place, in the log or in a branch' },
  { name: 'offered-by-another', means: 'a record is offered by somebody who is not its author' },
  { name: 'held-back', means: 'a leader places no messages because too few members are online' },
  { name: 'committed-first', means: 'a record is committed, and only later final' },
  { name: 'wish-made-anew', means: 'a membership change is overtaken by another and made anew' },

  // Archives
  {
    name: 'placed-by-few',
    means: 'a leader places messages with two members online, since an archive is a member',
  },
  {
    name: 'online-epoch-of-two',
    means: 'two lead and follow in an online epoch, since an archive is a member',
  },
  {
    name: 'archive-departed',
    means: 'the last archive is no member any more, and more must be online',
  },

  // Disks
  { name: 'write-lost', means: 'power is lost before a write is synced, and the write is gone' },
  { name: 'write-kept', means: 'power is lost before a write is synced, and the write is there' },

  // Catching up
  { name: 'page-by-non-leader', means: 'final entries are served by a member that does not lead' },
  {
    name: 'page-of-older-roster',
    means: 'a page ends at a certificate of a roster that is no longer in force',
  },
  {
    name: 'pull-interrupted',
    means: 'a pull is not answered and goes on with another member',
  },
  {
    name: 'withheld',
    means: 'a message of one who left, was removed or got a new key is withheld',
  },
  { name: 'key-replaced', means: 'the node of a new key has the place of the old one' },
  { name: 'old-key-writes', means: 'a key goes on writing when some know that it was replaced' },
  { name: 'joined-under-fire', means: 'somebody joins while something is broken' },

  // Relays
  {
    name: 'relay-learnt-again',
    means: 'a relay that forgot everything is told of the channel by a member',
  },
  { name: 'several-links', means: 'no single relay reaches everyone a command is for' },

  // Online epochs
  { name: 'online-epoch', means: 'a member leads an online epoch' },
  { name: 'online-both-sides', means: 'two online epochs have a leader at once' },
  { name: 'both-sides-commit', means: 'two online epochs with a leader have committed entries' },
  { name: 'online-beside-roster', means: 'one side has an online leader, the other a roster one' },
  {
    name: 'online-gives-way',
    means: 'who was in an online epoch is in a roster epoch next',
  },
  { name: 'electorate-grew', means: 'an online leader is elected anew by more members' },
  {
    name: 'highest-followed',
    means: 'a member leaves an online epoch for a higher one while the first still has its leader',
  },
  {
    name: 'final-while-online',
    means: 'entries become final at a member that follows an online epoch',
  },

  // Provisional set and merge
  {
    name: 'certified-tail-displaced',
    means: 'entries that were committed fall out of the log and are kept with their certificate',
  },
  { name: 'set-of-three', means: 'a member holds three branches' },
  { name: 'branch-carried', means: 'a branch is passed on by a member that was not in its epoch' },
  {
    name: 'confirmed-by-third',
    means: 'an old acknowledgement is sent again by neither the epoch’s leader nor who asks',
  },
  { name: 'merged', means: 'a merge record becomes final' },
  { name: 'three-branches-merged', means: 'one merge brings in records of three branches' },
  { name: 'merge-in-parts', means: 'a leader merges in several parts' },
  { name: 'merge-displaced', means: 'a merge falls out of the log, and another is made' },
  { name: 'orphan', means: 'a member holds a record and nothing of its predecessor' },

  // Members that misbehave
  {
    name: 'censor-replaced',
    means: 'who suspected a leader that leaves something out follows another one',
  },

  // Lost memory
  { name: 'memory-lost', means: 'a member with an old disk stops voting, and recovers' },

  // To come
  {
    name: 'voter-convicted',
    means: 'two statements of a member that voted twice come together',
    pending: 'proofs of equivocation are not in the core',
  },
] as const satisfies readonly Mark[];

export type MarkName = (typeof MARKS)[number]['name'];

/** Marks that seeds can reach now. */
export const activeMarks = (): readonly Mark[] =>
  MARKS.filter((mark: Mark) => mark.pending === undefined);
