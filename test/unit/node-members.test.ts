/** Members who leave, are removed, or get a role, over real sockets. */

import { afterEach, describe, expect, test } from 'vitest';
import type { Digest } from '../../src/core/ids.js';
import { nativeCrypto } from '../../src/native/crypto-native.js';
import type { Channel, Node } from '../../src/node/index.js';
import { decodeInvite, encodeInvite } from '../../src/node/invite.js';
import {
  Cluster,
  entriesOf,
  isHealthy,
  patience,
  seed,
  statusWhen,
  together,
} from './node-cluster.js';

let cluster = new Cluster();
afterEach(async () => {
  await cluster.stop();
  cluster = new Cluster();
});

const error = (code: string, message = /./) =>
  expect.objectContaining({ name: 'ConclaveError', code, message: expect.stringMatching(message) });

interface Team {
  readonly nodes: readonly Node[];
  readonly channels: readonly Channel[];
}

async function team(...names: string[]): Promise<Team> {
  const relay = await cluster.relay();
  const nodes: Node[] = [];
  for (const name of names) nodes.push(await cluster.node(name));
  const channels = await together(nodes, [relay.url], { minOnline: 1 });
  return { nodes, channels };
}

const rolesOf = (channel: Channel): string[] =>
  channel.members.list().map(({ name, role }) => `${name} ${role}`);

const rolesAre = (channel: Channel, roles: readonly string[]): Promise<unknown> =>
  statusWhen(channel, () => String(rolesOf(channel)) === String(roles));

/** What the log says of memberships, from `seq` on. */
async function changesIn(channel: Channel): Promise<string[]> {
  const changes = (await entriesOf(channel)).filter((e) => e.member && e.seq !== null);
  return changes.map(({ kind, name, member, role }) =>
    [name, kind, member!.name, ...(role ? [role] : [])].join(' '),
  );
}

test('who joins refuses a history that does not go through the point that its invitation names', async () => {
  const { channels } = await team('ann', 'bob');
  await channels[0]!.send('of this history').until('final', patience());
  const { sha256 } = nativeCrypto;
  const invite = decodeInvite(sha256, await channels[0]!.members.invite(patience()));
  const hash = 'ab'.repeat(32) as Digest;
  const forged = encodeInvite(sha256, { ...invite, pinned: { ...invite.pinned, hash } });
  const eve = await cluster.node('eve');
  await expect(eve.join(forged, patience())).rejects.toThrow(
    error('history_mismatch', /another history than the one that the invitation names/),
  );
  expect(eve.channels()).toEqual([]);
  expect(channels[0]!.members.list().map(({ name }) => name)).toEqual(['ann', 'bob']);
});

