/**
 * Private messages in the store:
 *
 *     node/dm/log/<n>             out u8 · peer 32 · id 16 · text: all of them, in the order that they came or were sent
 *     node/dm/out/<n>             nothing: own message n is not delivered yet
 *     node/dm/in/<from>/<id>      n u64: the message is here
 */

import { decodeWhole, Writer } from '../core/bytes.js';
import { ConclaveError } from '../core/errors.js';
import type { Ulid, UserId } from '../core/ids.js';
import { after, ordinal } from '../core/layout.js';
import { RECORD_BODY_BYTES_MAX } from '../core/limits.js';
import type { Store, StoreOp } from '../core/store.js';

export const PRIVATE_PREFIX = 'node/dm/';
const LOG = 'node/dm/log/';
const OUT = 'node/dm/out/';
const PAGE_MESSAGES = 64;

export interface Logged {
  readonly n: number;
  /** Sent by this node; else received. */
  readonly out: boolean;
  readonly peer: UserId;
  readonly id: Ulid;
  readonly text: string;
}

const knownKey = (from: UserId, id: Ulid): string => `node/dm/in/${from}/${id}`;

function encodeLogged({ out, peer, id, text }: Logged): Uint8Array {
  const w = new Writer(64 + text.length).u8(out ? 1 : 0);
  return w.id(peer).ulid(id).text(text).done();
}

const decodeLogged = (n: number, bytes: Uint8Array): Logged =>
  decodeWhole(bytes, (r) => ({
    n,
    out: flag(r.u8()),
    peer: r.id<UserId>(),
    id: r.ulid(),
    text: r.text(RECORD_BODY_BYTES_MAX),
  }));

function flag(byte: number): boolean {
  if (byte <= 1) return byte === 1;
  throw new ConclaveError('bad_encoding', 'a flag that is neither 0 nor 1');
}

const numberOf = (key: string, prefix: string): number =>
  Number.parseInt(key.slice(prefix.length), 16);

export function sentOps(message: Logged): StoreOp[] {
  return [
    { key: LOG + ordinal(message.n), value: encodeLogged(message) },
    { key: OUT + ordinal(message.n), value: new Uint8Array(0) },
  ];
}

export function receivedOps(message: Logged): StoreOp[] {
  return [
    { key: LOG + ordinal(message.n), value: encodeLogged(message) },
    { key: knownKey(message.peer, message.id), value: new Writer(8).u64(message.n).done() },
  ];
}

export const deliveredOps = (n: number): StoreOp[] => [{ key: OUT + ordinal(n) }];

/** Which of these messages are here already. */
export async function areKnown(
  store: Store,
  messages: readonly { readonly from: UserId; readonly msg_id: Ulid }[],
): Promise<boolean[]> {
  const values = await store.getMany(messages.map((m) => knownKey(m.from, m.msg_id)));
  return values.map((value) => value !== undefined);
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

/** Numbers what is left of a damaged log anew, without what can't be read. Returns how many messages there are. */
export async function mendPrivate(store: Store): Promise<number> {
  const waiting = new Set(await undelivered(store));
  let n = 0;
  for await (const [key, value] of store.range({ gte: LOG, lt: after(LOG) })) {
    const from = numberOf(key, LOG);
    let ops: StoreOp[] = [{ key }, { key: OUT + ordinal(from) }];
    try {
      const message = { ...decodeLogged(from, value), n: n + 1 };
      const isWaiting = message.out && waiting.has(from);
      const made = message.out ? sentOps(message) : receivedOps(message);
      ops = [...ops, ...made, ...(message.out && !isWaiting ? deliveredOps(message.n) : [])];
      n += 1;
    } catch (error) {
      if (!(error instanceof ConclaveError)) throw error;
    }
    await store.write(ops, { sync: false });
  }
  for (const number of waiting) {
    if (number > n) await store.write(deliveredOps(number), { sync: false });
  }
  return n;
}

/** Reads everything; throws where that does not work, or where a number is missing. */
export async function checkPrivate(store: Store): Promise<void> {
  let next = 1;
  for (
    let page = await readPage(store, next);
    page.length > 0;
    page = await readPage(store, next)
  ) {
    for (const { n } of page) {
      if (n !== next)
        throw new ConclaveError('store_damaged', `private message ${next} is missing`);
      next += 1;
    }
  }
  for (const n of await undelivered(store)) {
    const { out } = await readLogged(store, n);
    if (!out) throw new ConclaveError('store_damaged', `message ${n} waits and was received`);
  }
}
