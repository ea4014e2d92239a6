/** Plans of faults: what is drawn, and that each fault is independent of all others. */

import { describe, expect, it } from 'vitest';
import { countFaults } from '../../src/testing/describe-fault.js';
import {
  FAULT_KINDS,
  type Fault,
  type FaultKind,
  MEMBER_KINDS,
  RARE_KINDS,
} from '../../src/testing/faults.js';
import { apart, drawHalves } from '../../src/testing/partitions.js';
import { planFaults } from '../../src/testing/plan-faults.js';
import { drawsOf } from '../../src/testing/prng.js';

const plan = (seed: number, kinds: readonly FaultKind[], nodes = 7, relays = 2): Fault[] =>
  planFaults({ seed, nodes, relays, kinds, from: 1_000, until: 31_000 });

const seeds = Array.from({ length: 200 }, (_, i) => i + 1);

describe('a plan of faults', () => {
  it('is plain data within the time that it is for', () => {
    for (const seed of seeds) {
      const faults = plan(seed, [...FAULT_KINDS, ...RARE_KINDS]);
      expect(JSON.parse(JSON.stringify(faults))).toEqual(faults);
      for (const { at, until } of faults) {
        expect(at).toBeGreaterThanOrEqual(1_000);
        expect(until).toBeGreaterThanOrEqual(at);
        expect(until).toBeLessThanOrEqual(31_000);
      }
    }
  });

  it.each([...FAULT_KINDS, ...RARE_KINDS])(
    'says of each fault what it was drawn from: %s',
    (kind) => {
      for (const seed of seeds) {
        for (const fault of plan(seed, [kind])) expect(fault.drawnFrom ?? fault.kind).toBe(kind);
      }
    },
  );

  it('is counted by the names that one asks for', () => {
    const faults = [{ kind: 'block', drawnFrom: 'halves' }, { kind: 'crash' }] as const;
    const link = { kind: 'cut', drawnFrom: 'link' } as const;
    const dead = { kind: 'dead', drawnFrom: 'half-open' } as const;
    expect(
      countFaults([
        ...faults,
        link,
        dead,
        { ...link, kind: 'clog' },
        ...faults,
        { kind: 'half-open' },
      ]),
    ).toEqual([
      'halves (2 block)',
      '2 crash',
      'link (1 cut, 1 clog)',
      'half-open (1 dead, 1 half-open)',
    ]);
  });

  it('comes to every fault that there is', () => {
    const drawn = new Set(
      seeds.flatMap((seed) => plan(seed, [...FAULT_KINDS, ...RARE_KINDS])).map((f) => f.kind),
    );
    expect([...drawn].sort()).toEqual(
      [
        'block',
        'clock',
        'clog',
        'crash',
        'cut',
        'damage',
        'dead',
        'disk-full',
        'disk-sync',
        'gone',
        'half-open',
        'isolate',
        'lying-relay',
        'misbehaves',
        'narrow',
        'old-disk',
        'pause',
        'relay-forgets',
        'relay-restart',
        'relay-split',
        'reset',
        'slow',
        'slow-disk',
        'weather',
      ].sort(),
    );
  });

  it('lets a minority forget at most, in all of a run', () => {
    for (const seed of seeds) {
      for (const nodes of [1, 2, 3, 6, 9]) {
        const all = plan(seed, ['old-disk', 'lost-disk'], nodes);
        const forgetful = new Set(all.flatMap((f) => (f.kind === 'old-disk' ? f.nodes : [])));
        expect(forgetful.size).toBeLessThanOrEqual((nodes - 1) / 2);
      }
    }
  });

  it('leaves more than half mostly, and somebody always', () => {
    for (const nodes of [1, 2, 3, 6, 9]) {
      const counts = seeds.map((seed) => {
        const gone = plan(seed, ['gone'], nodes).flatMap((f) => (f.kind === 'gone' ? f.node : []));
        expect(new Set(gone).size).toBe(gone.length);
        return gone.length;
      });
      expect(Math.max(...counts)).toBe(nodes < 3 ? 0 : nodes - 1);
      expect(Math.min(...counts)).toBe(nodes < 3 ? 0 : 1);
      const few = counts.filter((count) => nodes - count <= nodes / 2).length;
      expect(few).toBeLessThan(nodes < 3 ? 201 : 80);
    }
  });

  it('lets a minority misbehave at most, and one with two faces', () => {
    for (const kind of MEMBER_KINDS) {
      for (const nodes of [1, 2, 3, 6, 9]) {
        const counts = seeds.map((seed) => {
          const offenders = plan(seed, [kind], nodes).filter((f) => f.kind === 'misbehaves');
          return new Set(offenders.map((f) => f.node)).size;
        });
        const most = kind === 'two-faced-member' ? 1 : Math.floor((nodes - 1) / 2);
        expect(Math.max(...counts)).toBe(nodes < 3 ? 0 : most);
      }
    }
  });

  it('comes to every misdeed that there is', () => {
    const done = seeds
      .flatMap((seed) => plan(seed, MEMBER_KINDS))
      .flatMap((f) => (f.kind === 'misbehaves' ? f.misdeeds : []));
    expect([...new Set(done.map((misdeed) => misdeed.do))].sort()).toEqual([
      'censor',
      'false-certificates',
      'false-changes',
      'false-pages',
      'false-report',
      'forge',
      'replay',
      'two-acks',
      'two-places',
      'two-records',
      'two-votes',
      'withhold',
    ]);
  });

  it('draws of other kinds the same, whether or not a member misbehaves', () => {
    for (const seed of seeds) {
      const usual = plan(seed, ['crash']);
      const both = plan(seed, ['crash', 'silent-member']);
      expect(both.filter((f) => f.kind === 'crash')).toEqual(usual);
    }
  });

  it('names nodes and relays that there are, in channels and networks of every size', () => {
    for (const nodes of [1, 2, 3, 9]) {
      for (const relays of [1, 3]) {
        for (const fault of seeds
          .slice(0, 50)
          .flatMap((s) => plan(s, [...FAULT_KINDS, ...RARE_KINDS], nodes, relays))) {
          if ('node' in fault && typeof fault.node === 'number')
            expect(fault.node).toBeLessThan(nodes);
          if ('relay' in fault) expect(fault.relay).toBeLessThan(relays);
        }
      }
    }
  });

  it('keeps partitions of both sides long enough for both to go on', () => {
    for (const seed of seeds) {
      for (const { at, until } of plan(seed, ['halves'])) {
        expect(until - at).toBeGreaterThanOrEqual(5_000 - 1);
      }
    }
  });
});

describe('partitions', () => {
  it('in halves are 3 against 3, and 3 against 4', () => {
    for (const seed of seeds) {
      for (const [nodes, pairs] of [
        [6, 2 * 9],
        [7, 2 * 12],
      ] as const) {
        expect(drawHalves(drawsOf(seed, 'halves'), nodes)).toHaveLength(pairs);
      }
    }
  });

  it('keep apart who is on different sides, both ways', () => {
    expect(apart(3, [1])).toEqual([
      [0, 1],
      [1, 0],
      [1, 2],
      [2, 1],
    ]);
  });
});
