/** What a channel waits for, and how entries and the log read: the texts that people see. */

import { describe, expect, test } from 'vitest';
import { entryLine, followedEntries, longEntryLine, nodeStatus } from '../../src/cli/human.js';
import { createLogger } from '../../src/cli/log.js';
import {
  departureText,
  missedRelays,
  type NamedStatus,
  notFinal,
  relayProblem,
  waitingFor,
} from '../../src/cli/waiting.js';
import type { ChannelId, Digest, UserId } from '../../src/core/ids.js';
import { Collected } from './fixtures/cli-harness.js';

const URL = 'conclave://ab@127.0.0.1:9';
const problem = { code: 'unreachable', message: 'connect ECONNREFUSED 127.0.0.1:9' };
const up = { url: URL, connected: true };
const down = { url: URL, connected: false, problem };
const untried = { url: URL, connected: false };
const plain = (_: unknown, text: string): string => text;

const status: NamedStatus = {
  ...{ channel: 'ab'.repeat(32) as ChannelId, name: 'team', relays: [up], members: 7 },
  minOnline: 3,
  ...{ online: [], leader: null, leaderName: null, epoch: null, state: 'healthy', waiting: null },
  ...{ queued: 0, sent: 0, committed: 0, final: 3, head: 'cd'.repeat(32) as Digest },
  misbehaved: [],
};
const reason = 'messages need 3 members online, have 2';
const waiting = (...names: string[]) => ({ need: 3, have: 2, missing: [], reason, names });

describe('what a channel waits for', () => {
  test.each<[string, Partial<NamedStatus>, string | undefined]>([
    ['nothing', {}, undefined],
    ['members', { waiting: waiting('bob', 'cat') }, `${reason}; missing: bob, cat`],
    [
      'many members',
      { waiting: waiting('a', 'b', 'c', 'd', 'e', 'f', 'g') },
      `${reason}; missing: a, b, c, d, e, and 2 more`,
    ],
    ['a leader', { state: 'electing' }, 'the members are electing a leader'],
    [
      'a relay, which hides who is online',
      { relays: [down], waiting: waiting('bob') },
      `no relay answers: ${URL} (${problem.message})`,
    ],
    ['one relay of two is enough', { relays: [down, up] }, undefined],
    ['a relay that is just tried', { relays: [untried], waiting: waiting() }, reason],
  ])('%s', (_, change, text) => {
    expect(waitingFor({ ...status, ...change })).toBe(text);
  });

  test('no relay is no problem', () => {
    expect(relayProblem([])).toBeUndefined();
  });

  test('a relay that is not reached is missed, where another one is', () => {
    expect(missedRelays([down, up])).toBe(`no link to ${URL} (${problem.message})`);
    for (const relays of [[up], [down], [untried, up], []]) {
      expect(missedRelays(relays)).toBeUndefined();
    }
  });

  test('an online epoch commits, and makes nothing final', () => {
    const epoch = { term: 4, kind: 'online' } as const;
    expect(notFinal({ epoch, members: 7 })).toContain('until 4 of the 7 members meet');
    expect(notFinal({ epoch, members: 6 })).toContain('until 4 of the 6 members meet');
    expect(notFinal({ epoch: { term: 4, kind: 'roster' }, members: 7 })).toBeUndefined();
  });

  test('status names the leader and the missing, and what an online epoch lacks', () => {
    const leader = 'ee'.repeat(32) as UserId;
    const led = { leader, leaderName: 'ann', epoch: { term: 4, kind: 'online' } as const };
    const text = nodeStatus({ ...status, ...led }, plain)!;
    expect(text).toMatch(/^team {2}healthy\n {2}not final +messages are committed on this side/);
    expect(text).toMatch(/\n {2}leader +ann, online epoch, term 4\n/);
    const waits = nodeStatus({ ...status, state: 'waiting', waiting: waiting('bob') }, plain);
    expect(waits).toMatch(/^team {2}waiting\n {2}waiting +messages need .*; missing: bob\n/);
    const cut = nodeStatus({ ...status, relays: [down] }, plain);
    expect(cut).toMatch(/^team {2}cut off, committing\n {2}cut off +no relay answers: conclave:/);
    expect(cut).not.toMatch(/healthy|waiting/);
    expect(cut).toMatch(/\n {2}relay +no link +conclave:.* \(connect ECONNREFUSED 127.0.0.1:9\)$/);
  });
});

