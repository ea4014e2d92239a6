/**
 * The relay's hub, without links, sockets or time: inputs, and what they lead
 * to. What is told to whom is written as `peer:COMMAND detail`.
 */

import fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  COMMANDS,
  type CommandName,
  encodePayload,
  type Outgoing,
} from '../../src/core/commands.js';
import { type Digest, type Ulid, type UserId, unhex } from '../../src/core/ids.js';
import { encodeStatement } from '../../src/core/statements.js';
import { nativeCrypto as crypto } from '../../src/native/crypto-native.js';
import type { Effect, Now } from '../../src/relay/effects.js';
import { Hub } from '../../src/relay/hub.js';
import { RELAY_LIMITS, type RelayLimits } from '../../src/relay/limits.js';
import { identity, sealingOf, TestChannel } from './relay-channel.js';

const [ALICE, BOB, CAROL, DAVE, EVE] = [1, 2, 3, 4, 5].map(identity) as [
  ReturnType<typeof identity>,
  ReturnType<typeof identity>,
  ReturnType<typeof identity>,
  ReturnType<typeof identity>,
  ReturnType<typeof identity>,
];
const NAMES = new Map<string, string>([
  [ALICE.user, 'alice'],
  [BOB.user, 'bob'],
  [CAROL.user, 'carol'],
  [DAVE.user, 'dave'],
  [EVE.user, 'eve'],
]);
const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV' as Ulid;
const DIGEST = 'd'.repeat(64) as Digest;
const SIGNED = { s: new Uint8Array(1), sig: new Uint8Array(64) };
const WALL_MS = 1_700_000_000_000;

let hub: Hub;
let now: Now;
let nextPeer: number;
/** The newest connection of each user. */
let peers: Map<UserId, number>;
/** Who is behind each connection there was. */
let owners: Map<number, string>;

function newHub(limits: Partial<RelayLimits> = {}, allow?: readonly UserId[]): void {
  now = { ms: 0, wallMs: WALL_MS };
  nextPeer = 1;
  peers = new Map();
  owners = new Map();
  hub = new Hub({ crypto, limits: { ...RELAY_LIMITS, ...limits }, allow, nowMs: 0 });
}

const pass = (ms: number): void => {
  now = { ms: now.ms + ms, wallMs: now.wallMs + ms };
};

const nameOf = (user: unknown): string => NAMES.get(user as string) ?? String(user);

function detailOf(command: Outgoing): string {
  switch (command.name) {
    case 'ERR':
      return ` ${command.payload.code} ${command.payload.about}`;
    case 'RATE':
      return ` ${command.payload.about}`;
    case 'UCNN':
    case 'UDCNN':
    case 'USR_ADD':
    case 'USR_RMD':
      return ` ${nameOf(command.payload.id)}`;
    case 'CH_UJOIN':
    case 'CH_ULEAVE':
      return ` ${nameOf(command.payload.user)}`;
    case 'CH_STATUS':
      return ` ${command.payload.roster} [${command.payload.online.map(nameOf).sort()}]`;
    default:
      return '';
  }
}

/** One line for each delivery, sorted by receiver only. */
function told(effects: readonly Effect[]): string[] {
  return effects.flatMap((effect) => {
    if (effect.type === 'close') return [`${owners.get(effect.peer)}:close ${effect.error?.code}`];
    const what =
      effect.type === 'send'
        ? `${effect.command.name}${detailOf(effect.command)}`
        : `${effect.name} (forwarded)`;
    return effect.to.map((peer) => `${owners.get(peer)}:${what}`);
  });
}

const payloadsOf = <N extends CommandName>(effects: readonly Effect[], name: N) =>
  effects.flatMap((e) =>
    e.type === 'send' && e.command.name === name
      ? [e.command.payload as Extract<Outgoing, { name: N }>['payload']]
      : [],
  );

function connect(who: { user: UserId }, nick = nameOf(who.user)): string[] {
  const peer = nextPeer++;
  owners.set(peer, nameOf(who.user));
  peers.set(who.user, peer);
  return told(hub.connect(peer, { user: who.user, name: nick }, now));
}

const disconnect = (who: { user: UserId }): string[] => told(hub.disconnect(peers.get(who.user)!));

