/**
 * The schemas of all commands (docs/PROTOCOL.md, section "Commands"): what is
 * well formed comes out as it went in, and any field of a wrong type, size or
 * value is refused with an error that names it.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  COMMANDS,
  type CommandName,
  commandName,
  decodeCommand,
  encodePayload,
  isCommandName,
} from '../../src/core/commands.js';
import { ConclaveError } from '../../src/core/errors.js';
import * as limits from '../../src/core/limits.js';
import { pack, unpack } from '../../src/core/msgpack.js';
import * as schema from '../../src/core/schema.js';
import { EXAMPLES, OPTIONAL } from './command-examples.js';
import { codeOf } from './wire-helpers.js';

const NAMES = Object.keys(COMMANDS) as CommandName[];
type Path = readonly (string | number)[];

/** What goes to msgpack: ids are bytes there. */
const wire = (name: CommandName) => encodePayload(name, EXAMPLES[name]);

/** Every field of a payload, at any depth, first items of lists included. */
function paths(value: unknown, at: Path = []): Path[] {
  const here = at.length === 0 ? [] : [at];
  if (value instanceof Uint8Array || typeof value !== 'object' || value === null) return here;
  const inside = Array.isArray(value) ? [[0, value[0]] as const] : Object.entries(value);
  return [...here, ...inside.flatMap(([key, field]) => paths(field, [...at, key]))];
}

const get = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>((v, key) => (v as { [k: string | number]: unknown })[key], value);

/** A copy of `value` with another field at `path`; no field there when `to` is undefined. */
function set(value: unknown, path: Path, to: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return to;
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as {
    [k: string]: unknown;
  };
  const inner = set(copy[key], rest, to);
  if (inner === undefined) delete copy[key];
  else copy[key] = inner;
  return copy;
}

const label = (path: Path) =>
  path.map((key, i) => (typeof key === 'number' ? `[${key}]` : i === 0 ? key : `.${key}`)).join('');

const isOptional = (name: CommandName, path: Path) =>
  OPTIONAL[name]?.includes(label(path)) ?? false;

/** The error for `payload`, after a trip over the wire where msgpack can say it. */
function refusal(name: CommandName, payload: unknown): string {
  try {
    decodeCommand(name, payload);
  } catch (error) {
    if (!(error instanceof ConclaveError)) return `not typed: ${error}`;
    return `${error.code}: ${error.message}`;
  }
  return 'accepted';
}

type Kind = 'number' | 'boolean' | 'string' | 'bytes' | 'list' | 'map';
function kindOf(value: unknown): Kind {
  if (value instanceof Uint8Array) return 'bytes';
  if (Array.isArray(value)) return 'list';
  return typeof value === 'object' ? 'map' : (typeof value as Kind);
}

const OF_OTHER_KIND: { readonly [K in Kind]: unknown } = {
  number: 1,
  boolean: true,
  string: 'online',
  bytes: new Uint8Array(32),
  list: [],
  map: {},
};

/** Values of the right kind that no schema allows. */
const NEVER: { readonly [K in Kind]: readonly unknown[] } = {
  number: [-1, -0, 0.5, 2 ** 53, -(2 ** 53), Number.NaN, Number.POSITIVE_INFINITY, 2n ** 53n, -1n],
  boolean: [],
  string: ['x'.repeat(513), '\ud800', 'é'.repeat(300)],
  bytes: [new Uint8Array(1_048_577)],
  list: [],
  map: [new Map(), new Date(0)],
};

