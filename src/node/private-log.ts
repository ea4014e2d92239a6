/**
 * Private messages in the store:
 *
 *     node/dm/log/<n>                 flags u8 · peer 32 · id 16 · boot 16 · count u64 · prev 32 · digest 32 · body bytes
 *                                     · sig 64 of what was received: all, in the order that they came or were sent
 *     node/dm/out/<n>                 nothing: own message n is not delivered yet
 *     node/dm/receipt/<n>             time u64 · sig 64: the receiver's receipt for own message n
 *     node/dm/at/<way>/<peer>/<digest>  n u64 · boot 16 · count u64: where a message is
 *     node/dm/last/<way>/<peer>       n u64: the last message
 *     node/dm/key/<peer>              a sealing key as its owner showed it
 *
 * <way> is `in` or `out`. What a user's messages are checked against is so found
 * by a key, and nothing of it is held in memory.
 */

import { decodeWhole, Writer } from '../core/bytes.js';
import { ConclaveError } from '../core/errors.js';
import type { Digest, Millis, Ulid, UserId } from '../core/ids.js';
import { after, ordinal } from '../core/layout.js';
import { PRIVATE_BODY_BYTES_MAX } from '../core/limits.js';
import type { Store, StoreOp } from '../core/store.js';

export const PRIVATE_PREFIX = 'node/dm/';
const LOG = 'node/dm/log/';
const OUT = 'node/dm/out/';
const RECEIPT = 'node/dm/receipt/';
const AT = 'node/dm/at/';
const LAST = 'node/dm/last/';
const KEY = 'node/dm/key/';
const PAGE_MESSAGES = 64;
const SIG_BYTES = 64;

/** Where a message stands among those of one user to another. */
export interface Place {
  readonly boot: Ulid;
  /** 1, 2, 3 … in that boot. */
  readonly count: number;
}

export interface Logged extends Place {
  readonly n: number;
  /** Sent by this node; else received. */
  readonly out: boolean;
  /** It stands behind another than the last that came of this user, who had forgotten what came in between. */
  readonly rewound: boolean;
  readonly peer: UserId;
  readonly id: Ulid;
  readonly prev: Digest;
  readonly digest: Digest;
  readonly body: Uint8Array;
  /** Its author's signature, of what was received; else empty. */
  readonly sig: Uint8Array;
}

export interface Receipt {
  /** When it came, by this node's clock. */
  readonly time: Millis;
  readonly sig: Uint8Array;
}

const way = (out: boolean): string => (out ? 'out' : 'in');
const atKey = (out: boolean, peer: UserId, digest: Digest): string =>
  `${AT}${way(out)}/${peer}/${digest}`;
const lastKey = (out: boolean, peer: UserId): string => `${LAST}${way(out)}/${peer}`;

function encodeLogged(m: Logged): Uint8Array {
  const w = new Writer(256 + m.body.length).u8((m.out ? 1 : 0) | (m.rewound ? 2 : 0));
  w.id(m.peer).ulid(m.id).ulid(m.boot).u64(m.count).id(m.prev).id(m.digest).bytes(m.body);
  return w.raw(m.sig).done();
}

const decodeLogged = (n: number, bytes: Uint8Array): Logged =>
  decodeWhole(bytes, (r) => {
    const flags = r.u8();
    const out = (flags & 1) === 1;
    if (flags > 3) throw new ConclaveError('bad_encoding', 'flags that have no meaning');
    const ref = { peer: r.id<UserId>(), id: r.ulid(), boot: r.ulid(), count: r.u64() };
    const rest = { prev: r.id<Digest>(), digest: r.id<Digest>() };
    const body = r.bytes(PRIVATE_BODY_BYTES_MAX);
    const sig = r.raw(out ? 0 : SIG_BYTES);
    return { n, out, rewound: (flags & 2) === 2, ...ref, ...rest, body, sig };
  });

const numberOf = (key: string, prefix: string): number =>
  Number.parseInt(key.slice(prefix.length), 16);

const encodeNumber = (n: number): Uint8Array => new Writer(8).u64(n).done();
const decodeNumber = (value: Uint8Array): number => decodeWhole(value, (r) => r.u64());

/** Puts a message at the end of the log. */
export function loggedOps(m: Logged): StoreOp[] {
  const at = new Writer(32).u64(m.n).ulid(m.boot).u64(m.count).done();
  return [
    { key: LOG + ordinal(m.n), value: encodeLogged(m) },
    { key: atKey(m.out, m.peer, m.digest), value: at },
    { key: lastKey(m.out, m.peer), value: encodeNumber(m.n) },
  ];
}

/** The same, for one that is to be delivered. */
export const sentOps = (m: Logged): StoreOp[] => [
  ...loggedOps(m),
  { key: OUT + ordinal(m.n), value: new Uint8Array(0) },
];

const receiptOp = (n: number, { time, sig }: Receipt): StoreOp => ({
  key: RECEIPT + ordinal(n),
  value: new Writer(80).u64(time).raw(sig).done(),
});

export const deliveredOps = (n: number, receipt: Receipt): StoreOp[] => [
  { key: OUT + ordinal(n) },
  receiptOp(n, receipt),
];

export const keyOps = (peer: UserId, shown: Uint8Array): StoreOp[] => [
  { key: KEY + peer, value: shown },
];

/** A sealing key as its owner showed it. */
export const shownKey = (store: Store, peer: UserId): Promise<Uint8Array | undefined> =>
  store.get(KEY + peer);

