/** The log in memory against an array of everything ever placed (docs/PROTOCOL.md, section "Log"). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chainStart } from '../../src/core/chain.js';
import type { Digest, UserId } from '../../src/core/ids.js';
import type { Entry } from '../../src/core/layout.js';
import { JOIN_LAG_ENTRIES_MAX, LOCATORS_MAX } from '../../src/core/limits.js';
import { isMessageLane, Log } from '../../src/core/log.js';
import type { ChannelRecord } from '../../src/core/record.js';
import { isMembership } from '../../src/core/roster.js';
import { CHANNEL, digestOf, epochOf, hash, person, recordBy } from './fixtures/channel.js';
import { codeOf } from './fixtures/errors.js';

const START = { seq: 0, hash: chainStart(hash, CHANNEL) };
const AUTHORS = [1, 2, 3].map(person);
const KINDS = ['message', 'message', 'epoch', 'merge', 'invite', 'x-unknown'] as const;
const PROOF = new Uint8Array(8);

const fresh = () => new Log(hash, START, 0, new Map());
let count = 0;
/** A record like no other. */
const newRecord = (kind = 'message', author = AUTHORS[0]!, body = 0): ChannelRecord =>
  recordBy(author, { kind, n: ++count, body: new Uint8Array(body) });
const at = (term: number) => ({ epoch: epochOf(`${term}`), term, roster: 0 });
const append = (log: Log, record = newRecord(), term = 1): Entry =>
  log.append(record, PROOF, at(term));
const filled = (entries: number): Log => {
  const log = fresh();
  for (let i = 0; i < entries; i++) append(log);
  return log;
};

const change = fc.oneof(
  fc.record({
    type: fc.constant('append' as const),
    author: fc.constantFrom(...AUTHORS),
    kind: fc.constantFrom(...KINDS),
    body: fc.nat(50),
    newTerm: fc.boolean(),
  }),
  fc.record({ type: fc.constant('truncate' as const), share: fc.nat(100) }),
  fc.record({ type: fc.constant('finalise' as const), share: fc.nat(100) }),
);

/** What is in the log and what is final, and nothing clever. */
interface Model {
  readonly entries: Entry[];
  final: number;
}

const lastOf = (entries: readonly Entry[], author: UserId): Digest | undefined =>
  entries.findLast((e) => e.record.author === author && isMessageLane(e.record))?.record.digest;

function agrees(log: Log, { entries, final }: Model): void {
  const tail = entries.slice(final);
  const last = entries.at(-1);
  expect(log.tail).toStrictEqual(tail);
  expect(log.tip.seq).toBe(entries.length);
  expect(log.tip.hash).toBe(last?.hash ?? START.hash);
  expect(log.lastTerm).toBe(last?.header.term ?? 0);
  expect(log.final).toStrictEqual({
    seq: final,
    hash: entries[final - 1]?.hash ?? START.hash,
  });
  expect(log.tailBytes).toBe(tail.reduce((sum, e) => sum + e.record.bytes.length, 0));
  expect(log.membershipInFlight()).toBe(tail.find((e) => isMembership(e.record.kind)));
  for (const { user } of AUTHORS) expect(log.tipOf(user)).toBe(lastOf(entries, user));
  for (let seq = 0; seq <= entries.length + 1; seq++) {
    expect(log.hashAt(seq), `hash at ${seq}`).toBe(seq === 0 ? START.hash : entries[seq - 1]?.hash);
    expect(log.entryAt(seq)).toBe(seq > final ? entries[seq - 1] : undefined);
  }
  for (const e of entries) {
    expect(log.seqOf(e.record.digest)).toBe(e.seq > final ? e.seq : undefined);
  }
}

