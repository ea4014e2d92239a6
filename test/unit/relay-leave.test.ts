/**
 * CH_ULEAVE. No kind of record ends a membership yet (a later issue), so the
 * proof of such a record is put in place by hand; what the relay does with a
 * roster that lost a member is real.
 */

import { beforeEach, expect, it, vi } from 'vitest';
import { type Body, encodePayload } from '../../src/core/commands.js';
import type { Roster } from '../../src/core/roster.js';
import { nativeCrypto as crypto } from '../../src/native/crypto-native.js';
import type { Effect } from '../../src/relay/effects.js';
import { Hub } from '../../src/relay/hub.js';
import { RELAY_LIMITS } from '../../src/relay/limits.js';
import { identity, TestChannel } from './relay-channel.js';

const proven = vi.hoisted(() => ({ next: undefined as Roster | undefined }));

vi.mock('../../src/relay/roster-chain.js', async (original) => {
  const real = await original<typeof import('../../src/relay/roster-chain.js')>();
  return {
    ...real,
    growRoster: (...args: Parameters<typeof real.growRoster>) =>
      proven.next ? { roster: proven.next } : real.growRoster(...args),
  };
});

const [ALICE, BOB, CAROL] = [identity(1), identity(2), identity(3)];
const now = { ms: 0, wallMs: 0 };
let channel: TestChannel;
let hub: Hub;

function send(peer: number, name: 'CH_ROSTER' | 'CH_COMMIT', body: object): Effect[] {
  const payload = encodePayload(name, { ...body, timestamp: 1, nonce: new Uint8Array(8) });
  const fields = payload as { [field: string]: unknown };
  return hub.command(peer, { name, payload: fields, raw: new Uint8Array(1) }, now);
}

const leavings = (effects: readonly Effect[]) =>
  effects.flatMap((e) =>
    e.type === 'send' && e.command.name === 'CH_ULEAVE' ? [{ to: e.to, ...e.command.payload }] : [],
  );

beforeEach(() => {
  proven.next = undefined;
  channel = TestChannel.of(ALICE, [BOB, CAROL]);
  hub = new Hub({ crypto, limits: RELAY_LIMITS, nowMs: 0 });
  for (const [i, who] of [ALICE, BOB, CAROL].entries())
    hub.connect(i + 1, { user: who.user, name: '' }, now);
  send(1, 'CH_ROSTER', channel.announcement());
  const members = new Map(channel.roster.members);
  members.delete(CAROL.user);
  proven.next = { ...channel.roster, number: channel.roster.number + 1, members };
});

const announceRemoval = (): Effect[] => send(1, 'CH_ROSTER', channel.announcement());

it('CH_ULEAVE: "This message is received when someone leaves a channel"', () => {
  const [leaving] = leavings(announceRemoval());
  expect(leaving).toMatchObject({ channel: channel.id, user: CAROL.user });
  expect(leaving!.to).toEqual(expect.arrayContaining([1, 2]));
});

it('CH_ULEAVE: "You can receive this message with your own Id"', () => {
  expect(leavings(announceRemoval())[0]!.to).toContain(3);
});

it('who left neither sends to the channel nor hears from it', () => {
  announceRemoval();
  const commit = (from: typeof ALICE): Body<'CH_COMMIT'> => ({
    id: channel.id,
    from: from.user,
    cert: new Uint8Array(1),
  });
  expect(send(3, 'CH_COMMIT', commit(CAROL))).toEqual([
    expect.objectContaining({
      type: 'send',
      command: expect.objectContaining({
        name: 'ERR',
        payload: expect.objectContaining({ code: 'not_member' }),
      }),
    }),
  ]);
  expect(send(1, 'CH_COMMIT', commit(ALICE))).toEqual([expect.objectContaining({ to: [2] })]);
});