function effectsOf(who: { user: UserId }, command: Outgoing): Effect[] {
  const payload = encodePayload(command.name, {
    ...command.payload,
    timestamp: 1,
    nonce: new Uint8Array(8),
  }) as { [field: string]: unknown };
  const raw = new Uint8Array(3);
  return hub.command(peers.get(who.user)!, { name: command.name, payload, raw }, now);
}

const send = (who: { user: UserId }, command: Outgoing): string[] => told(effectsOf(who, command));

const announce = (who: { user: UserId }, channel: TestChannel, first = 0): string[] =>
  send(who, { name: 'CH_ROSTER', payload: channel.announcement(first) });

const pm = (from: { user: UserId }, to: { user: UserId }): Outgoing => ({
  name: 'PV_MSG',
  payload: { from: from.user, to: to.user, msg_id: ULID, msg: new Uint8Array(1) },
});

const pull = (id: TestChannel['id'], from: { user: UserId }, to: { user: UserId }): Outgoing => ({
  name: 'CH_PULL',
  payload: { id, from: from.user, to: to.user, anchor: [], want: [] },
});

const commit = (id: TestChannel['id'], from: { user: UserId }): Outgoing => ({
  name: 'CH_COMMIT',
  payload: { id, from: from.user, cert: new Uint8Array(1) },
});

const append = (id: TestChannel['id'], from: { user: UserId }, to: { user: UserId }): Outgoing => ({
  name: 'CH_APPEND',
  payload: {
    id,
    from: from.user,
    to: to.user,
    anchor: { seq: 0, hash: DIGEST },
    headers: new Uint8Array(2),
    records: [],
    proofs: [],
    final: 0,
  },
});

/** Signing is slow, so the channels are made once; tests that grow one make their own. */
let trio: TestChannel;
let solo: TestChannel;

beforeAll(() => {
  solo = new TestChannel(ALICE, { salt: 2 });
  trio = TestChannel.of(ALICE, [BOB, CAROL]);
});

beforeEach(() => newHub());

describe('presence', () => {
  it('strangers on an open relay hear nothing of each other', () => {
    expect([...connect(ALICE), ...connect(BOB), ...disconnect(ALICE)]).toEqual([]);
  });

  it('who shares a known channel is told of each other', () => {
    connect(ALICE);
    announce(ALICE, trio);
    expect(connect(BOB)).toEqual(['alice:UCNN bob', `bob:CH_STATUS 5 [alice,bob]`]);
    expect(disconnect(ALICE)).toEqual(['bob:UDCNN alice']);
  });

  it('who wrote to a user is told when it comes and goes, until its own connection ends', () => {
    connect(ALICE);
    expect(send(ALICE, pm(ALICE, BOB))).toEqual(['alice:ERR not_connected PV_MSG']);
    expect(connect(BOB)).toEqual(['alice:UCNN bob']);
    expect(disconnect(BOB)).toEqual(['alice:UDCNN bob']);
    disconnect(ALICE);
    connect(ALICE);
    expect(connect(BOB)).toEqual([]);
  });

  it('remembers a bounded number of users that one wrote to, the latest', () => {
    newHub({ watched_max: 1 });
    connect(ALICE);
    send(ALICE, pm(ALICE, BOB));
    send(ALICE, pm(ALICE, CAROL));
    expect(connect(BOB)).toEqual([]);
    expect(connect(CAROL)).toEqual(['alice:UCNN carol']);
  });

  it('a second connection of one user takes the place of the first', () => {
    connect(ALICE);
    announce(ALICE, trio);
    connect(BOB);
    const older = peers.get(BOB.user)!;
    expect(connect(BOB)).toEqual([
      'bob:close replaced',
      'alice:UCNN bob',
      expect.stringContaining('CH_STATUS'),
    ]);
    expect(hub.userCount).toBe(2);
    expect(hub.disconnect(older)).toEqual([]);
    expect(send(ALICE, pm(ALICE, BOB))).toEqual(['bob:MSG (forwarded)']);
  });

  it('lists oneself and the members of one’s channels, those online first', () => {
    connect(ALICE);
    announce(ALICE, trio);
    connect(CAROL);
    connect(DAVE);
    const [list] = payloadsOf(effectsOf(ALICE, { name: 'LST_USR', payload: {} }), 'USR_LST');
    expect(list!.users.map((u) => `${nameOf(u.id)} ${u.status}`)).toEqual([
      'alice online',
      'carol online',
      'bob offline',
    ]);
  });

  it('cuts a list that would not fit a frame', () => {
    newHub({ payload_bytes_max: 256 + 2 * 128 });
    connect(ALICE);
    announce(ALICE, trio);
    const [list] = payloadsOf(effectsOf(ALICE, { name: 'LST_USR', payload: {} }), 'USR_LST');
    expect(list!.users).toHaveLength(2);
  });

  it('a command of a peer that is not connected leads to nothing', () => {
    peers.set(ALICE.user, 77);
    expect(send(ALICE, { name: 'LST_USR', payload: {} })).toEqual([]);
  });
});

