/**
 * Hostile bytes against the handshake and links that are up: whatever comes, a
 * typed error or something valid comes out, and who changed a byte of the
 * handshake connects nobody. Frames, payloads and all that is decoded are for
 * the fuzzer (test/fuzz, docs/fuzzing.md). The seed is printed;
 * CONCLAVE_FUZZ_SEED and CONCLAVE_FUZZ_CASES choose others. A failure names its
 * case, whose input depends on nothing but the seed and its number.
 */

import { describe, expect, it } from 'vitest';
import { COMMANDS, type CommandName, commandName, encodePayload } from '../../src/core/commands.js';
import { ConclaveError } from '../../src/core/errors.js';
import { pack, unpack } from '../../src/core/msgpack.js';
import {
  broadcastKey,
  type MacKey,
  OPEN_TO_CLIENT,
  OPEN_TO_RELAY,
  sealFrame,
} from '../../src/core/seal.js';
import { nativeCrypto } from '../../src/native/crypto-native.js';
import { EXAMPLES } from './command-examples.js';
import { type Dice, dice, mutate, mutateValue } from './mutate.js';
import {
  broadcastOf,
  handClient,
  handRelay,
  NOW_S,
  newClient,
  newRelay,
  type outcomes,
  parse,
  sent,
} from './wire-helpers.js';

const SEED = Number(process.env.CONCLAVE_FUZZ_SEED ?? 1_702_622_553);
const CASES = Number(process.env.CONCLAVE_FUZZ_CASES ?? 12_000);
const TIMEOUT_MS = 120_000;
console.log(`fuzz-wire: seed ${SEED}, ${CASES} cases`);

let done = 0;

/** Runs a share of the cases; each has dice of its own. */
function cases(part: number, share: number, run: (d: Dice) => void): void {
  const count = Math.ceil(CASES * share);
  done += count;
  for (let i = 0; i < count; i++) {
    try {
      run(dice(SEED + part * 0x1000_0000 + i * 2_654_435_761));
    } catch (cause) {
      throw new Error(`seed ${SEED}, part ${part}, case ${i}: ${cause}`, { cause });
    }
  }
}

const NAMES = Object.keys(COMMANDS) as CommandName[];
const PAYLOADS = NAMES.map((name) => pack(encodePayload(name, EXAMPLES[name])).slice());
const payloadFor = (name: CommandName) => PAYLOADS[NAMES.indexOf(name)]!;
const FRAMES = NAMES.map((name) => sealFrame(nativeCrypto, OPEN_TO_RELAY, name, payloadFor(name)));

/** The code of a typed error; anything else goes on up and fails the case. */
function typed(error: unknown, allowed: readonly string[]): string {
  if (!(error instanceof ConclaveError)) throw error;
  expect(allowed).toContain(error.code);
  return error.code;
}

const FATAL = [
  'bad_frame',
  'frame_too_large',
  'bad_mac',
  'bad_payload',
  'bad_key',
  'bad_binding',
  'protocol_version',
  'relay_refused',
  'replayed',
  'unexpected_command',
  'unknown_command',
];

/** Every event is one that a driver knows, every error typed; true when the link was connected. */
function checkEvents(events: Parameters<typeof outcomes>[0]): boolean {
  for (const event of events) {
    if ('error' in event) typed(event.error, FATAL);
  }
  return events.some((event) => event.type === 'connected');
}

/** The frame damaged as bytes, or its payload damaged under a new signature when there is a key for it. */
function damage(d: Dice, frame: Uint8Array, key: MacKey | undefined): Uint8Array {
  if (key === undefined || d.oneIn(3)) return mutate(d, frame, d.pick(FRAMES));
  const { name, payload } = parse(frame);
  const damaged = d.oneIn(2)
    ? mutate(d, payload, d.pick(PAYLOADS))
    : pack(mutateValue(d, unpack(payload)) as object);
  return sealFrame(nativeCrypto, key, name, damaged);
}

