/**
 * A member that signs two messages with one counter, among nodes over a real
 * relay: whoever meets both convicts it, everybody learns it, and anybody can
 * check it (docs/PROTOCOL.md, section "Misbehaviour").
 */

import { afterAll, expect, test } from 'vitest';
import type { Digest, Ulid, UserId } from '../../src/core/ids.js';
import { channelKeys, encodeConviction } from '../../src/core/layout.js';
import { linkIdentity } from '../../src/core/link.js';
import { memoryStore } from '../../src/core/memory-store.js';
import { pack } from '../../src/core/msgpack.js';
import { encodePortableProof } from '../../src/core/portable-proof.js';
import { batchOf, encodeProof, encodeRecord } from '../../src/core/record.js';
import { signedRecords } from '../../src/core/statements.js';
import { nativeCrypto as crypto } from '../../src/native/crypto-native.js';
import { type Channel, checkProof, type Node } from '../../src/node/index.js';
import { verifyChannel } from '../../src/node/verify.js';
import { faultStore } from '../../src/testing/fault-store.js';
import { Cluster, entriesOf, patience, seed, statusWhen, together } from './node-cluster.js';
import { TestClient } from './relay-client.js';

const cluster = new Cluster();
afterAll(() => cluster.stop());

const BOOT = '01HZX3M5Q9V8T2K4B6N7P0R1SC' as Ulid;

/** What `CH_MSG` has of one message of this author, signed alone. */
function batchBy(
  own: Uint8Array,
  channel: Channel,
  roster: { number: number; hash: Digest; root: Digest },
  text: string,
) {
  const hash = crypto.sha256;
  const author = Buffer.from(crypto.ed25519PublicKey(own)).toString('hex') as UserId;
  const record = encodeRecord(hash, {
    channel: channel.id,
    author,
    boot: BOOT,
    n: 1,
    prev: roster.root,
    kind: 'message',
    id: BOOT,
    time: 1_700_000_000_000,
    keyEpoch: 0,
    body: pack({ t: text }),
  });
  const context = { channel: channel.id, roster: roster.number, rosterHash: roster.hash };
  const { root } = batchOf(hash, [record], context);
  const sig = crypto.ed25519Sign(own, signedRecords(context, root, 1));
  const batch = {
    author,
    roster: roster.number,
    roster_hash: roster.hash,
    sig,
    records: [record.bytes],
  };
  return { record, batch };
}

const isConvicted = ({ misbehaved }: { misbehaved: readonly { user: string }[] }, user: string) =>
  misbehaved.some((one) => one.user === user);

test('two messages with one counter convict their author everywhere', async () => {
  const relay = await cluster.relay();
  const own = seed();
  const store = faultStore();
  const stored = { store, seed: seed() };
  const others: Node[] = [
    await cluster.node('a', stored),
    await cluster.node('b'),
    await cluster.node('c'),
  ];
  const twoFaced = await cluster.node('d', { seed: own });
  const [first, second, , theirs] = await together([...others, twoFaced], [relay.url]);
  const channel = first!;
  const offender = twoFaced.user;
  const { state } = theirs as unknown as {
    state: { roster: { number: number; hash: Digest; members: Map<string, { root: Digest }> } };
  };
  const roster = { ...state.roster, root: state.roster.members.get(offender)!.root };
  await twoFaced.close();

  const client = await TestClient.connect(relay.port, linkIdentity(crypto, own));
  const twins = ['yes', 'no'].map((text) => batchBy(own, channel, roster, text));
  for (const { batch } of twins) {
    client.send({ name: 'CH_MSG', payload: { id: channel.id, from: offender, batch } });
  }
  for (const node of others) {
    const of = node.channel(channel.id);
    const { misbehaved } = await statusWhen(of, (status) => isConvicted(status, offender));
    expect(misbehaved).toEqual([{ user: offender, offence: 'records', since: expect.any(Number) }]);
  }

  const text = channel.proveMisbehaviour(offender);
  expect(checkProof(text)).toMatchObject({
    proves: 'misbehaviour',
    channel: channel.id,
    user: offender,
    offence: 'records',
    about: expect.stringContaining(BOOT),
  });
  expect(() => channel.proveMisbehaviour(others[1]!.user)).toThrow(
    expect.objectContaining({ code: 'no_proof' }),
  );

  // Whichever of them a leader placed is marked.
  await second!.send('after').until('final', patience());
  const marked = (await entriesOf(channel)).filter(({ disputed }) => disputed);
  expect(marked.length).toBeGreaterThan(0);
  const digests = twins.map(({ record }) => record.digest);
  for (const { digest, from } of marked) {
    expect(digests).toContain(digest);
    expect(from).toBe(offender);
  }
  client.socket.destroy();

  const { user } = others[0]!;
  await others[0]!.close();
  const kept = memoryStore(store.image().pairs);
  const report = await verifyChannel(crypto, kept, channel.id, { self: user });
  expect(report).toMatchObject({ ok: true, misbehaved: [{ user: offender, offence: 'records' }] });
  const again = await cluster.node('a', { ...stored, store: kept, offline: true });
  expect(isConvicted(again.channel(channel.id).currentStatus(), offender)).toBe(true);
});

