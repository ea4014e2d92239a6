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
import type { SealingPublic } from '../../src/core/ids.js';
import {
  MEMBERS_PER_CHANNEL_MAX,
  MIN_ONLINE_ARCHIVE,
  NICKNAME_BYTES_MAX,
  RELAY_URL_BYTES_MAX,
  RELAYS_PER_CHANNEL_MAX,
} from '../../src/core/limits.js';
import * as any from './fixtures/arbitraries.js';
import { genesis as plain, relayOf } from './fixtures/channel.js';
import { codeOf } from './fixtures/errors.js';
import { refusesOtherLengths, staysCanonical } from './fixtures/hostile.js';
import { portableCrypto } from './fixtures/ports.js';

const hash = portableCrypto.sha256;
const NONE = '0'.repeat(64) as SealingPublic;
const genesis: fc.Arbitrary<Genesis> = any.plain({
  founder: any.user,
  founderName: any.text(NICKNAME_BYTES_MAX),
  founderSealing: any.sealing.filter((key) => key !== null),
  nameCommitment: any.digest,
  salt: any.bytesOf(16),
  time: any.u64,
  minOnline: fc.integer({ min: MIN_ONLINE_ARCHIVE, max: MEMBERS_PER_CHANNEL_MAX }),
  few: fc.constantFrom('archive' as const, 'always' as const),
  quorum: fc.constantFrom('online' as const, 'roster' as const),
  history: fc.constantFrom('all' as const, 'joined' as const),
  relays: any.relays,
});

const relays = (count: number, length: number): string[] =>
  Array.from({ length: count }, (_, i) => relayOf(i + 1, length));

describe('a genesis', () => {
  it('may have RELAYS_PER_CHANNEL_MAX relays with addresses of RELAY_URL_BYTES_MAX bytes', () => {
    const most = { ...plain, relays: relays(RELAYS_PER_CHANNEL_MAX, RELAY_URL_BYTES_MAX) };
    expect(decodeGenesis(encodeGenesis(most))).toStrictEqual(most);
  });

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
    ['minOnline 0', { minOnline: 0, few: 'always' }, 'bad_genesis'],
    ['minOnline 1, which no archive makes enough', { minOnline: 1 }, 'bad_genesis'],
    ['a founder without a sealing key', { founderSealing: NONE }, 'bad_genesis'],
    ['minOnline over a channel', { minOnline: MEMBERS_PER_CHANNEL_MAX + 1 }, 'bad_genesis'],
    ['a nickname too long', { founderName: 'x'.repeat(NICKNAME_BYTES_MAX + 1) }, 'bad_encoding'],
    ['no relay', { relays: [] }, 'bad_relay_url'],
    ['a relay twice', { relays: [relayOf(1), relayOf(1, 200)] }, 'bad_relay_url'],
    ['a relay without its key', { relays: ['conclave://relay:4400'] }, 'bad_relay_url'],
    ['too many relays', { relays: relays(RELAYS_PER_CHANNEL_MAX + 1, 0) }, 'bad_encoding'],
    ['an address too long', { relays: [relayOf(1, RELAY_URL_BYTES_MAX + 1)] }, 'bad_encoding'],
  ])('with %s is refused', (_, change, code) => {
    expect(codeOf(() => decodeGenesis(encodeGenesis({ ...plain, ...change })))).toBe(code);
  });

  it('may have a minOnline of 1 where few is always', () => {
    const least: Genesis = { ...plain, minOnline: 1, few: 'always' };
    expect(decodeGenesis(encodeGenesis(least))).toStrictEqual(least);
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
