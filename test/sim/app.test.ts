/**
 * Applications under the simulator (docs/testing.md): they get the channel of
 * a real node, one life after the other, in virtual time; what they break of
 * their own promises is found; and a run stays a function of its seed.
 */

import { describe, expect, it } from 'vitest';
import type { Channel, ChannelStatus, ReadEvent } from '../../src/node/index.js';
import { type AppNode, type AppOptions, type Fault, simulate } from '../../src/testing/index.js';

const CALM = { nodes: 3, minOnline: 2, early: false, faults: [] } as const;

/** Counts what it is shown; each act sends one message. */
class Counter {
  readonly texts: string[] = [];
  readonly channel: Channel;
  constructor({ channel }: AppNode) {
    this.channel = channel;
  }
  async run(): Promise<void> {
    for await (const event of this.channel.read({ live: true, provisional: false })) {
      if (event.type === 'entry' && event.entry.kind === 'message')
        this.texts.push(event.entry.text!);
    }
  }
}

const counters: Omit<AppOptions<Counter>, 'seed'> = {
  app: (node) => new Counter(node),
  workload: {
    act: (app, { index, random }) => void app.channel.send(`${index} says ${random()}`),
  },
};

const faultsOf = (...faults: Fault[]): readonly Fault[] => faults;

describe('an application under the simulator', () => {
  it('sees what all of them send, in one order', async () => {
    let compared = 0;
    const result = await simulate({
      seed: 1,
      nodes: 5,
      ...counters,
      checks: {
        eventually([first, ...others]) {
          expect(first!.app.texts.length).toBeGreaterThan(5);
          for (const { app } of others) expect(app.texts).toStrictEqual(first!.app.texts);
          compared = others.length;
        },
      },
    });
    expect(result.violation).toBeUndefined();
    expect(compared).toBe(4);
  });

  it('runs again the same with the same seed', async () => {
    const run = () => simulate({ seed: 5, nodes: 4, ...counters });
    const [one, two] = [await run(), await run()];
    expect(one.violation).toBeUndefined();
    expect(two).toStrictEqual(one);
    expect((await simulate({ seed: 6, nodes: 4, ...counters })).traceHash).not.toBe(one.traceHash);
  });

  it('starts anew after a crash, with its storage, and the old one never goes on', async () => {
    const lives: { index: number; life: number; ticks: number }[] = [];
    const crash: Fault = { kind: 'crash', node: 1, inWrite: false, at: 8_000, until: 9_000 };
    const result = await simulate({
      ...CALM,
      seed: 2,
      faults: faultsOf(crash),
      loadMs: 12_000,
      app: ({ index, storage, clock }) => {
        const life = Number(storage.get('life') ?? 0) + 1;
        storage.set('life', String(life));
        const own = { index, life, ticks: 0 };
        lives.push(own);
        return {
          async run() {
            for (;;) {
              await clock.sleep(100);
              expect(lives.findLast((l) => l.index === index)).toBe(own);
              own.ticks += 1;
            }
          },
        };
      },
    });
    expect(result.violation).toBeUndefined();
    expect(lives.filter(({ index }) => index === 1).map(({ life }) => life)).toStrictEqual([1, 2]);
    expect(lives.filter(({ index }) => index !== 1).every(({ life }) => life === 1)).toBe(true);
    for (const { ticks } of lives) expect(ticks).toBeGreaterThan(20);
  });

  it('gets the channel of a real node: handles, cursors, status, members', async () => {
    const seen: { status: ChannelStatus[]; events: ReadEvent[] } = { status: [], events: [] };
    const result = await simulate({
      ...CALM,
      loadMs: 10_000,
      seed: 3,
      app: ({ index, channel, clock, user }) => ({
        async run() {
          if (index !== 0) return;
          await clock.sleep(5_000);
          const sending = channel.send('hello', { name: 'somebody' });
          expect(sending.state).toBe('queued');
          await sending.stored;
          const { state, seq } = await sending.until('final');
          expect(state).toBe('final');
          for await (const event of channel.read({ from: seq! })) seen.events.push(event);
          for await (const event of channel.read({ from: seen.events[0]!.cursor, limit: 1 })) {
            expect(event).toStrictEqual(seen.events[1]);
          }
          for await (const status of channel.status()) {
            seen.status.push(status);
            break;
          }
          expect(channel.currentStatus()).toStrictEqual(seen.status[0]);
          expect(channel.members.list()).toHaveLength(3);
          expect(channel.members.list().find((m) => m.user === user)?.name).toBe('node0');
          await expect(channel.members.invite()).rejects.toMatchObject({ code: 'not_simulated' });
          const gone = channel.send('again').until('final', { signal: AbortSignal.abort() });
          await expect(gone).rejects.toMatchObject({ code: 'aborted' });
        },
      }),
    });
    expect(result.violation).toBeUndefined();
    const [first] = seen.events;
    expect(first).toMatchObject({
      type: 'entry',
      entry: { text: 'hello', name: 'somebody', state: 'final', kind: 'message' },
    });
    const { state, members, relays } = seen.status[0]!;
    expect({ state, members }).toStrictEqual({ state: 'healthy', members: 3 });
    expect(relays.every(({ connected }) => connected)).toBe(true);
  });

  it('sleeps in virtual time, and can be woken', async () => {
    const slept: string[] = [];
    const result = await simulate({
      ...CALM,
      seed: 4,
      nodes: 1,
      minOnline: 1,
      loadMs: 7_200_000,
      app: ({ clock }) => ({
        async run() {
          const from = clock.now();
          await clock.sleep(3_600_000);
          slept.push(`${clock.now() - from}`);
          const woken = new AbortController();
          const sleeping = clock.sleep(3_600_000, { signal: woken.signal });
          woken.abort();
          await sleeping.catch(({ code }) => slept.push(code));
        },
      }),
    });
    expect(result.violation).toBeUndefined();
    expect(slept).toStrictEqual(['3600000', 'aborted']);
  });
});

describe('what an application does wrong is found', () => {
  const violation = async (options: Omit<AppOptions<unknown>, 'seed'>): Promise<string> => {
    const { violation: v } = await simulate({ ...CALM, seed: 7, ...options });
    return `${v?.invariant}: ${v?.message}`;
  };

  it.each([
    [
      'when it is made',
      () => {
        throw new Error('no good');
      },
    ],
    ['while it runs', () => ({ run: () => Promise.reject(new Error('no good')) })],
  ])('%s', async (_when, app) => {
    expect(await violation({ app })).toMatch(/^application: throws: on node \d: Error: no good/);
  });

  it('when a user acts', async () => {
    const act = () => Promise.reject(new Error('no good'));
    const text = await violation({ app: () => ({}), workload: { act } });
    expect(text).toMatch(/^application: throws: on node \d: Error: no good/);
  });

  it('at any time', async () => {
    let calls = 0;
    const always = () => {
      calls += 1;
      if (calls > 3) throw new Error('no more');
    };
    expect(await violation({ app: () => ({}), checks: { always } })).toBe(
      'application: always: no more',
    );
  });

  it('in the end, and only there', async () => {
    const { violation: v, plan } = await simulate({
      ...CALM,
      seed: 8,
      loadMs: 5_000,
      settleMs: 10_000,
      ...counters,
      checks: {
        eventually(apps) {
          expect(apps.map(({ node }) => node.index)).toStrictEqual([0, 1, 2]);
          throw new Error('never good');
        },
      },
    });
    expect(v).toMatchObject({ invariant: 'application: eventually', message: 'never good' });
    expect(v!.at).toBeGreaterThan(10_000);
    expect(plan.nodes).toBe(3);
  });
});
