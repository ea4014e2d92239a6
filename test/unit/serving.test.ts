/** How many answers from the store are under way, and whose (docs/PROTOCOL.md, section "Catching up"). */

import { describe, expect, it } from 'vitest';
import { SERVES_AT_ONCE_MAX, SERVES_WAITING_MAX } from '../../src/core/limits.js';
import type { Reader } from '../../src/core/serve.js';
import { Serving } from '../../src/core/serving.js';

/** A store that answers when it is told to, and answers that read from it twice. */
function slowly() {
  const reads: (() => void)[] = [];
  const reader: Reader = {
    getMany: (keys, done) => void reads.push(() => done(keys.map(() => undefined))),
    range: (_, done) => void reads.push(() => done([])),
  };
  const serving = new Serving(reader);
  const begun: string[] = [];
  const ask = (asker: string, most = 1): void =>
    serving.add(asker, most, (store) => {
      begun.push(asker);
      store.getMany([], () => store.range({ gte: '', lt: '', limit: 1 }, () => {}));
    });
  /** Lets the oldest read be done. */
  const read = (): void => reads.shift()!();
  return { ask, begun, read, reads, serving };
}

describe('answers', () => {
  it('of different askers are under way up to so many, then in turn', () => {
    const { ask, begun, read } = slowly();
    for (let i = 0; i < SERVES_AT_ONCE_MAX + 2; i++) ask(`${i}`);
    expect(begun).toHaveLength(SERVES_AT_ONCE_MAX);
    for (let i = 0; i < SERVES_AT_ONCE_MAX; i++) read();
    expect(begun).toHaveLength(SERVES_AT_ONCE_MAX);
    read();
    expect(begun).toHaveLength(SERVES_AT_ONCE_MAX + 1);
  });

  it('of one asker are as few as it may have, until one of them is done', () => {
    const { ask, begun, read } = slowly();
    for (let i = 0; i < 5; i++) ask('a', 2);
    ask('b', 2);
    expect(begun).toEqual(['a', 'a', 'b']);
    for (let i = 0; i < 4; i++) read();
    ask('a', 2);
    expect(begun).toEqual(['a', 'a', 'b', 'a']);
  });

  it('are dropped where too many wait', () => {
    const { ask, begun, read, reads } = slowly();
    const most = SERVES_AT_ONCE_MAX + SERVES_WAITING_MAX;
    for (let i = 0; i < most + 50; i++) ask(`${i}`);
    while (reads.length > 0) read();
    expect(begun).toHaveLength(most);
  });

  it('that read nothing, or fail, are done', () => {
    const { serving, begun, ask } = slowly();
    for (let i = 0; i < 2 * SERVES_AT_ONCE_MAX; i++) serving.add('a', 1, () => {});
    for (let i = 0; i < 2 * SERVES_AT_ONCE_MAX; i++) {
      const fail = () =>
        serving.add('a', 1, () => {
          throw new Error('damaged');
        });
      expect(fail).toThrow('damaged');
    }
    ask('a');
    expect(begun).toEqual(['a']);
  });
});
