import { describe, expect, it } from 'vitest';
import { Announcing } from '../../src/core/announcing.js';
import type { ChannelId } from '../../src/core/ids.js';

const CHANNEL = 'c'.repeat(64) as ChannelId;

describe('what relays are told of rosters', () => {
  it('sends what the relay lacks, from the first step that it lacks', () => {
    const a = new Announcing();
    expect(a.next(1, CHANNEL, 0, 40, 0)).toBe(1);
    expect(a.next(1, CHANNEL, 16, 40, 1)).toBe(17);
    expect(a.next(1, CHANNEL, 32, 40, 2)).toBe(33);
    expect(a.next(1, CHANNEL, 40, 40, 3)).toBeUndefined();
    expect(a.next(1, CHANNEL, 41, 40, 4)).toBeUndefined();
  });

  it('does not repeat a page at once to a relay that did not move on', () => {
    const a = new Announcing();
    expect(a.next(1, CHANNEL, 3, 9, 0)).toBe(4);
    expect(a.next(1, CHANNEL, 3, 9, 10)).toBeUndefined();
    expect(a.next(2, CHANNEL, 3, 9, 10)).toBe(4);
    expect(a.next(1, CHANNEL, 3, 9, 60_000)).toBe(4);
  });

  it('begins anew on a new link, since a relay forgets', () => {
    const a = new Announcing();
    expect(a.next(1, CHANNEL, 3, 9, 0)).toBe(4);
    a.linkDown(1);
    expect(a.next(1, CHANNEL, 3, 9, 1)).toBe(4);
  });

  it('asks a relay that lost the channel where it stands, but not all the time', () => {
    const a = new Announcing();
    expect(a.lost(1, CHANNEL, 0)).toBe(true);
    expect(a.lost(1, CHANNEL, 999)).toBe(false);
    expect(a.lost(2, CHANNEL, 999)).toBe(true);
    expect(a.lost(1, CHANNEL, 1_000)).toBe(true);
    expect(a.next(1, CHANNEL, 0, 9, 1_001)).toBe(1);
  });

  it('asks a busy relay again when it said, once', () => {
    const a = new Announcing();
    expect(a.due).toBe(Number.POSITIVE_INFINITY);
    a.next(1, CHANNEL, 3, 9, 0);
    a.busy(1, 500);
    expect(a.due).toBe(500);
    expect(a.takeDue(499)).toEqual([]);
    expect(a.takeDue(500)).toEqual([1]);
    expect(a.takeDue(501)).toEqual([]);
    expect(a.next(1, CHANNEL, 3, 9, 502)).toBe(4);
  });
});
