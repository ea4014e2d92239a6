/** Who is online, over which link (docs/PROTOCOL.md, section "Beacons"). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Millis, UserId } from '../../src/core/ids.js';
import { BEACON_HEARD_MAX, BEACONS_SHOWN_MAX, TIMING } from '../../src/core/limits.js';
import { Presence } from '../../src/core/presence.js';
import { type Beacon, decodeAs, type HeardBeacon } from '../../src/core/statements.js';
import { person, ulidOf } from './fixtures/channel.js';

const ME = person(1).user;
const BOB = person(2).user;
const CAROL = person(3).user;
const ALL: ReadonlySet<UserId> = new Set([ME, BOB, CAROL]);
const [MY_BOOT, OLD_BOOT, BOB_BOOT, NEXT_BOOT] = [10, 9, 20, 21].map(ulidOf) as [
  ReturnType<typeof ulidOf>,
  ReturnType<typeof ulidOf>,
  ReturnType<typeof ulidOf>,
  ReturnType<typeof ulidOf>,
];
const { online_ms, beacon_ms } = TIMING;
/** Half of the jitter: a period is `beacon_ms` exactly. */
const EVEN = () => 0.5;
const NOTHING = { newBoot: false, cameOnline: false };

const presence = (jitter = EVEN, self = ME, boot = MY_BOOT) =>
  new Presence(self, boot, TIMING, jitter);

/** A store that was never put back. */
const STORE = { batches: 1, before: [] };

const SIG = (n: number) => new Uint8Array(64).fill(n);

/** A beacon comes, with whatever signature. */
const hear = (p: Presence, link: number, beacon: Beacon, now: Millis) =>
  p.heard(link, beacon, SIG(beacon.counter), now);

/** A presence with link 1 up and beacon `counter` sent at `now`. */
function started(now: Millis = 0): Presence {
  const p = presence();
  p.linkUp(1, now);
  expect(p.beacon(now, ALL, STORE)).toMatchObject({ counter: 1 });
  return p;
}

const mine = (counter: number, boot = MY_BOOT): HeardBeacon => ({ user: ME, boot, counter });
const fromBob = (counter: number, heard: readonly HeardBeacon[] = [], boot = BOB_BOOT): Beacon => ({
  tag: 'beacon',
  user: BOB,
  boot,
  counter,
  batches: 1,
  before: boot === BOB_BOOT ? [] : [{ boot: BOB_BOOT, batches: 1 }],
  heard,
});

