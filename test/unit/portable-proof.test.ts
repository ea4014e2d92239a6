/**
 * Portable proofs of real channels (docs/PROTOCOL.md, section "Portable
 * proofs"): what a node proves, another that knows nothing checks; and no
 * change of a byte, and no part of another channel's proof, makes one that says
 * something else.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkPortableProof, type Verifier } from '../../src/core/check-proof.js';
import { hex, unhex } from '../../src/core/ids.js';
import { channelKeys } from '../../src/core/layout.js';
import { PORTABLE_PROOF_BYTES_MAX } from '../../src/core/limits.js';
import {
  decodePortableProof,
  encodePortableProof,
  type FinalProof,
} from '../../src/core/portable-proof.js';
import { decodeRecord } from '../../src/core/record.js';
import { nativeCrypto } from '../../src/native/crypto-native.js';
import { type Channel, type CheckedFinal, checkProof, type Node } from '../../src/node/index.js';
import { armour, unarmour } from '../../src/node/proof-file.js';
import { faultStore } from '../../src/testing/fault-store.js';
import { allEqual, Cluster, NOWHERE, patience, together } from './node-cluster.js';

const cluster = new Cluster();
afterAll(() => cluster.stop());

let node: Node;
let others: readonly Node[];
let channel: Channel;
const store = faultStore();
const sent: {
  readonly id: string;
  readonly from: string;
  readonly seq: number;
  readonly text: string;
}[] = [];
/** Of the channel, and of another with the same members. */
let proof: Uint8Array;
let foreign: Uint8Array;

beforeAll(async () => {
  const relay = await cluster.relay();
  others = [await cluster.node('b'), await cluster.node('c')];
  node = await cluster.node('a', { store });
  const channels = await together([node, ...others], [relay.url]);
  channel = channels[0]!;
  for (let i = 0; i < 3; i++) {
    for (const [k, each] of channels.entries()) {
      const { id, seq } = await each.send(`${k} says ${i}`).until('final', patience());
      sent.push({ id, seq: seq!, from: [node, ...others][k]!.user, text: `${k} says ${i}` });
    }
  }
  await channel.members.invite(patience());
  await channel.send('after a change').until('final', patience());
  await allEqual(channels);
  proof = unarmour(await channel.prove(sent[4]!.id));
  const second = (await together([node, ...others], [relay.url]))[0]!;
  const { id } = await second.send('elsewhere').until('final', patience());
  foreign = unarmour(await second.prove(id));
});

/** Of a proof that shows something final. */
function checkFinal(text: string): CheckedFinal {
  const proven = checkProof(text);
  if (proven.proves !== 'final') throw new Error(`it proves ${proven.proves}`);
  return proven;
}

function decodeFinalProof(bytes: Uint8Array): FinalProof {
  const decoded = decodePortableProof(bytes);
  if (decoded.kind !== 'final') throw new Error(`it is of kind ${decoded.kind}`);
  return decoded;
}

/** Signatures that were judged already: most are in every changed proof. */
const judged = new Map<string, boolean>();
const verifier: Verifier = {
  sha256: nativeCrypto.sha256,
  isValid({ by, statement, sig }) {
    const name = `${by}${hex(sig)}${hex(statement)}`;
    const known = judged.get(name);
    if (known !== undefined) return known;
    const isValid = nativeCrypto.ed25519Verify(unhex(by), statement, sig);
    judged.set(name, isValid);
    return isValid;
  },
};

/** What is said of the message: by whom it is, what, where, in which channel, vouched for by whom. */
function saidBy(bytes: Uint8Array): string | undefined {
  try {
    const proven = checkPortableProof(verifier, bytes);
    if (proven.proves !== 'final') return JSON.stringify(proven);
    const { channel, seq, record, author, authorIsMember, certificate } = proven;
    const { digest } = record;
    return JSON.stringify({ channel, seq, digest, author, authorIsMember, certificate });
  } catch (error) {
    expect(['bad_proof', 'proof_version', 'proof_too_large']).toContain(
      (error as { code?: string }).code,
    );
    return undefined;
  }
}

