/**
 * A tampered store, byte by byte, in one process: thousands of single bytes
 * flipped, in keys, checksums, lengths, values of every kind, and files.
 * Verification finds each, `doctor` says what it can do, and a node that opens
 * the store anyway shows nothing as final that was not.
 *
 * Three ways: as a disk does it, under the store's checksums (pairs as they lie
 * on disk); as someone who makes the checksums right again; and in the files.
 */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { UserId } from '../../src/core/ids.js';
import { channelKeys } from '../../src/core/layout.js';
import { memoryStore } from '../../src/core/memory-store.js';
import type { Store } from '../../src/core/store.js';
import { storeCorrupt } from '../../src/core/store-rules.js';
import { nativeCrypto } from '../../src/native/crypto-native.js';
import { examineStore, findingOf } from '../../src/node/examine-store.js';
import { type Channel, levelStore, openNode } from '../../src/node/index.js';
import { seal, unseal } from '../../src/node/store-seal.js';
import { verifyChannel } from '../../src/node/verify.js';
import { seededRandom } from './fixtures/seeded-random.js';
import { allEqual, Cluster, patience, seed, statusWhen, together } from './node-cluster.js';

const SEED = Number(process.env.TAMPER_SEED ?? Date.now() % 1_000_000);
const FLIPS = Number(process.env.TAMPER_FLIPS ?? 2_000);
const RIGHT_FLIPS = Math.ceil(FLIPS / 4);
const FILE_FLIPS = Number(process.env.TAMPER_FILE_FLIPS ?? 200);

const cluster = new Cluster();
const identity = { seed: seed(), name: 'ann' };
let dir: string;
let id: Channel['id'];
let user: UserId;
let pairs: Map<string, Uint8Array>;
/** What a whole store shows as final, by seq. */
let shown: Map<number, string>;

beforeAll(async () => {
  dir = join(await cluster.dir(), 'store');
  const relay = await cluster.relay();
  const others = [await cluster.node('b'), await cluster.node('c')];
  const ann = await cluster.levelNode('ann', dir, { seed: identity.seed });
  const channels = await together([ann, ...others], [relay.url]);
  ({ id } = channels[0]!);
  user = ann.user;
  for (let i = 0; i < 5; i++) {
    const all = channels.map((each, k) => each.send(`${k} says ${i}`));
    await Promise.all(all.map((sending) => sending.until('final', patience())));
  }
  await allEqual(channels);
  await others[1]!.close();
  await statusWhen(channels[0]!, ({ state }) => state === 'waiting');
  await channels[0]!.send('waits').stored;
  await ann.close({ drainMs: 0 });
  const store = await levelStore(dir)();
  pairs = new Map();
  for await (const [key, value] of store.range({ gte: '', lt: '\uffff' })) pairs.set(key, value);
  await store.close();
  shown = new Map();
  for (const [seq, text] of await finalIn(memoryStore(pairs))) shown.set(seq, text);
  expect(shown.size).toBeGreaterThan(15);
});
afterAll(() => cluster.stop());

/** What a node shows as final from a store, up to where it refuses to go on. */
async function finalIn(store: Store): Promise<[number, string][]> {
  const seen: [number, string][] = [];
  try {
    const node = await openNode({ store, identity, offline: true });
    try {
      for (const channel of node.channels()) {
        for await (const event of channel.read()) {
          if (event.type !== 'entry' || event.entry.state !== 'final') continue;
          const { seq, ...entry } = event.entry;
          seen.push([seq!, JSON.stringify([channel.id, channel.name, entry])]);
        }
      }
    } finally {
      await node.close();
    }
  } catch (error) {
    // A refusal has a code; anything else is a bug.
    expect((error as { code?: string }).code, String((error as Error).stack)).toBeTypeOf('string');
  }
  return seen;
}

async function expectNothingWrong(store: Store, about: string): Promise<void> {
  for (const [seq, text] of await finalIn(store)) expect(text, about).toBe(shown.get(seq));
}

/** Pairs as they lie on disk, read as the store on LevelDB reads them. */
class SealedPairs {
  readonly #pairs: readonly { readonly key: Buffer; readonly stored: Uint8Array }[];

  constructor(all: Iterable<{ key: Buffer; stored: Uint8Array }>) {
    this.#pairs = [...all].toSorted((a, b) => Buffer.compare(a.key, b.key));
  }

  /** As `checkStore` walks over them. */
  get damaged(): number {
    return this.#pairs.filter(({ key, stored }) => !unseal(key, stored)).length;
  }

  store(): Store {
    const all = this.#pairs;
    const reveal = (key: Buffer, stored: Uint8Array): Uint8Array => {
      const value = unseal(key, stored);
      if (!value) throw storeCorrupt(`the value of key ${JSON.stringify(key.toString())}`);
      return value;
    };
    const get = async (key: string): Promise<Uint8Array | undefined> => {
      const found = all.find((pair) => pair.key.equals(Buffer.from(key)));
      return found && reveal(found.key, found.stored);
    };
    return {
      get,
      getMany: (keys) => Promise.all(keys.map(get)),
      async *range({ gte, lt, reverse = false, limit = all.length }) {
        const [from, to] = [Buffer.from(gte), Buffer.from(lt)];
        const inside = all.filter(
          ({ key }) => Buffer.compare(key, from) >= 0 && Buffer.compare(key, to) < 0,
        );
        for (const { key, stored } of (reverse ? inside.reverse() : inside).slice(0, limit)) {
          yield [key.toString(), reveal(key, stored)];
        }
      },
      write: async () => {},
      close: async () => {},
    };
  }
}