describe.each(NAMES)('%s', (name) => {
  const fields = paths(wire(name));

  it('comes out as it went in', () => {
    const decoded = decodeCommand(name, unpack(pack(wire(name))));
    expect(decoded).toStrictEqual({ name, payload: EXAMPLES[name] });
  });

  it('may lack its optional fields, and no other', () => {
    for (const path of fields) {
      if (typeof path.at(-1) === 'number') continue;
      const result = refusal(name, unpack(pack(set(wire(name), path, undefined) as object)));
      if (isOptional(name, path))
        expect([label(path), result]).toStrictEqual([label(path), 'accepted']);
      else expect(result).toMatch(`bad_payload: the field "${label(path)}`);
    }
  });

  it('takes nil as the absence of a field', () => {
    for (const path of fields) {
      const result = refusal(name, set(wire(name), path, null));
      if (isOptional(name, path)) expect(result).toBe('accepted');
      else expect(result).toMatch(`bad_payload: the field "${label(path)}`);
    }
  });

  it('refuses a field of any other type', () => {
    for (const path of fields) {
      const kind = kindOf(get(wire(name), path));
      for (const [other, value] of Object.entries(OF_OTHER_KIND)) {
        if (other === kind) continue;
        const result = refusal(name, set(wire(name), path, value));
        expect(result).toMatch(`bad_payload: the field "${label(path)}"`);
      }
    }
  });

  it('refuses values that no field may have', () => {
    for (const path of fields) {
      for (const value of NEVER[kindOf(get(wire(name), path))]) {
        const result = refusal(name, set(wire(name), path, value));
        expect(result).toMatch(`bad_payload: the field "${label(path)}"`);
      }
    }
  });

  it('refuses lists that are too long', () => {
    for (const path of fields) {
      const value = get(wire(name), path);
      if (!Array.isArray(value)) continue;
      const result = refusal(name, set(wire(name), path, Array(65_537).fill(value[0])));
      expect(result).toMatch(`bad_payload: the field "${label(path)}"`);
    }
  });

  it('refuses what is no map', () => {
    for (const value of [null, undefined, 1, 'x', [], new Uint8Array(8), new Map(), new Date(0)]) {
      expect(refusal(name, value)).toMatch('bad_payload');
    }
  });

  it('ignores fields that it does not know', () => {
    const later = { ...wire(name), later: { any: ['thing'] } };
    expect(decodeCommand(name, unpack(pack(later))).payload).toStrictEqual(EXAMPLES[name]);
  });
});

/** Fields of exactly so many bytes, wherever they are. */
const EXACT_BYTES: { readonly [field: string]: number } = {
  nonce: 8,
  id: 32,
  from: 32,
  to: 32,
  user: 32,
  author: 32,
  channel: 32,
  leader: 32,
  message: 32,
  epoch: 32,
  hash: 32,
  roster_hash: 32,
  fixed: 32,
  fresh: 32,
  binding: 64,
  broadcast: 64,
  tls: 32,
  token: 32,
  sig: 64,
  genesis_sig: 64,
  invite_sig: 64,
  msg_id: 16,
  have: 32,
  round: 16,
  challenge: 16,
  recall: 16,
};

/** Fields of bytes whose size may vary, and the most that they may have; one `proof` shows an election. */
const MOST_BYTES: { readonly [field: string]: number } = {
  s: 16 + limits.BEACON_HEARD_MAX * 56 + limits.BOOTS_KEPT * 24 + 128,
  headers: limits.FRAME_PAYLOAD_BYTES_MAX,
  cert: limits.FRAME_PAYLOAD_BYTES_MAX,
  proof: 256 + limits.MEMBERS_PER_CHANNEL_MAX * (32 + 96),
  name: limits.CHANNEL_NAME_BYTES_MAX + 64,
  msg: limits.PRIVATE_PLAIN_BYTES_MAX + limits.SEALED_OVERHEAD_BYTES,
  conviction: limits.MISBEHAVIOUR_BYTES_MAX,
  data: 4_096,
  request: 1_024,
  genesis: 8_192,
  bytes: 8_192,
};

const TEXT_BYTES: { readonly [field: string]: number } = {
  server_name: 64,
  version: 32,
  name: limits.NICKNAME_BYTES_MAX,
  code: 32,
  about: limits.FRAME_NAME_CHARS_MAX,
  limit: 40,
  message: 512,
};

const { MEMBERS_PER_CHANNEL_MAX } = limits;
/** Lists of alike byte strings, each one byte string on the wire (alike.test.ts). */
const ALIKE = new Set(['records', 'proofs']);
const LIST_MOST: { readonly [field: string]: number } = {
  users: 65_536,
  channels: 65_536,
  electorate: MEMBERS_PER_CHANNEL_MAX,
  grants: MEMBERS_PER_CHANNEL_MAX,
  ballots: MEMBERS_PER_CHANNEL_MAX,
  online: MEMBERS_PER_CHANNEL_MAX,
  anchor: limits.LOCATORS_MAX,
  want: limits.WANT_DIGESTS_MAX,
  set: limits.BRANCHES_LISTED_MAX,
  steps: 256,
};
/** Where a list's limit differs from the above. */
const LIST_MOST_OF: { readonly [command_field: string]: number } = {
  'CH_ACK_REQ.users': MEMBERS_PER_CHANNEL_MAX,
  'CH_MSG_CONFIRM.users': MEMBERS_PER_CHANNEL_MAX,
};

