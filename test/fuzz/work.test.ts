/**
 * What the largest and worst inputs cost, in executed blocks of the product's
 * sources: in proportion to their bytes, whatever they hold (docs/fuzzing.md).
 */

import { afterAll, describe, expect, it } from 'vitest';
import { LineSplitter } from '../../src/cli/lines.js';
import { decodeCertificate, decodeHeaders } from '../../src/core/certificate.js';
import { decodeCommand } from '../../src/core/commands.js';
import { FrameParser } from '../../src/core/frame.js';
import { decodeHardState, decodeRun } from '../../src/core/layout.js';
import { unpack } from '../../src/core/msgpack.js';
import { decodePortableProof } from '../../src/core/portable-proof.js';
import { unpadPrivate } from '../../src/core/private-statements.js';
import { BatchProofs, decodeProof, decodeRecord } from '../../src/core/record.js';
import { parseRelayUrl } from '../../src/core/relay-url.js';
import { decodeStatement } from '../../src/core/statements.js';
import { decodeKeys } from '../../src/node/keys-record.js';
import { unarmour } from '../../src/node/proof-file.js';
import { nativeCrypto } from '../unit/fixtures/ports.js';
import { intBytes } from './grammar.js';
import { WorkCounter } from './work.js';

/** Blocks for each byte of input, and for the smallest input. */
const BLOCKS_PER_BYTE = 24;
const BLOCKS_BASE = 4_000;

const counter = new WorkCounter();
afterAll(() => counter.close());

const hash = nativeCrypto.sha256;
const bytes = (...parts: readonly (Uint8Array | number)[]): Uint8Array =>
  new Uint8Array(Buffer.concat(parts.map((p) => (typeof p === 'number' ? Uint8Array.of(p) : p))));
const many = (count: number, part: (i: number) => Uint8Array): Uint8Array =>
  new Uint8Array(Buffer.concat(Array.from({ length: count }, (_, i) => part(i))));
const u16 = (n: number): Uint8Array => intBytes(BigInt(n), 2);
const u32 = (n: number): Uint8Array => intBytes(BigInt(n), 4);
const text = (name: string): Uint8Array => bytes(u32(name.length), Buffer.from(name));
const key = (n: number): Uint8Array => bytes(0xd9, 32, Buffer.from(`${n}`.padStart(32, 'k')));

/** Maps of as many keys as there may be, each as long as one may be, alike to the last letter. */
const mapsOfAlikeKeys = (maps: number): Uint8Array =>
  bytes(
    ...[0x81, 0xa1, 0x61, 0xdc, u16(maps)],
    many(maps, () =>
      bytes(
        0xde,
        u16(32),
        many(32, (i) => bytes(key(i), 1)),
      ),
    ),
  );

const listOfNil = (items: number): Uint8Array =>
  bytes(0x81, 0xa1, 0x61, 0xdd, u32(items), new Uint8Array(items).fill(0xc0));

const longText = (length: number): Uint8Array =>
  bytes(0x81, 0xa1, 0x61, 0xdb, u32(length), new Uint8Array(length).fill(0x61));

const frame = (length: number): Uint8Array =>
  bytes(Buffer.from(`A\n${length}\n${'a'.repeat(128)}\n`), new Uint8Array(length));

const beacon = (heard: number): Uint8Array =>
  bytes(
    ...[text('conclave/beacon'), 0, new Uint8Array(32 + 16 + 8 + 8 + 2)],
    u16(heard),
    new Uint8Array(56 * heard),
  );

const certificate = (links: number, acks: number): Uint8Array =>
  bytes(
    ...[
      new Uint8Array(1 + 32 + 8 + 32 + 32 + 8 + 8 + 32 + 80),
      u16(links),
      new Uint8Array(80 * links),
    ],
    u16(acks),
    new Uint8Array(104 * acks),
  );

const run = (places: number): Uint8Array =>
  bytes(new Uint8Array(48), u16(places), new Uint8Array(72 * places));

/** Alike items that share all that they may. */
const sharing = (items: number): Uint8Array =>
  bytes(
    u16(items + 1),
    bytes(u32(0), u32(1_000), new Uint8Array(1_000)),
    many(items, () => bytes(u16(64), u16(512), u32(0))),
  );

const feed = (input: Uint8Array, size: number): void => {
  const parser = new FrameParser({ payloadBytesMax: 1_048_576 });
  for (let at = 0; at < input.length; at += size) parser.push(input.subarray(at, at + size));
};

const append = (input: Uint8Array): unknown =>
  decodeCommand('CH_MSG', {
    timestamp: 1,
    ...{ nonce: new Uint8Array(8), id: new Uint8Array(32), from: new Uint8Array(32) },
    each: { records: Uint8Array.of(0, 0), proofs: input },
  });

const proofs = (input: Uint8Array): void => {
  const [record, proof] = [input.subarray(0, 192), input.subarray(192)];
  new BatchProofs(hash).statementOf(decodeRecord(hash, record), decodeProof(proof));
};

