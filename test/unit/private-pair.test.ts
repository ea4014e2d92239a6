/**
 * Two users that write to each other over a network that loses, repeats and
 * reorders frames as it likes, while both crash, and come back from old copies
 * (docs/PROTOCOL.md, section "Private messages", invariant 15). fast-check
 * chooses what happens, and shrinks what fails.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Command, Outgoing, Payload } from '../../src/core/commands.js';
import {
  type Digest,
  type Ulid,
  type UserId,
  ulidFromBytes,
  unhex,
  ZERO_DIGEST,
} from '../../src/core/ids.js';
import { gapStatement, receiptStatement } from '../../src/core/private-statements.js';
import { type Logged, readPage, undelivered } from '../../src/node/private-log.js';
import { PrivateMessages } from '../../src/node/private-messages.js';
import { standingOf } from '../../src/node/private-order.js';
import type { RelayConnection } from '../../src/node/relay-link.js';
import { type FaultStore, faultStore, type StoreImage } from '../../src/testing/fault-store.js';
import { CHEAP, cheapParts, cheapSealing } from '../sim/private-parts.js';

const RESEND_MS = 3_000;
const AS = { PV_MSG: 'MSG', ACK_MSG: 'MSG_ACK', CNN_USR: 'USR_HSK' } as const;

type Act = 'post' | 'deliver' | 'repeat' | 'drop' | 'tick' | 'crash' | 'copy' | 'restore';
/** What happens, and to which side or frame. */
type Event = readonly [Act, number];

interface Side {
  readonly user: UserId;
  store: FaultStore;
  messages: PrivateMessages;
  copy: StoreImage | undefined;
  isRestored: boolean;
}

class Pair {
  readonly sides: Side[] = [];
  readonly frames: { readonly to: number; readonly command: Command }[] = [];
  /** What each ever wrote to the other: digests, and what each stands behind. */
  readonly wrote = [new Map<string, string>(), new Map<string, string>()];
  #now = 0;
  #made = 0;

  async start(): Promise<void> {
    for (const digit of ['1', '2']) {
      const user = digit.repeat(64) as UserId;
      const side = { user, store: faultStore(), copy: undefined, isRestored: false } as Side &
        object;
      this.sides.push(side);
      await this.#boot(side);
    }
  }

  async #boot(side: Side): Promise<void> {
    const link = { id: 1, send: (c: Outgoing) => this.#carry(side, c) } as object;
    const sendAsking = (c: Outgoing, done: (outcome: string) => void): boolean => {
      this.#carry(side, c);
      done('taken');
      return true;
    };
    const links = [Object.assign(link, { sendAsking }) as RelayConnection];
    side.messages = new PrivateMessages(
      cheapParts(side.user, this.#ulid(), {
        store: side.store,
        clock: () => ({ now: this.#now, wall: this.#now }),
        ulid: () => this.#ulid(),
        links: () => links,
        fail: (error) => {
          throw error;
        },
      }),
    );
    await side.messages.load();
  }

  /** Grows, as boots and the ids of one node do. */
  #ulid() {
    const bytes = new Uint8Array(16);
    new DataView(bytes.buffer).setUint32(12, ++this.#made);
    return ulidFromBytes(bytes);
  }

  #carry(from: Side, { name, payload }: Outgoing): boolean {
    const to = 1 - this.sides.indexOf(from);
    const command = { name: AS[name as keyof typeof AS], payload } as Command;
    this.frames.push({ to, command });
    return true;
  }