describe('a user is online on a link', () => {
  it('while a beacon that came over it names a recent one of mine', () => {
    const p = started(0);
    expect(hear(p, 1, fromBob(1, [mine(1)]), 100)).toStrictEqual({
      newBoot: false,
      cameOnline: true,
    });
    expect(p.onlineOn(1, BOB, 100)).toBe(true);
    expect(p.isOnline(BOB, 100)).toBe(true);
  });

  it('for online_ms since I sent what it names, however late that came back', () => {
    const p = started(0);
    hear(p, 1, fromBob(1, [mine(1)]), online_ms - 1);
    expect(p.onlineOn(1, BOB, online_ms)).toBe(true);
    expect(p.onlineOn(1, BOB, online_ms + 1)).toBe(false);
  });

  it('for longer once it names a newer one', () => {
    const p = started(0);
    hear(p, 1, fromBob(1, [mine(1)]), 10);
    expect(p.beacon(beacon_ms, ALL, STORE)?.counter).toBe(2);
    expect(hear(p, 1, fromBob(2, [mine(2)]), beacon_ms + 10)).toStrictEqual(NOTHING);
    expect(p.onlineOn(1, BOB, online_ms + beacon_ms)).toBe(true);
    expect(p.onlineOn(1, BOB, online_ms + beacon_ms + 1)).toBe(false);
  });

  it.each<[string, readonly HeardBeacon[]]>([
    ['names nobody', []],
    ['names others only', [{ user: CAROL, boot: MY_BOOT, counter: 1 }]],
    ['names one of mine that I never sent', [mine(2)]],
    ['names one of mine from before I restarted', [mine(1, OLD_BOOT)]],
  ])('not when its beacon %s', (_, heard) => {
    const p = started(0);
    expect(hear(p, 1, fromBob(1, heard), 10)).toStrictEqual(NOTHING);
    expect(p.isOnline(BOB, 10)).toBe(false);
  });

  it('not when its beacon names one of mine that is no longer recent', () => {
    const p = started(0);
    for (let now = beacon_ms; now <= online_ms + beacon_ms; now += beacon_ms)
      p.beacon(now, ALL, STORE);
    expect(hear(p, 1, fromBob(1, [mine(1)]), online_ms + beacon_ms)).toStrictEqual(NOTHING);
    expect(p.isOnline(BOB, online_ms + beacon_ms)).toBe(false);
  });

  it('on that link and no other', () => {
    const p = started(0);
    p.linkUp(2, 0);
    hear(p, 2, fromBob(1, [mine(1)]), 10);
    expect([p.onlineOn(1, BOB, 10), p.onlineOn(2, BOB, 10)]).toStrictEqual([false, true]);
    expect(p.isOnline(BOB, 10)).toBe(true);
  });

  it('on both, when one beacon comes over both', () => {
    const p = started(0);
    p.linkUp(2, 0);
    const beacon = fromBob(1, [mine(1)]);
    expect(hear(p, 1, beacon, 10).cameOnline).toBe(true);
    expect(hear(p, 2, beacon, 20).cameOnline).toBe(true);
    expect([p.onlineOn(1, BOB, 20), p.onlineOn(2, BOB, 20)]).toStrictEqual([true, true]);
  });

  it('not after that link went down, nor when it is up again', () => {
    const p = started(0);
    p.linkUp(2, 0);
    hear(p, 1, fromBob(1, [mine(1)]), 10);
    hear(p, 2, fromBob(1, [mine(1)]), 10);
    p.linkDown(1);
    expect([p.onlineOn(1, BOB, 20), p.onlineOn(2, BOB, 20)]).toStrictEqual([false, true]);
    p.linkDown(2);
    p.linkUp(1, 30);
    expect(p.isOnline(BOB, 30)).toBe(false);
    expect([...p.links]).toStrictEqual([1]);
  });

  it('not by a beacon that comes over a link that is down', () => {
    const p = started(0);
    expect(hear(p, 7, fromBob(1, [mine(1)]), 10)).toStrictEqual(NOTHING);
    expect([p.isOnline(BOB, 10), p.bootOf(BOB)]).toStrictEqual([false, undefined]);
  });

  it('never when it is I, by a beacon of mine that comes back', () => {
    const p = started(0);
    expect(hear(p, 1, { ...fromBob(1, [mine(1)]), user: ME }, 10)).toStrictEqual(NOTHING);
    expect(p.isOnline(ME, 10)).toBe(false);
  });

  it('again, and said so, after it was silent', () => {
    const p = started(0);
    hear(p, 1, fromBob(1, [mine(1)]), 10);
    let counter = 1;
    for (let now = beacon_ms; now <= 6 * beacon_ms; now += beacon_ms) {
      counter = p.beacon(now, ALL, STORE)!.counter;
    }
    expect(p.isOnline(BOB, 6 * beacon_ms)).toBe(false);
    const again = hear(p, 1, fromBob(2, [mine(counter)]), 6 * beacon_ms);
    expect(again).toStrictEqual({ newBoot: false, cameOnline: true });
    expect(p.isOnline(BOB, 6 * beacon_ms)).toBe(true);
  });
});

