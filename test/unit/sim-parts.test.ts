/** The parts of the simulator, each against what its opening comment promises. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/core/bytes.js';
import type { StoreOp } from '../../src/core/store.js';
import { drawsOf } from '../../src/testing/prng.js';
import { simCrypto } from '../../src/testing/sim-crypto.js';
import { SimDisk } from '../../src/testing/sim-disk.js';
import { type Frame, Lane } from '../../src/testing/sim-lane.js';
import { Pairs } from '../../src/testing/sim-pairs.js';
import { Timeline } from '../../src/testing/timeline.js';
import { CALM } from '../../src/testing/weather.js';
import { codeOf } from './fixtures/errors.js';

/** Lets all planned things happen, up to `time`. */
async function runUntil(timeline: Timeline, time: number): Promise<void> {
  let isOver = false;
  timeline.at(time, () => {
    isOver = true;
  });
  while (!isOver) await timeline.next()?.();
}

describe('ordered pairs', () => {
  it('show what a sorted map would, after any writes', () => {
    const key = fc.stringMatching(/^[a-d]{1,2}$/);
    const op = fc.tuple(key, fc.option(fc.nat(255), { nil: undefined }), fc.boolean());
    fc.assert(
      fc.property(fc.array(op, { maxLength: 200 }), key, (ops, gte) => {
        const pairs = new Pairs();
        const model = new Map<string, number>();
        for (const [k, value, looks] of ops) {
          pairs.set(k, value === undefined ? undefined : Uint8Array.of(value));
          if (value === undefined) model.delete(k);
          else model.set(k, value);
          if (looks) pairs.range('', () => true, 99);
        }
        const shown = pairs.range(gte, (k) => k < 'd', 99).map(([k, v]) => [k, v[0]]);
        const expected = [...model].filter(([k]) => k >= gte && k < 'd').sort();
        expect(shown).toEqual(expected);
      }),
    );
  });
});

describe('fast crypto', () => {
  const crypto = simCrypto('fast');
  const alice = crypto.userOf('alice');
  const bob = crypto.userOf('bob');

  it('hashes differ in some half of their bits for inputs that differ in one', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 80 }), fc.nat(), (data, at) => {
        const other = data.slice();
        other[at % data.length]! ^= 1 << (at % 8);
        const a = crypto.sha256(data);
        const b = crypto.sha256(other);
        let bits = 0;
        for (let i = 0; i < 32; i++) for (let x = a[i]! ^ b[i]!; x; x &= x - 1) bits += 1;
        expect(bits).toBeGreaterThan(60);
        expect(bits).toBeLessThan(196);
      }),
    );
  });

  it('a signature is of one key over one statement, and zeros at the end count', () => {
    const statement = utf8('a statement');
    const sig = crypto.sign(alice, statement);
    expect(crypto.isValid({ by: alice, statement, sig })).toBe(true);
    expect(crypto.isValid({ by: bob, statement, sig })).toBe(false);
    expect(crypto.isValid({ by: alice, statement: utf8('a statemenT'), sig })).toBe(false);
    expect(crypto.isValid({ by: alice, statement: utf8('a statement\0'), sig })).toBe(false);
    expect(crypto.isValid({ by: alice, statement, sig: new Uint8Array(0) })).toBe(false);
  });
});

