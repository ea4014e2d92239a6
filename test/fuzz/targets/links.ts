/**
 * Links that are up, at either end: any frame, under the link's own MAC, with a
 * new nonce where it has one, so that what is behind the MAC is reached. And
 * what a member makes of a command that passed.
 */

import type { ChannelState } from '../../../src/core/channel-state.js';
import type { ClientLink } from '../../../src/core/client-link.js';
import { COMMANDS, type CommandName, decodeCommand } from '../../../src/core/commands.js';
import type { UserId } from '../../../src/core/ids.js';
import { inspect } from '../../../src/core/inspect.js';
import { unpack } from '../../../src/core/msgpack.js';
import type { RelayLink } from '../../../src/core/relay-link.js';
import { broadcastKey, type MacKey, sealFrame } from '../../../src/core/seal.js';
import { nativeCrypto } from '../../../src/native/crypto-native.js';
import { CHANNEL } from '../../unit/fixtures/channel.js';
import { mutate } from '../../unit/mutate.js';
import {
  broadcastOf,
  handClient,
  handRelay,
  NOW_S,
  newClient,
  newRelay,
} from '../../unit/wire-helpers.js';
import type { Dice } from '../dice.js';
import { itemsOf, writeItems } from '../documented-values.js';
import type { Shape } from '../grammar.js';
import { readPayload, writeValue } from '../msgpack-twin.js';
import { someBytes } from '../mutations.js';
import * as shapes from '../shapes.js';
import { must, type Target, typed } from '../target.js';
import { someConviction } from './portable.js';
import { commandInput, commandOf } from './wire.js';

/** A link at one end, with the keys of the other. */
interface Up {
  receive(frame: Uint8Array): readonly { readonly type: string; readonly error?: unknown }[];
  readonly own: MacKey;
  readonly broadcast: MacKey | undefined;
}

function relayUp(): Up {
  const relay: RelayLink = newRelay();
  const hand = handClient(relay);
  return {
    receive: (frame) => relay.receive(frame, NOW_S),
    own: hand.keys.toRelay,
    broadcast: undefined,
  };
}

function clientUp(): Up {
  const client: ClientLink = newClient();
  const hand = handRelay(client);
  client.receive(hand.cnnOk!(1, 201), NOW_S);
  return {
    receive: (frame) => client.receive(frame, NOW_S),
    own: hand.keys!.toClient,
    broadcast: broadcastKey(broadcastOf(1).key),
  };
}

const NONCE = Buffer.from('\xa5nonce\xc4\x08', 'latin1');
const FIRST_NONCE = 1_000n;
const CODES_OF_DEATH = ['bad_frame', 'frame_too_large', 'bad_mac', 'bad_payload', 'replayed'];
const CODES_OF_REFUSAL = ['bad_payload', 'unknown_command', 'unexpected_command'];
const FRESH_AFTER = 2_000;

/**
 * Up links that live from case to case, since a handshake costs a millisecond;
 * a case never depends on those before, as its nonces are new.
 */
class LinkPool {
  readonly #make: () => Up;
  #up: Up | undefined;
  #nonce = FIRST_NONCE;
  #cases = 0;

  constructor(make: () => Up) {
    this.#make = make;
  }

