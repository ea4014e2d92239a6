/** Values of the documented schemas: whether one fits, how to make one, and lists of alike items read slowly. */

import { Buffer } from 'node:buffer';
import type { Dice } from './dice.js';
import type { Type } from './documented-schema.js';
import { intBytes } from './grammar.js';

/** Of the two kinds of alike items: the most that one may have, and may share with the one before. */
const ALIKE: { readonly [items: string]: { bytes: number; first: number; last: number } } = {
  record: { bytes: 66_048, first: 128, last: 0 },
  proof: { bytes: 1_024, first: 64, last: 512 },
};

/** Whether a decoded payload's value is one of this type. */
export function fits(type: Type, value: unknown): boolean {
  switch (type.is) {
    case 'int':
      if (typeof value !== 'number' && typeof value !== 'bigint') return false;
      if (Object.is(value, -0) || !Number.isInteger(Number(value))) return false;
      return value >= type.min && value <= type.max;
    case 'boolean':
      return value === true || value === false;
    case 'enum':
      return typeof value === 'string' && type.values.includes(value);
    case 'text':
      return typeof value === 'string' && Buffer.byteLength(value) <= type.max;
    case 'bytes':
      return value instanceof Uint8Array && value.length <= type.max;
    case 'exactly':
      return value instanceof Uint8Array && value.length === type.max;
    case 'alike':
      return value instanceof Uint8Array && itemsOf(type, value) !== undefined;
    case 'list':
      return (
        Array.isArray(value) &&
        value.length <= type.max &&
        value.every((item) => fits(type.of, item))
      );
    case 'map': {
      if (typeof value !== 'object' || value === null) return false;
      if (Array.isArray(value) || value instanceof Uint8Array) return false;
      const map = value as { readonly [key: string]: unknown };
      return type.fields.every(({ name, optional, type: of }) => {
        const field = Object.hasOwn(map, name) ? map[name] : undefined;
        return field === undefined || field === null ? optional : fits(of, field);
      });
    }
  }
}

/** The items of a list of alike items; undefined where it must be refused. */
export function itemsOf(
  type: Type & { is: 'alike' | string },
  bytes: Uint8Array,
): Buffer[] | undefined {
  if (type.is !== 'alike') return undefined;
  const { items = '', max } = type as { items?: string; max: number };
  const limits = ALIKE[items]!;
  const from = Buffer.from(bytes);
  const found: Buffer[] = [];
  try {
    const count = from.readUInt16BE(0);
    let at = 2;
    if (count > max) return undefined;
    for (let i = 0; i < count; i++) {
      const before = found.at(-1) ?? Buffer.alloc(0);
      const [first, last] = [from.readUInt16BE(at), from.readUInt16BE(at + 2)];
      const between = from.readUInt32BE(at + 4);
      at += 8;
      if (first > limits.first || last > limits.last || first + last > before.length)
        return undefined;
      if (between > limits.bytes || at + between > from.length) return undefined;
      found.push(
        Buffer.concat([
          before.subarray(0, first),
          from.subarray(at, at + between),
          before.subarray(before.length - last),
        ]),
      );
      if (found.at(-1)!.length > limits.bytes) return undefined;
      at += between;
    }
    return at === from.length ? found : undefined;
  } catch {
    return undefined;
  }
}

/** A list of items that share nothing. */
export const writeItems = (items: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(
    Buffer.concat([
      intBytes(BigInt(items.length), 2),
      ...items.flatMap((item) => [new Uint8Array(4), intBytes(BigInt(item.length), 4), item]),
    ]),
  );

/** A length at or near the limit; a large one seldom, since it costs. */
function someLength(d: Dice, max: number): number {
  const edges = [0, max, max + 1, d.int(max + 1)];
  if (max <= 1_024) return d.pick(edges);
  return d.oneIn(max > 100_000 ? 20_000 : 500) ? d.pick(edges) : d.int(100);
}

const TEXTS = ['', 'a', 'zoë', '\ufeff', '\0', '😀', '__proto__'];

function someAlike(d: Dice, items: string): Uint8Array {
  const { first, last, bytes } = ALIKE[items]!;
  const out: Uint8Array[] = [];
  const count = d.int(4);
  let before = 0;
  for (let i = 0; i < count; i++) {
    const shareFirst = d.oneIn(30) ? d.int(first + 2) : Math.min(before, d.int(first + 1));
    const shareLast = d.oneIn(30)
      ? d.int(last + 2)
      : Math.min(before - shareFirst, d.int(last + 1));
    const between = d.bytes(d.oneIn(40) ? someLength(d, bytes) : d.int(200));
    const lie = d.oneIn(60) ? d.pick([bytes, bytes + 1, 2 ** 32 - 1]) : between.length;
    const [f, l] = [Math.max(0, shareFirst), Math.max(0, shareLast)];
    out.push(intBytes(BigInt(f), 2), intBytes(BigInt(l), 2), intBytes(BigInt(lie), 4), between);
    before = f + l + between.length;
  }
  const said = d.oneIn(30) ? d.pick([count + 1, 65_535]) : count;
  return new Uint8Array(Buffer.concat([intBytes(BigInt(said), 2), ...out]));
}

/** A value of this type, nearly always a good one. */
export function someValue(d: Dice, type: Type): unknown {
  switch (type.is) {
    case 'int':
      if (d.oneIn(40))
        return d.pick([type.min - 1, type.max + 1, -1, 0.5, Number.NaN, -0, 2n ** 64n - 1n]);
      return d.pick([type.min, type.max, type.min + d.int(300)]);
    case 'boolean':
      return d.oneIn(2);
    case 'enum':
      return d.oneIn(40) ? 'other' : d.pick(type.values);
    case 'text': {
      if (!d.oneIn(20)) return d.pick(TEXTS);
      const letter = d.pick(['x', 'é', '😀', '\ufeff']);
      return letter.repeat(d.int(2) + Math.floor(type.max / Buffer.byteLength(letter)));
    }
    case 'bytes':
      return d.bytes(someLength(d, type.max));
    case 'exactly':
      return d.oneIn(40) ? d.bytes(type.max + d.pick([-1, 1])) : d.bytes(type.max);
    case 'alike':
      return someAlike(d, (type as { items?: string }).items!);
    case 'list': {
      const isLong = d.oneIn(type.max <= 128 ? 100 : 3_000) && type.max <= 1_024;
      const count = isLong ? type.max + d.int(2) : d.int(4);
      const item = someValue(d, type.of);
      return Array.from({ length: count }, (_, i) =>
        isLong || i > 2 ? item : someValue(d, type.of),
      );
    }
    case 'map': {
      const map: { [name: string]: unknown } = {};
      for (const { name, optional, type: of } of type.fields) {
        if (d.oneIn(optional ? 2 : 100)) {
          if (d.oneIn(4)) map[name] = null;
        } else map[name] = someValue(d, of);
      }
      if (d.oneIn(30)) map[d.pick(['unknown', 'toString', 'constructor', 'length'])] = 1;
      return map;
    }
  }
}
