/**
 * Schemas of command payloads: each field's codec checks what came off the
 * wire (type, size, enum value) and turns it into the core's type, and back.
 * A payload with a field of the wrong shape is refused with `bad_payload`,
 * whose message names the field. Fields that a schema does not know are
 * ignored, so that a later version may add some.
 */

import { ConclaveError } from './errors.js';
import type { ChannelId, Digest, EpochId, UserId } from './ids.js';
import { hex32, type Ulid, ulidFromBytes, ulidToBytes, unhex } from './ids.js';

export interface Codec<T> {
  decode(value: unknown, at: string): T;
  encode(value: T): unknown;
}

export type TypeOf<C> = C extends Codec<infer T> ? T : never;

/** Refuses the field at `at`. */
export function refuse(at: string, expected: string): never {
  throw new ConclaveError('bad_payload', `the field "${at}" must be ${expected}`);
}

const same = <T>(decode: (value: unknown, at: string) => T): Codec<T> => ({
  decode,
  encode: (value) => value,
});

/** An integer from `min` to `max`, both at most 2^53-1. */
export const integer = (min = 0, max = Number.MAX_SAFE_INTEGER): Codec<number> =>
  same((value, at) => {
    const n = typeof value === 'bigint' && value <= 9007199254740991n ? Number(value) : value;
    const isInteger = typeof n === 'number' && Number.isSafeInteger(n) && !Object.is(n, -0);
    if (isInteger && n >= min && n <= max) return n;
    return refuse(at, `an integer from ${min} to ${max}`);
  });

export const boolean: Codec<boolean> = same((value, at) =>
  typeof value === 'boolean' ? value : refuse(at, 'true or false'),
);

/** Raw bytes of at most `max`, or of exactly `max` when `exact`. */
export const bytes = (max: number, exact = false): Codec<Uint8Array> =>
  same((value, at) => {
    if (value instanceof Uint8Array && value.length <= max && (!exact || value.length === max)) {
      return value;
    }
    return refuse(at, `${exact ? 'exactly' : 'at most'} ${max} bytes`);
  });

/** A text of at most `maxBytes` UTF-8 bytes without lone surrogates. */
export const text = (maxBytes: number): Codec<string> =>
  same((value, at) => {
    if (typeof value === 'string' && value.length <= maxBytes && value.isWellFormed()) {
      if (new TextEncoder().encode(value).length <= maxBytes) return value;
    }
    return refuse(at, `a well-formed text of at most ${maxBytes} bytes`);
  });

export const oneOf = <const V extends string>(...values: readonly V[]): Codec<V> =>
  same((value, at) =>
    values.includes(value as V) ? (value as V) : refuse(at, `one of ${values.join(', ')}`),
  );

export const list = <T>(of: Codec<T>, max: number): Codec<T[]> => ({
  decode: (value, at) =>
    Array.isArray(value) && value.length <= max
      ? value.map((item, i) => of.decode(item, `${at}[${i}]`))
      : refuse(at, `a list of at most ${max}`),
  encode: (value) => value.map((item) => of.encode(item)),
});

export const optional = <T>(of: Codec<T>): Codec<T | undefined> => ({
  decode: (value, at) => (value === undefined || value === null ? undefined : of.decode(value, at)),
  encode: (value) => (value === undefined ? undefined : of.encode(value)),
});

const id32 = <T extends UserId | ChannelId | Digest | EpochId>(): Codec<T> => ({
  decode: (value, at) =>
    value instanceof Uint8Array && value.length === 32 ? hex32<T>(value) : refuse(at, '32 bytes'),
  encode: (value) => unhex(value),
});

export const user = id32<UserId>();
export const channel = id32<ChannelId>();
export const digest = id32<Digest>();
export const epoch = id32<EpochId>();

export const ulid: Codec<Ulid> = {
  decode: (value, at) =>
    value instanceof Uint8Array && value.length === 16
      ? ulidFromBytes(value)
      : refuse(at, 'a ULID of 16 bytes'),
  encode: (value) => ulidToBytes(value),
};

type Fields = { readonly [name: string]: Codec<unknown> };
type OptionalKeys<F extends Fields> = {
  [K in keyof F]: undefined extends TypeOf<F[K]> ? K : never;
}[keyof F];
export type ObjectOf<F extends Fields> = {
  readonly [K in Exclude<keyof F, OptionalKeys<F>>]: TypeOf<F[K]>;
} & { readonly [K in OptionalKeys<F>]?: Exclude<TypeOf<F[K]>, undefined> };

export function object<const F extends Fields>(fields: F): Codec<ObjectOf<F>> {
  const entries = Object.entries(fields);
  return {
    decode(value, at) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        return refuse(at, 'a map');
      }
      if (value instanceof Uint8Array || value instanceof Map || value instanceof Date) {
        return refuse(at, 'a map with text keys');
      }
      const out: { [name: string]: unknown } = {};
      for (const [name, codec] of entries) {
        const field = Object.hasOwn(value, name)
          ? (value as { [k: string]: unknown })[name]
          : undefined;
        const decoded = codec.decode(field, at === '' ? name : `${at}.${name}`);
        if (decoded !== undefined) out[name] = decoded;
      }
      return out as ObjectOf<F>;
    },
    encode(value) {
      const out: { [name: string]: unknown } = {};
      for (const [name, codec] of entries) {
        const field = (value as { [k: string]: unknown })[name];
        if (field !== undefined) out[name] = codec.encode(field);
      }
      return out;
    },
  };
}
