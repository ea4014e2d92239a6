/**
 * A whole store as pages of keys and values, and a store made from them: what
 * backups and repairs are made of. A snapshot is of one moment, that of its
 * first page, whatever is written meanwhile. A page is
 *
 *     list of (key text · value bytes)
 *
 * in rising order of keys, over all pages. What is put back has forgotten what
 * its node did since, so its store says so from the first moment on
 * (docs/PROTOCOL.md, section "Lost memory").
 */

import { decodeWhole, Writer } from '../core/bytes.js';
import { ConclaveError } from '../core/errors.js';
import { channelKeys } from '../core/layout.js';
import type { Store, StoreOp } from '../core/store.js';
import { BATCHES_KEY, BOOTS_KEY, bootsOf, encodeBoots } from '../core/store-boots.js';
import { compareKeys } from '../core/store-rules.js';
import { storedChannels } from './node-keys.js';

const PAGE_BYTES = 262_144;
const PAGE_PAIRS_MAX = 4_096;
const KEY_BYTES_MAX = 2_048;
const VALUE_BYTES_MAX = 16_777_216;
/** Behind the last key that a store may hold. */
const END = '\u{10ffff}';

/** The pages of a store, as it is when the first is asked for. */
export async function* snapshot(store: Store): AsyncGenerator<Uint8Array> {
  let page: (readonly [string, Uint8Array])[] = [];
  let bytes = 0;
  for await (const pair of store.range({ gte: '', lt: END })) {
    page.push(pair);
    bytes += pair[0].length + pair[1].length;
    if (bytes < PAGE_BYTES && page.length < PAGE_PAIRS_MAX) continue;
    yield encodePage(page, bytes);
    page = [];
    bytes = 0;
  }
  if (page.length > 0) yield encodePage(page, bytes);
}

function encodePage(pairs: readonly (readonly [string, Uint8Array])[], bytes: number): Uint8Array {
  const w = new Writer(bytes + 16 * pairs.length + 1_024);
  return w.list(pairs, ([key, value]) => w.text(key).bytes(value)).done();
}

const decodePage = (bytes: Uint8Array): { key: string; value: Uint8Array }[] =>
  decodeWhole(bytes, (r) =>
    r.list(PAGE_PAIRS_MAX, () => ({ key: r.text(KEY_BYTES_MAX), value: r.bytes(VALUE_BYTES_MAX) })),
  );

/** Writes pages into an empty store. Returns how many keys it has now. Throws `bad_encoding`. */
export async function fillStore(store: Store, pages: AsyncIterable<Uint8Array>): Promise<number> {
  let keys = 0;
  let last = '';
  for await (const page of pages) {
    const pairs = decodePage(page);
    for (const { key } of pairs) {
      if (compareKeys(last, key) >= 0) {
        throw new ConclaveError('bad_encoding', `the key ${JSON.stringify(key)} is out of order`);
      }
      last = key;
    }
    await store.write(pairs, { sync: false });
    keys += pairs.length;
  }
  return keys;
}

/** From here on the store's node knows, in every channel, that it has lost memory, and why. Durable. */
export async function forgetAll(store: Store, evidence: string): Promise<void> {
  const why = new TextEncoder().encode(evidence);
  const boots = bootsOf(await store.get(BOOTS_KEY), await store.get(BATCHES_KEY));
  const ops: StoreOp[] = [
    { key: BOOTS_KEY, value: encodeBoots({ ...boots, wasPutBack: true }) },
    ...(await storedChannels(store)).map((id) => ({ key: channelKeys(id).forgotten, value: why })),
  ];
  await store.write(ops, { sync: true });
}
