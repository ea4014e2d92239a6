/**
 * Mistakes planted in the encryption, as the simulator's mutants are in the core
 * (docs/mutants.md): it runs outside of the core, and the simulator's bodies are
 * plain, so no seed sees them. Each rule of `fixtures/encryption-rules.ts` holds
 * for the modules as they are, and each mistake breaks the rule that it is for.
 */

import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { bundle } from '../mutants/bundle.js';
import type { Edit } from '../mutants/mutant.js';
import { temporaryDir } from './fixtures/cli-harness.js';
import type * as Rules from './fixtures/encryption-rules.js';

const ENTRY = fileURLToPath(new URL('./fixtures/encryption-rules.ts', import.meta.url));
const CIPHER = 'src/node/channel-cipher.ts';
const KEYRING = 'src/node/keyring.ts';
const NO_NONCE_TWICE = 'no nonce is used twice, over restarts too';

/** The names of the rules that do not hold with these edits, over two starts of the process. */
async function broken(name: string, edits: readonly Edit[]): Promise<string[]> {
  const file = join(temporaryDir(), 'rules.mjs');
  await bundle(name, edits, file, ENTRY);
  const started = (time: number): Promise<typeof Rules> =>
    import(`${pathToFileURL(file)}?start=${time}`);
  const [first, second] = [await started(1), await started(2)];
  const results = await Promise.all(
    Object.entries(first.RULES).map(async ([rule, holds]) => ((await holds()) ? [] : [rule])),
  );
  const nonces = [...first.nonces(), ...second.nonces()];
  const areAll = new Set(nonces).size === nonces.length;
  return [...results.flat(), ...(areAll ? [] : [NO_NONCE_TWICE])];
}

const EXACTLY =
  'readers.length === sealed.length && readers.every((user, i) => user === sealed[i]!.user)';
const SEAL = 'random(NONCE_BYTES), header, plain),';

