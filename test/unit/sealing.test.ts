/**
 * HPKE (docs/PROTOCOL.md, section "Keys") against test/vectors/hpke.json
 * (RFC 9180's facts for this suite), with hostile keys and damaged bytes; and
 * the sealing key that follows from an identity.
 */

import { readFileSync } from 'node:fs';
import { shake128 } from '@noble/hashes/sha3.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import {
  AEAD_AES_256_GCM,
  CipherSuite,
  KDF_HKDF_SHA256,
  KEM_DHKEM_X25519_HKDF_SHA256,
  type SenderContext,
} from 'hpke';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/core/bytes.js';
import { portableCrypto } from '../../src/core/crypto-portable.js';
import { hex32, type UserId } from '../../src/core/ids.js';
import { linkIdentity } from '../../src/core/keys.js';
import {
  readSealingKey,
  SHOWN_KEY_BYTES,
  sealingSecret,
  showSealingKey,
} from '../../src/core/sealing-key.js';
import { nativeCrypto as crypto } from '../../src/native/crypto-native.js';
import {
  open,
  SEALED_OVERHEAD_BYTES,
  seal,
  sealingKey,
  sealingKeyOf,
} from '../../src/node/sealing.js';

const json = (name: string) =>
  JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8'));
const vector: Record<string, string> = json('hpke');
const bytes = (name: string): Uint8Array => hexToBytes(vector[name]!);

/** The library's sender with the ephemeral key that the vector gives. */
function vectorSender() {
  const fixed = () => {
    const kem = KEM_DHKEM_X25519_HKDF_SHA256();
    return { ...kem, GenerateKeyPair: () => kem.DeriveKeyPair(bytes('ikm_e'), true) };
  };
  return new CipherSuite(fixed, KDF_HKDF_SHA256, AEAD_AES_256_GCM);
}

async function sending(): Promise<{ enc: Uint8Array; sender: SenderContext }> {
  const suite = vectorSender();
  const key = await suite.DeserializePublicKey(bytes('public_r'));
  const made = await suite.SetupSender(key, { info: bytes('info') });
  return { enc: made.encapsulatedSecret, sender: made.ctx };
}

function drawing() {
  const stream = shake128.create({ dkLen: 32 });
  return () => stream.xof(stream.xof(1)[0]!);
}

const join = (...parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));
const seed = new Uint8Array(32).fill(7);
const user = hex32<UserId>(crypto.ed25519PublicKey(seed));

describe('HPKE, test/vectors/hpke.json', () => {
  it('derives the key pair of the vector', async () => {
    const suite = vectorSender();
    const { publicKey, privateKey } = await suite.DeriveKeyPair(bytes('ikm_r'), true);
    expect(bytesToHex(await suite.SerializePublicKey(publicKey))).toBe(vector.public_r);
    expect(bytesToHex(await suite.SerializePrivateKey(privateKey))).toBe(vector.secret_r);
  });

  it('encapsulates and encrypts as the vector says, 1,000 times', async () => {
    const { enc, sender } = await sending();
    expect(bytesToHex(enc)).toBe(vector.encapsulated);
    const draw = drawing();
    const sink = shake128.create({ dkLen: 16 });
    for (let i = 0; i < 1_000; i++) {
      const aad = draw();
      sink.update(await sender.Seal(draw(), aad));
    }
    expect(bytesToHex(sink.digest())).toBe(vector.encryptions_accumulated);
  });

  it('exports as the vector says, 1,000 times', async () => {
    const { sender } = await sending();
    const draw = drawing();
    const sink = shake128.create({ dkLen: 16 });
    for (let i = 0; i < 1_000; i++) sink.update(await exported(sender, draw(), i));
    expect(bytesToHex(sink.digest())).toBe(vector.exports_accumulated);
  });

  it('opens what the sender of the vector sealed', async () => {
    const { enc, sender } = await sending();
    const ciphertext = await sender.Seal(utf8('seal me'));
    const key = await sealingKeyOf(crypto, bytes('secret_r'));
    expect(bytesToHex(key.publicKey)).toBe(vector.public_r);
    expect(await open(key, bytes('info'), join(enc, ciphertext))).toStrictEqual(utf8('seal me'));
  });
});