describe('a replay', () => {
  it('of an older beacon prolongs nothing', () => {
    const p = started(0);
    const old = fromBob(1, [mine(1)]);
    hear(p, 1, old, 10);
    p.beacon(beacon_ms, ALL, STORE);
    hear(p, 1, fromBob(2, [mine(2)]), beacon_ms + 10);
    hear(p, 1, old, online_ms);
    expect(p.onlineOn(1, BOB, beacon_ms + online_ms)).toBe(true);
    expect(p.onlineOn(1, BOB, beacon_ms + online_ms + 1)).toBe(false);
    expect(p.beacon(2 * beacon_ms, ALL, STORE)?.heard).toStrictEqual([
      { user: BOB, boot: BOB_BOOT, counter: 2 },
    ]);
  });

  it('of an older boot is nothing at all, even if it names me', () => {
    const p = started(0);
    hear(p, 1, fromBob(1, [], NEXT_BOOT), 10);
    const due = p.due;
    expect(hear(p, 1, fromBob(99, [mine(1)], BOB_BOOT), 20)).toStrictEqual(NOTHING);
    expect([p.isOnline(BOB, 20), p.bootOf(BOB), p.due]).toStrictEqual([false, NEXT_BOOT, due]);
  });

  it('to another relay shows who is there over that one', () => {
    const p = started(0);
    p.linkUp(2, 0);
    hear(p, 1, fromBob(2, [mine(1)]), 10);
    // An older copy, late on link 2: it names the same recent beacon of mine.
    expect(hear(p, 2, fromBob(1, [mine(1)]), 20)).toStrictEqual({
      newBoot: false,
      cameOnline: true,
    });
  });
});

describe('a new boot', () => {
  it('is said once, and not of who was never heard', () => {
    const p = started(0);
    expect(hear(p, 1, fromBob(5), 10).newBoot).toBe(false);
    expect(hear(p, 1, fromBob(1, [], NEXT_BOOT), 20).newBoot).toBe(true);
    expect(hear(p, 1, fromBob(2, [], NEXT_BOOT), 30).newBoot).toBe(false);
    expect(p.bootOf(BOB)).toBe(NEXT_BOOT);
  });

  it('starts its counter anew', () => {
    const p = started(0);
    hear(p, 1, fromBob(500), 10);
    hear(p, 1, fromBob(1, [], NEXT_BOOT), 20);
    expect(p.beacon(beacon_ms, ALL, STORE)?.heard).toStrictEqual([
      { user: BOB, boot: NEXT_BOOT, counter: 1 },
    ]);
  });
});

describe('who lapsed', () => {
  it('is told once, a millisecond after its last sighting grew stale', () => {
    const p = started(0);
    expect(p.lapseDue).toBe(Number.POSITIVE_INFINITY);
    hear(p, 1, fromBob(1, [mine(1)]), 10);
    expect(p.lapseDue).toBe(online_ms + 1);
    expect(p.lapsed(online_ms)).toStrictEqual(new Set());
    expect(p.isOnline(BOB, online_ms)).toBe(true);
    expect(p.lapsed(online_ms + 1)).toStrictEqual(new Set([BOB]));
    expect(p.lapsed(online_ms + 2)).toStrictEqual(new Set());
    expect(p.lapseDue).toBe(Number.POSITIVE_INFINITY);
  });

  it('is not told again with who lapses later', () => {
    const p = started(0);
    hear(p, 1, fromBob(1, [mine(1)]), 10);
    const { counter } = p.beacon(beacon_ms, ALL, STORE)!;
    hear(p, 1, { ...fromBob(1, [mine(counter)]), user: CAROL }, beacon_ms + 10);
    expect(p.lapsed(online_ms + 1)).toStrictEqual(new Set([BOB]));
    expect(p.lapsed(online_ms + beacon_ms + 1)).toStrictEqual(new Set([CAROL]));
  });

  it('is none that named a newer beacon meanwhile; the time moves on', () => {
    const p = started(0);
    hear(p, 1, fromBob(1, [mine(1)]), 10);
    p.beacon(beacon_ms, ALL, STORE);
    hear(p, 1, fromBob(2, [mine(2)]), beacon_ms + 10);
    expect(p.lapsed(online_ms + 1)).toStrictEqual(new Set());
    expect(p.lapseDue).toBe(online_ms + beacon_ms + 1);
    expect(p.lapsed(online_ms + beacon_ms + 1)).toStrictEqual(new Set([BOB]));
  });

  it('may still be online over another link', () => {
    const p = started(0);
    p.linkUp(2, 0);
    hear(p, 1, fromBob(1, [mine(1)]), 10);
    p.beacon(beacon_ms, ALL, STORE);
    const { counter } = p.beacon(2 * beacon_ms, ALL, STORE)!;
    hear(p, 2, fromBob(2, [mine(counter)]), 2 * beacon_ms + 10);
    expect(p.lapsed(online_ms + 1)).toStrictEqual(new Set([BOB]));
    expect([p.onlineOn(1, BOB, online_ms + 1), p.isOnline(BOB, online_ms + 1)]).toStrictEqual([
      false,
      true,
    ]);
  });

  it('comes online again with its next beacon', () => {
    const p = started(0);
    hear(p, 1, fromBob(1, [mine(1)]), 10);
    const { counter } = p.beacon(online_ms, ALL, STORE)!;
    p.lapsed(online_ms + 1);
    expect(hear(p, 1, fromBob(2, [mine(counter)]), online_ms + 5).cameOnline).toBe(true);
  });
});