describe('a member', () => {
  test('is removed, by whoever may, and the others go on', async () => {
    const { nodes, channels } = await team('ann', 'bob', 'cat', 'dan');
    const [ann, bob, cat, dan] = channels as [Channel, Channel, Channel, Channel];
    await dan.send('from dan').until('final', patience());
    await expect(bob.members.remove(nodes[3]!.user, patience())).rejects.toThrow(
      error('not_allowed', /only the founder or an admin removes/),
    );
    await ann.members.setRole(nodes[1]!.user, 'admin', patience());
    await bob.members.remove(nodes[3]!.user, patience());
    const left = ['ann founder', 'bob admin', 'cat member'];
    for (const channel of [ann, bob, cat]) await rolesAre(channel, left);
    await cat.send('after').until('final', patience());
    expect(await changesIn(cat)).toEqual([
      ...['ann join bob', 'ann vote bob', 'ann join cat', 'ann join dan'],
      ...['ann role bob admin', 'bob remove dan'],
    ]);
    // Its name stays with what it wrote.
    expect((await entriesOf(cat)).find((e) => e.text === 'from dan')?.name).toBe('dan');
    await bob.members.remove(nodes[3]!.user, patience());
    await expect(bob.members.remove(nodes[0]!.user, patience())).rejects.toThrow(
      error('not_allowed', /nobody the founder/),
    );
  });

  test('is told at the end of what it reads that it is out, and what of its own is withheld', async () => {
    const relay = await cluster.relay();
    const proxy = await cluster.proxy(relay);
    const nodes = [await cluster.node('ann'), await cluster.node('bob')];
    nodes.push(await cluster.node('cat', { relays: [proxy.url] }));
    const [ann, , cat] = (await together(nodes, [relay.url], { minOnline: 2 })) as Channel[];
    await cat!.send('before').until('final', patience());
    const live = cat!.read({ live: true, ...patience() });
    proxy.cut();
    const sending = cat!.send('too late');
    await sending.stored;
    await statusWhen(ann!, ({ online }) => online.length === 2);
    await ann!.members.remove(nodes[2]!.user, patience());
    await ann!.send('after').until('final', patience());
    proxy.mend();
    await expect(sending.until('final', patience())).rejects.toThrow(error('removed'));
    const told: string[] = [];
    for await (const event of live) {
      if (event.type === 'entry')
        told.push(`${event.entry.text ?? event.entry.kind} ${event.entry.state}`);
      else told.push(event.type);
      if (event.type === 'removed') break;
    }
    const last = told.filter(
      (line) => !/^(epoch|join|invite|vote|keys|too late (queued|sent)) ?/.test(line),
    );
    expect(last).toEqual(['before final', 'remove final', 'too late withheld', 'removed']);
    const again = [];
    for await (const event of cat!.read()) again.push(event);
    const departure = {
      ...{ how: 'removed', time: expect.any(Number) },
      by: { user: nodes[0]!.user, name: 'ann' },
    };
    expect(again.at(-1)).toMatchObject({ type: 'removed', departure });
    const status = await statusWhen(cat!, (s) => s.departure !== undefined);
    expect(status).toMatchObject({ state: 'removed', departure });
  });

  test('is one of two and away: its removal needs its own vote, and status says so', async () => {
    const { nodes, channels } = await team('ann', 'bob', 'cat');
    const [ann] = channels as [Channel];
    const [, bob, cat] = nodes as [Node, Node, Node];
    await ann.members.remove(cat.user, patience());
    await bob.close({ drainMs: 0 });
    await statusWhen(ann, ({ online }) => online.length === 1);
    expect(ann.currentStatus().waiting).toBeNull();
    const stop = new AbortController();
    const removal = expect(ann.members.remove(bob.user, stop)).rejects.toThrow(error('aborted'));
    const { waiting } = await statusWhen(ann, ({ waiting: why }) => why !== null);
    expect(waiting).toEqual({
      ...{ need: 2, have: 1, missing: [bob.user] },
      reason:
        'a removal needs 2 of 2 voting members online, have 1: the vote of the member to be removed, too',
    });
    stop.abort();
    await removal;
  });

  test('who was removed joins again only with an invitation for it', async () => {
    const { nodes, channels } = await team('ann', 'bob', 'cat');
    const [ann] = channels as [Channel];
    const anyone = await ann.members.invite({ uses: 5, ...patience() });
    const own = seed();
    const eve = await cluster.node('eve', { seed: own });
    await eve.join(anyone, patience());
    await ann.members.remove(eve.user, patience());
    // With nothing left of the channel, as if it were somebody else.
    await eve.close({ drainMs: 0 });
    const again = await cluster.node('eve', { seed: own });
    await expect(again.join(anyone, patience())).rejects.toThrow(
      error('invite_refused', /was removed: only an invitation that names it/),
    );
    const named = await ann.members.invite({ for: again.user, ...patience() });
    await expect(nodes[1]!.join(named)).rejects.toThrow(error('invite_for_another'));
    const other = await cluster.node('other');
    await expect(other.join(named)).rejects.toThrow(
      error('invite_for_another', new RegExp(`for user ${again.user}`)),
    );
    const back = await again.join(named, patience());
    expect(rolesOf(back)).toEqual(['ann founder', 'bob member', 'cat member', 'eve member']);
    await back.send('back').until('final', patience());
  });

  test('leaves, and the others go on', async () => {
    const { nodes, channels } = await team('ann', 'bob', 'cat');
    const [ann, bob, cat] = channels as [Channel, Channel, Channel];
    await bob.leave(patience());
    for (const channel of [ann, cat]) await rolesAre(channel, ['ann founder', 'cat member']);
    await cat.send('after').until('final', patience());
    expect((await changesIn(ann)).at(-1)).toBe('bob leave bob');
    expect(bob.currentStatus().state).toBe('removed');
    const sending = bob.send('too late');
    await expect(sending.stored).rejects.toThrow(error('removed'));
    await expect(bob.leave(patience())).resolves.toBeUndefined();
    await expect(bob.members.invite(patience())).rejects.toThrow(error('removed'));
    // Who left comes back with any invitation.
    const invite = await ann.members.invite(patience());
    const back = await nodes[1]!.join(invite, patience());
    await statusWhen(back, isHealthy);
    await back.send('back').until('final', patience());
  });

  test('who founded the channel leaves it to an admin', async () => {
    const { nodes, channels } = await team('ann', 'bob');
    const [ann, bob] = channels as [Channel, Channel];
    await expect(ann.leave(patience())).rejects.toThrow(
      error('not_allowed', /nobody would be left who manages: make another an admin first/),
    );
    await ann.members.setRole(nodes[1]!.user, 'admin', patience());
    await ann.leave(patience());
    await rolesAre(bob, ['bob admin']);
    await bob.send('mine').until('final', patience());
    await expect(bob.leave(patience())).rejects.toThrow(error('not_allowed', /last member/));
  });
});

describe('a role', () => {
  test('is given, taken and laid down', async () => {
    const { nodes, channels } = await team('ann', 'bob', 'cat');
    const [ann, bob, cat] = channels as [Channel, Channel, Channel];
    const { user } = nodes[1]!;
    await ann.members.setRole(user, 'admin', patience());
    await ann.members.setRole(user, 'admin', patience());
    await rolesAre(cat, ['ann founder', 'bob admin', 'cat member']);
    await expect(bob.members.setRole(nodes[2]!.user, 'admin', patience())).rejects.toThrow(
      error('not_allowed', /only the founder gives and takes roles/),
    );
    const invite = await bob.members.invite(patience());
    await bob.members.setRole(user, 'member', patience());
    const dan = await cluster.node('dan');
    await expect(dan.join(invite, patience())).rejects.toThrow(error('invite_refused'));
    const stranger = 'ab'.repeat(32);
    const wrong: [string, Promise<void>][] = [
      ['not_member', ann.members.setRole(stranger, 'admin')],
      ['not_member', ann.members.remove(stranger)],
      ['bad_role', ann.members.setRole(user, 'founder' as 'admin')],
      ['bad_id', ann.members.remove('bob')],
    ];
    for (const [code, call] of wrong) await expect(call, code).rejects.toThrow(error(code));
  });
});