describe('the handshake', () => {
  /** Damage behind a frame leaves the frame whole. */
  const whole = (frame: Uint8Array, came: Uint8Array) =>
    Buffer.compare(frame, came.subarray(0, frame.length)) === 0;

  it('with a damaged INFO or SINFO connects nobody', { timeout: TIMEOUT_MS }, () => {
    cases(1, 0.18, (d) => {
      const client = newClient();
      const relay = newRelay();
      const info = client.start(NOW_S);
      const hostileInfo = d.oneIn(2) ? damage(d, info, OPEN_TO_RELAY) : info;
      const answer = relay.receive(hostileInfo, NOW_S);
      expect(checkEvents(answer)).toBe(false);
      const sinfo = sent(answer);
      const hostileSinfo =
        sinfo.length > 0 && d.oneIn(2) ? damage(d, sinfo, OPEN_TO_CLIENT) : sinfo;
      const cnn = client.receive(hostileSinfo, NOW_S);
      expect(checkEvents(cnn)).toBe(false);
      const connects = checkEvents(relay.receive(sent(cnn), NOW_S));
      const undamaged = hostileInfo === info && hostileSinfo === sinfo;
      if (connects) expect(whole(info, hostileInfo) && whole(sinfo, hostileSinfo)).toBe(true);
      else expect(undamaged).toBe(false);
    });
  });

  it('with a damaged CNN or CNN_OK connects nobody', { timeout: TIMEOUT_MS }, () => {
    cases(2, 0.18, (d) => {
      const client = newClient();
      const relay = newRelay();
      const cnn = sent(client.receive(sent(relay.receive(client.start(NOW_S), NOW_S)), NOW_S));
      const hostileCnn = d.oneIn(2) ? damage(d, cnn, d.oneIn(4) ? OPEN_TO_RELAY : undefined) : cnn;
      const answer = relay.receive(hostileCnn, NOW_S);
      expect(checkEvents(answer)).toBe(whole(cnn, hostileCnn));
      const cnnOk = sent(answer);
      if (cnnOk.length === 0) return;
      const hostileOk = damage(d, cnnOk, d.oneIn(4) ? OPEN_TO_CLIENT : undefined);
      const connects = checkEvents(client.receive(hostileOk, NOW_S));
      expect(connects).toBe(whole(cnnOk, hostileOk));
    });
  });

  it('with a client that fills CNN with anything, well signed', { timeout: TIMEOUT_MS }, () => {
    const fields = [
      'id',
      'name',
      'fixed',
      'binding',
      'fresh',
      'nonce',
      'protocol_version',
    ] as const;
    let refused = 0;
    cases(3, 0.09, (d) => {
      const change: { [field: string]: unknown } = {};
      for (let i = 1 + d.int(2); i > 0; i--) {
        const field = d.pick(fields);
        change[field] =
          field === 'id'
            ? Buffer.from(d.bytes(32)).toString('hex')
            : d.bytes(d.pick([8, 31, 32, 64]));
        if (field === 'name') change[field] = 'x'.repeat(d.int(80));
        if (field === 'protocol_version') change[field] = d.int(3);
      }
      try {
        if (!checkEvents(handClient(newRelay(), change).events)) refused++;
      } catch (error) {
        // A client that can't even make such keys itself.
        typed(error, ['bad_key']);
      }
    });
    expect(refused).toBeGreaterThan(0);
  });
});

describe('a link that is up', () => {
  it('at the relay: any command in any state of damage', { timeout: TIMEOUT_MS }, () => {
    let relay = newRelay();
    let hand = handClient(relay);
    cases(4, 0.275, (d) => {
      const i = d.int(NAMES.length);
      const frame = sealFrame(nativeCrypto, hand.keys.toRelay, NAMES[i]!, PAYLOADS[i]!);
      const events = relay.receive(
        damage(d, frame, d.oneIn(10) ? undefined : hand.keys.toRelay),
        NOW_S,
      );
      checkEvents(events);
      for (const event of events) if (event.type === 'command') commandName(event.name);
      // A frame that was cut short waits for its end, so it dies with this case as well.
      if (events.length === 0 || events.some((e) => e.type === 'error')) {
        relay = newRelay();
        hand = handClient(relay);
      }
    });
  });

  it('at the client: any command in any state of damage', { timeout: TIMEOUT_MS }, () => {
    const up = () => {
      const client = newClient();
      const hand = handRelay(client);
      client.receive(hand.cnnOk!(1, 201), NOW_S);
      return { client, toClient: hand.keys!.toClient };
    };
    const broadcast = broadcastKey(broadcastOf(1).key);
    let { client, toClient } = up();
    cases(5, 0.275, (d) => {
      const i = d.int(NAMES.length);
      const key = COMMANDS[NAMES[i]!].key === 'broadcast' ? broadcast : toClient;
      const frame = sealFrame(nativeCrypto, key, NAMES[i]!, PAYLOADS[i]!);
      const events = client.receive(damage(d, frame, d.oneIn(10) ? undefined : key), NOW_S);
      checkEvents(events);
      if (events.length === 0 || events.some((e) => e.type === 'error'))
        ({ client, toClient } = up());
    });
  });
});

describe('all of it', () => {
  it('were as many cases as asked for', () => {
    expect(done).toBeGreaterThanOrEqual(CASES);
  });
});
