/** What a reader is told of what is not final: all that is new, has grown or moved, and no more (docs/PROTOCOL.md, "Reading"). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ProvisionalEntry } from '../../src/core/view.js';
import { type Change, Moves } from '../../src/node/moves.js';
import { RANK } from '../../src/node/sending.js';
import { person, recordBy } from './fixtures/channel.js';

const RECORDS = Array.from({ length: 12 }, (_, n) => recordBy(person(1), { n: n + 1 }));
type State = ProvisionalEntry['state'];
const STATES: readonly State[] = ['queued', 'sent', 'committed'];
const item = (n: number, state: State = 'sent'): ProvisionalEntry => ({
  record: RECORDS[n]!,
  state,
});
const nameOf = ({ record }: ProvisionalEntry): number => RECORDS.indexOf(record);

/** The order that somebody has who applied all changes. */
class Reader {
  order: number[] = [];
  readonly states = new Map<number, State>();

  apply({ what, item: changed, after }: Change): void {
    const name = nameOf(changed);
    const known = this.states.get(name);
    if (what === 'entry') {
      if (known) expect(RANK[changed.state]).toBeGreaterThan(RANK[known]);
      this.states.set(name, changed.state);
    } else expect(known).toBeDefined();
    this.order = this.order.filter((n) => n !== name);
    const at = after === null ? 0 : this.order.indexOf(nameOf(after)) + 1;
    expect(after === null || at > 0).toBe(true);
    this.order.splice(at, 0, name);
  }
}

/** One look: some of the records, in some order, each as what. */
const look = fc
  .shuffledSubarray(RECORDS.map((_, n) => n))
  .chain((names) =>
    fc.tuple(...names.map((n) => fc.constantFrom(...STATES).map((state) => item(n, state)))),
  );

const longest = (values: readonly number[]): number =>
  values
    .reduce<number[]>((best, value, i) => {
      const before = best.filter((_, j) => values[j]! < value);
      best[i] = 1 + Math.max(0, ...before);
      return best;
    }, [])
    .reduce((a, b) => Math.max(a, b), 0);

describe('Moves', () => {
  it('lets who applies them have the order of every look', () => {
    const step = fc.oneof(look, fc.nat(RECORDS.length - 1));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const moves = new Moves();
        const reader = new Reader();
        for (const now of steps) {
          if (typeof now === 'number') {
            moves.settled(RECORDS[now]!.digest);
            reader.order = reader.order.filter((n) => n !== now);
            reader.states.delete(now);
            continue;
          }
          for (const change of moves.next(now)) reader.apply(change);
          const names = now.map(nameOf);
          expect(reader.order.filter((n) => names.includes(n))).toEqual(names);
          for (const entry of now) {
            expect(RANK[reader.states.get(nameOf(entry))!]).toBeGreaterThanOrEqual(
              RANK[entry.state],
            );
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('moves as few as can be', () => {
    const names = fc.shuffledSubarray(
      RECORDS.map((_, n) => n),
      { minLength: RECORDS.length },
    );
    fc.assert(
      fc.property(names, (order) => {
        const moves = new Moves();
        moves.next(RECORDS.map((_, n) => item(n)));
        const changes = moves.next(order.map((n) => item(n)));
        expect(changes.every(({ what }) => what === 'moved')).toBe(true);
        expect(changes).toHaveLength(RECORDS.length - longest(order));
      }),
    );
  });

  const told = (moves: Moves, ...now: ProvisionalEntry[]): string[] =>
    moves.next(now).map(({ what, item: changed, after }) => {
      const behind = after ? nameOf(after) : 'the front';
      return `${what} ${nameOf(changed)} ${changed.state} behind ${behind}`;
    });

  it('says nothing twice', () => {
    const moves = new Moves();
    expect(told(moves, item(0), item(1))).toEqual([
      'entry 0 sent behind the front',
      'entry 1 sent behind 0',
    ]);
    expect(told(moves, item(0), item(1))).toEqual([]);
    expect(told(moves, item(0, 'committed'), item(1))).toEqual([
      'entry 0 committed behind the front',
    ]);
  });

  it('puts what comes later in its place, and lets the others be', () => {
    const moves = new Moves();
    told(moves, item(0), item(1), item(2));
    expect(told(moves, item(0), item(5), item(1), item(2))).toEqual(['entry 5 sent behind 0']);
    expect(told(moves, item(2), item(0), item(5), item(1))).toEqual([
      'moved 2 sent behind the front',
    ]);
  });

  it('shows nothing as less than it was', () => {
    const moves = new Moves();
    told(moves, item(0, 'committed'), item(1));
    expect(told(moves, item(0), item(1))).toEqual([]);
    expect(told(moves, item(0, 'committed'), item(1))).toEqual([]);
  });

  it('says where something is that had vanished', () => {
    const moves = new Moves();
    told(moves, item(0), item(1));
    expect(told(moves, item(1))).toEqual([]);
    expect(told(moves, item(1), item(0))).toEqual(['moved 0 sent behind 1']);
  });

  it('says once of what has vanished that it is withheld', () => {
    const moves = new Moves();
    told(moves, item(0), item(1, 'committed'), item(2));
    const isWithheld = ({ digest }: ProvisionalEntry['record']) => digest !== RECORDS[2]!.digest;
    const gone = moves.next([], isWithheld);
    expect(gone.map(({ what, item: changed }) => [what, nameOf(changed), changed.state])).toEqual([
      ['entry', 0, 'withheld'],
      ['entry', 1, 'withheld'],
    ]);
    expect(gone.map(({ after }) => after && nameOf(after))).toEqual([null, 0]);
    expect(moves.next([], isWithheld)).toEqual([]);
    expect(moves.next([item(3)], isWithheld)).toHaveLength(1);
  });

  it('forgets what is final', () => {
    const moves = new Moves();
    told(moves, item(0), item(1));
    moves.settled(RECORDS[0]!.digest);
    expect(told(moves, item(1), item(2))).toEqual(['entry 2 sent behind 1']);
  });
});
