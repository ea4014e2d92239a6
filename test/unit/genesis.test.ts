/** What a channel starts from (docs/PROTOCOL.md, section "Genesis"). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  channelIdOf,
  commitName,
  decodeGenesis,
  encodeGenesis,
  type Genesis,
} from '../../src/core/genesis.js';
import {
  MEMBERS_PER_CHANNEL_MAX,
  NICKNAME_BYTES_MAX,
  RELAY_URL_BYTES_MAX,
  RELAYS_PER_CHANNEL_MAX,
} from '../../src/core/limits.js';
import * as any from './fixtures/arbitraries.js';
import { genesis as plain } from './fixtures/channel.js';
import { codeOf } from './fixtures/errors.js';
import { refusesOtherLengths, staysCanonical } from './fixtures/hostile.js';
import { portableCrypto } from './fixtures/ports.js';

const hash = portableCrypto.sha256;
const genesis: fc.Arbitrary<Genesis> = any.plain({
  founder: any.user,
  founderName: any.text(NICKNAME_BYTES_MAX),
  nameCommitment: any.digest,
  salt: any.bytesOf(16),
  time: any.u64,
  minOnline: fc.integer({ min: 1, max: MEMBERS_PER_CHANNEL_MAX }),
  quorum: fc.constantFrom('online' as const, 'roster' as const),
  relays: fc.array(any.text(80), { maxLength: RELAYS_PER_CHANNEL_MAX }),
});

describe('a genesis', () => {
  it('decodes into what it was made of', () => {
    fc.assert(
      fc.property(genesis, (g) => {
        expect(decodeGenesis(encodeGenesis(g))).toStrictEqual(g);
      }),
    );
  });

  it('is refused at every other length', () => {
    refusesOtherLengths(encodeGenesis(plain), decodeGenesis);
  });

  it('is refused or canonical when damaged', () => {
    staysCanonical(genesis.map(encodeGenesis), decodeGenesis, encodeGenesis);
  });

  it('is a channel of its own with every change', () => {
    fc.assert(
      fc.property(genesis, genesis, (a, b) => {
        const id = channelIdOf(hash, encodeGenesis(a));
        for (const field of Object.keys(a) as (keyof Genesis)[]) {
          const other = channelIdOf(hash, encodeGenesis({ ...a, [field]: b[field] }));
          const same = JSON.stringify(a[field]) === JSON.stringify(b[field]);
          expect(other === id, field).toBe(same);
        }
      }),
    );
  });

  it.each<[string, Partial<Genesis>, string]>([
    ['minOnline 0', { minOnline: 0 }, 'bad_genesis'],
    ['minOnline over a channel', { minOnline: MEMBERS_PER_CHANNEL_MAX + 1 }, 'bad_genesis'],
    ['a nickname too long', { founderName: 'x'.repeat(NICKNAME_BYTES_MAX + 1) }, 'bad_encoding'],
    ['too many relays', { relays: Array(RELAYS_PER_CHANNEL_MAX + 1).fill('x') }, 'bad_encoding'],
    ['an address too long', { relays: ['x'.repeat(RELAY_URL_BYTES_MAX + 1)] }, 'bad_encoding'],
  ])('with %s is refused', (_, change, code) => {
    expect(codeOf(() => decodeGenesis(encodeGenesis({ ...plain, ...change })))).toBe(code);
  });

  it('is never written with a minOnline that its field cannot hold', () => {
    expect(codeOf(() => encodeGenesis({ ...plain, minOnline: 259 }))).toBe('bad_encoding');
  });
});

describe('the commitment to a name', () => {
  it('changes with salt and name', () => {
    const named = any.plain({ salt: any.bytesOf(16), name: any.text(128) });
    fc.assert(
      fc.property(named, named, (a, b) => {
        const commitment = commitName(hash, a.salt, a.name);
        expect(commitName(hash, a.salt, b.name) === commitment).toBe(a.name === b.name);
        const sameSalt = Buffer.from(a.salt).equals(b.salt);
        expect(commitName(hash, b.salt, a.name) === commitment).toBe(sameSalt);
      }),
    );
  });
});
