import { describe, expect, it } from 'vitest';
import { RecentSet } from '../../src/node/recent-set.js';

describe('a set that forgets', () => {
  it('keeps the last additions, and forgets in trim alone', () => {
    const set = new RecentSet<number>(3);
    for (let i = 0; i < 10; i++) set.add(i);
    set.trim();
    for (let i = 0; i < 10; i++) expect(set.has(i)).toBe(true);
    for (let i = 10; i < 12; i++) set.add(i);
    set.trim();
    expect(set.has(0)).toBe(true);
    set.add(12);
    set.trim();
    expect([0, 9, 10, 11, 12].map((i) => set.has(i))).toStrictEqual([
      ...[false, false, true, true, true],
    ]);
  });

  it('keeps what is added again, and stays bounded', () => {
    const set = new RecentSet<number>(3);
    for (let i = 0; i < 1_000; i++) {
      set.add(-1);
      set.add(i);
      set.trim();
      expect(set.has(-1)).toBe(true);
      expect(set.size).toBeLessThanOrEqual(8);
    }
  });
});