describe('allow-list', () => {
  beforeEach(() => newHub({ allowed_max: 3 }, [ALICE.user, BOB.user]));

  it('lets in who is on it', () => {
    expect(connect(ALICE)).toEqual([]);
    expect(connect(EVE)).toEqual(['eve:close not_allowed']);
    expect(hub.userCount).toBe(1);
  });

  it('its users know of each other', () => {
    connect(ALICE);
    expect(connect(BOB)).toEqual(['alice:UCNN bob']);
    expect(disconnect(BOB)).toEqual(['alice:UDCNN bob']);
    const [list] = payloadsOf(effectsOf(ALICE, { name: 'LST_USR', payload: {} }), 'USR_LST');
    expect(list!.users.map((u) => `${nameOf(u.id)} ${u.status}`)).toEqual([
      'alice online',
      'bob offline',
    ]);
  });

  it('tells of additions and removals once, and cuts off who is removed', () => {
    connect(ALICE);
    connect(BOB);
    expect(told(hub.allow(CAROL.user))).toEqual(['alice:USR_ADD carol', 'bob:USR_ADD carol']);
    expect(hub.allow(CAROL.user)).toEqual([]);
    expect(told(hub.disallow(BOB.user))).toEqual([
      'alice:UDCNN bob',
      'bob:close not_allowed',
      'alice:USR_RMD bob',
    ]);
    expect(hub.disallow(BOB.user)).toEqual([]);
    expect(connect(BOB)).toEqual(['bob:close not_allowed']);
  });

  it('is bounded', () => {
    hub.allow(CAROL.user);
    expect(() => hub.allow(DAVE.user)).toThrow(expect.objectContaining({ code: 'full' }));
  });

  it('can’t be changed where there is none', () => {
    newHub();
    expect(() => hub.allow(ALICE.user)).toThrow(expect.objectContaining({ code: 'no_allow_list' }));
  });
});