test('each message, by whoever sent it, is proven by any member, with its text or without', async () => {
  for (const { id, from, seq, text } of sent) {
    const proven = checkFinal(await channel.prove(id));
    expect(proven).toMatchObject({ proves: 'final', channel: channel.id, id, from, seq, text });
    const without = checkFinal(await channel.prove(id, { text: false }));
    expect(without).not.toHaveProperty('text');
    expect({ ...without, text }).toEqual(proven);
    expect(proven.certificate.seq).toBeGreaterThanOrEqual(seq);
    expect(proven.certificate.by.length * 2).toBeGreaterThan(proven.certificate.of);
    expect(proven.founder).toEqual({ user: node.user, name: 'a' });
    expect(proven.authorIsMember).toBe(true);
  }
  const other = others[1]!.channel(channel.id);
  expect(checkProof(await other.prove(sent[0]!.id))).toMatchObject({ id: sent[0]!.id });
});

test('what opens one message opens no other, and gives no channel key away', async () => {
  const proofs = await Promise.all(
    sent.map(async ({ id }) => decodeFinalProof(unarmour(await channel.prove(id)))),
  );
  const keyIdIn = ({ inclusion }: FinalProof): string =>
    hex(decodeRecord(nativeCrypto.sha256, inclusion.record).body.subarray(0, 16));
  const two = proofs.at(-1)!;
  const one = proofs.find((each) => each !== two && keyIdIn(each) === keyIdIn(two))!;
  const [key, other] = [one.disclosure!, two.disclosure!];
  expect([key.length, hex(key) === hex(other)]).toEqual([32, false]);
  const swapped = encodePortableProof({ ...two, disclosure: key });
  expect(() => checkProof(armour(swapped))).toThrow(/its key does not open the message/);
  const opened = encodePortableProof({ ...one, disclosure: other });
  expect(() => checkProof(armour(opened))).toThrow(expect.objectContaining({ code: 'bad_proof' }));
});

test('a record of membership is proven by its digest', async () => {
  const entries = [];
  for await (const event of channel.read()) if (event.type === 'entry') entries.push(event.entry);
  const join = entries.find(({ kind }) => kind === 'join')!;
  const proven = checkFinal(await channel.prove(join.digest));
  expect(proven).toMatchObject({ kind: 'join', seq: join.seq, member: { name: 'b' } });
  expect(proven.text).toBeUndefined();
});

test('the certificate is the nearest that is kept', async () => {
  const last = [...store.image().pairs.keys()]
    .filter((key) => key.startsWith(channelKeys(channel.id).certs))
    .map((key) => Number.parseInt(key.slice(-14), 16));
  const { seq } = sent[4]!;
  const nearest = last.filter((at) => at >= seq).sort((a, b) => a - b)[0];
  expect(checkFinal(armour(proof)).certificate.seq).toBe(nearest);
});

describe('no other proof', () => {
  const original = (): string => saidBy(proof)!;

  test('by a changed byte', () => {
    let refused = 0;
    for (let at = 0; at < proof.length; at++) {
      for (const mask of [0x01, 0x80]) {
        const changed = proof.slice();
        changed[at]! ^= mask;
        const said = saidBy(changed);
        if (said === undefined) refused += 1;
        else expect(said, `byte ${at}`).toBe(original());
      }
    }
    // All of it is signed, or says how it is to be read.
    expect(refused).toBe(2 * proof.length);
  });

  test('by a byte less or more', () => {
    for (let length = 0; length < proof.length; length++) {
      expect(saidBy(proof.subarray(0, length))).toBeUndefined();
    }
    expect(saidBy(Uint8Array.of(...proof, 0))).toBeUndefined();
  });

  test('by parts of two channels', () => {
    const [ours, theirs] = [decodeFinalProof(proof), decodeFinalProof(foreign)];
    const own = [original(), saidBy(foreign)!];
    expect(own[0]).not.toBe(own[1]);
    const fields = ['genesis', 'genesisSig', 'steps', 'inclusion', 'disclosure'] as const;
    const inside = ['seq', 'prevHash', 'headers', 'record', 'proof', 'cert'] as const;
    const mixed: FinalProof[] = [];
    for (let choice = 0; choice < 2 ** fields.length; choice++) {
      const parts = fields.map((field, i) => [field, (choice & (1 << i) ? theirs : ours)[field]]);
      mixed.push({ kind: 'final', ...Object.fromEntries(parts) });
    }
    for (let choice = 0; choice < 2 ** inside.length; choice++) {
      const parts = inside.map((field, i) => [
        field,
        (choice & (1 << i) ? theirs : ours).inclusion[field],
      ]);
      mixed.push({ ...ours, inclusion: Object.fromEntries(parts) });
    }
    for (let i = 0; i < ours.steps.length; i++) {
      const step = theirs.steps[i];
      if (step) mixed.push({ ...ours, steps: ours.steps.with(i, step) });
    }
    const accepted = mixed.map((one) => saidBy(encodePortableProof(one))).filter(Boolean);
    expect(new Set(accepted)).toEqual(new Set(own));
  });

  test('by parts of two messages', async () => {
    const one = decodeFinalProof(proof);
    const two = decodeFinalProof(unarmour(await channel.prove(sent[5]!.id)));
    for (const field of ['seq', 'prevHash', 'headers', 'record', 'proof'] as const) {
      const inclusion = { ...one.inclusion, [field]: two.inclusion[field] };
      const said = saidBy(encodePortableProof({ ...one, inclusion }));
      expect(said === undefined || said === original(), field).toBe(true);
    }
  });
});