test('how a node went is said, by whom and when', () => {
  const [user, key] = ['ab', 'cd'].map((start) => start.repeat(32)) as [UserId, UserId];
  const time = Date.UTC(2026, 0, 2, 10, 11);
  const by = { user, name: 'ann' };
  const removed = { how: 'removed', by, time } as const;
  expect(departureText(removed)).toBe('ann (abababab) removed it, 2026-01-02 10:11');
  expect(departureText({ ...removed, how: 'left' })).toBe('it left, 2026-01-02 10:11');
  expect(departureText({ ...removed, how: 'replaced', replacedBy: key })).toBe(
    'another key has its place, cdcdcdcd: ann (abababab) made it so, 2026-01-02 10:11',
  );
  const out = nodeStatus({ ...status, state: 'removed', departure: removed }, plain);
  expect(out).toMatch(/^team {2}removed\n {2}removed +ann \(abababab\) removed it/);
  expect(entryLine({ event: 'removed', ...removed }, plain)).toMatch(/any more: ann .* removed it/);
  expect(entryLine({ event: 'removed' }, plain)).toBe(
    '--- this node is not in the channel any more',
  );
});

describe('entries', () => {
  const entry = {
    ...{ seq: 10, id: '01M7ZWWAMVKJZ0YKB88XSS55FS', time: Date.UTC(2026, 0, 2, 10, 11, 12) },
    ...{ name: 'ann', state: 'final', epoch: { term: 5, kind: 'roster' } },
  };

  const bob = { user: 'b0b'.padEnd(64, '0'), name: 'bob' };

  test.each([
    ['join', { member: { user: 'x', name: 'bob' } }, '* bob joined, let in by ann'],
    ['invite', {}, '* ann made an invitation'],
    ['revoke', {}, '* ann revoked an invitation'],
    ['relays', {}, '* ann changed the relays'],
    ['leave', { name: 'bob', member: bob }, '* bob left'],
    ['remove', { member: bob }, '* ann removed bob'],
    ['role', { member: bob, role: 'admin' }, '* ann made bob an admin'],
    ['role', { member: bob, role: 'member' }, '* ann made bob a plain member'],
    ['invite', { member: bob }, '* ann made an invitation for bob'],
    ['invite', { member: { ...bob, name: '' } }, '* ann made an invitation for b0b00000'],
    ['message', { sealed: true }, '* ann wrote something that this node has no key for'],
    ['message', { plain: true }, '* ann wrote something without encrypting it: it is not shown'],
    ['novel', {}, '* novel, by ann'],
  ])('of kind %s', (kind, more, text) => {
    expect(entryLine({ ...entry, kind, ...more }, plain)).toBe(`[2026-01-02 10:11] ${text}`);
  });

  test('who leads is shown with --long alone, which has place and id', () => {
    const member = { user: 'x', name: 'bob' };
    for (const [kind, text] of [
      ['epoch', '* ann leads, term 5'],
      ['keys', '* ann made a new key'],
      ['vote', '* bob has a vote now'],
    ] as const) {
      expect(entryLine({ ...entry, kind, member }, plain)).toBeUndefined();
      expect(longEntryLine({ ...entry, kind, member }, plain)).toBe(
        `     10  ${entry.id}  [2026-01-02 10:11] ${text}`,
      );
    }
  });

  test('a merge is one line, before what it brings', () => {
    const branches = [
      { kind: 'online', term: 4, leaderName: 'bob' },
      { kind: 'roster', term: 3, leaderName: 'e\u001bve' },
    ];
    const text =
      '--- ann merged 2 messages of online term 4 under bob, roster term 3 under e␛ve: in the log at 11 to 12';
    const two = { ...entry, kind: 'merge', merge: { entries: 2, branches } };
    expect(entryLine(two, plain)).toBe(text);
    expect(longEntryLine(two, plain)).toBe(`     10  ${entry.id}  ${text}`);
    const one = { ...two, merge: { entries: 1, branches } };
    expect(entryLine(one, plain)).toMatch(/^--- ann merged 1 message of .*: in the log at 11$/);
    expect(entryLine({ event: 'merged', ...two }, plain)).toBeUndefined();
  });

  test('what has no place yet is shown as that', () => {
    const queued = {
      ...entry,
      kind: 'message',
      text: 'hi',
      seq: null,
      state: 'queued',
      epoch: null,
    };
    expect(followedEntries(longEntryLine)(queued, plain)).toBe(
      `      -  ${entry.id}  [2026-01-02 10:11] ann: hi (queued)`,
    );
  });
});

describe('the log', () => {
  const logged = (isTTY: boolean): string => {
    const stderr = new Collected();
    stderr.isTTY = isTTY;
    const log = createLogger(stderr, 'warn');
    log.info('left out');
    log.warn({ relay: URL, code: 'unreachable' }, 'no link\u001b[2J');
    log.error({ err: new Error('gone') }, 'failed');
    return stderr.text;
  };

  test('is JSON for programs', () => {
    const lines = logged(false).trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line).level)).toEqual([40, 50]);
  });

  test('is lines for people on a terminal', () => {
    const [warning, error] = logged(true).trimEnd().split('\n');
    expect(warning).toMatch(/^\d\d:\d\d:\d\d warning: no link␛\[2J \(relay conclave:.*, code un/);
    expect(error).toMatch(/^\d\d:\d\d:\d\d error: failed \(err gone\)$/);
  });
});