test('who misbehaved is removed where who manages the channel wants that, and not again once it is taken back', async () => {
  const relay = await cluster.relay();
  const own = seed();
  const a = await cluster.node('a', { misbehaviour: 'remove' });
  const b = await cluster.node('b', { misbehaviour: 'remove' });
  const c = await cluster.node('c', { seed: own });
  const [channel, , theirs] = await together([a, b, c], [relay.url], { minOnline: 1 });
  const { state } = theirs as unknown as {
    state: { roster: { number: number; hash: Digest; members: Map<string, { root: Digest }> } };
  };
  const roster = { ...state.roster, root: state.roster.members.get(c.user)!.root };
  await c.close();

  const client = await TestClient.connect(relay.port, linkIdentity(crypto, own));
  for (const text of ['yes', 'no']) {
    const { batch } = batchBy(own, channel!, roster, text);
    client.send({ name: 'CH_MSG', payload: { id: channel!.id, from: c.user, batch } });
  }
  await statusWhen(channel!, ({ members }) => members === 2);
  client.socket.destroy();

  const again = await cluster.node('c', { seed: own });
  const invite = await channel!.members.invite({ for: c.user, ...patience() });
  const back = await again.join(invite, patience());
  await back.send('sorry').until('final', patience());
  await channel!.send('fine').until('final', patience());
  expect(channel!.currentStatus()).toMatchObject({ members: 3, misbehaved: [{ user: c.user }] });
});

test('a stored proof that convicts nobody is found, and none is taken from others', async () => {
  const relay = await cluster.relay();
  const own = seed();
  const store = faultStore();
  const a = await cluster.node('a', { store });
  const b = await cluster.node('b');
  const c = await cluster.node('c', { seed: own });
  const [channel] = await together([a, b, c], [relay.url]);
  await channel!.send('hello').until('final', patience());
  await c.close();
  const client = await TestClient.connect(relay.port, linkIdentity(crypto, own));
  const { state } = channel as unknown as { state: { roster: never } };
  const twins = ['yes', 'no'].map((text) => {
    const roster = state.roster as unknown as { number: number; hash: Digest };
    return batchBy(own, channel!, { ...roster, root: channel!.id as string as Digest }, text);
  });
  // One of the two signatures is another's: the proof names a member that signed nothing twice.
  const sides = twins.map(({ record, batch }) => ({
    record: record.bytes,
    proof: encodeProof({
      roster: batch.roster,
      rosterHash: batch.roster_hash,
      count: 1,
      index: 0,
      path: [],
      sig: twins[0]!.batch.sig,
    }),
  })) as never;
  const conviction = encodePortableProof({
    kind: 'misbehaviour',
    misbehaviour: { channel: channel!.id, offender: c.user, offence: 'records', sides },
  });
  client.send({ name: 'CH_PROOF', payload: { id: channel!.id, from: c.user, conviction } });
  await channel!.send('after').until('final', patience());
  expect(channel!.currentStatus().misbehaved).toEqual([]);
  client.socket.destroy();
  await a.close();
  const keys = channelKeys(channel!.id);
  const id = Buffer.from(crypto.sha256(conviction)).toString('hex') as Digest;
  const kept = memoryStore(store.image().pairs);
  await kept.write(
    [{ key: keys.conviction(id), value: encodeConviction({ since: 1, proof: conviction }) }],
    { sync: true },
  );
  const report = await verifyChannel(crypto, kept, channel!.id, { self: a.user });
  expect(report.problems).toEqual([
    { where: keys.conviction(id), what: expect.stringContaining('does not verify') },
  ]);
});