describe('announcing a channel', () => {
  beforeEach(() => {
    connect(ALICE);
    connect(BOB);
  });

  it('makes it known to its connected members', () => {
    expect(announce(ALICE, trio)).toEqual([
      'alice:CH_STATUS 5 [alice,bob]',
      'bob:CH_STATUS 5 [alice,bob]',
    ]);
    expect(hub.channelCount).toBe(1);
  });

  it('again is answered with what is known', () => {
    announce(ALICE, trio);
    expect(announce(BOB, trio)).toEqual(['bob:CH_STATUS 5 [alice,bob]']);
    expect(announce(BOB, trio, 5)).toEqual(['bob:CH_STATUS 5 [alice,bob]']);
    expect(hub.channelCount).toBe(1);
  });

  it('with steps that do not reach down to what is known is answered with that', () => {
    expect(announce(BOB, trio, 2)).toEqual(['bob:CH_STATUS 0 []', 'alice:CH_STATUS 0 [alice]']);
    expect(announce(BOB, trio)).toEqual(['bob:CH_STATUS 5 [alice,bob]']);
  });

  it('is refused when the genesis is another channel’s', () => {
    const payload = { ...trio.announcement(), genesis: new TestChannel(BOB).genesis };
    expect(send(ALICE, { name: 'CH_ROSTER', payload })).toEqual([
      'alice:ERR bad_genesis CH_ROSTER',
    ]);
    expect(hub.channelCount).toBe(0);
  });

  it('is refused when the founder did not sign the genesis', () => {
    const payload = { ...trio.announcement(), genesis_sig: new Uint8Array(64) };
    expect(send(ALICE, { name: 'CH_ROSTER', payload })).toEqual([
      'alice:ERR bad_signature CH_ROSTER',
    ]);
    expect(hub.channelCount).toBe(0);
  });

  it('believes steps up to the first that does not hold', () => {
    const announced = trio.announcement();
    const forged = announced.steps[3]!.slice();
    forged[forged.length - 1]! ^= 1;
    const steps = announced.steps.with(3, forged);
    const effects = effectsOf(ALICE, { name: 'CH_ROSTER', payload: { ...announced, steps } });
    expect(told(effects)).toEqual([
      'alice:CH_STATUS 3 [alice,bob]',
      'bob:CH_STATUS 3 [alice,bob]',
      'alice:ERR bad_signature CH_ROSTER',
    ]);
    expect(payloadsOf(effects, 'ERR')[0]!.id).toBe(trio.id);
  });

  it('tells members who joined, the new one too', () => {
    const channel = TestChannel.of(ALICE, [BOB]);
    announce(ALICE, channel);
    const known = channel.roster.number;
    channel.admit(CAROL);
    connect(CAROL);
    expect(announce(ALICE, channel, known).sort()).toEqual([
      'alice:CH_STATUS 5 [alice,bob,carol]',
      'alice:CH_UJOIN carol',
      'bob:CH_UJOIN carol',
      'carol:CH_STATUS 5 [alice,bob,carol]',
      'carol:CH_UJOIN carol',
    ]);
  });

  it('by who is no member tells only which steps are missing', () => {
    announce(ALICE, trio);
    connect(EVE);
    const effects = effectsOf(EVE, { name: 'CH_ROSTER', payload: trio.announcement() });
    expect(told(effects)).toEqual(['eve:CH_STATUS 5 []']);
    expect(payloadsOf(effects, 'CH_STATUS')[0]!.name).toEqual(new Uint8Array(0));
  });

  it('keeps the name as the latest member sent it, not as a stranger did', () => {
    announce(ALICE, trio);
    connect(EVE);
    const name = new Uint8Array([6, 6, 6]);
    send(EVE, { name: 'CH_ROSTER', payload: { ...trio.announcement(), name } });
    const statusOf = () =>
      payloadsOf(
        effectsOf(BOB, { name: 'CH_ROSTER', payload: { ...trio.announcement(), name } }),
        'CH_STATUS',
      )[0]!.name;
    const [list] = payloadsOf(effectsOf(ALICE, { name: 'CH_LST', payload: {} }), 'LST_CH');
    expect(list!.channels[0]!.name).toEqual(new Uint8Array([1, 2, 3]));
    expect(statusOf()).toEqual(name);
  });
});

describe('work', () => {
  it('is limited for one connection; RATE, not a status, says when to go on', () => {
    newHub({ user_work_burst: 50, user_work_per_s: 1 });
    connect(ALICE);
    const effects = effectsOf(ALICE, { name: 'CH_ROSTER', payload: trio.announcement() });
    expect(told(effects)).toEqual(['alice:RATE CH_ROSTER']);
    pass(payloadsOf(effects, 'RATE')[0]!.retry_ms);
    expect(announce(ALICE, trio, 5)).toEqual(['alice:CH_STATUS 1 [alice]']);
    expect(announce(ALICE, trio, 1)).toEqual(['alice:RATE CH_ROSTER']);
    pass(50_000);
    expect(announce(ALICE, trio, 3)).toEqual(['alice:CH_STATUS 5 [alice]']);
  });

  it('is limited for all connections together', () => {
    newHub({ work_total_burst: 19, work_total_per_s: 1 });
    connect(ALICE);
    connect(BOB);
    announce(ALICE, solo);
    const refused = effectsOf(BOB, { name: 'CH_ROSTER', payload: trio.announcement() });
    expect(told(refused)).toEqual(['bob:RATE CH_ROSTER']);
    expect(payloadsOf(refused, 'RATE')[0]!.retry_ms).toBe(10_000);
    expect(hub.channelCount).toBe(1);
  });

  it('covers long lists', () => {
    newHub({ user_work_burst: 2, user_work_per_s: 1 });
    connect(ALICE);
    expect(send(ALICE, { name: 'LST_USR', payload: {} })).toEqual(['alice:USR_LST']);
    expect(send(ALICE, { name: 'LST_USR', payload: {} })).toEqual(['alice:RATE LST_USR']);
    expect(send(ALICE, { name: 'CH_LST', payload: {} })).toEqual(['alice:RATE CH_LST']);
  });
});

