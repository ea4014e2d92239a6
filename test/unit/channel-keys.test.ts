/** The keys of a channel at work, over a core that does what the test says (docs/PROTOCOL.md, section "Encryption"). */

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ChannelState } from '../../src/core/channel-state.js';
import type { CoreEvent } from '../../src/core/effects.js';
import type { Input } from '../../src/core/input.js';
import { channelKeys, encodeEntry } from '../../src/core/layout.js';
import { KEY_PATIENCE_MS, KEY_TURN_MS, KEYS_PER_AUTHOR_MAX } from '../../src/core/limits.js';
import { memoryStore } from '../../src/core/memory-store.js';
import { type ChannelRecord, ZERO_BOOT } from '../../src/core/record.js';
import type { Roster } from '../../src/core/roster.js';
import type { ChannelView } from '../../src/core/view.js';
import { keyIdOf, SECRET_BYTES } from '../../src/node/channel-cipher.js';
import { ChannelKeys } from '../../src/node/channel-keys.js';
import { encodeKeys, keyIdIn, keysIn } from '../../src/node/keys-record.js';
import { Changes } from '../../src/node/wait.js';
import { CHANNEL, epochOf, genesis, NOW, recordBy } from './fixtures/channel.js';
import { keyOf, keysBy, people, type ReaderPerson, random, rosterOf } from './fixtures/readers.js';

const { all } = await people(3);
const [alice, bob, carol] = all as [ReaderPerson, ReaderPerson, ReaderPerson];
const three = rosterOf([alice, bob, carol], 1);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

type State = { roster: Roster; electors: ChannelState['electors'] } & Pick<
  ChannelState,
  'log' | 'genesis' | 'outbox' | 'stored'
>;

/** One member's keys, and what they give to the core. */
async function member(who: ReaderPerson, roster = three) {
  const st = {
    roster,
    electors: Array.from({ length: 9 }, (_, number) => ({ number, hash: roster.hash })),
    log: { final: { seq: 0, hash: roster.hash } },
    genesis: { ...genesis, history: 'all' },
    outbox: new Map(),
    stored: { name: 'team' },
  } as unknown as State;
  const view = {
    state: 'healthy',
    epoch: { term: 1, kind: 'roster' },
    leader: null,
    online: all.map(({ person }) => person.user).sort(),
  } as unknown as ChannelView;
  const store = memoryStore();
  const changes = new Changes();
  const made: ChannelRecord[] = [];
  const names: Uint8Array[] = [];
  const failures: unknown[] = [];
  let begun = 0;
  let now = 0;
  const submit = (input: Input): void => {
    if (input.type !== 'submit') return;
    for (const { kind, body } of input.submissions) {
      const fields = { kind, n: made.length + 1, keyEpoch: 0 };
      const bytes = body instanceof Uint8Array ? body : new Uint8Array(body.length);
      const record = recordBy(who.person, { ...fields, body: bytes });
      made.push(record);
      st.outbox.set(record.digest, { pooled: { record }, count: 1, state: 'queued' } as never);
    }
  };
  const keys = new ChannelKeys({
    ...who.opener,
    ...{ id: CHANNEL, store, mayWrite: true },
    random: (bytes) => {
      if (bytes === SECRET_BYTES) begun += 1;
      return random(bytes);
    },
    state: () => st as unknown as ChannelState,
    view: () => view,
    now: () => now,
    made: (kind, body) => ({ kind, id: ZERO_BOOT, time: NOW, body }),
    request: async (input) => submit(input(1)),
    input: (input) => {
      if (input.type === 'name') names.push(input.name);
    },
    changed: () => changes.notify(),
    next: (signal) => changes.next(changes.version, signal),
    failed: (error) => failures.push(error),
  });
  await keys.load();

  /** It becomes final, in the next place. */
  async function final(record: ChannelRecord): Promise<void> {
    const seq = st.log.final.seq + 1;
    const header = { epoch: epochOf('one'), term: 1, roster: 0, digest: record.digest };
    const entry = { seq, header, hash: record.digest, record, proof: new Uint8Array(0) };
    const key = channelKeys(CHANNEL).log(seq);
    await store.write([{ key, value: encodeEntry(entry) }], { sync: false });
    Object.assign(st.log, { final: { seq, hash: record.digest } });
    st.outbox.delete(record.digest);
    keys.onEvent({ type: 'carried', channel: CHANNEL, record, seq } as unknown as CoreEvent);
    await keys.ready();
    expect(failures).toEqual([]);
  }

  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  /** How many keys it made in all, once so much time went by. */
  async function madeAfter(ms: number): Promise<number> {
    now += ms;
    await vi.advanceTimersByTimeAsync(ms);
    await keys.ready();
    await turn();
    while (made.length < begun) await turn();
    return made.length;
  }

  return { keys, st, view, made, names, final, changes, madeAfter };
}

const idOf = (record: ChannelRecord): string => keyIdIn(keysIn(record)!);
const byTurn = [alice, bob, carol].sort((a, b) => (a.person.user < b.person.user ? -1 : 1)) as [
  ...[ReaderPerson, ReaderPerson, ReaderPerson],
];