/** Where messages of `peer`, or to it, stand: undefined of those that are not here. */
export async function placesOf(
  store: Store,
  out: boolean,
  messages: readonly { readonly peer: UserId; readonly digest: Digest }[],
): Promise<((Place & { readonly n: number }) | undefined)[]> {
  const values = await store.getMany(messages.map((m) => atKey(out, m.peer, m.digest)));
  return values.map((value) =>
    value === undefined
      ? undefined
      : decodeWhole(value, (r) => ({ n: r.u64(), boot: r.ulid(), count: r.u64() })),
  );
}

/** The last message of each of these, or to each of these. */
export async function lastOf(
  store: Store,
  out: boolean,
  peers: readonly UserId[],
): Promise<(Logged | undefined)[]> {
  const numbers = await store.getMany(peers.map((peer) => lastKey(out, peer)));
  return Promise.all(numbers.map((value) => value && readLogged(store, decodeNumber(value))));
}

/** Number of the last message, 0 when there is none. */
export async function lastNumber(store: Store): Promise<number> {
  const newest = { gte: LOG, lt: after(LOG), reverse: true, limit: 1 };
  for await (const [key] of store.range(newest)) return numberOf(key, LOG);
  return 0;
}

/** Numbers of own messages that are not delivered, oldest first. */
export async function undelivered(store: Store): Promise<number[]> {
  const numbers: number[] = [];
  for await (const [key] of store.range({ gte: OUT, lt: after(OUT) })) {
    numbers.push(numberOf(key, OUT));
  }
  return numbers;
}

export async function readLogged(store: Store, n: number): Promise<Logged> {
  const value = await store.get(LOG + ordinal(n));
  if (value) return decodeLogged(n, value);
  throw new ConclaveError('store_damaged', `the store lacks private message ${n}`);
}

/** Some messages from number `from` on. */
export async function readPage(store: Store, from: number): Promise<Logged[]> {
  const range = { gte: LOG + ordinal(from), lt: after(LOG), limit: PAGE_MESSAGES };
  const page: Logged[] = [];
  for await (const [key, value] of store.range(range)) {
    page.push(decodeLogged(numberOf(key, LOG), value));
  }
  return page;
}

/** The next message to `peer` behind number `n`. */
export async function nextTo(store: Store, peer: UserId, n: number): Promise<Logged | undefined> {
  for (let from = n + 1; ; ) {
    const page = await readPage(store, from);
    const found = page.find((m) => m.out && m.peer === peer);
    if (found || page.length < PAGE_MESSAGES) return found;
    from = page.at(-1)!.n + 1;
  }
}

export async function readReceipts(
  store: Store,
  numbers: readonly number[],
): Promise<(Receipt | undefined)[]> {
  const values = await store.getMany(numbers.map((n) => RECEIPT + ordinal(n)));
  return values.map((value) => value && decodeReceipt(value));
}

const decodeReceipt = (value: Uint8Array): Receipt =>
  decodeWhole(value, (r) => ({ time: r.u64(), sig: r.raw(SIG_BYTES) }));

/** Numbers what is left of a damaged log anew, without what can't be read. Returns how many messages there are. */
export async function mendPrivate(store: Store): Promise<number> {
  const waiting = new Set(await undelivered(store));
  for (const prefix of [OUT, AT, LAST]) await clear(store, prefix);
  let n = 0;
  for await (const [key, value] of store.range({ gte: LOG, lt: after(LOG) })) {
    const from = numberOf(key, LOG);
    const ops: StoreOp[] = [{ key }, { key: RECEIPT + ordinal(from) }];
    try {
      const message = { ...decodeLogged(from, value), n: n + 1 };
      const receipt = await readReceipt(store, from);
      ops.push(...(waiting.has(from) && message.out ? sentOps(message) : loggedOps(message)));
      // The one there may be of a message that is lost.
      ops.push(receipt ? receiptOp(message.n, receipt) : { key: RECEIPT + ordinal(message.n) });
      n += 1;
    } catch (error) {
      if (!(error instanceof ConclaveError)) throw error;
    }
    await store.write(ops, { sync: false });
  }
  await clear(store, RECEIPT, RECEIPT + ordinal(n + 1));
  return n;
}

/** Undefined also where it can't be read. */
async function readReceipt(store: Store, n: number): Promise<Receipt | undefined> {
  try {
    const [receipt] = await readReceipts(store, [n]);
    return receipt;
  } catch {
    return undefined;
  }
}

async function clear(store: Store, prefix: string, gte = prefix): Promise<void> {
  for await (const [key] of store.range({ gte, lt: after(prefix) })) {
    await store.write([{ key }], { sync: false });
  }
}

/** Reads everything; throws where that does not work, or where a number or a place is missing. */
export async function checkPrivate(store: Store): Promise<void> {
  let next = 1;
  for (
    let page = await readPage(store, next);
    page.length > 0;
    page = await readPage(store, next)
  ) {
    for (const message of page) {
      if (message.n !== next) throw damaged(`private message ${next} is missing`);
      const [place] = await placesOf(store, message.out, [message]);
      if (!place || place.n > next) throw damaged(`the place of private message ${next} is wrong`);
      next += 1;
    }
    await readReceipts(
      store,
      page.map(({ n }) => n),
    );
  }
  for (const n of await undelivered(store)) {
    const { out } = await readLogged(store, n);
    if (!out) throw damaged(`message ${n} waits and was received`);
  }
}

const damaged = (what: string): ConclaveError => new ConclaveError('store_damaged', what);