describe('how many channels', () => {
  it('one connection may make known', () => {
    newHub({ channels_announced_max: 1 });
    connect(ALICE);
    announce(ALICE, trio);
    expect(announce(ALICE, solo)).toEqual(['alice:ERR full CH_ROSTER']);
    expect(announce(ALICE, trio)).toEqual(['alice:CH_STATUS 5 [alice]']);
  });

  it('the relay knows: it forgets the one that was without a member for longest', () => {
    newHub({ channels_max: 2 });
    const [first, second, third] = [ALICE, BOB, CAROL].map((who) => new TestChannel(who));
    connect(ALICE);
    announce(ALICE, first!);
    connect(BOB);
    announce(BOB, second!);
    disconnect(BOB);
    disconnect(ALICE);
    connect(CAROL);
    announce(CAROL, third!);
    expect(hub.channelCount).toBe(2);
    expect(connect(BOB)).toEqual([]);
    expect(connect(ALICE)).toEqual(['alice:CH_STATUS 0 [alice]']);
  });

  it('the relay knows: it refuses another when all have members online', () => {
    newHub({ channels_max: 1 });
    connect(ALICE);
    announce(ALICE, trio);
    expect(announce(ALICE, solo)).toEqual(['alice:ERR full CH_ROSTER']);
  });
});