  async do([act, i]: Event): Promise<void> {
    const side = this.sides[i % 2]!;
    const at = this.frames.length === 0 ? 0 : i % this.frames.length;
    switch (act) {
      case 'post':
        side.messages.with(this.sides[1 - (i % 2)]!.user).send(`${this.#made}`);
        break;
      case 'deliver':
        this.#arrive(this.frames.splice(at, 1)[0]);
        break;
      case 'repeat':
        this.#arrive(this.frames[at]);
        break;
      case 'drop':
        this.frames.splice(at, 1);
        break;
      case 'tick':
        this.#now += RESEND_MS;
        for (const { messages } of this.sides) messages.sendPending(RESEND_MS);
        break;
      case 'copy':
        side.copy = side.store.image();
        break;
      default:
        await this.#crash(side, act === 'restore');
    }
    await settled();
    await this.check();
  }

  #arrive(frame: Pair['frames'][number] | undefined): void {
    if (!frame) return;
    const link = { id: 1, send: (c: Outgoing) => this.#carry(this.sides[frame.to]!, c) };
    this.sides[frame.to]!.messages.onCommand(link as RelayConnection, frame.command);
  }

  async #crash(side: Side, restores: boolean): Promise<void> {
    side.store = side.store.crash();
    if (restores && side.copy) {
      side.store = faultStore(side.copy);
      side.isRestored = true;
    }
    await this.#boot(side);
  }

  /** Once nothing is lost any more and both have written again, both have all that the other has. */
  async heal(): Promise<void> {
    await this.do(['post', 0]);
    await this.do(['post', 1]);
    for (let round = 0; round < 200; round++) {
      await this.do(['tick', 0]);
      while (this.frames.length > 0) await this.do(['deliver', 0]);
      const waiting = await Promise.all(this.sides.map(({ store }) => undelivered(store)));
      if (waiting.flat().length === 0) return;
    }
    throw new Error('messages are never delivered');
  }

  /** What is sent by one side, and received of it by the other. */
  async logs(from: number): Promise<{ sent: Logged[]; received: Logged[] }> {
    const of = async (side: Side, out: boolean): Promise<Logged[]> => {
      const all: Logged[] = [];
      for (let page = await readPage(side.store, 1); page.length > 0; ) {
        all.push(...page);
        page = await readPage(side.store, page.at(-1)!.n + 1);
      }
      return all.filter((m) => m.out === out);
    };
    const sent = await of(this.sides[from]!, true);
    for (const { digest, prev } of sent) this.wrote[from]!.set(digest, prev);
    return { sent, received: await of(this.sides[1 - from]!, false) };
  }

  async check(): Promise<void> {
    for (const from of [0, 1]) {
      const { sent, received } = await this.logs(from);
      const digests = received.map(({ digest }) => digest);
      expect(new Set(digests).size).toBe(digests.length);
      received.forEach(({ digest, prev }, i) => {
        expect(this.wrote[from]!.get(digest)).toBe(prev);
        expect([ZERO_DIGEST, ...digests.slice(0, i)]).toContain(prev);
      });
      if (this.sides[from]!.isRestored) continue;
      expect(digests).toStrictEqual(sent.slice(0, digests.length).map(({ digest }) => digest));
    }
  }

  async checkEnd(): Promise<void> {
    for (const from of [0, 1]) {
      const { sent, received } = await this.logs(from);
      const digests = received.map(({ digest }) => digest);
      for (const { digest } of sent) expect(digests).toContain(digest);
      if (!this.sides[from]!.isRestored) expect(digests.length).toBe(sent.length);
    }
  }
}

/** Lets everything in the stores in memory go on to its end. */
async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise(setImmediate);
}

async function run(events: readonly Event[]): Promise<void> {
  const pair = new Pair();
  await pair.start();
  for (const event of events) await pair.do(event);
  await pair.heal();
  await pair.checkEnd();
}

const act = fc.oneof(
  ...(
    [
      [5, 'post'],
      [12, 'deliver'],
      [3, 'repeat'],
      [3, 'drop'],
      [4, 'tick'],
      [1, 'crash'],
      [1, 'copy'],
      [1, 'restore'],
    ] as const
  ).map(([weight, name]) => ({ weight, arbitrary: fc.constant<Act>(name) })),
);
const event: fc.Arbitrary<Event> = fc.tuple(act, fc.nat(20));

