/** What lies in files and is read with the help of a store or a disk: pages of a snapshot, backups, private messages. */

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBackup } from '../../../src/cli/backup-file.js';
import type { Digest, Ulid, UserId } from '../../../src/core/ids.js';
import { memoryStore } from '../../../src/core/memory-store.js';
import type { Store, StoreOp } from '../../../src/core/store.js';
import {
  deliveredOps,
  type Logged,
  placesOf,
  readLogged,
  readReceipts,
  sentOps,
} from '../../../src/node/private-log.js';
import { fillStore, snapshot } from '../../../src/node/snapshot.js';
import { mutate } from '../../unit/mutate.js';
import type { Dice } from '../dice.js';
import { parse, type Shape, type Tree, textOf, write } from '../grammar.js';
import { someBytes } from '../mutations.js';
import * as shapes from '../shapes.js';
import { must, mustBeBounded, refusal, same, type Target } from '../target.js';
import { oddJson } from './texts.js';

async function typedAsync<T>(run: () => Promise<T>, codes: readonly string[]) {
  try {
    return { value: await run() };
  } catch (error) {
    refusal(error, codes);
    return undefined;
  }
}

async function* only(...pages: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pages;
}

/** Keys rise by code points, as those of LevelDB do by bytes. */
function areInOrder(tree: Tree): boolean {
  const keys = tree.parts.map(({ parts }) => Buffer.from(parts[0]!.bytes));
  return keys.every((key, i) => i === 0 || Buffer.compare(keys[i - 1]!, key) < 0);
}

const KEY_CODES = ['bad_encoding', 'store_bad_key'];
const KEY_CHARS_MAX = 512;

const page: Target = {
  name: 'page',
  what: "pages of a backup's store",
  share: 10,
  make(d, seen) {
    const bytes = someBytes(d, shapes.page, seen);
    const tree = d.oneIn(2) ? parse(shapes.page, bytes) : undefined;
    if (!tree) return bytes;
    tree.parts.sort((a, b) => Buffer.compare(a.parts[0]!.bytes, b.parts[0]!.bytes));
    return write(tree);
  },
  async check(input) {
    const store = memoryStore();
    const filled = await typedAsync(() => fillStore(store, only(input)), KEY_CODES);
    const tree = parse(shapes.page, input);
    const isGood = tree !== undefined && areInOrder(tree) && tree.parts.every(hasKey);
    must((filled !== undefined) === isGood, `a page is ${filled ? 'taken' : 'refused'}`);
    if (!filled || filled.value === 0) return filled !== undefined;
    const pages: Uint8Array[] = [];
    for await (const written of snapshot(store)) pages.push(written);
    must(pages.length === 1 && same(pages[0]!, input), 'a page is written in another way');
    return true;
  },
};

/** A key of a store: some text, not too long, and none of the store's own. */
function hasKey({ parts }: Tree): boolean {
  const key = textOf(parts[0]!);
  return key !== '' && key.length <= KEY_CHARS_MAX && key[0] !== '\0';
}

const ZERO = '0'.repeat(26) as Ulid;
const PEER = '0'.repeat(64) as UserId;
const DIGEST = '0'.repeat(64) as Digest;
const NOTHING = new Uint8Array(0);
const MESSAGE: Logged = {
  ...{ n: 1, out: true, rewound: false, peer: PEER, id: ZERO, boot: ZERO, count: 1 },
  ...{ prev: DIGEST, digest: DIGEST, body: NOTHING, sig: NOTHING },
};
const [LOGGED, PLACE] = sentOps(MESSAGE).map(({ key }) => key) as [string, string];
const RECEIPT = deliveredOps(1, { time: 0, sig: new Uint8Array(64) })[1]!.key;

/** A value that is read out of the store: what the product makes of it, and writes again. */
interface Kept<T> {
  readonly name: string;
  readonly what: string;
  readonly key: string;
  readonly shape: Shape;
  readonly read: (store: Store) => Promise<T>;
  readonly write: (value: T) => readonly StoreOp[];
}

function keptTarget<T>({ name, what, key, shape, read, write: put }: Kept<T>): Target {
  return {
    ...{ name, what, share: 10 },
    make: (d, seen) => someBytes(d, shape, seen),
    async check(input) {
      const found = await typedAsync(() => read(memoryStore([[key, input]])), ['bad_encoding']);
      const isGood = parse(shape, input) !== undefined;
      must((found !== undefined) === isGood, `a ${name} is ${found ? 'taken' : 'refused'}`);
      if (!found) return false;
      mustBeBounded(found.value, input);
      const again = put(found.value).find((op) => op.key === key)?.value as Uint8Array;
      must(same(again, input), `a ${name} has two encodings`);
      return true;
    },
  };
}

const PRIVATE_TARGETS: readonly Target[] = [
  keptTarget({
    ...{ name: 'private-message', what: 'private messages in the store' },
    ...{ key: LOGGED, shape: shapes.loggedMessage },
    read: (store) => readLogged(store, 1),
    write: sentOps,
  }),
  keptTarget({
    ...{ name: 'private-receipt', what: 'receipts of private messages in the store' },
    ...{ key: RECEIPT, shape: shapes.loggedReceipt },
    read: async (store) => (await readReceipts(store, [1]))[0]!,
    write: (receipt) => deliveredOps(1, receipt),
  }),
  keptTarget({
    ...{ name: 'private-place', what: 'places of private messages in the store' },
    ...{ key: PLACE, shape: shapes.loggedPlace },
    read: async (store) => (await placesOf(store, true, [MESSAGE]))[0]!,
    write: (place) => sentOps({ ...MESSAGE, ...place }),
  }),
];