describe('forwarding', () => {
  beforeEach(() => {
    for (const who of [ALICE, BOB, CAROL, EVE]) connect(who);
    announce(ALICE, trio);
  });

  it('goes to the other online members', () => {
    expect(send(BOB, commit(trio.id, BOB))).toEqual([
      'alice:CH_MSG_COMMIT (forwarded)',
      'carol:CH_MSG_COMMIT (forwarded)',
    ]);
    disconnect(CAROL);
    expect(send(BOB, commit(trio.id, BOB))).toEqual(['alice:CH_MSG_COMMIT (forwarded)']);
  });

  it('names the same receivers by the same array, while nothing changes', () => {
    const receivers = (): unknown => {
      const effect = effectsOf(BOB, commit(trio.id, BOB))[0]!;
      return effect.type === 'forward' && effect.to;
    };
    const before = receivers();
    expect(receivers()).toBe(before);
    disconnect(CAROL);
    expect(receivers()).not.toBe(before);
  });

  it('narrows to one member', () => {
    expect(send(BOB, pull(trio.id, BOB, CAROL))).toEqual(['carol:CH_PULL (forwarded)']);
  });

  it('says when that member is not connected', () => {
    disconnect(CAROL);
    const effects = effectsOf(BOB, pull(trio.id, BOB, CAROL));
    expect(told(effects)).toEqual(['bob:ERR not_connected CH_PULL']);
    expect(payloadsOf(effects, 'ERR')[0]!.id).toBe(trio.id);
  });

  it('refuses a sender that is not a member', () => {
    const effects = effectsOf(EVE, commit(trio.id, EVE));
    expect(told(effects)).toEqual(['eve:ERR not_member CH_COMMIT']);
    expect(payloadsOf(effects, 'ERR')[0]!.id).toBe(trio.id);
  });

  it('refuses a receiver that is not a member', () => {
    expect(send(ALICE, append(trio.id, ALICE, EVE))).toEqual(['alice:ERR not_member CH_APPEND']);
  });

  it('refuses a channel that is not known', () => {
    const effects = effectsOf(ALICE, commit(DIGEST as never, ALICE));
    expect(told(effects)).toEqual(['alice:ERR no_channel CH_COMMIT']);
    expect(payloadsOf(effects, 'ERR')[0]!.id).toBe(DIGEST);
  });

  it('refuses what names another sender', () => {
    expect(send(EVE, commit(trio.id, ALICE))).toEqual(['eve:ERR bad_from CH_COMMIT']);
    expect(send(EVE, pm(ALICE, BOB))).toEqual(['eve:ERR bad_from PV_MSG']);
    const beacon: Outgoing = { name: 'BEACON', payload: { from: ALICE.user, ...SIGNED } };
    expect(send(EVE, beacon)).toEqual(['eve:ERR bad_from BEACON']);
  });

  it('refuses a payload without a route', () => {
    const peer = peers.get(ALICE.user)!;
    const raw = new Uint8Array(1);
    for (const payload of [{}, { from: 'alice' }, { from: new Uint8Array(31) }]) {
      const effects = hub.command(peer, { name: 'PV_MSG', payload, raw }, now);
      expect(told(effects)).toEqual(['alice:ERR bad_payload PV_MSG']);
    }
    const payload = { from: new Uint8Array(Buffer.from(ALICE.user, 'hex')) };
    const effects = hub.command(peer, { name: 'PV_MSG', payload, raw }, now);
    expect(told(effects)).toEqual(['alice:ERR bad_payload PV_MSG']);
  });

  it('takes a command for what it is, whatever fields it has', () => {
    const peer = peers.get(EVE.user)!;
    const raw = new Uint8Array(1);
    const [from, to, id] = [EVE.user, BOB.user, trio.id].map(unhex);
    const toBob = (name: CommandName) =>
      told(hub.command(peer, { name, payload: { from, to }, raw }, now));
    expect(toBob('CH_APPEND')).toEqual(['eve:ERR bad_payload CH_APPEND']);
    expect(toBob('CH_JOIN')).toEqual(['eve:ERR bad_payload CH_JOIN']);
    const payload = { from, id };
    expect(told(hub.command(peer, { name: 'PV_MSG', payload, raw }, now))).toEqual([
      'eve:ERR bad_payload PV_MSG',
    ]);
  });

  it('refuses what only a relay sends', () => {
    const peer = peers.get(ALICE.user)!;
    const raw = new Uint8Array(1);
    for (const name of ['UCNN', 'CH_UJOIN', 'MSG', 'CH_MSG_ACK', 'CNN_OK', 'ERR'] as const) {
      const effects = hub.command(peer, { name, payload: {}, raw }, now);
      expect(told(effects)).toEqual([`alice:ERR bad_command ${name}`]);
    }
  });

  it('takes the leader hint from the leader alone, and drops it when the leader goes', () => {
    const elected = (from: { user: UserId }, leader: { user: UserId }): Outgoing => ({
      name: 'CH_ELECTED',
      payload: {
        id: trio.id,
        from: from.user,
        election: 1,
        leader: leader.user,
        kind: 'roster',
        ...SIGNED,
        electorate: [],
        ballots: [],
      },
    });
    const leader = () =>
      payloadsOf(effectsOf(ALICE, { name: 'CH_LST', payload: {} }), 'LST_CH')[0]!.channels[0]!
        .leader;
    send(BOB, elected(BOB, CAROL));
    expect(leader()).toBeUndefined();
    send(CAROL, elected(CAROL, CAROL));
    expect(leader()).toBe(CAROL.user);
    disconnect(CAROL);
    expect(leader()).toBeUndefined();
  });

  it('sends a beacon once to who shares two channels', () => {
    announce(ALICE, TestChannel.of(ALICE, [BOB], 7));
    const beacon: Outgoing = { name: 'BEACON', payload: { from: ALICE.user, ...SIGNED } };
    expect(send(ALICE, beacon)).toEqual(['bob:BEACON (forwarded)', 'carol:BEACON (forwarded)']);
    disconnect(BOB);
    expect(send(ALICE, beacon)).toEqual(['carol:BEACON (forwarded)']);
  });
});