describe('Log', () => {
  it('does what an array does, over any appends, truncations and finalisations', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const log = fresh();
        const model: Model = { entries: [], final: 0 };
        const dropped: Digest[] = [];
        let term = 1;
        for (const c of changes) {
          const behind = model.entries.length - model.final;
          if (c.type === 'append') {
            if (c.newTerm) term++;
            model.entries.push(append(log, newRecord(c.kind, c.author, c.body), term));
          } else if (c.type === 'truncate') {
            const to = model.final + Math.round((behind * c.share) / 100);
            const gone = model.entries.splice(to);
            expect(log.truncate(to)).toStrictEqual(gone);
            dropped.push(...gone.map((e) => e.record.digest));
          } else if (behind > 0) {
            const to = model.final + Math.max(1, Math.round((behind * c.share) / 100));
            expect(log.finalise(to)).toStrictEqual(model.entries.slice(model.final, to));
            model.final = to;
          }
          agrees(log, model);
        }
        for (const digest of dropped) expect(log.seqOf(digest)).toBeUndefined();
      }),
    );
  });

  it('starts anywhere, from a final point and the tips of authors', () => {
    const [a, b] = AUTHORS as [(typeof AUTHORS)[0], (typeof AUTHORS)[0]];
    const point = { seq: 4_000, hash: digestOf('4000') };
    const log = new Log(hash, point, 7, new Map([[a.user, digestOf('tip')]]));
    expect([log.tip, log.final, log.lastTerm]).toStrictEqual([point, point, 7]);
    expect([log.hashAt(4_000), log.hashAt(3_999), log.memoryFrom]).toStrictEqual([
      point.hash,
      undefined,
      4_000,
    ]);
    append(log, newRecord('message', b));
    expect(log.truncate(4_000)).toHaveLength(1);
    expect([log.tipOf(a.user), log.tipOf(b.user)]).toStrictEqual([digestOf('tip'), undefined]);
  });

  it('takes back an entry that it had', () => {
    const log = filled(3);
    const gone = log.truncate(1);
    for (const entry of gone) expect(log.restore(entry)).toBe(entry);
    expect(log.tail.slice(1)).toStrictEqual(gone);
    expect(log.seqOf(gone[1]!.record.digest)).toBe(3);
  });

  it('goes back to the last final message of an author', () => {
    const log = filled(1);
    const [first] = log.finalise(1);
    append(log);
    const invite = append(log, newRecord('invite'));
    expect(log.membershipInFlight()).toBe(invite);
    log.truncate(1);
    expect(log.tipOf(AUTHORS[0]!.user)).toBe(first!.record.digest);
    expect(log.membershipInFlight()).toBeUndefined();
  });

  it.each<[string, (log: Log) => unknown]>([
    ['an entry that leaves a gap', (log) => log.restore({ ...log.tail[0]!, seq: 9 })],
    ['an entry that is there', (log) => log.restore(log.tail.at(-1)!)],
    ['a truncation of what is final', (log) => log.truncate(1)],
    ['finality of what is final', (log) => log.finalise(2)],
    ['finality of what is not there', (log) => log.finalise(99)],
  ])('never takes %s', (_, call) => {
    const log = filled(5);
    log.finalise(2);
    expect(codeOf(() => call(log))).toBe('internal');
    expect(log.final.seq).toBe(2);
  });
});

describe('the hashes of final positions', () => {
  it('are in memory as far back as a joiner may lag, and no further than twice that', () => {
    const log = fresh();
    const hashes = [START.hash];
    for (const step of [1, 7, 100, 511, 512, 3, 513, 600, 1_024, 2_000, 1]) {
      for (let i = 0; i < step; i++) hashes.push(append(log).hash);
      log.finalise(log.tip.seq);
      const { seq } = log.final;
      const kept = seq - log.memoryFrom + 1;
      expect(kept).toBeGreaterThanOrEqual(Math.min(seq + 1, JOIN_LAG_ENTRIES_MAX));
      expect(kept).toBeLessThanOrEqual(2 * JOIN_LAG_ENTRIES_MAX);
      for (let back = seq; back >= log.memoryFrom; back--) {
        expect(log.hashAt(back)).toBe(hashes[back]);
      }
      expect(log.hashAt(log.memoryFrom - 1)).toBeUndefined();
      expect(log.hashAt(seq + 1)).toBeUndefined();
    }
  });
});

describe('locators', () => {
  it.each([
    [0, [0]],
    [1, [1, 0]],
    [2, [2, 1, 0]],
    [3, [3, 2, 1, 0]],
    [9, [9, 8, 7, 5, 1, 0]],
    [40, [40, 39, 38, 36, 32, 24, 8, 0]],
  ])('of a tail of %i entries are at %j', (entries, seqs) => {
    const log = filled(entries);
    const points = log.locators(LOCATORS_MAX);
    expect(points.map((p) => p.seq)).toStrictEqual(seqs);
    for (const p of points) expect(p.hash).toBe(log.hashAt(p.seq));
  });

  it('are never more than asked for, and always end at the final point', () => {
    const log = filled(40);
    log.finalise(3);
    for (let max = 1; max < 10; max++) {
      const points = log.locators(max);
      expect(points.length).toBeLessThanOrEqual(max);
      expect(points.at(-1)).toStrictEqual(log.final);
    }
    expect(log.locators(2).map((p) => p.seq)).toStrictEqual([40, 3]);
  });
});

describe('isMessageLane', () => {
  it.each([
    ['message', true],
    ['x-unknown', true],
    ['epoch', false],
    ['merge', false],
    ['invite', false],
    ['revoke', false],
    ['join', false],
    ['vote', false],
    ['relays', false],
  ])('%s: %s', (kind, expected) => {
    expect(isMessageLane(newRecord(kind))).toBe(expected);
  });
});
