/**
 * What a link says of the TLS around it and of a registration token
 * (docs/PROTOCOL.md, sections "TLS" and "Registration"): a certificate that is
 * not the relay's own ends the link, and nobody but the relay can use a proof.
 */

import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/core/bytes.js';
import { ClientLink, type TlsSeen } from '../../src/core/client-link.js';
import { decodeCommand } from '../../src/core/commands.js';
import { FrameParser } from '../../src/core/frame.js';
import { agreeAsClient, tokenProof } from '../../src/core/keys.js';
import { unpack } from '../../src/core/msgpack.js';
import { type RelayInfo, RelayLink } from '../../src/core/relay-link.js';
import { nativeCrypto as crypto } from '../../src/native/crypto-native.js';
import {
  ALICE,
  BOB,
  broadcastOf,
  INFO,
  NOW_S,
  outcomes,
  RELAY,
  randomFrom,
  sent,
} from './wire-helpers.js';

const CERT = new Uint8Array(32).fill(7);
const OTHER_CERT = new Uint8Array(32).fill(8);
const TOKEN = utf8('correct horse battery staple');

interface Ends {
  readonly clientToken?: Uint8Array;
  readonly relayToken?: Uint8Array;
  readonly tls?: TlsSeen;
  readonly named?: Uint8Array;
}

function shake({ clientToken, relayToken, tls, named }: Ends) {
  const client = new ClientLink({
    ...{ crypto, identity: ALICE, name: 'alice', random: randomFrom(5), relayKey: RELAY.user },
    token: clientToken,
  });
  const info: RelayInfo = named ? { ...INFO, tls: named } : INFO;
  const relay = new RelayLink({
    ...{ crypto, identity: RELAY, random: randomFrom(6), info, broadcast: () => broadcastOf(1) },
    token: () => relayToken,
  });
  const onSinfo = client.receive(sent(relay.receive(client.start(NOW_S, tls), NOW_S)), NOW_S);
  const cnn = sent(onSinfo);
  return {
    onSinfo: outcomes(onSinfo),
    cnn,
    onCnn: cnn.length > 0 ? relay.receive(cnn, NOW_S) : [],
  };
}

const hasToken = (ends: Ends) =>
  shake(ends).onCnn.flatMap((event) => (event.type === 'connected' ? [event.hasToken] : []));

describe('TLS', () => {
  const seen = (certificate: Uint8Array, isVouchedFor = false): TlsSeen => ({
    certificate,
    isVouchedFor,
  });

  it('with the certificate that the relay names is taken, whoever made it', () => {
    expect(shake({ tls: seen(CERT), named: CERT }).onSinfo).toEqual(['send']);
  });

  it('with another certificate ends the link before CNN, even one that an authority vouches for', () => {
    for (const isVouchedFor of [false, true]) {
      const { onSinfo, cnn } = shake({ tls: seen(OTHER_CERT, isVouchedFor), named: CERT });
      expect(onSinfo).toEqual(['error tls_certificate']);
      expect(cnn).toHaveLength(0);
    }
  });

  it('that somebody ends before the relay needs an authority', () => {
    expect(shake({ tls: seen(CERT, true) }).onSinfo).toEqual(['send']);
    expect(shake({ tls: seen(CERT, false) }).onSinfo).toEqual(['error tls_certificate']);
  });

  it('is not asked for without it', () => {
    expect(shake({}).onSinfo).toEqual(['send']);
  });
});

describe('a registration token', () => {
  it('is proven, and an absent or wrong one is not', () => {
    expect(hasToken({ clientToken: TOKEN, relayToken: TOKEN })).toEqual([true]);
    expect(hasToken({ clientToken: utf8('wrong'), relayToken: TOKEN })).toEqual([false]);
    expect(hasToken({ relayToken: TOKEN })).toEqual([false]);
    expect(hasToken({ clientToken: TOKEN })).toEqual([false]);
  });

  it('does not travel: its proof has 32 bytes, however long it is', () => {
    for (const token of [TOKEN, utf8('x'.repeat(4_096))]) {
      const { cnn } = shake({ clientToken: token });
      expect(Buffer.from(cnn).indexOf(token)).toBe(-1);
      const [frame] = new FrameParser({ payloadBytesMax: 1_024 }).push(cnn);
      expect(unpack(frame!.payload).token).toHaveLength(32);
    }
  });

  it('has a proof of its own for each client, relay and set of keys', () => {
    const secrets = (fresh: number) =>
      agreeAsClient(
        crypto,
        { fixed: ALICE.fixedSecret, fresh: new Uint8Array(32).fill(fresh) },
        { id: RELAY.user, fixed: RELAY.fixed, fresh: crypto.x25519PublicKey(randomFrom(1)(32)) },
      );
    const ids = { client: ALICE.user, relay: RELAY.user };
    const proofs = [
      tokenProof(crypto, secrets(1), TOKEN, ids),
      tokenProof(crypto, secrets(2), TOKEN, ids),
      tokenProof(crypto, secrets(1), utf8('another token'), ids),
      tokenProof(crypto, secrets(1), TOKEN, { ...ids, client: BOB.user }),
      tokenProof(crypto, secrets(1), TOKEN, { ...ids, relay: BOB.user }),
    ];
    expect(new Set(proofs.map((proof) => Buffer.from(proof).toString('hex'))).size).toBe(5);
  });

  it('of another size is refused by the schema', () => {
    const [frame] = new FrameParser({ payloadBytesMax: 1_024 }).push(shake({}).cnn);
    const payload = { ...unpack(frame!.payload), token: new Uint8Array(33) };
    expect(() => decodeCommand('CNN', payload)).toThrow(/token/);
  });
});