describe('two users', () => {
  it('get what the other wrote once, in order, and in the end all of it', async () => {
    const events = fc.array(event, { maxLength: 80, size: 'max' });
    await fc.assert(fc.asyncProperty(events, run), { numRuns: 60 });
  });

  it('do so where the receiver comes back from an old copy', async () => {
    const talk: Event[] = [1, 2, 3].flatMap((): Event[] => [['post', 0], ...flow]);
    await run([...talk, ['copy', 1], ...talk, ['restore', 1], ...talk]);
  });

  it('do so where the sender comes back from an old copy, which the receiver is told', async () => {
    const talk: Event[] = [1, 2, 3].flatMap((): Event[] => [['post', 0], ...flow]);
    const pair = new Pair();
    await pair.start();
    for (const each of [...talk, ['copy', 0], ...talk, ['restore', 0], ...talk] as Event[]) {
      await pair.do(each);
    }
    await pair.heal();
    await pair.checkEnd();
    const { received } = await pair.logs(0);
    expect(received.map(({ rewound }) => rewound)).toStrictEqual(received.map((_, i) => i === 6));
  });
});

/** Enough for a message, its receipt, and at first the keys. */
const flow: Event[] = [['tick', 0], ...Array.from({ length: 6 }, (): Event => ['deliver', 0])];

/** One user that writes to another who answers as the test says; what it looks up in its log is counted. */
class Author {
  readonly user = '1'.repeat(64) as UserId;
  readonly to = '2'.repeat(64) as UserId;
  readonly store = faultStore();
  messages!: PrivateMessages;
  /** Ids of the messages that it sent, one for each time. */
  readonly sent: Ulid[] = [];
  /** Times that it began to read its log. */
  looks = 0;
  now = 0;
  /** What its relay says of what it sends. */
  outcome: 'taken' | 'refused' = 'taken';
  #made = 0;

  async start(): Promise<void> {
    const { range } = this.store;
    const store = Object.assign(Object.create(this.store), {
      range: (o: { gte: string }) => {
        if (o.gte.startsWith('node/dm/log/')) this.looks += 1;
        return range.call(this.store, o as Parameters<typeof range>[0]);
      },
    }) as FaultStore;
    const sendAsking = ({ name, payload }: Outgoing, done: (outcome: string) => void): boolean => {
      if (name === 'PV_MSG') this.sent.push((payload as Payload<'PV_MSG'>).msg_id);
      queueMicrotask(() => done(this.outcome));
      return true;
    };
    this.messages = new PrivateMessages(
      cheapParts(this.user, this.#ulid(), {
        store,
        clock: () => ({ now: this.now, wall: this.now }),
        ulid: () => this.#ulid(),
        links: () => [{ sendAsking } as unknown as RelayConnection],
        fail: (error) => {
          throw error;
        },
      }),
    );
    await this.messages.load();
  }

  #ulid() {
    const bytes = new Uint8Array(16);
    new DataView(bytes.buffer).setUint32(12, ++this.#made);
    return ulidFromBytes(bytes);
  }

  async hears(command: object): Promise<void> {
    this.messages.onCommand({} as RelayConnection, command as Command);
    await settled();
  }

  /** Its receiver shows the key that messages are sealed to. */
  showsKey(): Promise<void> {
    const { shown: data } = cheapSealing(this.to);
    return this.hears({ name: 'USR_HSK', payload: { from: this.to, to: this.user, data } });
  }

  async post(text: string): Promise<void> {
    this.messages.with(this.to).send(text);
    await settled();
  }

  /** An answer of its receiver's: a receipt, or that what comes before is not there. */
  answer({ id, digest }: Logged, have?: Digest): Promise<void> {
    const ref = { from: this.user, to: this.to, id };
    const said = have ? gapStatement(ref, digest, have) : receiptStatement(ref, digest);
    const sig = CHEAP.ed25519Sign(unhex(this.to), said);
    const payload = { from: this.to, to: this.user, msg_id: id, sig, ...(have && { have }) };
    return this.hears({ name: 'MSG_ACK', payload });
  }
}