/** WebCrypto has no HKDF output of nothing to give. */
const exported = (sender: SenderContext, context: Uint8Array, length: number) =>
  length === 0 ? new Uint8Array(0) : sender.Export(context, length);

describe('seal and open', () => {
  const info = utf8('for this');

  it('give back what went in, of any length, and never the same twice', async () => {
    const key = await sealingKey(crypto, seed);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.uint8Array(), async (plain, about) => {
        const sealed = await seal(key.publicKey, about, plain);
        expect(sealed.length).toBe(plain.length + SEALED_OVERHEAD_BYTES);
        expect(await open(key, about, sealed)).toStrictEqual(plain);
        expect(await seal(key.publicKey, about, plain)).not.toStrictEqual(sealed);
      }),
      { numRuns: 50 },
    );
  });

  it('refuse every changed byte, every shorter form, another info and another key', async () => {
    const key = await sealingKey(crypto, seed);
    const sealed = await seal(key.publicKey, info, utf8('text'));
    const bad: Promise<Uint8Array>[] = [];
    for (let i = 0; i < sealed.length; i++) {
      bad.push(
        open(
          key,
          info,
          sealed.map((byte, at) => (at === i ? byte ^ 1 : byte)),
        ),
      );
      bad.push(open(key, info, sealed.slice(0, i)));
    }
    bad.push(open(key, utf8('for that'), sealed));
    bad.push(
      open(
        await sealingKey(
          crypto,
          seed.map((b) => b + 1),
        ),
        info,
        sealed,
      ),
    );
    for (const outcome of await Promise.allSettled(bad)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'bad_seal' } });
    }
  });

  const hostile: { name: string; public_key: string; shared: string | null }[] =
    json('crypto').x25519.cases;
  const refused = hostile.filter((c) => c.shared === null);

  it.each(refused)('refuse a key that gives an all-zero secret: $name', async ({ public_key }) => {
    const zero = hexToBytes(public_key);
    await expect(seal(zero, info, utf8('text'))).rejects.toMatchObject({ code: 'bad_key' });
    const key = await sealingKey(crypto, seed);
    const sealed = join(zero, new Uint8Array(20));
    await expect(open(key, info, sealed)).rejects.toMatchObject({ code: 'bad_seal' });
  });
});

describe('a sealing key', () => {
  it('follows from the seed, on both crypto ports, and is not the fixed key of links', async () => {
    const secret = sealingSecret(crypto, seed);
    expect(sealingSecret(portableCrypto, seed)).toStrictEqual(secret);
    expect(bytesToHex(secret)).toBe(
      'b2d124721ae0e0030c78f7493a97d0af94ffa494e5207ee299a5c6aff38f502f',
    );
    const link = linkIdentity(crypto, seed);
    expect(secret).not.toStrictEqual(link.fixedSecret);
    expect((await sealingKey(crypto, seed)).publicKey).not.toStrictEqual(link.fixed);
  });

  it('is shown with its owner’s signature', async () => {
    const shown = showSealingKey(crypto, { user, seed });
    expect(shown.length).toBe(SHOWN_KEY_BYTES);
    expect(showSealingKey(portableCrypto, { user, seed })).toStrictEqual(shown);
    const { publicKey } = await sealingKey(crypto, seed);
    expect(readSealingKey(crypto, user, shown)).toStrictEqual(publicKey);
  });

  it('is refused when anything of it is changed, cut, added to, or shown by another', () => {
    const shown = showSealingKey(crypto, { user, seed });
    const other = hex32<UserId>(crypto.ed25519PublicKey(seed.map((b) => b + 1)));
    const bad: [UserId, Uint8Array][] = [
      [other, shown],
      [user, join(shown, Uint8Array.of(0))],
    ];
    for (let i = 0; i < shown.length; i++) {
      bad.push([user, shown.map((byte, at) => (at === i ? byte ^ 1 : byte))]);
      bad.push([user, shown.slice(0, i)]);
    }
    for (const [who, what] of bad) {
      const read = () => readSealingKey(crypto, who, what);
      expect(read).toThrow(expect.objectContaining({ code: 'bad_sealing_key' }));
    }
  });
});
