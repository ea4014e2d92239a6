/**
 * The file that `backup` writes and `restore` reads (docs/SECURITY.md, "At
 * rest"). Both work in memory that does not grow with the store.
 *
 *     conclave-backup 1\n
 *     {"encrypted":false}\n   or   {"encrypted":true,"kdf","cipher":"aes-256-gcm","check"}\n
 *     frame …                 frame = length u32 · content · tag 16
 *
 * The content of the first frame is a manifest (JSON), of the last one the
 * number of pages, of those between one page of the store each
 * (node/snapshot.ts). With a passphrase, content and tag are AES-256-GCM under
 * its key (sealing.ts), with the hash of the two header lines as associated
 * data; without, the content is as it is, and the tag the first half of
 * SHA-256(hash of the header · nonce · content). The nonce is the frame's
 * number and whether it is the last: so a frame that is lost, moved, or cut off
 * is seen, as is anything behind the last.
 *
 * `check` tells a wrong passphrase from a damaged file: 16 bytes that scrypt
 * gives beside the key.
 */

import { createHash, timingSafeEqual } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { ConclaveError } from '../core/errors.js';
import type { UserId } from '../core/ids.js';
import { atomicFile } from './atomic-file.js';
import { passphraseNeeded, passphraseWrong } from './identity.js';
import type { Passphrase } from './passphrase.js';
import {
  CIPHER,
  deriveKey,
  isHex,
  KEY_BYTES,
  kdfOf,
  NONCE_BYTES,
  newKdf,
  openBox,
  sealBox,
  TAG_BYTES,
} from './sealing.js';

const MAGIC = 'conclave-backup 1\n';
const HEADER_BYTES_MAX = 1_024;
const LENGTH_BYTES = 4;
const CHECK_BYTES = 16;
const FRAME_BYTES_MAX = 33_554_432;
const MANIFEST_BYTES_MAX = 16_384;

/** What a backup is of. */
export interface Manifest {
  /** ms since 1970. */
  readonly made: number;
  readonly user: UserId;
  readonly name: string;
  /** The text of `identity.json`. */
  readonly identity: string;
}

const sha256 = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** What frames are sealed with: a key, or none. */
interface Sealing {
  readonly key: Buffer | undefined;
  readonly context: Buffer;
}

function nonceOf(index: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeBigUInt64BE(BigInt(index));
  nonce[NONCE_BYTES - 1] = isLast ? 1 : 0;
  return nonce;
}

const plainTag = (context: Buffer, nonce: Buffer, content: Uint8Array): Buffer =>
  sha256(context, nonce, content).subarray(0, TAG_BYTES);

function sealFrame({ key, context }: Sealing, nonce: Buffer, content: Uint8Array): Buffer {
  if (key) return sealBox({ key, nonce, context }, content);
  return Buffer.concat([content, plainTag(context, nonce, content)]);
}

function openFrame({ key, context }: Sealing, nonce: Buffer, box: Buffer): Buffer | undefined {
  if (key) return openBox({ key, nonce, context }, box);
  const content = box.subarray(0, -TAG_BYTES);
  const tag = plainTag(context, nonce, content);
  return tag.equals(box.subarray(-TAG_BYTES)) ? content : undefined;
}

export interface WriteBackup {
  readonly passphrase: string | undefined;
  readonly force: boolean;
  readonly manifest: Manifest;
  /** Hands all pages over, one after the other. */
  readonly pages: (take: (page: Uint8Array) => Promise<void>) => Promise<void>;
  readonly onProgress: (bytes: number) => void;
}

/** Writes a backup, whole or not at all. Throws `exists`, `cannot_write`, and what `pages` throws. */
export async function writeBackup(path: string, o: WriteBackup): Promise<{ bytes: number }> {
  const file = await atomicFile(path, { mode: 0o600, replace: o.force });
  try {
    const { header, key } = await newHeader(o.passphrase);
    const sealing = { key, context: sha256(header) };
    let bytes = header.length;
    let index = 0;
    const frame = async (content: Uint8Array, isLast = false): Promise<void> => {
      const box = sealFrame(sealing, nonceOf(index++, isLast), content);
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt32BE(content.length);
      await file.write(length);
      await file.write(box);
      bytes += length.length + box.length;
      o.onProgress(bytes);
    };
    await file.write(header);
    await frame(Buffer.from(JSON.stringify(o.manifest)));
    await o.pages((page) => frame(page));
    await frame(Buffer.from(String(index - 1)), true);
    await file.commit();
    return { bytes };
  } finally {
    await file.close();
  }
}

async function newHeader(passphrase: string | undefined) {
  if (passphrase === undefined) return { header: headerOf({ encrypted: false }), key: undefined };
  const kdf = newKdf();
  const derived = await deriveKey(passphrase, kdf, KEY_BYTES + CHECK_BYTES);
  const check = derived.subarray(KEY_BYTES).toString('hex');
  const header = headerOf({ encrypted: true, kdf, cipher: CIPHER, check });
  return { header, key: derived.subarray(0, KEY_BYTES) };
}

const headerOf = (content: object): Buffer => Buffer.from(`${MAGIC}${JSON.stringify(content)}\n`);

