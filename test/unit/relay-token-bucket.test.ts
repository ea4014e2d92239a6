import { expect, it } from 'vitest';
import { TokenBucket } from '../../src/relay/token-bucket.js';

it('saves a burst and no more', () => {
  const bucket = new TokenBucket(10, 5, 0);
  expect(bucket.take(5, 0)).toBe(true);
  expect(bucket.take(1, 0)).toBe(false);
  expect(bucket.take(1, 100)).toBe(true);
  expect(bucket.level(1_000_000)).toBe(5);
  expect(bucket.take(6, 2_000_000)).toBe(false);
});

it('goes into debt for what is done already, and says until when', () => {
  const bucket = new TokenBucket(10, 5, 0);
  expect(bucket.draw(8, 0)).toBe(-3);
  expect(bucket.msUntil(0, 0)).toBe(300);
  expect(bucket.msUntil(1_000, 0)).toBe(800);
  expect(bucket.level(300)).toBe(0);
  expect(bucket.msUntil(0, 400)).toBe(0);
});

it('does not care about a clock that stands still or goes back', () => {
  const bucket = new TokenBucket(10, 5, 1_000);
  bucket.draw(5, 1_000);
  expect(bucket.level(0)).toBe(0);
  expect(bucket.level(1_100)).toBe(1);
});