describe('a user whose store was put back', () => {
  const known = { ...fromBob(5), batches: 9 };
  const back: Beacon = {
    ...fromBob(1, [mine(1)], NEXT_BOOT),
    before: [{ boot: BOB_BOOT, batches: 4 }],
  };

  it('is shown what it said before, and neither named nor online until it knows', () => {
    const p = started(0);
    hear(p, 1, known, 10);
    expect(hear(p, 1, back, 20)).toStrictEqual(NOTHING);
    expect([p.isOnline(BOB, 20), p.storeOf(BOB)?.batches]).toStrictEqual([false, 9]);
    expect(p.beacon(beacon_ms, ALL, STORE)!.heard).toMatchObject([{ boot: BOB_BOOT, counter: 5 }]);
    const [shown] = p.takeShown();
    expect(decodeAs('beacon', shown!.statement)).toStrictEqual(known);
    expect([shown!.by, shown!.sig, p.takeShown()]).toStrictEqual([BOB, SIG(5), []]);

    hear(p, 1, { ...back, counter: 2, before: [{ boot: BOB_BOOT, batches: 9 }] }, beacon_ms + 10);
    expect([p.isOnline(BOB, beacon_ms + 10), p.storeOf(BOB)?.boot]).toStrictEqual([
      true,
      NEXT_BOOT,
    ]);
  });

  it('is not suspected when it merely restarted', () => {
    const p = started(0);
    hear(p, 1, known, 10);
    hear(p, 1, { ...back, before: [{ boot: BOB_BOOT, batches: 9 }] }, 20);
    expect([p.isOnline(BOB, 20), p.takeShown()]).toStrictEqual([true, []]);
  });

  it('counts nobody who has not named its boot as knowing it', () => {
    const p = started(0);
    hear(p, 1, fromBob(1, [mine(1, OLD_BOOT)]), 10);
    expect(p.hasNamed(BOB)).toBe(false);
    hear(p, 1, fromBob(2, [mine(1)]), 20);
    expect(p.hasNamed(BOB)).toBe(true);
  });

  it('is shown the greater boot when its clock went back', () => {
    const p = started(0);
    hear(p, 1, fromBob(1, [], NEXT_BOOT), 10);
    expect(hear(p, 1, fromBob(2, [mine(1)]), 20)).toStrictEqual(NOTHING);
    expect(p.takeShown()).toMatchObject([{ by: BOB, sig: SIG(1) }]);
  });

  it('and when this node takes another boot for that, nobody has named it yet', () => {
    const p = started(0);
    hear(p, 1, fromBob(1, [mine(1)]), 10);
    expect([p.isOnline(BOB, 10), p.hasNamed(BOB)]).toStrictEqual([true, true]);
    p.restart(NEXT_BOOT, 20);
    expect([p.isOnline(BOB, 20), p.hasNamed(BOB)]).toStrictEqual([false, false]);
    expect(p.beacon(20, ALL, STORE)).toMatchObject({ boot: NEXT_BOOT, counter: 1 });
    hear(p, 1, fromBob(2, [mine(1)]), 30);
    expect([p.isOnline(BOB, 30), p.hasNamed(BOB)]).toStrictEqual([false, false]);
    hear(p, 1, fromBob(3, [mine(1, NEXT_BOOT)]), 40);
    expect([p.isOnline(BOB, 40), p.hasNamed(BOB)]).toStrictEqual([true, true]);
  });

  it('is forgotten, with what it would be shown, once it is in none of the channels', () => {
    const p = started(0);
    hear(p, 1, { ...known, heard: [mine(1)] }, 10);
    hear(p, 1, back, 20);
    expect([p.hasNamed(BOB), p.bootOf(BOB)]).toStrictEqual([true, BOB_BOOT]);
    p.beacon(beacon_ms, new Set([ME, CAROL]), STORE);
    expect([p.hasNamed(BOB), p.bootOf(BOB), p.takeShown()]).toStrictEqual([false, undefined, []]);
  });

  it('is remembered while it may come back, and not named', () => {
    const p = started(0);
    hear(p, 1, { ...known, heard: [mine(1)] }, 10);
    const beacon = p.beacon(beacon_ms, new Set([ME, CAROL]), STORE, new Set([BOB]));
    expect([beacon?.heard, p.storeOf(BOB)]).toMatchObject([[], { boot: BOB_BOOT }]);
  });

  it('several at once are shown a few at a time', () => {
    const p = started(0);
    const users = Array.from({ length: BEACONS_SHOWN_MAX + 1 }, (_, i) => person(10 + i).user);
    for (const user of users) hear(p, 1, { ...known, user }, 10);
    for (const user of users) hear(p, 1, { ...back, user }, 20);
    expect(p.takeShown()).toHaveLength(BEACONS_SHOWN_MAX);
    expect(p.takeShown().map(({ by }) => by)).toStrictEqual(users.slice(-1));
  });
});

