/** test/vectors/proofs.json: portable proofs, and those that prove nothing. */

import { keyOf, sealedBody } from './bodies.js';
import { alice, bob, ENCODING, frank, id, KEYS, TIME, ulidOf } from './common.js';
import { bytes, type Hex, list, signed, text, u8, utf8 } from './encoding.js';
import {
  ANYONE,
  CHANNEL_ID,
  GENESIS,
  GrowingChannel,
  type StepOptions,
} from './growing-channel.js';
import { growth } from './growth.js';

/** `{t: text}` in msgpack. */
const messageBody = (said: string): Hex => `81a174${u8(0xa0 + said.length)}${utf8(said)}`;

const SAID = 'hello';
const body = messageBody(SAID);

interface Parts {
  readonly genesis?: Hex;
  readonly sig?: Hex;
  readonly steps: readonly Hex[];
  readonly inclusion: Hex;
  readonly disclosure?: Hex;
  readonly version?: number;
  readonly kind?: number;
}

const proofOf = ({
  genesis = GENESIS,
  sig = signed(alice, GENESIS),
  steps,
  inclusion,
  disclosure = '',
  version = 0,
  kind = 0,
}: Parts): Hex =>
  text('conclave/proof') +
  u8(version) +
  u8(kind) +
  bytes(genesis) +
  sig +
  list(steps, bytes) +
  bytes(inclusion) +
  bytes(disclosure);

/** A message in the place of the change of membership that a step would have. */
function messageIn(channel: GrowingChannel, options: StepOptions = {}) {
  const open = { key: frank.user, uses: 1, expires: 0, invitee: ANYONE, isArchive: false };
  const change = { kind: 'message', id: ulidOf(900), n: 77, body, time: TIME, ...options.change };
  const author = channel.state.number === 0 ? alice : bob;
  return channel.stepOf(author, 'invite', open, { ...options, change });
}

const CHANNEL_KEY = keyOf(id('the key of a proven message'), CHANNEL_ID);

/** The same with an encrypted body, and the key of that message. */
function sealedIn(channel: GrowingChannel, { spoilt = false } = {}) {
  const change = { keyEpoch: 1 };
  const plain = messageIn(channel, { change: { ...change, body: '' } });
  const header = plain.record.slice(0, -8);
  const { body: sealed, message_key } = sealedBody(
    CHANNEL_KEY,
    id('a nonce').slice(0, 48),
    header,
    body,
  );
  const made = messageIn(channel, {
    change: { ...change, body: spoilt ? flipped(sealed, -1) : sealed },
  });
  return { ...made, message_key };
}

const flipped = (hex: Hex, at: number): Hex => {
  const from = at < 0 ? hex.length + 2 * at : 2 * at;
  const byte = Number.parseInt(hex.slice(from, from + 2), 16) ^ 1;
  return hex.slice(0, from) + u8(byte) + hex.slice(from + 2);
};

export function proofVectors() {
  const young = new GrowingChannel();
  const first = messageIn(young);
  const channel = new GrowingChannel();
  const steps = growth(channel).map(({ step }) => step);
  const near = messageIn(channel);
  const far = messageIn(channel, { behind: 3 });
  const sealed = sealedIn(channel);
  const proven = (
    what: string,
    parts: Parts,
    made: typeof near,
    author: string,
    seq: number,
    text: string | null = SAID,
  ) => {
    const certified = { seq: made.end.seq, roster: parts.steps.length };
    const shown = { channel: CHANNEL_ID, seq, digest: made.digest, author, text, certified };
    return { what, bytes: proofOf(parts), shown };
  };
  const seq = near.end.seq;
  const parts = { steps, inclusion: far.step };
  const whole = proofOf(parts);
  const refused = (what: string, breaks: string, changed: Partial<Parts>) => ({
    what,
    breaks,
    bytes: proofOf({ ...parts, ...changed }),
  });
  const said = (options: StepOptions): Partial<Parts> => ({
    inclusion: messageIn(channel, { behind: 3, ...options }).step,
  });
  return {
    description: [
      'Portable proofs (docs/PROTOCOL.md, section "Portable proofs"). An implementation passes when it',
      'accepts each of `valid` and finds in it what `shown` says: the channel, the place and the digest',
      'of the record, its author, its text (null: it does not show it), and which seq is certified by the',
      'voters of which roster; and when it refuses each of `refused`. `breaks` is the rule that is broken:',
      '`encoding`; `version`; `signature`; `membership` (a step is not valid on the roster before it);',
      '`certificate`; `disclosure` (its key does not open the message). A text file of a proof is',
      '`armoured`, that of the first of `valid`.',
      ENCODING,
    ].join(' '),
    keys: KEYS,
    valid: [
      proven('in a channel of one', { steps: [], inclusion: first.step }, first, alice.user, 2),
      proven('certified at its own place', { steps, inclusion: near.step }, near, bob.user, seq),
      proven('certified three entries further on', parts, far, bob.user, seq),
      proven(
        'an encrypted message, not opened',
        { steps, inclusion: sealed.step },
        sealed,
        bob.user,
        seq,
        null,
      ),
      proven(
        'an encrypted message, with its key',
        { steps, inclusion: sealed.step, disclosure: sealed.message_key },
        sealed,
        bob.user,
        seq,
      ),
    ],
    armoured: armour(proofOf({ steps: [], inclusion: first.step })),
    refused: [
      { what: 'no bytes at all', breaks: 'encoding', bytes: '' },
      { what: 'the last byte missing', breaks: 'encoding', bytes: whole.slice(0, -2) },
      { what: 'a byte after its end', breaks: 'encoding', bytes: `${whole}00` },
      { what: 'another tag', breaks: 'encoding', bytes: flipped(whole, 4) },
      refused('a later version', 'version', { version: 1 }),
      refused('an unknown kind', 'version', { kind: 9 }),
      refused('a key of another length', 'version', { disclosure: '00' }),
      refused('a key for what is not encrypted', 'disclosure', { disclosure: sealed.message_key }),
      refused('another key than that of the message', 'disclosure', {
        inclusion: sealed.step,
        disclosure: flipped(sealed.message_key, 0),
      }),
      refused('a key that the message commits to, and that does not open it', 'disclosure', {
        inclusion: sealedIn(channel, { spoilt: true }).step,
        disclosure: sealed.message_key,
      }),
      refused('a founder who did not sign', 'signature', { sig: signed(bob, GENESIS) }),
      refused('the genesis of another channel', 'signature', { genesis: flipped(GENESIS, -1) }),
      refused('a change of membership left out', 'certificate', { steps: steps.slice(0, -1) }),
      refused('a change of membership twice', 'certificate', { steps: [...steps, steps.at(-1)!] }),
      refused('changes in another order', 'certificate', { steps: [...steps].reverse() }),
      refused('a record that its author did not sign', 'signature', said({ signer: frank })),
      refused('a record of another channel', 'certificate', said({ change: { channel: id('x') } })),
      refused('another seq', 'certificate', said({ said: { seq: seq + 1 } })),
      refused('another entry before it', 'certificate', said({ said: { prevHash: id('x') } })),
      refused('another record than the certified one', 'certificate', {
        ...said({ said: channel.recordOf(bob, 'leave', {}) }),
      }),
    ],
  };
}

function armour(proof: Hex): string {
  const lines = Buffer.from(proof, 'hex')
    .toString('base64')
    .replace(/.{64}/g, '$&\n')
    .replace(/\n$/, '');
  return `-----BEGIN CONCLAVE PROOF-----\n${lines}\n-----END CONCLAVE PROOF-----\n`;
}
