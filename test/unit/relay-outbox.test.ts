/** What the relay gathers over one turn: order for each receiver, and shared buffers. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Outbox } from '../../src/relay/outbox.js';

const flushed = (outbox: Outbox): Map<number, readonly Uint8Array[]> => {
  const given = new Map<number, readonly Uint8Array[]>();
  outbox.flush((peer, buffers) => {
    expect(given.has(peer)).toBe(false);
    given.set(peer, buffers);
  });
  return given;
};

it('gives every receiver its frames in order, in one go', () => {
  const groups = [[1], [2], [1, 2, 3], [2, 3], []];
  const frames = fc.array(fc.tuple(fc.nat(groups.length - 1), fc.uint8Array({ minLength: 1 })));
  fc.assert(
    fc.property(frames, (added) => {
      const outbox = new Outbox();
      for (const [group, frame] of added) outbox.add(groups[group]!, frame);
      const given = flushed(outbox);
      for (const peer of [1, 2, 3]) {
        const expected = added.filter(([group]) => groups[group]!.includes(peer));
        expect(Buffer.concat(given.get(peer) ?? [])).toEqual(
          Buffer.concat(expected.map(([, frame]) => frame)),
        );
      }
      expect(flushed(outbox).size).toBe(0);
    }),
  );
});

it('joins frames that follow each other to the same receivers into one buffer for all', () => {
  const outbox = new Outbox();
  const to = [1, 2, 3];
  for (let i = 0; i < 10; i++) outbox.add(to, Uint8Array.of(i));
  const given = [...flushed(outbox).values()];
  expect(given.map((buffers) => buffers.length)).toEqual([1, 1, 1]);
  expect(new Set(given.map(([buffer]) => buffer)).size).toBe(1);
});