/** A backup that is being read. To be closed. */
export interface BackupReader {
  readonly encrypted: boolean;
  readonly manifest: Manifest;
  /** Once. Ends only when the file is whole. Throws `backup_damaged`. */
  pages(): AsyncGenerator<Uint8Array>;
  close(): Promise<void>;
}

/** Throws `io`, `not_a_backup`, `backup_newer`, `backup_damaged`, `passphrase_needed` and `passphrase_wrong`. */
export async function openBackup(path: string, passphrase: Passphrase): Promise<BackupReader> {
  const file = await open(path, 'r');
  try {
    const { header, key } = await readHeader(file, path, passphrase);
    const { size } = await file.stat();
    const sealing = { key, context: sha256(header) };
    const frames = readFrames({ file, path, size, sealing }, header.length);
    const first = await frames.next();
    const manifest = first.done || first.value.isLast ? undefined : manifestOf(first.value.content);
    if (!manifest) throw damaged(path, 'its first part is not what "conclave backup" writes');
    return {
      encrypted: key !== undefined,
      manifest,
      pages: () => pagesOf(frames, path),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readHeader(file: FileHandle, path: string, passphrase: Passphrase) {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES_MAX), {
    ...{ offset: 0, length: HEADER_BYTES_MAX, position: 0 },
  });
  const text = buffer.subarray(0, bytesRead).toString('latin1');
  if (/^conclave-backup [0-9]+\n/.test(text) && !text.startsWith(MAGIC)) {
    throw new ConclaveError(
      'backup_newer',
      `${path} is a backup of a newer version of conclave: update it`,
    );
  }
  if (!text.startsWith(MAGIC)) {
    throw new ConclaveError('not_a_backup', `${path} is no file that "conclave backup" wrote`);
  }
  const end = text.indexOf('\n', MAGIC.length) + 1;
  const said = headerFields(text.slice(MAGIC.length, end));
  if (end === 0 || !said) throw damaged(path, 'its header is not what was written');
  const header = buffer.subarray(0, end);
  if (said === 'plain') return { header, key: undefined };
  const given = await passphrase();
  if (given === undefined) throw passphraseNeeded(`the backup ${path}`);
  const derived = await deriveKey(given, said.kdf, KEY_BYTES + CHECK_BYTES);
  if (!timingSafeEqual(derived.subarray(KEY_BYTES), Buffer.from(said.check, 'hex'))) {
    throw passphraseWrong(`the backup ${path}`);
  }
  return { header, key: derived.subarray(0, KEY_BYTES) };
}

function headerFields(text: string) {
  try {
    const { encrypted, kdf, cipher, check } = JSON.parse(text) as Record<string, unknown>;
    if (encrypted === false) return 'plain';
    const found = kdfOf(kdf);
    const isKnown = encrypted === true && cipher === CIPHER && isHex(check, CHECK_BYTES);
    return isKnown && found ? { kdf: found, check } : undefined;
  } catch {
    return undefined;
  }
}

interface Frames {
  readonly file: FileHandle;
  readonly path: string;
  readonly size: number;
  readonly sealing: Sealing;
}

async function* readFrames({ file, path, size, sealing }: Frames, from: number) {
  let position = from;
  const take = async (bytes: number): Promise<Buffer> => {
    if (position + bytes > size) throw damaged(path, 'its end is missing');
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, position);
    if (bytesRead !== bytes) throw damaged(path, 'its end is missing');
    position += bytes;
    return buffer;
  };
  for (let index = 0; position < size; index++) {
    const at = position;
    const length = (await take(LENGTH_BYTES)).readUInt32BE();
    if (length > FRAME_BYTES_MAX) throw damaged(path, `the length at byte ${at} is changed`);
    const box = await take(length + TAG_BYTES);
    const isLast = position === size;
    const content = openFrame(sealing, nonceOf(index, isLast), box);
    if (!content) {
      const what = isLast ? 'changed, or the end behind them is missing' : 'changed';
      throw damaged(path, `the ${length} bytes at byte ${at} are ${what}`);
    }
    yield { content, isLast };
  }
}

async function* pagesOf(
  frames: AsyncGenerator<{ content: Buffer; isLast: boolean }>,
  path: string,
): AsyncGenerator<Uint8Array> {
  let pages = 0;
  for await (const { content, isLast } of frames) {
    if (!isLast) {
      pages += 1;
      yield new Uint8Array(content.buffer, content.byteOffset, content.length);
    } else if (content.toString() !== String(pages)) {
      throw damaged(path, `it has ${pages} pages and names another number`);
    } else {
      return;
    }
  }
  throw damaged(path, 'its end is missing');
}

function manifestOf(content: Buffer): Manifest | undefined {
  if (content.length > MANIFEST_BYTES_MAX) return undefined;
  try {
    const { made, user, name, identity } = JSON.parse(content.toString()) as Manifest;
    const isGood = Number.isSafeInteger(made) && isHex(user, 32) && typeof name === 'string';
    return isGood && typeof identity === 'string' ? { made, user, name, identity } : undefined;
  } catch {
    return undefined;
  }
}

const damaged = (path: string, what: string): ConclaveError =>
  new ConclaveError('backup_damaged', `the backup ${path} is damaged: ${what}. Use another copy`);
