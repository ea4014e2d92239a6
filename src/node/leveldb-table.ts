/**
 * Checks the checksums of one LevelDB table file. LevelDB writes a CRC-32C
 * after every block, but reads them back only under an option that
 * `classic-level` does not expose: one flipped bit in a table can then hide a
 * key or bring back an old value without any error. So the store checks tables
 * itself, before LevelDB reads them (docs/decisions/0002-store-integrity.md).
 *
 * The format (LevelDB, doc/table_format.md): blocks, each followed by one byte
 * of type and a masked CRC-32C over block and type; at the end a footer with
 * the handles (offset, size) of the metaindex and index blocks, and a magic
 * number. The entries of those two blocks hold the handles of all the others.
 */

export interface TableDamage {
  readonly offset: number;
  readonly bytes: number;
  readonly what: string;
}

/** A file without LevelDB's magic number at its end: LevelDB itself refuses to read it. */
export const INCOMPLETE = 'incomplete';

const FOOTER_BYTES = 48;
const TRAILER_BYTES = 5;
const MAGIC = Buffer.from('57fb808b247547db', 'hex');
/** An index key ends with 8 bytes of sequence number and type. */
const KEY_TRAILER_BYTES = 8;

interface Handle {
  readonly offset: number;
  readonly size: number;
}

/** Every damaged block of a table; an empty list when the table is whole. */
export function checkTable(file: Buffer): TableDamage[] | typeof INCOMPLETE {
  if (file.length < FOOTER_BYTES || !file.subarray(-MAGIC.length).equals(MAGIC)) return INCOMPLETE;
  const damage: TableDamage[] = [];
  const footer = cursor(file.subarray(-FOOTER_BYTES));
  try {
    const meta = readHandle(footer);
    const index = readHandle(footer);
    for (const entry of entriesOf(file, meta, 'the metaindex block', damage)) {
      blockAt(file, readHandle(cursor(entry.value)), 'a filter block', damage);
    }
    for (const entry of entriesOf(file, index, 'the index block', damage)) {
      const lastKey = entry.key.subarray(0, -KEY_TRAILER_BYTES).toString();
      const what = `the block of keys up to ${JSON.stringify(lastKey)}`;
      blockAt(file, readHandle(cursor(entry.value)), what, damage);
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    damage.push({ offset: 0, bytes: file.length, what: 'a list of blocks that ends too early' });
  }
  return damage;
}

/** The block's content if it is whole; else undefined, and a line in `damage`. */
function blockAt(
  file: Buffer,
  { offset, size }: Handle,
  what: string,
  damage: TableDamage[],
): Buffer | undefined {
  const checked = offset + size + 1;
  if (checked + 4 <= file.length - FOOTER_BYTES) {
    const stored = unmask(file.readUInt32LE(checked));
    if (crc32c(file.subarray(offset, checked)) === stored) {
      return file.subarray(offset, offset + size);
    }
  }
  damage.push({ offset, bytes: size + TRAILER_BYTES, what });
  return undefined;
}

/** The entries of an index or metaindex block, which share no prefix unless they say so. */
function* entriesOf(file: Buffer, handle: Handle, what: string, damage: TableDamage[]) {
  const block = blockAt(file, handle, what, damage);
  if (block === undefined) return;
  const restarts = block.readUInt32LE(block.length - 4);
  const input = cursor(block.subarray(0, block.length - 4 * (restarts + 1)));
  let key = Buffer.alloc(0);
  while (input.at < input.bytes.length) {
    const shared = readVarint(input);
    const unshared = readVarint(input);
    const valueBytes = readVarint(input);
    key = Buffer.concat([key.subarray(0, shared), take(input, unshared)]);
    yield { key, value: take(input, valueBytes) };
  }
}

interface Cursor {
  readonly bytes: Buffer;
  at: number;
}

const cursor = (bytes: Buffer): Cursor => ({ bytes, at: 0 });

function take(input: Cursor, length: number): Buffer {
  const end = input.at + length;
  if (end > input.bytes.length) throw new RangeError('beyond the end of the block');
  const taken = input.bytes.subarray(input.at, end);
  input.at = end;
  return taken;
}

/** Seven bits a byte, lowest first. Multiplies, since offsets may exceed 32 bits. */
function readVarint(input: Cursor): number {
  let value = 0;
  for (let scale = 1; scale <= Number.MAX_SAFE_INTEGER; scale *= 128) {
    const byte = take(input, 1)[0]!;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
  }
  throw new RangeError('a number of more than 53 bits');
}

function readHandle(input: Cursor): Handle {
  return { offset: readVarint(input), size: readVarint(input) };
}

function unmask(masked: number): number {
  const rotated = (masked - 0xa282ead8) >>> 0;
  return ((rotated >>> 17) | (rotated << 15)) >>> 0;
}

/** Four tables, for four bytes a turn: three times as fast as one, about 1.4 GB/s. */
const CRC_TABLES = [
  new Int32Array(256),
  new Int32Array(256),
  new Int32Array(256),
  new Int32Array(256),
] as const;
for (let i = 0; i < 256; i++) {
  let crc = i;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  CRC_TABLES[0][i] = crc;
}
for (let table = 1; table < 4; table++) {
  for (let i = 0; i < 256; i++) {
    const previous = CRC_TABLES[table - 1]![i]!;
    CRC_TABLES[table]![i] = CRC_TABLES[0][previous & 0xff]! ^ (previous >>> 8);
  }
}

/** CRC-32C (Castagnoli; RFC 3720, appendix B.4). */
export function crc32c(bytes: Uint8Array): number {
  const [t0, t1, t2, t3] = CRC_TABLES;
  const whole = bytes.length & ~3;
  let crc = -1;
  let i = 0;
  for (; i < whole; i += 4) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    crc = t3[crc & 0xff]! ^ t2[(crc >>> 8) & 0xff]! ^ t1[(crc >>> 16) & 0xff]! ^ t0[crc >>> 24]!;
  }
  for (; i < bytes.length; i++) crc = t0[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