/** The two chains of one who acknowledged both, as long as they may be. */
const accusation = (headers: number): Uint8Array => {
  const side = (n: number): Uint8Array =>
    bytes(
      ...[new Uint8Array(32).fill(n), u16(headers), new Uint8Array(80 * headers)],
      ...[u32(512), new Uint8Array(512 + 64)],
    );
  const head = [text('conclave/proof'), 0, 1, new Uint8Array(32), 3, new Uint8Array(32 + 8)];
  return bytes(...head, side(1), side(2));
};

/** A proof of what is final behind very many changes that are none. */
const manySteps = (steps: number): Uint8Array => {
  const step = bytes(new Uint8Array(40), u16(0), u32(0), u32(0), u32(0));
  const one = bytes(u32(step.length), step);
  return bytes(
    ...[text('conclave/proof'), 0, 0, u32(0), new Uint8Array(64), u16(steps)],
    ...[many(steps, () => one), one, u32(0)],
  );
};

const keys = (receivers: number): Uint8Array =>
  bytes(new Uint8Array(72), u16(receivers), new Uint8Array(112 * receivers), u32(0));

interface Costly {
  readonly what: string;
  readonly of: (size: number) => Uint8Array;
  readonly size: number;
  readonly read: (input: Uint8Array) => unknown;
}

const COSTLY: readonly Costly[] = [
  {
    what: 'a payload of maps with keys that are nearly the same',
    of: mapsOfAlikeKeys,
    size: 900,
    read: unpack,
  },
  {
    what: 'a payload of as many items as there may be',
    of: listOfNil,
    size: 131_000,
    read: unpack,
  },
  { what: 'a payload of more items than there may be', of: listOfNil, size: 900_000, read: unpack },
  { what: 'a payload of one long text', of: longText, size: 1_000_000, read: unpack },
  { what: 'a frame that comes byte by byte', of: frame, size: 100_000, read: (b) => feed(b, 1) },
  {
    what: 'a frame that comes in small pieces',
    of: frame,
    size: 1_000_000,
    read: (b) => feed(b, 100),
  },
  {
    what: 'a beacon that names all that it may',
    of: beacon,
    size: 1_024,
    read: (b) => decodeStatement(b),
  },
  { what: 'a beacon that names more', of: beacon, size: 60_000, read: (b) => decodeStatement(b) },
  {
    what: 'a certificate with all links',
    of: (n) => certificate(n, 128),
    size: 1_024,
    read: decodeCertificate,
  },
  {
    what: 'headers',
    of: (n) => bytes(u16(n), new Uint8Array(80 * n)),
    size: 1_024,
    read: (b) => decodeHeaders(b, 1_024),
  },
  {
    what: 'a proof of misbehaviour with all headers',
    of: accusation,
    size: 1_024,
    read: decodePortableProof,
  },
  {
    what: 'a proof with as many steps as there may be',
    of: manySteps,
    size: 65_535,
    read: decodePortableProof,
  },
  { what: 'a key for all members', of: keys, size: 128, read: decodeKeys },
  {
    what: 'a private message as long as one may be, without zeros behind',
    of: (n) => bytes(u32(0), new Uint8Array(n - 5), 1),
    size: 66_048,
    read: unpadPrivate,
  },
  {
    what: 'a proof in very many lines',
    of: (n) => Buffer.from('A\n'.repeat(n)),
    size: 500_000,
    read: (b) => unarmour(Buffer.from(b).toString()),
  },
  { what: 'a run of places', of: run, size: 512, read: decodeRun },
  { what: 'alike items that share all that they may', of: sharing, size: 255, read: append },
  {
    what: 'more bytes than promises have',
    of: (n) => new Uint8Array(n),
    size: 1_000_000,
    read: decodeHardState,
  },
  { what: 'a proof that is too long', of: (n) => new Uint8Array(n), size: 100_000, read: proofs },
  {
    what: 'an address of dots and brackets',
    of: (n) => Buffer.from(`conclave://${'[:.'.repeat(n)}`),
    size: 100_000,
    read: (b) => parseRelayUrl(Buffer.from(b).toString()),
  },
  {
    what: 'a line that comes byte by byte and never ends',
    of: (n) => new Uint8Array(n).fill(0x61),
    size: 100_000,
    read: (b) => {
      const lines = new LineSplitter(50_000);
      for (const byte of b) for (const _ of lines.push(Buffer.of(byte)));
    },
  },
];

describe('work', () => {
  it.each(COSTLY)('$what', ({ of, size, read }) => {
    const input = of(size);
    const blocks = counter.blocksOf(() => read(input));
    expect(blocks).toBeGreaterThan(0);
    expect(blocks).toBeLessThanOrEqual(BLOCKS_PER_BYTE * input.length + BLOCKS_BASE);
  });

  it('is counted: what grows with the square is seen', () => {
    const squared = (b: Uint8Array): void => {
      for (let i = 0; i < b.length; i++) feed(b.subarray(0, 100), 1);
    };
    const input = frame(1_000);
    const blocks = counter.blocksOf(() => squared(input));
    expect(blocks).toBeGreaterThan(BLOCKS_PER_BYTE * input.length + BLOCKS_BASE);
  });
});