describe('a key that was replaced', () => {
  const channel = TestChannel.of(ALICE, [BOB, CAROL], 9);
  const before = channel.steps.length;
  const request = encodeStatement({
    ...{ tag: 'replace', channel: channel.id, roster: 0, rosterHash: channel.roster.hash },
    ...{ old: CAROL.user, user: EVE.user, name: 'carol anew' },
    ...{ sealing: sealingOf(EVE), recovery: null, by: null },
  });
  const sign = ({ seed }: typeof EVE) => crypto.ed25519Sign(seed, request);
  const body = { kind: 'replace', request, bySig: new Uint8Array(64) } as const;

  beforeEach(() => {
    for (const who of [ALICE, BOB, CAROL, EVE]) connect(who);
    announce(ALICE, channel);
    expect(send(CAROL, commit(channel.id, CAROL))).toHaveLength(2);
  });

  it('is no member any more for the relay, and the new one is', () => {
    const changed = TestChannel.of(ALICE, [BOB, CAROL], 9);
    changed.change({ ...body, base: changed.roster.number, userSig: sign(EVE) });
    const effects = announce(ALICE, changed, before);
    expect(effects).toEqual(expect.arrayContaining(['carol:CH_ULEAVE carol', 'bob:CH_UJOIN eve']));
    expect(send(CAROL, commit(channel.id, CAROL))).toEqual(['carol:ERR not_member CH_COMMIT']);
    expect(send(ALICE, pull(channel.id, ALICE, CAROL))).toEqual(['alice:ERR not_member CH_PULL']);
    expect(send(EVE, commit(channel.id, EVE)).sort()).toEqual([
      'alice:CH_MSG_COMMIT (forwarded)',
      'bob:CH_MSG_COMMIT (forwarded)',
    ]);
  });

  it('is one still, when the new one did not sign that', () => {
    const changed = TestChannel.of(ALICE, [BOB, CAROL], 9);
    changed.change({ ...body, base: changed.roster.number, userSig: sign(BOB) });
    expect(announce(ALICE, changed, before)).toContain('alice:ERR bad_signature CH_ROSTER');
    expect(send(CAROL, commit(channel.id, CAROL))).toHaveLength(2);
  });
});

describe('asking to join', () => {
  let channel: TestChannel;
  let invitation: ReturnType<typeof identity>;
  let expired: ReturnType<typeof identity>;

  beforeAll(() => {
    channel = TestChannel.of(ALICE, [BOB]);
    invitation = channel.invite();
    expired = channel.invite({ expires: WALL_MS - 1 });
  });

  const ask = (overrides: object = {}, key = invitation): Outgoing => ({
    name: 'CH_JOIN',
    payload: { ...channel.request(EVE, key), ...overrides },
  });

  beforeEach(() => {
    for (const who of [ALICE, BOB, EVE]) connect(who);
    announce(ALICE, channel);
  });

  it('reaches the online members, and the requester gets the channel’s status', () => {
    expect(send(EVE, ask())).toEqual([
      'eve:CH_STATUS 4 [alice,bob]',
      'alice:CH_JOIN (forwarded)',
      'bob:CH_JOIN (forwarded)',
    ]);
    expect(send(EVE, ask())).toEqual(['alice:CH_JOIN (forwarded)', 'bob:CH_JOIN (forwarded)']);
  });

  it('lets members answer with what a newcomer needs, nothing else, for a while', () => {
    expect(send(ALICE, append(channel.id, ALICE, EVE))).toEqual(['alice:ERR not_member CH_APPEND']);
    send(EVE, ask());
    expect(send(ALICE, append(channel.id, ALICE, EVE))).toEqual(['eve:CH_APPEND (forwarded)']);
    expect(send(ALICE, pull(channel.id, ALICE, EVE))).toEqual(['alice:ERR not_member CH_PULL']);
    expect(send(EVE, pull(channel.id, EVE, ALICE))).toEqual(['eve:ERR not_member CH_PULL']);
    pass(RELAY_LIMITS.guest_ms);
    expect(send(ALICE, append(channel.id, ALICE, EVE))).toEqual(['alice:ERR not_member CH_APPEND']);
  });

  it('does not bring the channel’s traffic', () => {
    send(EVE, ask());
    expect(send(ALICE, commit(channel.id, ALICE))).toEqual(['bob:CH_MSG_COMMIT (forwarded)']);
  });

  it.each([
    ['a request that does not decode', { request: new Uint8Array(9) }, 'bad_encoding'],
    ['a forged signature of the invitation', { invite_sig: new Uint8Array(64) }, 'bad_signature'],
    ['a forged signature of its own', { sig: new Uint8Array(64) }, 'bad_signature'],
  ])('is refused with %s', (_, overrides, code) => {
    expect(send(EVE, ask(overrides))).toEqual([`eve:ERR ${code} CH_JOIN`]);
  });

  it('is refused with an invitation that is unknown or has expired', () => {
    expect(send(EVE, ask({}, identity(500)))).toEqual(['eve:ERR invite_refused CH_JOIN']);
    expect(send(EVE, ask({}, expired))).toEqual(['eve:ERR invite_refused CH_JOIN']);
  });

  it('is refused in the name of somebody else', () => {
    connect(DAVE);
    const payload = { ...channel.request(EVE, invitation), from: DAVE.user };
    expect(send(DAVE, { name: 'CH_JOIN', payload })).toEqual(['dave:ERR bad_membership CH_JOIN']);
  });

  it('reaches the members when the sender is one already, and does not know it', () => {
    const payload = channel.request(BOB, invitation);
    expect(send(BOB, { name: 'CH_JOIN', payload })).toEqual(['alice:CH_JOIN (forwarded)']);
  });

  it('is limited', () => {
    newHub({ joins_burst: 1, joins_per_s: 1 });
    for (const who of [ALICE, EVE]) connect(who);
    announce(ALICE, channel);
    send(EVE, ask());
    expect(send(EVE, ask())).toEqual(['eve:RATE CH_JOIN']);
    expect(send(EVE, ask({ request: new Uint8Array(9) }))).toEqual(['eve:RATE CH_JOIN']);
    pass(1_000);
    expect(send(EVE, ask())).toEqual(['alice:CH_JOIN (forwarded)']);
  });

  it('is work as well', () => {
    newHub({ user_work_burst: 70, user_work_per_s: 1 });
    for (const who of [ALICE, EVE]) connect(who);
    now = { ...now, ms: 1 };
    announce(ALICE, channel);
    const answers = Array.from({ length: 40 }, () => send(EVE, ask()).join());
    expect(answers.filter((line) => line === 'eve:RATE CH_JOIN').length).toBeGreaterThan(5);
  });

  it('remembers a bounded number of requesters, the latest', () => {
    newHub({ guests_per_channel_max: 1 });
    for (const who of [ALICE, EVE, DAVE]) connect(who);
    announce(ALICE, channel);
    send(EVE, ask());
    send(DAVE, { name: 'CH_JOIN', payload: channel.request(DAVE, invitation) });
    expect(send(ALICE, append(channel.id, ALICE, EVE))).toEqual(['alice:ERR not_member CH_APPEND']);
    expect(send(ALICE, append(channel.id, ALICE, DAVE))).toEqual(['dave:CH_APPEND (forwarded)']);
  });
});