const ENUMS: { readonly [command_field: string]: readonly string[] } = {
  'USR_LST.users[0].status': ['online', 'offline'],
  'USR_ADD.status': ['online', 'offline'],
  'LST_CH.channels[0].status': ['healthy', 'waiting'],
  'CH_GRANT.refused': ['leader', 'log', 'term', 'roster', 'memory'],
  'CH_GRANT.kind': ['roster', 'online'],
  'CH_ELECTED.kind': ['roster', 'online'],
};

const RANGES: { readonly [command_field: string]: readonly [number, number] } = {
  'SINFO.timeout_s': [1, 86_400],
  'SINFO.cnn_s': [1, 3_600],
  'SINFO.payload_bytes_max': [1_024, limits.FRAME_PAYLOAD_BYTES_MAX],
  'CNN_OK.number': [1, Number.MAX_SAFE_INTEGER],
};

const everyField = NAMES.flatMap((name) =>
  paths(wire(name)).map((path) => ({ name, path, value: get(wire(name), path) })),
);
const accepts = (name: CommandName, path: Path, value: unknown) =>
  refusal(name, set(wire(name), path, value)) === 'accepted';
const lastName = (path: Path) => path.findLast((key) => typeof key === 'string') as string;

describe('sizes', () => {
  it('of byte strings are exact, or at most what the table says', () => {
    for (const { name, path, value } of everyField) {
      if (!(value instanceof Uint8Array)) continue;
      const field = lastName(path);
      const inList = typeof path.at(-1) === 'number';
      const exact = inList ? undefined : EXACT_BYTES[field];
      if (exact !== undefined && value.length === exact) {
        const taken = [exact - 1, exact, exact + 1].map((n) =>
          accepts(name, path, new Uint8Array(n)),
        );
        expect([name, label(path), taken]).toStrictEqual([name, label(path), [false, true, false]]);
      } else if (!inList && !ALIKE.has(field)) {
        const most = MOST_BYTES[field]!;
        const taken = [0, most, most + 1].map((n) => accepts(name, path, new Uint8Array(n)));
        expect([name, label(path), taken]).toStrictEqual([name, label(path), [true, true, false]]);
      }
    }
  });

  it('of ids in lists are exact, steps have a limit', () => {
    const most: { readonly [field: string]: readonly [least: number, most: number] } = {
      steps: [0, limits.FRAME_PAYLOAD_BYTES_MAX],
      electorate: [32, 32],
      online: [32, 32],
      users: [32, 32],
      want: [32, 32],
    };
    for (const { name, path, value } of everyField) {
      if (!(value instanceof Uint8Array) || typeof path.at(-1) !== 'number') continue;
      const [min, max] = most[lastName(path)]!;
      expect([
        name,
        label(path),
        accepts(name, path, new Uint8Array(min)),
        accepts(name, path, new Uint8Array(max)),
      ]).toStrictEqual([name, label(path), true, true]);
      expect(accepts(name, path, new Uint8Array(max + 1))).toBe(false);
      if (min > 0) expect(accepts(name, path, new Uint8Array(min - 1))).toBe(false);
    }
  });

  it('of texts count UTF-8 bytes', () => {
    for (const { name, path, value } of everyField) {
      if (typeof value !== 'string' || ENUMS[`${name}.${label(path)}`]) continue;
      const most = TEXT_BYTES[lastName(path)]!;
      const taken = [
        '',
        'x'.repeat(most),
        '€'.repeat(Math.floor(most / 3)),
        'x'.repeat(most + 1),
        '€'.repeat(Math.floor(most / 3) + 1),
      ].map((t) => accepts(name, path, t));
      expect([name, label(path), taken]).toStrictEqual([
        name,
        label(path),
        [true, true, true, false, false],
      ]);
    }
  });

  it('of lists are bounded', () => {
    for (const { name, path, value } of everyField) {
      if (!Array.isArray(value)) continue;
      const field = lastName(path);
      const most = LIST_MOST_OF[`${name}.${field}`] ?? LIST_MOST[field]!;
      const taken = [0, most, most + 1].map((n) => accepts(name, path, Array(n).fill(value[0])));
      expect([name, label(path), taken]).toStrictEqual([name, label(path), [true, true, false]]);
    }
  });
});

