/** Mutants of lost memory: who is told that its disk was put back, by whom, and what it does then. */

import type { Mutant } from './mutant.js';
import { forgetting, losing, puttingBack, recalling, recallingAmid } from './plans-memory.js';

const MACHINE = 'src/core/machine.ts';
const VOTING = 'src/core/voting.ts';
const ELECTION = 'src/core/election.ts';
const MEMORY_FILE = 'src/core/memory.ts';

export const MEMORY: readonly Mutant[] = [
  {
    name: 'old-disk-votes',
    invariant: 5,
    what: 'a node that finds that its disk is an old one goes on voting',
    edits: [
      {
        file: VOTING,
        find: "  if (st.memory) return 'memory';\n",
        replace: '',
      },
      {
        file: VOTING,
        find: 'st.conflict || st.memory',
        replace: 'st.conflict',
      },
      {
        file: ELECTION,
        find: 'st.conflict || st.memory',
        replace: 'st.conflict',
      },
    ],
    options: forgetting(1),
  },
  {
    name: 'old-disks-vouch',
    invariant: 5,
    what: 'members that lost memory vouch for each other',
    edits: [
      {
        file: MEMORY_FILE,
        find: ' && !st.memory && st.conflict === null;',
        replace: ' && st.conflict === null;',
      },
    ],
    options: forgetting(2),
  },
  {
    name: 'recover-without-log',
    invariant: 5,
    what: 'a member that lost memory votes again without the best log that was reported',
    edits: [
      {
        file: MEMORY_FILE,
        find: '  if (!isBetter(best[1], own)) return remember(ctx, st, memory);\n',
        replace: '  if (isBetter(best[1], own) || own) return remember(ctx, st, memory);\n',
      },
    ],
    options: recalling,
  },
  {
    name: 'report-without-promise',
    invariant: 5,
    what: 'a voter reports to one that lost memory, and promises nothing above what that may have voted in',
    edits: [
      {
        file: MEMORY_FILE,
        find: '  if (made.roster !== roster || made.online !== online) {\n',
        replace: '  if (made.roster.term < 0) {\n',
      },
      {
        file: MEMORY_FILE,
        find: '  if (!isPromised) return;\n',
        replace: '  void isPromised;\n',
      },
      {
        // Else it would promise more than the others could reach, and nobody lead.
        file: MEMORY_FILE,
        find: '    term: term + TERM_JUMP_MAX,\n    seen: term,',
        replace: '    term,\n    seen: term,',
      },
    ],
    options: recallingAmid,
  },
  {
    name: 'stay-far',
    invariant: 'liveness',
    what: 'a voter whose promise is far below the term that another stands in does not come nearer',
    edits: [
      {
        file: VOTING,
        find: '  const comes = isFar && comeNearer(ctx, st, p.kind);\n',
        replace: '  const comes = isFar && p.term < 0 && comeNearer(ctx, st, p.kind);\n',
      },
    ],
    options: losing,
  },
  {
    name: 'name-put-back',
    invariant: 2,
    what: 'a member names the boot of a user whose store lacks what it heard of',
    edits: [
      {
        file: 'src/core/presence.ts',
        find: '    if (newBoot && lacks(beacon.before, known.beacon)) {',
        replace:
          '    if (newBoot && lacks(beacon.before, { ...known.beacon, batches: 0, before: [] })) {',
      },
    ],
    options: puttingBack(),
  },
  {
    name: 'vote-unnamed',
    invariant: 2,
    what: 'a voter votes for who has not named its boot, and may know what it forgot',
    edits: [
      {
        file: VOTING,
        find: ' || !ctx.isKnownTo(l.candidate)) return;',
        replace: ') return;',
      },
      {
        file: VOTING,
        find: ' || !ctx.isKnownTo(from)) return;',
        replace: ') return;',
      },
    ],
    options: puttingBack({ isTold: false, isLed: false }),
  },
  {
    name: 'acknowledge-unnamed',
    invariant: 2,
    what: 'a member acknowledges to a leader that has not named its boot',
    edits: [
      {
        file: 'src/core/follower.ts',
        find: ' || !ctx.isKnownTo(lead.epoch.leader)) return;',
        replace: ') return;',
      },
    ],
    options: puttingBack({ isTold: false }),
  },
  {
    name: 'shown-and-goes-on',
    invariant: 2,
    what: 'a node that is shown that its disk was put back takes over the counts, and goes on',
    edits: [
      {
        file: MACHINE,
        find: '      forget(this.#contextOf(slot.st), slot.st, evidence);\n',
        replace: '      void [forget, evidence];\n',
      },
    ],
    options: puttingBack(),
  },
];