describe('whatever a peer sends', () => {
  it('leads to a forward in its own name, an answer to it, or an ERR to it', () => {
    const field = fc.constantFrom(
      ...['id', 'from', 'to', 'leader', 'genesis', 'genesis_sig', 'number', 'first', 'steps'],
      ...['name', 'request', 'invite_sig', 'sig', 'timestamp', 'nonce', 's', 'msg', 'ballots'],
    );
    const known = [ALICE.user, BOB.user, EVE.user, trio.id].map(unhex);
    const value = fc.oneof(
      fc.constantFrom(...known, trio.genesis, ...trio.steps),
      fc.uint8Array({ maxLength: 70 }),
      fc.integer(),
      fc.string(),
      fc.constantFrom(null, true, 2n ** 63n, Number.NaN),
      fc.array(fc.oneof(fc.uint8Array({ maxLength: 3 }), fc.constantFrom(...trio.steps))),
      fc.dictionary(fc.string(), fc.integer()),
    );
    const name = fc.constantFrom(...(Object.keys(COMMANDS) as CommandName[]));
    for (const who of [ALICE, BOB, EVE]) connect(who);
    announce(ALICE, trio);
    fc.assert(
      fc.property(name, fc.dictionary(field, value), (command, payload) => {
        pass(60_000);
        if (hub.userCount < 3) connect(ALICE);
        const raw = new Uint8Array(1);
        const peer = peers.get(ALICE.user)!;
        for (const effect of hub.command(peer, { name: command, payload, raw }, now)) {
          if (effect.type === 'close') expect(effect.peer).toBe(peer);
          else if (effect.type === 'forward') expect(payload.from).toEqual(unhex(ALICE.user));
          else if (effect.command.name === 'ERR') expect(effect.to).toEqual([peer]);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
