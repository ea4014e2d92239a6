/** The demo's count of what was lost and what was doubled, and its verdict. */

import { describe, expect, it } from 'vitest';
import { account, type Line } from '../../src/cli/demo/accounting.js';
import type { Measured } from '../../src/cli/demo/measure.js';
import type { Merge } from '../../src/cli/demo/merged.js';
import { type Played, verdict } from '../../src/cli/demo/verdict.js';
import type { UserId } from '../../src/core/ids.js';

const line = (user: string, text: string, more: Partial<Line> = {}): Line => ({
  user,
  name: 'nick',
  text,
  time: 1_000,
  ...more,
});

const INPUT = [
  line('ana', 'hi'),
  line('ana', 'anyone?'),
  line('ben', 'hi'),
  line('ana', 'hi'),
  line('ben', 'bye'),
];
const NOTHING = { lost: 0, duplicates: 0, foreign: 0, disordered: [] };

describe('account', () => {
  it('finds nothing wrong with a log that holds each line once', () => {
    expect(account(INPUT, INPUT)).toEqual(NOTHING);
  });

  it('does not care how the lines of different nodes stand to each other', () => {
    const byUser = INPUT.toSorted((a, b) => (a.user < b.user ? 1 : a.user > b.user ? -1 : 0));
    expect(account(INPUT, byUser)).toEqual(NOTHING);
  });

  for (const i of INPUT.keys()) {
    it(`notices that line ${i} is lost`, () => {
      expect(account(INPUT, INPUT.toSpliced(i, 1))).toEqual({ ...NOTHING, lost: 1 });
    });

    it(`notices that line ${i} is there twice`, () => {
      const log = INPUT.toSpliced(i, 0, INPUT[i]!);
      expect(account(INPUT, log)).toEqual({ ...NOTHING, duplicates: 1 });
    });
  }

  it('counts a line that repeats itself as often as it was put in', () => {
    expect(account(INPUT, [...INPUT, line('ana', 'hi')])).toEqual({ ...NOTHING, duplicates: 1 });
    expect(account(INPUT, INPUT.slice(1))).toEqual({ ...NOTHING, lost: 1 });
  });

  it.each<[string, Line]>([
    ['user', line('ben', 'anyone?')],
    ['nick', line('ana', 'anyone?', { name: 'other' })],
    ['text', line('ana', 'anyone')],
    ['time', line('ana', 'anyone?', { time: 1_001 })],
  ])('counts a line with another %s as one lost and one that nobody put in', (_, other) => {
    const expected = { ...NOTHING, lost: 1, foreign: 1 };
    expect(account(INPUT, INPUT.with(1, other))).toEqual(expected);
  });

  it('notices a line that stands in its twin’s place', () => {
    const log = [
      line('ana', 'hi'),
      line('ana', 'hi'),
      line('ana', 'anyone?'),
      ...INPUT.slice(2, 3),
    ];
    expect(account(INPUT, [...log, INPUT[4]!])).toEqual({ ...NOTHING, disordered: ['ana'] });
  });

  it('tells lines apart whose parts, put together, are the same', () => {
    const one = line('ana', 'b', { name: 'a' });
    const other = line('ana', '', { name: 'ab' });
    expect(account([one], [other])).toEqual({ ...NOTHING, lost: 1, foreign: 1 });
  });
});

describe('verdict', () => {
  const store = (name: string, more: Partial<Measured> = {}): Measured => ({
    name,
    problem: undefined,
    entries: 5,
    final: 5,
    merges: [],
    head: 'aa',
    account: NOTHING,
    log: 'log',
    ...more,
  });
  const merge = (messages: number): Merge => ({
    seq: 1,
    by: 'ana' as UserId,
    branches: [],
    messages,
  });
  const of = (measured: readonly Measured[], more: Partial<Played> = {}) =>
    verdict({ measured, failure: undefined, apart: 0, ...more });
  const judge = (more: Partial<Measured>) => of([store('ana'), store('ben', more)]);

  it('is good when all stores hold the same, and all of it', () => {
    expect(judge({})).toEqual({
      problems: [],
      result: {
        ok: true,
        nodes: 2,
        entries: 5,
        final: 5,
        head: 'aa',
        merged: 0,
        lost: 0,
        duplicates: 0,
      },
    });
  });

  it.each<[string, Partial<Measured>]>([
    ['another head', { head: 'bb' }],
    ['another log under the same head', { log: 'other' }],
    ['a store that does not verify', { problem: 'a hash is wrong' }],
    ['messages that are not final', { final: 4 }],
    ['lost lines', { account: { ...NOTHING, lost: 2 } }],
    ['lines too often', { account: { ...NOTHING, duplicates: 2 } }],
    ['messages that nobody put in', { account: { ...NOTHING, foreign: 2 } }],
    ['lines in another order', { account: { ...NOTHING, disordered: ['ana'] } }],
  ])('is bad for %s on one node', (_, more) => {
    const { result, problems } = judge(more);
    expect(result.ok).toBe(false);
    expect(problems).toHaveLength(1);
  });

  it('counts what the worst node has', () => {
    const { result } = judge({ final: 3, account: { ...NOTHING, lost: 2, duplicates: 1 } });
    expect(result).toMatchObject({ entries: 5, final: 3, lost: 2, duplicates: 1 });
  });

  it('is bad when the play broke off, though the stores are good', () => {
    const { result, problems } = of([store('ana')], { failure: 'waited in vain' });
    expect(result.ok).toBe(false);
    expect(problems).toEqual(['waited in vain']);
  });

  it('is bad when a side had committed messages, and no store shows a merge', () => {
    const { result, problems } = of([store('ana')], { apart: 3 });
    expect(result).toMatchObject({ ok: false, merged: 0 });
    expect(problems).toHaveLength(1);
  });

  it('is good when what a side had committed was merged', () => {
    const { result } = of([store('ana', { merges: [merge(3), merge(1)] })], { apart: 3 });
    expect(result).toMatchObject({ ok: true, merged: 4 });
  });

  it('is bad when there is nothing to look at', () => {
    const { result } = of([]);
    expect(result).toMatchObject({ ok: false, nodes: 0, entries: 0, final: 0 });
  });
});