describe('a key that is missing', () => {
  test('is made by one, and by the next where that one does not', async () => {
    const members = await Promise.all(byTurn.map((each) => member(each)));
    const madeAfter = (ms: number) => Promise.all(members.map((each) => each.madeAfter(ms)));
    expect(await madeAfter(KEY_PATIENCE_MS - 1)).toEqual([0, 0, 0]);
    expect(await madeAfter(1)).toEqual([1, 0, 0]);
    // What it made becomes final nowhere.
    expect(await madeAfter(KEY_TURN_MS - 1)).toEqual([1, 0, 0]);
    expect(await madeAfter(1)).toEqual([1, 1, 0]);
    for (const each of members) await each.final(members[1]!.made[0]!);
    expect(await madeAfter(10 * KEY_TURN_MS)).toEqual([1, 1, 0]);
  });

  test('is made by one where the newest gives nobody anything, and stays in use until then', async () => {
    const members = await Promise.all(byTurn.map((each) => member(each)));
    const good = await keysBy(alice.person, three, keyOf(1));
    const { commitment } = keyOf(2);
    const sealed = good.keys.sealed.map(({ user }) => ({ user, bytes: new Uint8Array(80) }));
    const body = encodeKeys({ ...good.keys, commitment, sealed });
    const bad = recordBy(carol.person, { kind: 'keys', body });
    for (const each of members) {
      await each.final(good.record);
      await each.final(bad);
    }
    const madeAfter = (ms: number) => Promise.all(members.map((each) => each.madeAfter(ms)));
    expect(await madeAfter(KEY_PATIENCE_MS)).toEqual([1, 0, 0]);
    for (const each of members) await each.final(members[0]!.made[0]!);
    expect(await madeAfter(10 * KEY_TURN_MS)).toEqual([1, 0, 0]);
  });

  test('is waited for from when it can become final', async () => {
    const [first, second] = [await member(byTurn[0]), await member(byTurn[1])];
    for (const each of [first, second]) Object.assign(each.view, { state: 'electing' });
    for (const each of [first, second]) each.keys.onEvent({ type: 'note' } as unknown as CoreEvent);
    expect(await first.madeAfter(20 * KEY_TURN_MS)).toBe(0);
    expect(await second.madeAfter(20 * KEY_TURN_MS)).toBe(0);
    for (const each of [first, second]) {
      Object.assign(each.view, { state: 'healthy' });
      each.keys.onEvent({ type: 'note' } as unknown as CoreEvent);
    }
    expect(await first.madeAfter(KEY_PATIENCE_MS)).toBe(1);
    expect(await second.madeAfter(KEY_PATIENCE_MS)).toBe(0);
  });
});

describe('a key that is asked for', () => {
  test('is made again where who asked was removed, is back, and lost what was on its way', async () => {
    const one = await member(alice);
    const rotating = one.keys.rotate();
    while (one.made.length === 0) await one.madeAfter(0);
    one.st.outbox.clear();
    one.st.roster = rosterOf([alice, bob, carol], 3);
    (one.st.electors as unknown as { hash: unknown }[]).fill({ hash: one.st.roster.hash });
    one.changes.notify();
    while (one.made.length < 2) await one.madeAfter(0);
    await one.final(one.made[1]!);
    one.changes.notify();
    await rotating;
    expect(one.made).toHaveLength(2);
  });

  test('is waited for where others come and go meanwhile', async () => {
    const one = await member(alice);
    const rotating = one.keys.rotate();
    while (one.made.length === 0) await one.madeAfter(0);
    one.st.roster = rosterOf([alice, bob], 3);
    one.changes.notify();
    expect(await one.madeAfter(0)).toBe(1);
    await one.final(one.made[0]!);
    one.changes.notify();
    await rotating;
  });

  test('is refused to who made the most that count, who goes on under what is there', async () => {
    const one = await member(alice);
    for (let i = 0; i < KEYS_PER_AUTHOR_MAX - 1; i++) {
      await one.final(recordBy(alice.person, { kind: 'keys', n: i + 2 }));
    }
    const rotating = one.keys.rotate();
    while (one.made.length === 0) await one.madeAfter(0);
    await expect(one.keys.rotate()).rejects.toMatchObject({
      ...{ code: 'too_many_keys', retryable: true },
    });
    await one.final(one.made[0]!);
    one.changes.notify();
    await rotating;
    await expect(one.keys.rotate()).rejects.toMatchObject({ code: 'too_many_keys' });
    const body = new Uint8Array([0x80]);
    await one.keys.submit([{ kind: 'message', id: ZERO_BOOT, time: NOW, body }], []);
    expect(one.made.at(-1)!.kind).toBe('message');
  });
});

test('relays are told the name under a final key alone', async () => {
  const one = await member(alice);
  const rotating = one.keys.rotate();
  while (one.made.length === 0) await one.madeAfter(0);
  expect(one.names).toEqual([]);
  await one.final(one.made[0]!);
  expect(one.names.map(keyIdOf)).toEqual([idOf(one.made[0]!)]);
  one.changes.notify();
  await rotating;
  const again = one.keys.rotate();
  while (one.made.length === 1) await one.madeAfter(0);
  // Another member's comes first: the name is under that, not under the own one on its way.
  await one.final((await keysBy(bob.person, three, keyOf(3))).record);
  expect(one.names.map(keyIdOf)).toEqual([idOf(one.made[0]!), keyOf(3).id]);
  await one.final(one.made[1]!);
  one.changes.notify();
  await again;
  expect(one.names.map(keyIdOf).at(-1)).toBe(idOf(one.made[1]!));
});