  /** What the end makes of a frame with this payload; the link is thrown away where it died. */
  run(
    name: string,
    payload: Uint8Array,
    isForwarded: boolean,
    damage: (f: Uint8Array) => Uint8Array,
  ) {
    this.#up ??= this.#make();
    if (++this.#cases % FRESH_AFTER === 0) this.#up = this.#make();
    const up = this.#up;
    const fresh = Buffer.from(payload);
    const at = fresh.indexOf(NONCE);
    if (at >= 0 && at + NONCE.length + 8 <= fresh.length) {
      fresh.writeBigUInt64BE(++this.#nonce, at + NONCE.length);
    }
    const key = isForwarded && up.broadcast ? up.broadcast : up.own;
    const sealed = sealFrame(nativeCrypto, key, name, new Uint8Array(fresh));
    const frame = damage(sealed);
    const events = up.receive(frame);
    const isWhole = frame === sealed;
    // CNN_OK may bring another broadcast key.
    const isSpent = !isWhole || name === 'CNN_OK' || events.some((e) => e.type === 'error');
    if (isSpent) this.#up = undefined;
    return { events, isWhole };
  }
}

const isForwarded = (name: string): boolean =>
  Object.hasOwn(COMMANDS, name) && COMMANDS[name as CommandName].key === 'broadcast';

const UNKNOWN = 'XYZZY';

/** The first byte: which command. The second: what else is odd about the frame. */
function linkTarget(name: string, what: string, make: () => Up): Target {
  const pool = new LinkPool(make);
  return {
    name,
    what,
    share: 4,
    make(d, seen) {
      const good =
        seen.length > 0 ? d.pick(seen) : commandInput('KALIVE', writeValue(d, KALIVE, NO_LIES));
      const odd = d.oneIn(10) ? 1 + d.int(255) : 0;
      const payload = d.oneIn(3)
        ? mutate(d, good.subarray(1), d.pick(seen.length > 0 ? seen : [good]))
        : good.subarray(1);
      return new Uint8Array(Buffer.concat([good.subarray(0, 1), Uint8Array.of(odd), payload]));
    },
    check(input) {
      const command = input[1] === 1 ? UNKNOWN : commandOf(input);
      const payload = input.subarray(2);
      if (payload.length === 0) return false;
      const odd = input[1] ?? 0;
      const damage = (frame: Uint8Array): Uint8Array => (odd > 1 ? flipped(frame, odd) : frame);
      const { events, isWhole } = pool.run(command, payload, isForwarded(command), damage);
      for (const event of events) checkEvent(event);
      const dies = events.some((e) => e.type === 'error');
      const isMap = readPayload(payload) !== undefined;
      if (isWhole && isMap && hasNonce(payload)) {
        must(!dies || !isHarmless(command), `the link died of ${JSON.stringify(codesOf(events))}`);
      }
      if (isWhole) must(events.length > 0 || isMap, 'a whole frame without a consequence');
      return events.some((e) => e.type !== 'error' && e.type !== 'refused');
    },
  };
}

const KALIVE = { timestamp: NOW_S, nonce: new Uint8Array(8) };
const NO_LIES = { oneIn: 0 };

const flipped = (frame: Uint8Array, odd: number): Uint8Array => {
  const copy = frame.slice();
  copy[(odd * 7) % copy.length]! ^= 1 << (odd & 7);
  return copy;
};

/** Whether a payload has a nonce where a new one was put in. */
const hasNonce = (payload: Uint8Array): boolean => {
  const value = typed(() => unpack(payload), ['bad_payload'])?.value;
  const nonce = value?.nonce;
  const at = Buffer.from(payload).indexOf(NONCE);
  return (
    nonce instanceof Uint8Array &&
    nonce.length === 8 &&
    nonce.byteOffset - payload.byteOffset === at + NONCE.length
  );
};

/** A member's rubbish must not cut others off: what is forwarded, or unknown, is refused alone. */
const isHarmless = (name: string): boolean => name === UNKNOWN || isForwarded(name);

function checkEvent(event: { readonly type: string; readonly error?: unknown }): void {
  if (event.error === undefined) return;
  const codes =
    event.type === 'error'
      ? [...CODES_OF_DEATH, ...CODES_OF_REFUSAL]
      : [...CODES_OF_REFUSAL, 'replayed'];
  typed(() => {
    throw event.error;
  }, codes);
}

const codesOf = (events: readonly { readonly error?: unknown }[]): unknown[] =>
  events.map(({ error }) => (error as { code?: string } | undefined)?.code);

const SELF = '9'.repeat(64) as UserId;

/** What the byte strings of commands hold. */
const INSIDE: { readonly [field: string]: Shape } = {
  s: shapes.anyStatement,
  headers: shapes.headers,
  cert: shapes.certificate,
  proof: shapes.electionProof,
  request: shapes.STATEMENTS.join,
  genesis: shapes.genesis,
  conviction: shapes.misbehaviourProof,
};

/** A value with some of the statements, certificates … inside it changed. */
function damagedInside(d: Dice, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map((item) => damagedInside(d, item));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const shape = INSIDE[key];
      if (!(item instanceof Uint8Array)) return [key, damagedInside(d, item)];
      if (shape && d.oneIn(2)) return [key, someBytes(d, shape, [item])];
      if ((key === 'records' || key === 'proofs') && d.oneIn(4)) {
        return [key, damagedItems(d, key, item)];
      }
      return [key, item];
    }),
  );
}

