/** What a node says of its own store, and is told of it (docs/PROTOCOL.md, sections "Beacons" and "Lost memory"). */

import { describe, expect, it } from 'vitest';
import { Ready } from '../../src/core/effects.js';
import type { Ulid } from '../../src/core/ids.js';
import { TIMING } from '../../src/core/limits.js';
import { OwnStore } from '../../src/core/own-store.js';
import type { Beacon } from '../../src/core/statements.js';
import {
  BATCHES_KEY,
  BOOTS_KEY,
  type BootBatches,
  bootsOf,
  nextBootTime,
} from '../../src/core/store-boots.js';
import { person, ulidOf } from './fixtures/channel.js';

const [OLD, PRESENT, LATER, NEXT] = [5, 10, 20, 30].map(ulidOf) as [Ulid, Ulid, Ulid, Ulid];
const shown = (boot: Ulid, batches: number, counter = 1, before: BootBatches[] = []): Beacon => ({
  ...{ tag: 'beacon', user: person(1).user, boot, counter, batches, before, heard: [] },
});
const store = (before: readonly BootBatches[] = []): OwnStore =>
  new OwnStore(PRESENT, { before, wasPutBack: false });

/** What a store that took these steps says when its node starts again. */
function stored(...steps: Ready[]) {
  const kept = new Map(steps.flatMap((step) => step.batch()).map(({ key, value }) => [key, value]));
  return bootsOf(kept.get(BOOTS_KEY), kept.get(BATCHES_KEY));
}

const synced = (): Ready => Object.assign(new Ready(), { sync: true });

describe('the batches of a store', () => {
  it('are counted where they are made durable, and kept in the batch', () => {
    const own = store();
    const [first, second, unsynced] = [synced(), synced(), new Ready()];
    for (const step of [first, unsynced, second]) own.count(step);
    expect(own.told).toStrictEqual({ batches: 2, before: [] });
    expect(unsynced.batch()).toStrictEqual([]);
    expect(stored(first, second).before).toStrictEqual([{ boot: PRESENT, batches: 2 }]);
  });
});

describe('a beacon that its user is shown', () => {
  it('tells what its store lacks, once, and for good', () => {
    const own = store([{ boot: OLD, batches: 4 }]);
    const step = new Ready();
    expect(own.isShown(step, shown(OLD, 9))).toContain(OLD);
    expect([own.wasPutBack, step.sync]).toStrictEqual([true, true]);
    expect(stored(step)).toStrictEqual({ before: [{ boot: OLD, batches: 9 }], wasPutBack: true });
    expect(own.isShown(new Ready(), shown(OLD, 9))).toBeUndefined();
  });

  it.each([
    ['has all of it', shown(OLD, 4)],
    ['is of its present boot', shown(PRESENT, 9)],
  ])('tells nothing where its store %s', (_, beacon) => {
    const own = store([{ boot: OLD, batches: 4 }]);
    expect(own.isShown(new Ready(), beacon)).toBeUndefined();
    expect(own.wasPutBack).toBe(false);
  });
});

describe('a boot greater than the present one', () => {
  const LONG_MS = 3 * TIMING.beacon_ms;

  it('is of the dead once nothing newer of it was shown for a while', () => {
    const own = store();
    expect(own.isOfTheDead(shown(LATER, 1), 1_000)).toBe(false);
    expect(own.isOfTheDead(shown(LATER, 1), 1_000 + LONG_MS - 1)).toBe(false);
    expect(own.isOfTheDead(shown(LATER, 1), 1_000 + LONG_MS)).toBe(true);
  });

  it('is of another process under this identity while it goes on', () => {
    const own = store();
    for (let i = 0; i < 10; i++) {
      expect(own.isOfTheDead(shown(LATER, 1, i), 1_000 + i * LONG_MS)).toBe(false);
    }
  });

  it('is no news of an earlier one', () => {
    const own = store();
    for (const now of [0, LONG_MS]) expect(own.isOfTheDead(shown(OLD, 1), now)).toBe(false);
  });

  it('makes the node take the next, which keeps what it did in this one', () => {
    const own = store();
    const [first, again] = [synced(), new Ready()];
    own.count(first);
    own.restart(again, NEXT);
    own.count(again);
    expect(own.boot).toBe(NEXT);
    expect(own.told).toStrictEqual({ batches: 1, before: [{ boot: PRESENT, batches: 1 }] });
    expect(stored(first, again).before).toStrictEqual([
      { boot: NEXT, batches: 1 },
      { boot: PRESENT, batches: 1 },
    ]);
  });
});

it('the next boot begins after all that are known, whatever the clock says', () => {
  const none = { before: [], wasPutBack: false };
  expect(nextBootTime(77, undefined, none)).toBe(77);
  const at = nextBootTime(0, OLD, none);
  expect(nextBootTime(at + 5, OLD, none)).toBe(at + 5);
  const later = { before: [{ boot: LATER, batches: 1 }], wasPutBack: true };
  expect(nextBootTime(0, OLD, later)).toBe(nextBootTime(0, LATER, none));
});