test('a text with other line ends, and blanks around it, is the same proof', () => {
  const text = armour(proof);
  expect(unarmour(`\n ${text.replaceAll('\n', '\r\n')}\n`)).toEqual(proof);
  expect(checkProof(Buffer.from(text))).toEqual(checkProof(text));
});

test.each([
  ['nothing', () => ''],
  ['no end', (text: string) => text.slice(0, -10)],
  ['another label', (text: string) => text.replaceAll('PROOF', 'PROVE')],
  ['a line broken elsewhere', (text: string) => text.replace(/\n(.)/g, '$1\n')],
  ['a character that is none of base64', (text: string) => text.replace('A', '*')],
])('a text that is no armour: %s', (_, change) => {
  expect(() => unarmour(change(armour(proof)))).toThrow(
    expect.objectContaining({ code: 'bad_proof' }),
  );
});

test('what is longer than a proof may be is not looked at', () => {
  const long = new Uint8Array(PORTABLE_PROOF_BYTES_MAX + 1);
  expect(() => decodePortableProof(long)).toThrow(
    expect.objectContaining({ code: 'proof_too_large' }),
  );
  expect(() => checkProof('x'.repeat(2 * PORTABLE_PROOF_BYTES_MAX))).toThrow(
    expect.objectContaining({ code: 'proof_too_large' }),
  );
});

test('what can not be proven', async () => {
  await expect(channel.prove('nothing')).rejects.toMatchObject({ code: 'bad_id' });
  await expect(channel.prove('0'.repeat(26))).rejects.toMatchObject({ code: 'no_message' });
  await expect(channel.prove('ab'.repeat(32))).rejects.toMatchObject({ code: 'no_message' });
  const [lonely] = await together([await cluster.node('d')], [NOWHERE], { minOnline: 2 });
  const waiting = lonely!.send('alone');
  await waiting.stored;
  await expect(lonely!.prove(waiting.id)).rejects.toMatchObject({
    code: 'not_final',
    retryable: true,
  });
});

test('of a damaged store no proof leaves', async () => {
  const keys = channelKeys(channel.id);
  const step = (await store.get(keys.step(1)))!;
  const damaged = step.slice();
  damaged[damaged.length - 1]! ^= 1;
  await store.write([{ key: keys.step(1), value: damaged }], { sync: true });
  await expect(channel.prove(sent[0]!.id)).rejects.toMatchObject({ code: 'cannot_prove' });
  await store.write([{ key: keys.step(1) }], { sync: true });
  await expect(channel.prove(sent[0]!.id)).rejects.toMatchObject({ code: 'cannot_prove' });
  await store.write([{ key: keys.step(1), value: step }], { sync: true });
  await expect(channel.prove(sent[0]!.id)).resolves.toContain('BEGIN CONCLAVE PROOF');
});
