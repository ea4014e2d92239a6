/**
 * Writes test/vectors/crypto.json: published known answers, derived ones, and
 * hostile inputs. It is deterministic, and a unit test compares the file with
 * what it makes. Run `npx tsx scripts/make-crypto-vectors.ts`, then `npx biome
 * check --write test/vectors/crypto.json`.
 *
 * It does not use the crypto ports, so that its vectors can judge them: derived
 * answers are OpenSSL's, called directly, and hostile inputs are decided in
 * hostile-ed25519.ts.
 */

import { createHash, createHmac, hkdfSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { x25519 } from '@noble/curves/ed25519.js';
import { numberToBytesLE } from '@noble/curves/utils.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha3_256 } from '@noble/hashes/sha3.js';
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import {
  hostileVerifyCases,
  publicKeyCases,
  type Rule,
  type VerifyCase,
} from './hostile-ed25519.js';

const textHex = (text: string): string => bytesToHex(utf8ToBytes(text));
/** `length` bytes that count up from `first`, modulo 256. */
const counting = (length: number, first = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => first + i);

/** FIPS 180-4 examples; the other lengths are around the end of a block. */
function sha256Cases() {
  const published: [string, string][] = [
    ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    [
      'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
      '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
    ],
  ];
  return [
    ...published.map(([text, digest]) => ({
      name: `FIPS 180-4, "${text}"`,
      message: textHex(text),
      digest,
    })),
    ...[55, 56, 63, 64, 65, 300].map((length) => ({
      name: `derived, ${length} bytes`,
      message: bytesToHex(counting(length)),
      digest: createHash('sha256').update(counting(length)).digest('hex'),
    })),
  ];
}

/** NIST "HMAC_SHA3-512.pdf", samples 1 to 3: keys under, at and over the block of 72 bytes. */
const NIST_HMAC = [
  {
    keyBytes: 64,
    text: 'Sample message for keylen<blocklen',
    mac:
      '4efd629d6c71bf86162658f29943b1c308ce27cdfa6db0d9c3ce81763f9cbce5' +
      'f7ebe9868031db1a8f8eb7b6b95e5c5e3f657a8996c86a2f6527e307f0213196',
  },
  {
    keyBytes: 72,
    text: 'Sample message for keylen=blocklen',
    mac:
      '544e257ea2a3e5ea19a590e6a24b724ce6327757723fe2751b75bf007d80f6b3' +
      '60744bf1b7a88ea585f9765b47911976d3191cf83c039f5ffab0d29cc9d9b6da',
  },
  {
    keyBytes: 136,
    text: 'Sample message for keylen>blocklen',
    mac:
      '5f464f5e5b7848e3885e49b2c385f0694985d0e38966242dc4a5fe3fea4b37d4' +
      '6b65ceced5dcf59438dd840bab22269f0ba7febdb9fcf74602a35666b2a32915',
  },
];

function hmacCases() {
  const published = NIST_HMAC.map(({ keyBytes, text, mac }, i) => ({
    name: `NIST sample ${i + 1}`,
    key: bytesToHex(counting(keyBytes)),
    parts: [textHex(text)],
    mac,
  }));
  const inThree = published.map(({ key, parts: [text], mac }, i) => ({
    name: `NIST sample ${i + 1}, in three parts, one of them empty`,
    key,
    parts: [text!.slice(0, 2), '', text!.slice(2)],
    mac,
  }));
  const derived = (name: string, key: Uint8Array, ...lengths: number[]) => {
    const parts = lengths.map((length) => counting(length));
    const mac = createHmac('sha3-512', key)
      .update(concatBytes(...parts))
      .digest('hex');
    return { name: `derived, ${name}`, key: bytesToHex(key), parts: parts.map(bytesToHex), mac };
  };
  return [
    ...published,
    ...inThree,
    derived('no parts', counting(64)),
    derived('empty key', counting(0), 3),
    derived('256 bytes in five parts', counting(64), 1, 7, 4, 8, 236),
  ];
}

/** RFC 5869's inputs (appendix A) with SHA3-256, and the edges of the construction. */
function hkdfCases() {
  const info = utf8ToBytes('conclave crypto vectors');
  const cases: [string, Uint8Array, Uint8Array, Uint8Array, number][] = [
    ['inputs of RFC 5869 A.1', new Uint8Array(22).fill(11), counting(13), counting(10, 0xf0), 42],
    ['inputs of RFC 5869 A.2', counting(80), counting(80, 0x60), counting(80, 0xb0), 82],
    ['inputs of RFC 5869 A.3', new Uint8Array(22).fill(11), counting(0), counting(0), 42],
    ['empty input', counting(0), counting(0), counting(0), 32],
    ['salt longer than a block', counting(32), counting(137), info, 64],
    ['no output', counting(32), counting(32), info, 0],
    ['one byte', counting(32), counting(32), info, 1],
    ['one byte more than a block', counting(32), counting(32), info, 33],
    ['info of 1,280 bytes', counting(64), counting(32), counting(1_280), 128],
  ];
  return cases.map(([name, ikm, salt, info, length]) => ({
    name,
    ikm: bytesToHex(ikm),
    salt: bytesToHex(salt),
    info: bytesToHex(info),
    length,
    okm: bytesToHex(okm(ikm, salt, info, length)),
  }));
}

/** OpenSSL's answer, or noble's where Node limits the length of the info to 1,024 bytes. */
const okm = (ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array =>
  info.length > 1_024
    ? hkdf(sha3_256, ikm, salt, info, length)
    : new Uint8Array(hkdfSync('sha3-256', ikm, salt, info, length));

/** RFC 8032, section 7.1. */
function signCases() {
  const message1023 = [
    '08b8b2b733424243760fe426a4b54908632110a66c2f6591eabd3345e3e4eb98fa6e264bf09efe12ee50f8f54e9f',
    '77b1e355f6c50544e23fb1433ddf73be84d879de7c0046dc4996d9e773f4bc9efe5738829adb26c81b37c93a1b27',
    '0b20329d658675fc6ea534e0810a4432826bf58c941efb65d57a338bbd2e26640f89ffbc1a858efcb8550ee3a5e1',
    '998bd177e93a7363c344fe6b199ee5d02e82d522c4feba15452f80288a821a579116ec6dad2b3b310da903401aa6',
    '2100ab5d1a36553e06203b33890cc9b832f79ef80560ccb9a39ce767967ed628c6ad573cb116dbefefd75499da96',
    'bd68a8a97b928a8bbc103b6621fcde2beca1231d206be6cd9ec7aff6f6c94fcd7204ed3455c68c83f4a41da4af2b',
    '74ef5c53f1d8ac70bdcb7ed185ce81bd84359d44254d95629e9855a94a7c1958d1f8ada5d0532ed8a5aa3fb2d17b',
    'a70eb6248e594e1a2297acbbb39d502f1a8c6eb6f1ce22b3de1a1f40cc24554119a831a9aad6079cad88425de6bd',
    'e1a9187ebb6092cf67bf2b13fd65f27088d78b7e883c8759d2c4f5c65adb7553878ad575f9fad878e80a0c9ba63b',
    'cbcc2732e69485bbc9c90bfbd62481d9089beccf80cfe2df16a2cf65bd92dd597b0707e0917af48bbb75fed413d2',
    '38f5555a7a569d80c3414a8d0859dc65a46128bab27af87a71314f318c782b23ebfe808b82b0ce26401d2e22f04d',
    '83d1255dc51addd3b75a2b1ae0784504df543af8969be3ea7082ff7fc9888c144da2af58429ec96031dbcad3dad9',
    'af0dcbaaaf268cb8fcffead94f3c7ca495e056a9b47acdb751fb73e666c6c655ade8297297d07ad1ba5e43f1bca3',
    '2301651339e22904cc8c42f58c30c04aafdb038dda0847dd988dcda6f3bfd15c4b4c4525004aa06eeff8ca61783a',
    'acec57fb3d1f92b0fe2fd1a85f6724517b65e614ad6808d6f6ee34dff7310fdc82aebfd904b01e1dc54b2927094b',
    '2db68d6f903b68401adebf5a7e08d78ff4ef5d63653a65040cf9bfd4aca7984a74d37145986780fc0b16ac451649',
    'de6188a7dbdf191f64b5fc5e2ab47b57f7f7276cd419c17a3ca8e1b939ae49e488acba6b965610b5480109c8b17b',
    '80e1b7b750dfc7598d5d5011fd2dcc5600a32ef5b52a1ecc820e308aa342721aac0943bf6686b64b2579376504cc',
    'c493d97e6aed3fb0f9cd71a43dd497f01f17c0e2cb3797aa2a2f256656168e6c496afc5fb93246f6b1116398a346',
    'f1a641f3b041e989f7914f90cc2c7fff357876e506b50d334ba77c225bc307ba537152f3f1610e4eafe595f6d9d9',
    '0d11faa933a15ef1369546868a7f3a45a96768d40fd9d03412c091c6315cf4fde7cb68606937380db2eaaa707b4c',
    '4185c32eddcdd306705e4dc1ffc872eeee475a64dfac86aba41c0618983f8741c5ef68d3a101e8a3b8cac60c905c',
    '15fc910840b94c00a0b9d0',
  ].join('');
  const cases: [string, string, string, string, string][] = [
    [
      'TEST 1',
      '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      '',
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155' +
        '5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    ],
    [
      'TEST 2',
      '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      '72',
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da' +
        '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    ],
    [
      'TEST 3',
      'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
      'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
      'af82',
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac' +
        '18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
    ],
    [
      'TEST 1024',
      'f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5',
      '278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e',
      message1023,
      '0aab4c900501b3e24d7cdf4663326a3a87df5e4843b2cbdb67cbf6e460fec350' +
        'aa5371b1508f9f4528ecea23c436d94b5e8fcd4f681e30a6ac00a9704a188a03',
    ],
    [
      'TEST SHA(abc)',
      '833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42',
      'ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf',
      createHash('sha512').update('abc').digest('hex'),
      'dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589' +
        '09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704',
    ],
  ];
  return cases.map(([test, seed, public_key, message, signature]) => ({
    name: `RFC 8032 7.1, ${test}`,
    seed,
    public_key,
    message,
    signature,
  }));
}

const asVerifyCase = (c: ReturnType<typeof signCases>[number]): VerifyCase => ({
  name: c.name,
  public_key: c.public_key,
  message: c.message,
  signature: c.signature,
  valid: true,
  breaks: [],
  cofactored: true,
});

const ALICE = '77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a';
const ALICE_PUBLIC = '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a';
const BOB = '5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb';
const BOB_PUBLIC = 'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f';
const ALICE_BOB = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';

/** RFC 7748, sections 5.2 and 6.1. */
const X25519_PUBLISHED = [
  {
    name: 'RFC 7748 5.2, first',
    secret: 'a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4',
    public_key: 'e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c',
    shared: 'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552',
  },
  {
    name: 'RFC 7748 5.2, second, with the unused bit of the public key set',
    secret: '4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d',
    public_key: 'e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493',
    shared: '95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957',
  },
  { name: 'RFC 7748 6.1, Alice', secret: ALICE, public_key: BOB_PUBLIC, shared: ALICE_BOB },
  { name: 'RFC 7748 6.1, Bob', secret: BOB, public_key: ALICE_PUBLIC, shared: ALICE_BOB },
];

function x25519Cases() {
  const p = 2n ** 255n - 19n;
  const u = (n: bigint): string => bytesToHex(numberToBytesLE(n, 32));
  const unusedBit = (hex: string): string => {
    const bytes = hexToBytes(hex);
    bytes[31]! |= 0x80;
    return bytesToHex(bytes);
  };
  const refused = (name: string, public_key: string) => ({
    name,
    secret: ALICE,
    public_key,
    shared: null,
  });
  const small: [string, string][] = [
    ['u = 0', u(0n)],
    ['u = 1', u(1n)],
    ['order 8, first', 'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'],
    ['order 8, second', '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157'],
    ['u = p - 1', u(p - 1n)],
    ['u = p', u(p)],
    ['u = p + 1', u(p + 1n)],
  ];
  const accepted = (name: string, public_key: string, sameAs: string) => ({
    name,
    secret: ALICE,
    public_key,
    shared: bytesToHex(x25519.getSharedSecret(hexToBytes(ALICE), hexToBytes(sameAs))),
  });
  return [
    ...X25519_PUBLISHED,
    accepted('u = p + 9 means u = 9', u(p + 9n), u(9n)),
    accepted('u = 2^255 - 1 means u = 18', u(2n ** 255n - 1n), u(18n)),
    accepted('the unused bit is ignored', unusedBit(BOB_PUBLIC), BOB_PUBLIC),
    ...small.map(([name, key]) => refused(`small order: ${name}`, key)),
    ...small.map(([name, key]) => refused(`small order: ${name}, unused bit set`, unusedBit(key))),
    refused('empty public key', ''),
    refused('public key of 31 bytes', BOB_PUBLIC.slice(2)),
    refused('public key of 33 bytes', `${BOB_PUBLIC}00`),
  ];
}

const RULES: Record<Rule, string> = {
  length: 'The public key has 32 bytes and the signature 64. (Else no other rule is looked at.)',
  key_encoding: 'The public key A is a canonical encoding: y < p, on the curve, no negative zero.',
  key_order: 'A has order L: not the identity, not of small order, no small-order component.',
  r_encoding: 'The first half of the signature, R, is a canonical encoding in the same sense.',
  s_range: 'The second half, S, little-endian, is less than L.',
  equation:
    'S*B = R + k*A without a cofactor, where k = SHA-512(R, A, message) mod L over the bytes as ' +
    'they were sent. (Judged here on leniently decoded points and S mod L; not where a point ' +
    'cannot be decoded at all.)',
};

export const cryptoVectors = () => ({
  description: [
    'Known answers and hostile inputs for the primitives of conclave (docs/PROTOCOL.md, section',
    '"Cryptography"). All byte strings are lowercase hex, of any length, possibly empty. L is the',
    'order of the base point B of edwards25519, p = 2^255 - 19. An implementation passes when it',
    'gives every answer below. The file is made by scripts/make-crypto-vectors.ts.',
  ].join(' '),
  sha256: {
    description: 'SHA-256 (FIPS 180-4) of `message`.',
    cases: sha256Cases(),
  },
  hmac_sha3_512: {
    description: 'HMAC (FIPS 198-1) with SHA3-512 over the concatenation of `parts`.',
    cases: hmacCases(),
  },
  hkdf_sha3_256: {
    description:
      'HKDF (RFC 5869) with SHA3-256, `length` bytes. An empty salt means the same as 32 zero bytes.',
    cases: hkdfCases(),
  },
  ed25519_sign: {
    description: 'Ed25519 (RFC 8032): the public key of `seed`, and its signature on `message`.',
    cases: signCases(),
  },
  ed25519_public_key: {
    description: [
      'Whether 32 bytes are a public key: rules `key_encoding` and `key_order` of ed25519_verify.',
      'No point that can be encoded in two ways has order L, so an implementation that decodes',
      'leniently and then checks the order accepts the same keys.',
    ].join(' '),
    cases: publicKeyCases(),
  },
  ed25519_verify: {
    description: [
      'A signature is valid when no rule is broken. `breaks` names every rule that the input',
      'breaks, so that a wrong answer points at the missing check. `cofactored` says for',
      'information whether 8*S*B = 8*R + 8*k*A holds, which some libraries check instead: null',
      'where that is undefined.',
    ].join(' '),
    rules: RULES,
    cases: [...signCases().map(asVerifyCase), ...hostileVerifyCases()],
  },
  x25519_public_key: {
    description: 'X25519 (RFC 7748): the public key of `secret`.',
    cases: [
      { name: 'RFC 7748 6.1, Alice', secret: ALICE, public_key: ALICE_PUBLIC },
      { name: 'RFC 7748 6.1, Bob', secret: BOB, public_key: BOB_PUBLIC },
    ],
  },
  x25519: {
    description: [
      'X25519 (RFC 7748): the shared secret. null means that there is none: the result would be',
      'all zero, or the public key has not 32 bytes. Public keys are otherwise taken as RFC 7748',
      'says: the highest bit is ignored, u is reduced mod p.',
    ].join(' '),
    cases: x25519Cases(),
  },
  x25519_iterated: {
    description: [
      'RFC 7748 5.2: start with k = u = 09 and 31 zero bytes; `iterations` times set k to',
      'X25519(k, u) and u to the k before that; k is `result`.',
    ].join(' '),
    cases: [
      {
        name: 'once',
        iterations: 1,
        result: '422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079',
      },
      {
        name: '1,000 times',
        iterations: 1_000,
        result: '684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51',
      },
    ],
  },
});

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const file = new URL('../test/vectors/crypto.json', import.meta.url);
  writeFileSync(file, `${JSON.stringify(cryptoVectors(), null, 2)}\n`);
}