const MAGIC = 'conclave-backup 1\n';
const TAG_BYTES = 16;
const sha256 = (...parts: Uint8Array[]): Buffer =>
  parts.reduce((h, part) => h.update(part), createHash('sha256')).digest();

/** One frame of a backup without passphrase, under a right tag. */
function frame(context: Buffer, index: number, isLast: boolean, content: Uint8Array): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64BE(BigInt(index));
  nonce[11] = isLast ? 1 : 0;
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  const tag = sha256(context, nonce, content).subarray(0, TAG_BYTES);
  return Buffer.concat([length, content, tag]);
}

function someBackup(d: Dice): Uint8Array {
  let manifest = JSON.stringify({ made: 1, user: 'a1'.repeat(32), name: 'alice', identity: '{}' });
  if (d.oneIn(4)) manifest = oddJson(d, manifest);
  let fields = '{"encrypted":false}';
  if (d.oneIn(6)) {
    const kdf = { name: 'scrypt', N: 131_072, r: 8, p: 1, salt: '00'.repeat(32) };
    const sealed = { encrypted: true, kdf, cipher: 'aes-256-gcm', check: '00'.repeat(16) };
    fields = oddJson(d, JSON.stringify(sealed));
  }
  const magic = d.oneIn(20) ? d.pick(['conclave-backup 2\n', 'conclave-backup \n', '']) : MAGIC;
  const header = Buffer.from(`${magic}${d.oneIn(10) ? oddJson(d, fields) : fields}\n`);
  const context = sha256(header);
  const pages = Array.from({ length: d.int(4) }, () => d.bytes(d.int(40)));
  const said = d.oneIn(8) ? d.pick([pages.length + 1, -1, '01', '']) : pages.length;
  const contents = [Buffer.from(manifest), ...pages, Buffer.from(String(said))];
  const last = d.oneIn(10) ? d.int(contents.length) : contents.length - 1;
  const frames = contents.map((content, i) => frame(context, i, i === last, content));
  if (d.oneIn(10)) frames.splice(d.int(frames.length), 1);
  if (d.oneIn(10)) frames.reverse();
  return new Uint8Array(Buffer.concat([header, ...frames]));
}

/** The pages of a backup without passphrase; undefined where it is not whole. */
function readBackup(bytes: Uint8Array): number | undefined {
  const file = Buffer.from(bytes);
  const end = file.indexOf('\n', MAGIC.length) + 1;
  if (!file.subarray(0, MAGIC.length).equals(Buffer.from(MAGIC)) || end === 0 || end > 1_024)
    return undefined;
  const fields = jsonOf(file.subarray(MAGIC.length, end));
  if (fields?.encrypted !== false) return undefined;
  const context = sha256(file.subarray(0, end));
  const contents: Buffer[] = [];
  for (let at = end; at < file.length; ) {
    if (at + 4 > file.length) return undefined;
    const length = file.readUInt32BE(at);
    const next = at + 4 + length + TAG_BYTES;
    if (next > file.length) return undefined;
    const content = file.subarray(at + 4, at + 4 + length);
    const sealed = frame(context, contents.length, next === file.length, content);
    if (!sealed.equals(file.subarray(at, next))) return undefined;
    contents.push(content);
    at = next;
  }
  const pages = contents.length - 2;
  const manifest = pages < 0 ? undefined : jsonOf(contents[0]!);
  if (!manifest || contents[0]!.length > 16_384) return undefined;
  const { made, user, name, identity } = manifest;
  const isUser = typeof user === 'string' && /^[0-9a-f]{64}$/.test(user) && user.length === 64;
  const isGood = Number.isSafeInteger(made) && isUser && typeof name === 'string';
  if (!isGood || typeof identity !== 'string') return undefined;
  return contents.at(-1)!.toString() === `${pages}` ? pages : undefined;
}

function jsonOf(bytes: Uint8Array): { readonly [field: string]: unknown } | undefined {
  try {
    return Object(JSON.parse(Buffer.from(bytes).toString()));
  } catch {
    return undefined;
  }
}

const BACKUP_CODES = ['not_a_backup', 'backup_newer', 'backup_damaged', 'passphrase_needed'];
let directory: string | undefined;

/** A file for backups, in a directory that goes when the process ends. */
function backupPath(): string {
  if (directory === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'conclave-fuzz-'));
    process.on('exit', () => rmSync(made, { recursive: true, force: true }));
    directory = made;
  }
  return join(directory, 'backup');
}

const backup: Target = {
  name: 'backup',
  what: 'backup files without a passphrase, most under right tags, and the headers of those with one',
  share: 4,
  make(d) {
    const bytes = someBackup(d);
    return d.oneIn(3) ? mutate(d, bytes, someBackup(d)) : bytes;
  },
  async check(input) {
    const path = backupPath();
    writeFileSync(path, input);
    const read = await typedAsync(async () => {
      const reader = await openBackup(path, async () => undefined);
      try {
        let pages = 0;
        for await (const _ of reader.pages()) pages += 1;
        return { pages, manifest: reader.manifest };
      } finally {
        await reader.close();
      }
    }, BACKUP_CODES);
    const expected = readBackup(input);
    must(read?.value.pages === expected, `a backup is ${read ? 'taken' : 'refused'}`);
    if (read) mustBeBounded(read.value.manifest, input);
    return read !== undefined;
  },
};

export const FILE_TARGETS: readonly Target[] = [page, ...PRIVATE_TARGETS, backup];