const flip = (bytes: Uint8Array, at: number, mask: number): Buffer => {
  const changed = Buffer.from(bytes);
  changed[at]! ^= mask;
  return changed;
};

const kindOf = (key: string): string => (key.startsWith('c/') ? key.split('/')[2]! : 'node');

describe(`TAMPER_SEED=${SEED}`, () => {
  test(`${FLIPS} bytes of keys, checksums and values`, { timeout: 300_000 }, async () => {
    const random = seededRandom(SEED);
    const sealed = [...pairs].map(([key, value]) => ({
      ...{ name: key, key: Buffer.from(key), stored: new Uint8Array(seal(key, value)) },
    }));
    const classes = new Map<string, number>();
    for (let i = 0; i < FLIPS; i++) {
      const at = Math.floor(random() * sealed.length);
      const { name, key, stored } = sealed[at]!;
      const inKey = random() < 0.3;
      const position = Math.floor(random() * (inKey ? key.length : stored.length));
      const mask = 1 << Math.floor(random() * 8);
      const all: { name: string; key: Buffer; stored: Uint8Array }[] = [...sealed];
      all[at] = {
        name,
        key: inKey ? flip(key, position, mask) : key,
        stored: inKey ? stored : flip(stored, position, mask),
      };
      const where = inKey ? 'key' : position < 8 ? 'checksum' : kindOf(name);
      classes.set(where, (classes.get(where) ?? 0) + 1);
      const about = `${name}, ${where}, byte ${position}, mask ${mask}`;
      const tampered = new SealedPairs(all);
      expect(tampered.damaged, about).toBe(1);
      await expectNothingWrong(tampered.store(), about);
    }
    for (const where of ['key', 'checksum', 'log', 'cert', 'step', 'hard', 'final', 'at']) {
      expect(classes.get(where), where).toBeGreaterThan(0);
    }
  });

  test(`${RIGHT_FLIPS} bytes of values under right checksums`, { timeout: 300_000 }, async () => {
    const random = seededRandom(SEED + 1);
    const byKind = new Map<string, string[]>();
    for (const [key, { length }] of pairs) {
      if (key.startsWith('c/') && length > 0) {
        byKind.set(kindOf(key), [...(byKind.get(kindOf(key)) ?? []), key]);
      }
    }
    const kinds = [...byKind.keys()];
    expect(kinds).toEqual(
      expect.arrayContaining(['genesis', 'log', 'cert', 'step', 'hard', 'final', 'out', 'tip']),
    );
    const unseen: string[] = [];
    for (let i = 0; i < RIGHT_FLIPS; i++) {
      // Each kind as often as any other, however few bytes it has.
      const kind = kinds[i % kinds.length]!;
      const keys = byKind.get(kind)!;
      const key = keys[Math.floor(random() * keys.length)]!;
      const value = pairs.get(key)!;
      const at = Math.floor(random() * value.length);
      const changed = new Map(pairs).set(key, flip(value, at, 1 << Math.floor(random() * 8)));
      const about = `${key}, byte ${at}`;
      const report = await verifyChannel(nativeCrypto, memoryStore(changed), id, { self: user });
      if (report.ok) unseen.push(about);
      for (const problem of report.problems) {
        expect(findingOf(problem), about).toMatchObject({
          code: expect.stringMatching(/_damaged$/),
          repair: 'possible',
        });
      }
      await expectNothingWrong(memoryStore(changed), about);
    }
    // A promise is nobody's signature: another term or candidate is as good.
    const { hard } = channelKeys(id);
    expect(unseen.filter((about) => !about.startsWith(hard))).toEqual([]);
  });

  test(`${FILE_FLIPS} bytes of files`, { timeout: 300_000 }, async () => {
    const random = seededRandom(SEED + 2);
    const files = readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1))
      .filter((name) => readFileSync(join(dir, name)).length > 0);
    const copy = `${dir}-copy`;
    let seen = 0;
    for (let i = 0; i < FILE_FLIPS; i++) {
      const name = files[i % files.length]!;
      await cp(dir, copy, { recursive: true });
      const bytes = readFileSync(join(dir, name));
      const at = Math.floor(random() * bytes.length);
      writeFileSync(join(copy, name), flip(bytes, at, 1 << Math.floor(random() * 8)));
      const { findings } = await examineStore(copy, { user });
      for (const { code, repair, what } of findings) {
        const advice = repair === 'possible' || /helps: /.test(what);
        expect(advice, `${name}, byte ${at}: ${code}: ${what}`).toBe(true);
      }
      if (findings.length > 0) {
        seen += 1;
      } else {
        // A byte that means nothing: all is as it was.
        const all = new Map<string, Uint8Array>();
        const store = await levelStore(copy, { create: false })();
        for await (const [key, value] of store.range({ gte: '', lt: '\uffff' }))
          all.set(key, value);
        await store.close();
        expect(all, `${name}, byte ${at}`).toEqual(pairs);
      }
      await rm(copy, { recursive: true });
    }
    expect(seen).toBeGreaterThan(FILE_FLIPS / 4);
  });
});