describe('values', () => {
  it('of enumerations are the known ones', () => {
    for (const [at, values] of Object.entries(ENUMS)) {
      const { name, path } = everyField.find((f) => `${f.name}.${label(f.path)}` === at)!;
      for (const value of values) expect(accepts(name, path, value)).toBe(true);
      for (const value of ['', 'ONLINE', 'unknown', 'toString', '__proto__', 0, true]) {
        expect([at, value, accepts(name, path, value)]).toStrictEqual([at, value, false]);
      }
    }
  });

  it('of integers have a range', () => {
    for (const { name, path, value } of everyField) {
      if (typeof value !== 'number') continue;
      const [min, max] = RANGES[`${name}.${label(path)}`] ?? [0, Number.MAX_SAFE_INTEGER];
      const taken = [min - 1, min, max, max + 1].map((n) => accepts(name, path, n));
      expect([name, label(path), taken]).toStrictEqual([
        name,
        label(path),
        [false, true, true, false],
      ]);
    }
  });

  it('of integers may come in any width that msgpack has, up to 2^53-1', () => {
    const ints: [string, number][] = [
      ['05', 5],
      ['cc05', 5],
      ['cd0005', 5],
      ['ce00000005', 5],
      ['cf0000000000000005', 5],
      ['d005', 5],
      ['d30000000000000005', 5],
      ['cf001fffffffffffff', Number.MAX_SAFE_INTEGER],
      ['cb4014000000000000', 5],
    ];
    for (const [hex, value] of ints) {
      const head = Buffer.from(pack({ nonce: new Uint8Array(8) }));
      head[0] = 0x82;
      const payload = Buffer.concat([head, Buffer.from(`a974696d657374616d70${hex}`, 'hex')]);
      expect(decodeCommand('INFO', unpack(payload)).payload.timestamp).toBe(value);
    }
  });
});

describe('any value at all', () => {
  it('is decoded or refused with bad_payload', () => {
    const anything = fc.oneof(
      fc.anything({
        withBigInt: true,
        withDate: true,
        withMap: true,
        withSet: true,
        withTypedArray: true,
        withNullPrototype: true,
      }),
      fc.object(),
    );
    fc.assert(
      fc.property(fc.constantFrom(...NAMES), anything, (name, value) => {
        expect(refusal(name, value)).toMatch(/^(accepted|bad_payload: )/);
      }),
      { numRuns: 2_000 },
    );
  });

  it('in the place of any field is decoded or refused with bad_payload', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...everyField),
        fc.anything({ withTypedArray: true, withBigInt: true }),
        ({ name, path }, value) => {
          expect(refusal(name, set(wire(name), path, value))).toMatch(/^(accepted|bad_payload: )/);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('is not taken from a prototype', () => {
    const inherited = Object.create(wire('UCNN')) as object;
    expect(refusal('UCNN', inherited)).toMatch('bad_payload');
    expect(refusal('UCNN', JSON.parse('{"__proto__":{"timestamp":1}}'))).toMatch('bad_payload');
  });
});

describe('names of commands', () => {
  it('are known or refused', () => {
    expect(commandName('CH_MSG')).toBe('CH_MSG');
    for (const name of ['', 'ch_msg', 'CH_MSG ', 'toString', '__proto__', 'constructor']) {
      expect(isCommandName(name)).toBe(false);
      expect(codeOf(() => commandName(name))).toBe('unknown_command');
    }
  });

  it('fit a frame', () => {
    for (const name of NAMES) expect(name).toMatch(/^[A-Z_]{1,16}$/);
  });

  it('under which a relay forwards are broadcast commands that clients take', () => {
    for (const name of NAMES) {
      const { as } = COMMANDS[name] as { as?: string };
      if (as === undefined) continue;
      expect(COMMANDS[commandName(as)]).toMatchObject({
        key: 'broadcast',
        from: expect.stringMatching(/relay|both/),
      });
    }
  });
});

describe('codecs', () => {
  it('name the field that is wrong, with its place', () => {
    const codec = schema.object({ a: schema.list(schema.object({ b: schema.integer() }), 3) });
    const at = (value: unknown) => refusalOf(() => codec.decode(value, ''));
    expect(at({ a: [{ b: 1 }, { b: 'x' }] })).toBe(
      `the field "a[1].b" must be an integer from 0 to ${Number.MAX_SAFE_INTEGER}`,
    );
  });
});

const refusalOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return (error as Error).message;
  }
  return 'accepted';
};
