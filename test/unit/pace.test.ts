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

describe('Pace', () => {
  it('does the work, and gives its result', () => {
    expect(paced().work(7)).toBe(7);
  });

  it('rests after long work, four times as long, and not after short work', () => {
    const { clock, pace, work } = paced();
    expect(pace.left).toBe(0);
    work(1);
    expect(pace.left).toBe(0);
    work(1_000);
    expect(pace.left).toBe(4_000);
    clock.now += 3_999;
    expect(pace.left).toBe(1);
    clock.now += 2;
    expect(pace.left).toBe(0);
  });

  it('rests until then', async () => {
    let looks = 0;
    const pace = new Pace(() => (looks < 2 ? looks++ * 10 : 49));
    pace.run(() => {});
    expect(pace.left).toBe(1);
    await pace.rest();
    await paced().pace.rest();
  });

  it('rests no longer when it is given up', async () => {
    const { pace, work } = paced();
    work(1_000_000);
    await pace.rest(AbortSignal.abort());
  });
});