const MISTAKES: { readonly [mistake: string]: { breaks: string; edits: readonly Edit[] } } = {
  'a nonce is a count that begins anew with each start': {
    breaks: NO_NONCE_TWICE,
    edits: [
      {
        file: CIPHER,
        find: SEAL,
        replace: 'new Uint8Array(NONCE_BYTES).fill(counted++), header, plain),',
      },
      { file: CIPHER, find: 'const NO_SALT =', replace: 'let counted = 1;\nconst NO_SALT =' },
    ],
  },
  'a nonce follows from the text': {
    breaks: NO_NONCE_TWICE,
    edits: [{ file: CIPHER, find: SEAL, replace: 'plain.slice(0, NONCE_BYTES), header, plain),' }],
  },
  'a name has one nonce for ever': {
    breaks: NO_NONCE_TWICE,
    edits: [
      {
        file: CIPHER,
        find: '  const nonce = random(NONCE_BYTES);\n  const sealed = new Uint8Array(plain.length + NAME',
        replace:
          '  const nonce = new Uint8Array(NONCE_BYTES);\n  const sealed = new Uint8Array(plain.length + NAME',
      },
    ],
  },
  'the key goes on when a member is removed': {
    breaks: 'a key of members of whom one is out is not written under',
    edits: [
      {
        file: KEYRING,
        find: 'number < roster.readersSince || number > roster.number',
        replace: 'number > roster.number',
      },
      {
        file: KEYRING,
        find: EXACTLY,
        replace: 'readers.every((user) => sealed.some((each) => each.user === user))',
      },
    ],
  },
  'the key goes on that was there when a member is removed': {
    breaks: 'a key of members of whom one is out is not written under',
    edits: [
      {
        file: KEYRING,
        find: 'if (readersSince === this.#present.readersSince) return',
        replace: 'if (this.#present.readersSince >= 0) return',
      },
    ],
  },
  'the record that came last counts for a key': {
    breaks: 'a key that was given to others before is not written under, whoever names it again',
    edits: [{ file: KEYRING, find: '    if (known.givenAt <= seq) return;\n', replace: '' }],
  },
  'a record counts for a key that something else gave': {
    breaks: 'a record that does not give its key itself is not written under',
    edits: [
      {
        file: KEYRING,
        find: 'if (isKnown && record.author === user) return key;',
        replace: 'if (isKnown) return key;',
      },
    ],
  },
  'no key is made when a member is removed': {
    breaks: 'a key is to be made anew once somebody is out',
    edits: [
      {
        file: KEYRING,
        find: 'return [elders, readers.filter((user) => !elders.includes(user))];',
        replace: 'return null;',
      },
    ],
  },
  'who was away and back makes no difference': {
    breaks: 'a key of before somebody was away and back is not written under',
    edits: [
      {
        file: KEYRING,
        find: 'number < roster.readersSince || number > roster.number',
        replace: 'number > roster.number',
      },
    ],
  },
  'a key may be for others too': {
    breaks: 'a key whose maker let somebody else in is not written under',
    edits: [
      {
        file: KEYRING,
        find: EXACTLY,
        replace: 'readers.every((user) => sealed.some((each) => each.user === user))',
      },
    ],
  },
  'the core takes what was encrypted for readers of before': {
    breaks: 'what was encrypted for other readers becomes no record',
    edits: [
      {
        file: 'src/core/offers.ts',
        find: 'readersSince !== undefined && readersSince !== st.roster.readersSince',
        replace: 'readersSince !== undefined && readersSince > st.roster.readersSince',
      },
    ],
  },
  'a new key carries the old ones whatever the policy says': {
    breaks: 'a newcomer gets no older key where the policy says so',
    edits: [
      { file: KEYRING, find: "    if (st.genesis.history === 'joined') return [];\n", replace: '' },
    ],
  },
  'a key is made for whom the policy gives nothing': {
    breaks: 'nobody makes a key to hand over older ones where the policy says so',
    edits: [
      {
        file: KEYRING,
        find: '    if (!isForAll) return null;\n',
        replace: '',
      },
    ],
  },
  'a new key carries the newest alone': {
    breaks: 'a newcomer gets all older keys where the policy says so',
    edits: [{ file: KEYRING, find: '.slice(0, KEYS_CARRIED_MAX)', replace: '.slice(0, 1)' }],
  },
  'the header is not bound to the body': {
    breaks: 'a body opens in the record that it was made for alone',
    edits: [
      { file: CIPHER, find: SEAL, replace: 'random(NONCE_BYTES), header.subarray(0, 0), plain),' },
      {
        file: CIPHER,
        find: 'nonceIn(body), headerOf(record), body',
        replace: 'nonceIn(body), new Uint8Array(0), body',
      },
    ],
  },
  'a body is written as it is': {
    breaks: 'no plain text is in what is stored and sent',
    edits: [
      {
        file: CIPHER,
        find: '  sealUnder(messageKey, nonce, header, plain, sealed, BODY_PREFIX_BYTES);',
        replace: '  sealed.set(plain, BODY_PREFIX_BYTES);',
      },
    ],
  },
  'what a body commits to is not looked at': {
    breaks: 'a body that does not commit to the key of its message is not opened',
    edits: [
      {
        file: CIPHER,
        find: 'isCommittedTo(key.hash, body, messageKey) ? messageKey : undefined',
        replace: 'messageKey',
      },
    ],
  },
};

describe('encryption', () => {
  test('keeps its rules', async () => {
    expect(await broken('none', [])).toEqual([]);
  });

  test.each(Object.entries(MISTAKES))(
    'where %s, a rule says so',
    async (name, { breaks, edits }) => {
      expect(await broken(name, edits)).toContain(breaks);
    },
  );

  test('has a mistake planted for each rule', async () => {
    const { RULES } = await import('./fixtures/encryption-rules.js');
    const planted = new Set(Object.values(MISTAKES).map(({ breaks }) => breaks));
    expect([...Object.keys(RULES), NO_NONCE_TWICE].filter((rule) => !planted.has(rule))).toEqual(
      [],
    );
  });
});
