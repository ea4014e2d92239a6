/**
 * Runs the Ed25519 and X25519 vectors of Wycheproof (github.com/C2SP/wycheproof,
 * testvectors_v1, Apache-2.0) against both crypto ports, each case's expected
 * result being what docs/PROTOCOL.md, section "Cryptography", makes of it:
 *
 *     npx tsx scripts/check-wycheproof.ts DIRECTORY
 *
 * The directory holds ed25519_test.json and x25519_test.json. The vectors are
 * not part of this tree; docs/fuzzing.md says with which of them it was run.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Crypto } from '../src/core/crypto.js';
import { portableCrypto } from '../src/core/crypto-portable.js';
import { nativeCrypto } from '../src/native/crypto-native.js';

interface Case {
  readonly tcId: number;
  readonly comment: string;
  readonly flags: readonly string[];
  /** `acceptable` where implementations may differ. */
  readonly result: 'valid' | 'invalid' | 'acceptable';
}

export interface Ed25519Vectors {
  readonly testGroups: readonly {
    readonly publicKey: { readonly pk: string };
    readonly tests: readonly (Case & { readonly msg: string; readonly sig: string })[];
  }[];
}

export interface X25519Vectors {
  readonly testGroups: readonly {
    readonly tests: readonly (Case & {
      readonly public: string;
      readonly private: string;
      readonly shared: string;
    })[];
  }[];
}

const PORTS: readonly Crypto[] = [portableCrypto, nativeCrypto];
const ZERO = '00'.repeat(32);
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

export interface Checked {
  readonly cases: number;
  readonly accepted: number;
  /** Cases in which a port does not do what is expected. */
  readonly wrong: readonly string[];
}

const wrongOf = (what: string, { tcId, comment }: Case, port: Crypto, got: unknown): string =>
  `${what} ${tcId} (${comment || 'no comment'}): the ${port.name} port says ${got}`;

/** No case of these vectors is `acceptable`: a valid one is accepted, an invalid one refused. */
export function checkEd25519(vectors: Ed25519Vectors, ports = PORTS): Checked {
  const wrong: string[] = [];
  let [cases, accepted] = [0, 0];
  for (const { publicKey, tests } of vectors.testGroups) {
    for (const test of tests) {
      cases += 1;
      if (test.result === 'valid') accepted += 1;
      for (const port of ports) {
        const got = port.ed25519Verify(bytes(publicKey.pk), bytes(test.msg), bytes(test.sig));
        if (test.result === 'acceptable' || got !== (test.result === 'valid')) {
          wrong.push(wrongOf('ed25519', test, port, got));
        }
      }
    }
  }
  return { cases, accepted, wrong };
}

/**
 * Every 32 bytes are a public key of X25519, on the curve or its twist, canonical
 * or not (RFC 7748, section 5); a result of 32 zero bytes is refused.
 */
export function checkX25519(vectors: X25519Vectors, ports = PORTS): Checked {
  const wrong: string[] = [];
  let [cases, accepted] = [0, 0];
  for (const { tests } of vectors.testGroups) {
    for (const test of tests) {
      cases += 1;
      const expected = test.shared === ZERO ? undefined : test.shared;
      if (expected !== undefined) accepted += 1;
      for (const port of ports) {
        const got = port.x25519(bytes(test.private), bytes(test.public));
        const hex = got && Buffer.from(got).toString('hex');
        if (hex !== expected) wrong.push(wrongOf('x25519', test, port, hex));
      }
    }
  }
  return { cases, accepted, wrong };
}

function main(directory: string | undefined): number {
  if (directory === undefined) {
    console.error('usage: npx tsx scripts/check-wycheproof.ts DIRECTORY');
    return 2;
  }
  const read = (name: string) => JSON.parse(readFileSync(join(directory, name), 'utf8'));
  const found = {
    Ed25519: checkEd25519(read('ed25519_test.json')),
    X25519: checkX25519(read('x25519_test.json')),
  };
  for (const [what, { cases, accepted, wrong }] of Object.entries(found)) {
    for (const line of wrong) console.log(line);
    const ok = wrong.length === 0 ? 'both ports as expected' : `${wrong.length} wrong`;
    console.log(`${what}: ${cases} cases, ${accepted} to accept, ${ok}`);
  }
  return found.Ed25519.wrong.length + found.X25519.wrong.length > 0 ? 1 : 0;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.exitCode = main(process.argv[2]);
}