describe('a disk', () => {
  const make = () => {
    const timeline = new Timeline();
    return { timeline, disk: new SimDisk(timeline, drawsOf(1, 'disk')) };
  };
  const put = (key: string, byte: number): StoreOp => ({ key, value: Uint8Array.of(byte) });
  const write = (disk: SimDisk, ops: StoreOp[], sync: boolean): Promise<unknown> =>
    new Promise((resolve) => disk.write(ops, sync, resolve));

  it('shows what is written and not synced, and may lose it in a crash', async () => {
    const lost = new Set<boolean>();
    for (let seed = 0; seed < 20; seed++) {
      const timeline = new Timeline();
      const disk = new SimDisk(timeline, drawsOf(seed, 'disk'));
      void write(disk, [put('a', 1), put('b', 1)], true);
      void write(disk, [{ key: 'a' }, put('c', 2)], false);
      await runUntil(timeline, 1);
      expect(disk.scan('').map(([key]) => key)).toEqual(['b', 'c']);
      expect(disk.get('a')).toBeUndefined();
      expect(disk.durable('a')).toEqual(Uint8Array.of(1));
      disk.crash();
      const keys = disk.scan('').map(([key]) => key);
      expect([
        ['a', 'b'],
        ['b', 'c'],
      ]).toContainEqual(keys);
      lost.add(keys.includes('a'));
    }
    expect(lost.size).toBe(2);
  });

  it('refuses a write when it is full, and one that it can not sync', async () => {
    const { timeline, disk } = make();
    disk.failNext = 'disk-full';
    const full = write(disk, [put('a', 1)], true);
    await runUntil(timeline, 1);
    expect(String(await full)).toContain('ENOSPC');
    disk.failNext = 'disk-sync';
    const unsynced = write(disk, [put('a', 1)], true);
    await runUntil(timeline, 2);
    expect(String(await unsynced)).toContain('EIO');
    expect(disk.durable('a')).toBeUndefined();
    const third = write(disk, [put('b', 1)], true);
    await runUntil(timeline, 3);
    expect(await third).toBeUndefined();
  });

  it('finds a damaged value when it is read, until it is written anew', async () => {
    const { timeline, disk } = make();
    void write(disk, [put('a', 1), put('b', 1)], true);
    await runUntil(timeline, 1);
    expect(disk.damage(0.6)).toBe('b');
    disk.checkSound(['a', 'c']);
    expect(codeOf(() => disk.checkSound(['a', 'b']))).toBe('store_corrupt');
    void write(disk, [put('b', 2)], true);
    await runUntil(timeline, 2);
    disk.checkSound(['a', 'b']);
  });

  it('goes back to an old copy, or to nothing', async () => {
    const { timeline, disk } = make();
    void write(disk, [put('a', 1)], true);
    await runUntil(timeline, 1);
    const image = disk.image();
    void write(disk, [put('a', 2), put('b', 2)], true);
    await runUntil(timeline, 2);
    disk.crash();
    disk.restore(image);
    expect(disk.scan('')).toEqual([['a', Uint8Array.of(1)]]);
    disk.restore();
    expect(disk.scan('')).toEqual([]);
  });
});

describe('a lane', () => {
  const make = () => {
    const timeline = new Timeline();
    const lane = new Lane(timeline, drawsOf(1, 'lane'));
    const seen: string[] = [];
    const frame = (name: string, more: Partial<Frame> = {}): Frame => ({
      isKept: false,
      bytes: 100,
      isUp: true,
      arrive: () => seen.push(`${name} at ${Math.round(timeline.now)}`),
      lost: (why) => seen.push(`${name} ${why}`),
      ...more,
    });
    return { timeline, lane, seen, frame };
  };

  it('holds back what comes while it is clogged, and lets go of all at once', async () => {
    const { timeline, lane, seen, frame } = make();
    lane.clog();
    timeline.at(0, () => lane.carry(frame('a'), CALM));
    timeline.at(50, () => lane.carry(frame('b'), CALM));
    timeline.at(100, () => lane.unclog());
    await runUntil(timeline, 200);
    expect(seen).toEqual(['a at 100', 'b at 100']);
  });

  it('sends no more than its capacity, and drops what would wait too long', async () => {
    const { timeline, lane, seen, frame } = make();
    lane.bytesPerMs = 0.1;
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) lane.carry(frame(name), CALM);
    await runUntil(timeline, 10_000);
    expect(seen).toEqual(['e full', 'f full', 'a at 2', 'b at 1002', 'c at 2002', 'd at 3002']);
  });

  it('loses what is sent or arrives while it is cut, but for what must arrive', async () => {
    const { timeline, lane, seen, frame } = make();
    lane.carry(frame('early'), CALM);
    timeline.at(1, () => {
      lane.cuts += 1;
      lane.carry(frame('late'), CALM);
      lane.carry(frame('kept', { isKept: true }), CALM);
    });
    timeline.at(200, () => {
      lane.cuts -= 1;
    });
    await runUntil(timeline, 1_000);
    expect(seen).toEqual(['late cut', 'early cut', 'kept at 303']);
  });

  it('forgets what is under way when its connection is gone', async () => {
    const { timeline, lane, seen, frame } = make();
    lane.carry(frame('a', { isUp: false }), CALM);
    await runUntil(timeline, 10);
    expect(seen).toEqual(['a closed']);
  });
});
