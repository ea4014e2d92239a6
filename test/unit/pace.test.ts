/** Work that follows every change, kept to a share of the time. */

import { describe, expect, it } from 'vitest';
import { Pace } from '../../src/node/wait.js';

/** A clock that work moves on. */
function paced() {
  const clock = { now: 1_000 };
  const pace = new Pace(() => clock.now);
  const work = (took: number) =>
    pace.run(() => {
      clock.now += took;
      return took;
    });
  return { clock, pace, work };
}

/** Whether it would rest at this moment. */
async function rests(pace: Pace): Promise<boolean> {
  const over = new AbortController();
  let isOver = false;
  const resting = pace.rest(over.signal).then(() => {
    isOver = true;
  });
  await new Promise(setImmediate);
  const isResting = !isOver;
  over.abort();
  await resting;
  return isResting;
}

describe('Pace', () => {
  it('does the work, and gives its result', () => {
    expect(paced().work(7)).toBe(7);
  });

  it('rests after long work, four times as long, and not after short work', async () => {
    const { clock, pace, work } = paced();
    expect(await rests(pace)).toBe(false);
    work(1);
    expect(await rests(pace)).toBe(false);
    work(1_000);
    expect(await rests(pace)).toBe(true);
    clock.now += 3_999;
    expect(await rests(pace)).toBe(true);
    clock.now += 1;
    expect(await rests(pace)).toBe(false);
  });

  it('rests no longer when it is given up', async () => {
    const { pace, work } = paced();
    work(1_000_000);
    await pace.rest(AbortSignal.abort());
  });
});
