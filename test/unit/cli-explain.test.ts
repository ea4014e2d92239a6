/** `conclave explain`: the text for people, a line for each step, and JSON as the node says it. */

import { encodeTime } from 'ulid';
import { expect, test } from 'vitest';
import type { Digest, Ulid, UserId } from '../../src/core/ids.js';
import type { Explanation, Named } from '../../src/node/index.js';
import { Harness } from './fixtures/cli-harness.js';

const ID = '01HZX3M5Q9V8T2K4B6N7P0R1SC' as Ulid;
const named = (name: string): Named => ({ user: name.repeat(32).slice(0, 64) as UserId, name });
const [alice, bob, carol] = ['alice', 'bob', 'carol'].map(named) as [Named, Named, Named];
const stranger: Named = { user: 'ab'.repeat(32) as UserId, name: '' };
const time = 1_767_348_660_000;
const boot = encodeTime(time - 3_600_000, 10).padEnd(26, '0') as Ulid;
const online = { kind: 'online', term: 4, leader: bob } as const;
const roster = { kind: 'roster', term: 7, leader: carol } as const;

const record = {
  id: ID,
  digest: 'cd'.repeat(32) as Digest,
  from: alice.user,
  name: 'alice',
  kind: 'message',
};
const final: Explanation = {
  ...record,
  text: 'hello\u001b[2J',
  state: 'final',
  seq: 42,
  waits: null,
  steps: [
    { step: 'made', by: alice, time, boot, n: 17 },
    { step: 'signed', roster: 5, records: 3 },
    {
      step: 'merged',
      seq: 40,
      by: carol,
      branches: [
        { under: online, entries: 2 },
        { under: { ...roster, term: 6, leader: null }, entries: 1 },
      ],
    },
    {
      step: 'final',
      seq: 42,
      under: roster,
      certificate: { seq: 45, by: [alice, carol, stranger], of: 5 },
    },
  ],
};
const provisional: Explanation = {
  ...record,
  text: 'hello',
  state: 'committed',
  seq: null,
  waits: 'for a roster leader to merge it into the log',
  steps: [
    { step: 'made', by: stranger, time, boot, n: 1 },
    { step: 'signed', roster: 5, records: 1 },
    { step: 'queued' },
    { step: 'placed', in: 'log', under: roster, seq: 9, acknowledged: false, committed: null },
    { step: 'displaced', under: roster, seq: 9 },
    {
      step: 'placed',
      in: 'branch',
      under: online,
      seq: 12,
      acknowledged: true,
      committed: { seq: 12, by: [alice, bob], of: 3 },
    },
  ],
};

async function explained(explanations: Explanation[], ...more: string[]) {
  const h = new Harness();
  (await h.withChannel()).explanations = explanations;
  return h.run(['explain', '--dir', h.dir, 'team', ID, ...more]);
}

test('of a final message', async () => {
  const { code, stdout } = await explained([final]);
  expect([code, stdout.split('\n')]).toEqual([
    0,
    [
      `final at 42  ${ID}  alice: "hello␛[2J"`,
      `  made       2026-01-02 10:11:00 by alice: record 17 since its node started at 2026-01-02 09:11:00`,
      '  signed     together with 2 others, under version 5 of the list of members',
      '  merged     into the log by carol, with the merge at 40, from what was placed by bob (leader of those online, term 4); what was placed by one whose name is forgotten here (leader by a majority of all members, term 6)',
      '  final      at 42, placed by carol (leader by a majority of all members, term 7): stored by alice, carol, abababab (3 of 5, up to 45)',
      '',
    ],
  ]);
});

test('of one that waits', async () => {
  const { stdout } = await explained([provisional]);
  expect(stdout.split('\n')).toEqual([
    `committed  ${ID}  alice: "hello"`,
    `  made       2026-01-02 10:11:00 by abababab: record 1 since its node started at 2026-01-02 09:11:00`,
    '  signed     alone, under version 5 of the list of members',
    '  queued     this node keeps it, to offer it until it is final',
    '  placed     in the log at 9 by carol (leader by a majority of all members, term 7): not committed there',
    '  displaced  from 9 in the log, where a later leader has something else',
    '  placed     beside the log, on one side at 12 by bob (leader of those online, term 4): stored by alice, bob (2 of 3), so committed; this node said that it has it there',
    '  waits      for a roster leader to merge it into the log',
    '',
  ]);
});

test('of what a leader made of its epoch, which no start of a node counts', async () => {
  const made = { step: 'made', by: alice, time, boot: '0'.repeat(26) as Ulid, n: 0 } as const;
  const { stdout } = await explained([{ ...final, kind: 'epoch', steps: [made] }]);
  expect(stdout.split('\n')[1]).toBe('  made       2026-01-02 10:11:00 by alice');
});

test('of a record that is no message', async () => {
  const { text: _, ...join } = final;
  const { stdout } = await explained([{ ...join, kind: 'join' }]);
  expect(stdout.split('\n')[0]).toBe(`final at 42  ${ID}  alice: a record of kind join`);
});

test('with --json, an object for each record of that id', async () => {
  const { json } = await explained([final, provisional], '--json');
  expect(json).toEqual([final, provisional]);
});

test('of what nobody holds, it fails', async () => {
  const { code, json } = await explained([], '--json');
  expect([code, json]).toMatchObject([1, [{ error: { code: 'no_message' } }]]);
});