describe('beacons are sent', () => {
  it('never without a link, at once when one comes up', () => {
    const p = presence();
    expect([p.due, p.beacon(1e9, ALL, STORE)]).toStrictEqual([Number.POSITIVE_INFINITY, undefined]);
    p.linkUp(1, 500);
    expect([p.due, p.beacon(499, ALL, STORE)]).toStrictEqual([500, undefined]);
    expect(p.beacon(500, ALL, STORE)).toStrictEqual({
      tag: 'beacon',
      user: ME,
      boot: MY_BOOT,
      counter: 1,
      batches: 1,
      before: [],
      heard: [],
    });
    p.linkDown(1);
    expect(p.due).toBe(Number.POSITIVE_INFINITY);
  });

  it.each([
    [0, 0.8],
    [0.5, 1],
    [0.999, 1.1996],
  ])('a period apart that the jitter %d makes %d times as long', (jitter, factor) => {
    const p = presence(() => jitter);
    p.linkUp(1, 0);
    p.beacon(0, ALL, STORE);
    expect(p.due).toBeCloseTo(beacon_ms * factor, 6);
    expect(p.beacon(p.due - 1, ALL, STORE)).toBeUndefined();
    expect(p.beacon(p.due, ALL, STORE)?.counter).toBe(2);
  });

  it('soon after a newcomer was heard, who came online or who lacks mine, but not in a burst', () => {
    const GAP_MS = 40;
    const p = started(0);
    expect(p.due).toBe(beacon_ms);
    hear(p, 1, fromBob(1), 10);
    expect(p.due).toBe(GAP_MS);
    p.beacon(GAP_MS, ALL, STORE);
    hear(p, 1, fromBob(2, [mine(2)]), 100);
    expect(p.due).toBe(100);
    p.beacon(100, ALL, STORE);
    hear(p, 1, fromBob(3, [mine(3)]), 110);
    expect(p.due).toBe(100 + beacon_ms);
    for (let n = 1; n < 20; n++) hear(p, 1, { ...fromBob(n), user: CAROL }, 110);
    expect(p.due).toBe(100 + GAP_MS);
  });

  it('no sooner for who is in none of its channels', () => {
    const p = started(0);
    for (let n = 1; n < 20; n++) hear(p, 1, { ...fromBob(n), user: person(10 + n).user }, 10);
    expect(p.due).toBe(beacon_ms);
  });

  it('soon after a hint, which shows nobody online', () => {
    const p = started(0);
    p.hint(500);
    expect(p.due).toBe(500);
    expect(p.isOnline(BOB, 500)).toBe(false);
    p.beacon(500, ALL, STORE);
    p.hint(501);
    expect(p.due).toBe(540);
    p.hint(530);
    expect(p.due).toBe(540);
  });

  it('no later because of a hint', () => {
    const p = started(0);
    p.hint(beacon_ms + 5);
    expect(p.due).toBe(beacon_ms);
  });

  it('naming whom I heard lately, and only those I was asked about', () => {
    const p = started(0);
    hear(p, 1, fromBob(7), 10);
    hear(p, 1, { ...fromBob(3), user: CAROL }, 20);
    const named = (now: Millis, users: ReadonlySet<UserId>) =>
      p.beacon(now, users, STORE)?.heard.map((h) => [h.user, h.counter]);
    expect(named(beacon_ms, ALL)).toStrictEqual([
      [BOB, 7],
      [CAROL, 3],
    ]);
    hear(p, 1, fromBob(8), online_ms);
    expect(named(online_ms + 50, ALL)).toStrictEqual([[BOB, 8]]);
    expect(p.bootOf(CAROL)).toBe(BOB_BOOT);
    expect(named(online_ms + 2 * beacon_ms, new Set([CAROL]))).toStrictEqual([]);
    expect([p.bootOf(BOB), p.bootOf(CAROL)]).toStrictEqual([undefined, BOB_BOOT]);
  });

  it('naming no more than BEACON_HEARD_MAX, and with the next the others', () => {
    const p = started(0);
    const crowd = Array.from({ length: BEACON_HEARD_MAX + 5 }, (_, i) =>
      i.toString(16).padStart(64, '0'),
    ) as UserId[];
    for (const user of crowd) hear(p, 1, { ...fromBob(1), user }, 10);
    const named = (now: Millis) => p.beacon(now, new Set(crowd), STORE)!.heard.map((h) => h.user);
    const [first, second] = [named(beacon_ms), named(2 * beacon_ms)];
    expect([first.length, second.length]).toStrictEqual([BEACON_HEARD_MAX, BEACON_HEARD_MAX]);
    expect(second.slice(0, 6)).toStrictEqual([...crowd.slice(-5), crowd[0]]);
    expect(new Set([...first, ...second]).size).toBe(crowd.length);
  });
});

