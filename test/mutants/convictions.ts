/** Mutants of what convicts members that contradict themselves, and nobody else. */

import type { Fault } from '../../src/testing/faults.js';
import type { Misdeed } from '../../src/testing/misdeeds.js';
import { below, between, drawsOf } from '../../src/testing/prng.js';
import type { Mutant, RunOptions } from './mutant.js';
import { JOINED_MS, LOAD_MS, SMALL } from './plans.js';

const WITNESS = 'src/core/witness.ts';
const MISBEHAVIOUR = 'src/core/misbehaviour.ts';

/** Members do this all the time, while leaders come and go. */
const doing =
  (...misdeeds: Misdeed[]) =>
  (seed: number): RunOptions => {
    const draw = drawsOf(seed, 'convictions');
    const nodes = 5;
    const first = below(draw, nodes);
    const at = { at: JOINED_MS, until: LOAD_MS };
    const faults: Fault[] = [first, (first + 1) % nodes].map((node) => ({
      ...at,
      kind: 'misbehaves',
      node,
      misdeeds,
    }));
    for (let from = JOINED_MS; from < LOAD_MS; ) {
      const until = from + between(draw, 1_500, 3_000);
      faults.push({ kind: 'isolate', node: 'leader', directions: ['up', 'down'], at: from, until });
      from = until + between(draw, 1_000, 2_000);
    }
    return { ...SMALL, nodes, faults, workload: { everyMs: 60, burst: 2 } };
  };

export const CONVICTIONS: readonly Mutant[] = [
  {
    name: 'twins-unseen',
    invariant: 14,
    what: 'two records with one counter are taken for two copies of one',
    edits: [
      {
        file: WITNESS,
        find: '    if (known.record.digest === digest) return undefined;\n',
        replace: '    if (known.record.digest === digest || n > 0) return undefined;\n',
      },
    ],
    options: doing({ do: 'two-records', often: 0.5 }),
  },
  {
    name: 'second-ballots-unseen',
    invariant: 14,
    what: 'two ballots of one voter and term are compared with nothing',
    edits: [
      {
        file: WITNESS,
        find: '      else if (known.choice !== choice) {\n',
        replace: "      else if (known.choice === '') {\n",
      },
    ],
    options: doing({ do: 'two-votes' }),
  },
  {
    name: 'two-chains-unseen',
    invariant: 14,
    what: 'proposals are compared only where they end at the same place',
    edits: [
      {
        file: WITNESS,
        find: '    if (sides[0].hash === sides[1].hash) return undefined;\n',
        replace: '    if (seq > 0 || sides[0].hash === sides[1].hash) return undefined;\n',
      },
    ],
    options: doing({ do: 'two-places', often: 0.5 }),
  },
  {
    name: 'conviction-not-kept',
    invariant: 14,
    what: 'what was found is not kept',
    edits: [
      {
        file: 'src/core/convictions.ts',
        find: '  if (!dropped) return;\n',
        replace: '  if (offender !== ctx.self) return;\n',
      },
    ],
    options: doing({ do: 'two-records', often: 0.5 }),
  },
  {
    name: 'convicts-leaders',
    invariant: 14,
    what: 'what a member places as a leader, which has no counter, counts as two records with one',
    edits: [
      {
        file: WITNESS,
        find: '    if (boot === ZERO_BOOT) return undefined;\n',
        replace: '    void ZERO_BOOT;\n',
      },
      {
        file: MISBEHAVIOUR,
        find: "  if (one.boot === ZERO_BOOT) bad('what a leader places has no counter');\n",
        replace: '  void ZERO_BOOT;\n',
      },
    ],
  },
  {
    name: 'convicts-voters',
    invariant: 14,
    what: 'two ballots convict, of whatever terms they are',
    edits: [
      {
        file: WITNESS,
        find: 'const key = [by, kind, term].join();',
        replace: 'const key = [by, kind, Math.floor(term / 8)].join();',
      },
      {
        file: MISBEHAVIOUR,
        find: 'one.kind !== other.kind || one.term !== other.term',
        replace: 'one.kind !== other.kind',
      },
    ],
  },
  {
    name: 'convicts-followers',
    invariant: 14,
    what: 'acknowledgements of one chain at two places convict',
    edits: [
      {
        file: WITNESS,
        find: '    const { on, off } = this.#acksOf(ack.epoch);\n',
        replace:
          '    const { on, off } = this.#acksOf(ack.epoch);\n    const former = on.get(user);\n    if (former && former.ack.seq < ack.seq && here === ack.hash) {\n      on.set(user, { ack, sig });\n      const side = { hash: former.ack.hash, headers: [], ...signedAck(former) };\n      const sides = [side, { hash: ack.hash, headers: [], ...signedAck({ ack, sig }) }] as const;\n      return { channel: this.#channel, offender: user, offence: "acknowledgements", seq: ack.seq, sides };\n    }\n',
      },
      {
        file: MISBEHAVIOUR,
        find: 'p.seq === end.seq && p.hash === end.hash',
        replace: 'p.hash === end.hash',
      },
    ],
  },
];