const ITEMS_MAX = 1_024;

/** Records or proofs with one gone, doubled, or changed within. */
function damagedItems(d: Dice, key: 'records' | 'proofs', bytes: Uint8Array): Uint8Array {
  const kind = key === 'records' ? 'record' : 'proof';
  const items: Uint8Array[] = itemsOf({ is: 'alike', max: ITEMS_MAX, items: kind }, bytes) ?? [];
  if (items.length === 0 || d.oneIn(6)) return mutate(d, bytes, bytes);
  const at = d.int(items.length);
  const item = new Uint8Array(items[at]!);
  const changed = someBytes(d, kind === 'record' ? shapes.record : shapes.proof, [item]);
  items.splice(at, d.int(2), ...d.pick([[], [item, item], [changed], [d.pick(items)]]));
  return writeItems(items);
}

const INSPECT_CODES = [
  'bad_payload',
  'bad_encoding',
  'bad_record',
  'bad_certificate',
  'bad_genesis',
  'bad_relay_url',
  'bad_membership',
  'bad_page',
  ...['bad_proof', 'proof_version', 'proof_too_large'],
];

/** A channel that has no proof of misbehaviour yet, of which anybody is a member. */
const ACCUSED = {
  convictions: new Map(),
  roster: { members: { has: () => true }, departed: { has: () => false } },
} as unknown as ChannelState;

/** A command with a proof of misbehaviour that is most often good. */
const accusing = (d: Dice, value: object): object => ({
  ...value,
  id: new Uint8Array(Buffer.from(CHANNEL, 'hex')),
  conviction: someConviction(d),
});
const SIGNATURE_BYTES = 64;

const inspected: Target = {
  name: 'inspect',
  what: 'commands as a member takes them: statements, records, certificates and proofs inside, damaged each by itself',
  share: 60,
  make(d, seen) {
    if (seen.length === 0) return new Uint8Array(1);
    const good = d.pick(seen);
    const taken = unpack(good.subarray(1));
    const isAccusing = commandOf(good) === 'CH_PROOF';
    const value = damagedInside(d, isAccusing ? accusing(d, taken) : taken);
    return new Uint8Array(Buffer.concat([good.subarray(0, 1), writeValue(d, value, NO_LIES)]));
  },
  check(input) {
    const name = commandOf(input);
    const command = typed(() => decodeCommand(name, unpack(input.subarray(1))), ['bad_payload']);
    if (!command) return false;
    let hashed = 0;
    const hash = (data: Uint8Array): Uint8Array => {
      hashed += data.length;
      return nativeCrypto.sha256(data);
    };
    const channel = () => (name === 'CH_PROOF' ? ACCUSED : undefined);
    const context = { hash, self: SELF, channel };
    const found = typed(() => inspect(context, command.value), INSPECT_CODES);
    const items = itemsIn(command.value.payload);
    must(
      hashed <= 20 * (input.length + 648 * items) + 4_096,
      `${input.length} bytes cost ${hashed} of hashing`,
    );
    const checks = found?.value?.checks ?? [];
    const most = Math.ceil(input.length / SIGNATURE_BYTES) + 3 * items + 2;
    must(checks.length <= most, `${input.length} bytes ask for ${checks.length} signatures`);
    for (const { sig, by } of checks)
      must(sig instanceof Uint8Array && by.length === 64, 'a check of nothing');
    return found?.value !== undefined;
  },
};

const itemsIn = (value: unknown): number => {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return 0;
  if (Array.isArray(value)) return value.length + value.reduce((sum, v) => sum + itemsIn(v), 0);
  return Object.values(value).reduce((sum, v) => sum + itemsIn(v), 0);
};

export const LINK_TARGETS: readonly Target[] = [
  linkTarget('link-relay', "a relay's end of a link that is up, under right MACs", relayUp),
  linkTarget('link-client', "a client's end of a link that is up, under right MACs", clientUp),
  inspected,
];