describe('two nodes', () => {
  it('are online to each other after three beacons, and stay so while beacons arrive', () => {
    const jitters = fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 20 });
    const delays = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 20 });
    fc.assert(
      fc.property(jitters, delays, (jitter, delay) => {
        let [drawn, sent] = [0, 0];
        const next = () => jitter[drawn++ % jitter.length]!;
        const nodes = [presence(next), presence(next, BOB, BOB_BOOT)];
        let arriving: { at: Millis; to: number; beacon: Beacon }[] = [];
        for (const node of nodes) node.linkUp(1, 0);
        for (let now = 0; now < 15_000; now += 10) {
          for (const [i, node] of nodes.entries()) {
            const beacon = node.beacon(now, ALL, STORE);
            if (!beacon) continue;
            const at = now + delay[sent++ % delay.length]!;
            arriving.push({ at, to: 1 - i, beacon });
          }
          for (const { at, to, beacon } of arriving)
            if (at <= now) hear(nodes[to]!, 1, beacon, now);
          arriving = arriving.filter((a) => a.at > now);
          if (now < 3 * (400 + 60)) continue;
          const online = nodes[0]!.onlineOn(1, BOB, now) && nodes[1]!.onlineOn(1, ME, now);
          if (!online) expect.fail(`one is offline to the other at ${now} ms`);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('are not online where one hears and is not heard', () => {
    const [me, bob] = [presence(), presence(EVEN, BOB, BOB_BOOT)];
    for (const node of [me, bob]) node.linkUp(1, 0);
    for (let now = 0; now < 10_000; now += 20) {
      const fromMe = me.beacon(now, ALL, STORE);
      if (fromMe) hear(bob, 1, fromMe, now);
      bob.beacon(now, ALL, STORE);
      expect(bob.isOnline(ME, now)).toBe(false);
      expect(me.isOnline(BOB, now)).toBe(false);
    }
  });
});