describe('an author', () => {
  it('looks into its log once in 3 s, however often its receiver says that it lacks something', async () => {
    const author = new Author();
    await author.start();
    await author.showsKey();
    for (const text of ['one', 'two', 'three', 'four']) await author.post(text);
    await author.showsKey();
    const [one, two, three, four] = (await readPage(author.store, 1)) as [
      Logged,
      Logged,
      Logged,
      Logged,
    ];
    for (const delivered of [one, two, three]) await author.answer(delivered);
    expect(author.sent.at(-1)).toBe(four.id);
    author.looks = 0;

    const nothing = ZERO_DIGEST;
    await author.answer(four, two.digest);
    expect([author.looks, author.sent.at(-1)]).toEqual([1, three.id]);
    // While it goes back, too.
    for (let i = 0; i < 50; i++) await author.answer(three, nothing);
    expect([author.looks, author.sent.at(-1)]).toEqual([1, three.id]);
    author.now += 2_999;
    await author.answer(three, nothing);
    expect(author.looks).toBe(1);
    author.now += 1;
    for (let i = 0; i < 50; i++) await author.answer(three, nothing);
    expect([author.looks, author.sent.at(-1)]).toEqual([2, one.id]);

    // Copies of a receipt that come at once are one receipt.
    const looks = author.looks;
    await Promise.all(Array.from({ length: 50 }, () => author.answer(one)));
    expect([author.looks, author.sent.at(-1)]).toEqual([looks + 1, two.id]);
    for (const got of [two, three, four]) await author.answer(got);
    expect(await undelivered(author.store)).toEqual([]);
  });

  it('knows when it last saw somebody whom it had not written to', async () => {
    const author = new Author();
    await author.start();
    author.outcome = 'refused';
    author.now = Date.UTC(2026, 0, 2, 3, 4, 5);
    await author.hears({ name: 'UDCNN', payload: { id: author.to } });
    author.now += 60_000;
    const sending = author.messages.with(author.to).send('hi');
    await settled();
    expect(sending.waits()).toBe(
      'the receiver is on no relay that this node reaches, last seen 2026-01-02T03:04:05.000Z',
    );
    const stranger = author.messages.with('3'.repeat(64) as UserId).send('hi');
    await settled();
    expect(stranger.waits()).toMatch(/not seen since this node started$/);
  });
});

describe('where a message stands', () => {
  const prev = 'ab'.repeat(32) as typeof ZERO_DIGEST;
  const [boot, other] = ['01HF0000000000000000000001', '01HF0000000000000000000002'] as never[];
  const place = { boot: boot!, count: 4 };

  it.each([
    ['one that is here', { boot, n: 5, prev }, { itself: place, prev: place }, 'copy'],
    ['the next in its boot', { boot, n: 5, prev }, { prev: place }, 'next'],
    ['the first of a later boot', { boot: other, n: 1, prev }, { prev: place }, 'next'],
    ['the first of all', { boot, n: 1, prev: ZERO_DIGEST }, {}, 'next'],
    ['one behind what is not here', { boot, n: 5, prev }, {}, 'gap'],
    ['one that leaves out a number', { boot, n: 6, prev }, { prev: place }, 'wrong'],
    ['one that takes a number again', { boot, n: 4, prev }, { prev: place }, 'wrong'],
    ['a later boot that does not begin', { boot: other, n: 2, prev }, { prev: place }, 'wrong'],
    ['a first that is no first', { boot, n: 2, prev: ZERO_DIGEST }, {}, 'wrong'],
  ] as const)('%s', (_, message, here, standing) => {
    const known = { itself: undefined, prev: undefined, ...here };
    expect(standingOf(message as never, known)).toBe(standing);
  });
});
