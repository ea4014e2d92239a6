/**
 * Verification of what is provisional, on disks that simulated nodes wrote at
 * any moment of partitions, elections and merges: what the core wrote
 * verifies, and whatever is changed or lost behind the store's checksums is
 * found. What it can't see is named here, with the reason.
 */

import { beforeAll, describe, expect, test } from 'vitest';
import { decodeCertificate, encodeCertificate } from '../../src/core/certificate.js';
import { chainNext } from '../../src/core/chain.js';
import type { Hash } from '../../src/core/crypto.js';
import { decodeElectionProof, encodeElectionProof } from '../../src/core/epoch-record.js';
import { type EpochId, ZERO_DIGEST } from '../../src/core/ids.js';
import {
  type ChannelKeys,
  channelKeys,
  decodeEntry,
  decodePoint,
  decodeRun,
  decodeSigned,
  encodeEntry,
  encodePoint,
  encodeRun,
  type RawPlace,
} from '../../src/core/layout.js';
import { memoryStore } from '../../src/core/memory-store.js';
import { encodeMergeBody } from '../../src/core/merge-record.js';
import {
  batchOf,
  decodeRecord,
  encodeProof,
  encodeRecord,
  ZERO_BOOT,
} from '../../src/core/record.js';
import { decodeAs, signedRecords } from '../../src/core/statements.js';
import { nativeCrypto } from '../../src/native/crypto-native.js';
import type { VerifyReport } from '../../src/node/index.js';
import { verifyChannel } from '../../src/node/verify.js';
import { seededRandom } from './fixtures/seeded-random.js';
import {
  apart,
  branchesOf,
  disksOf,
  type SimDisk,
  secretOf,
  verifierOf,
} from './fixtures/sim-disks.js';

const verify = (disk: SimDisk, pairs = disk.pairs): Promise<VerifyReport> =>
  verifyChannel(verifierOf(disk.crypto), memoryStore(pairs), disk.channel, { self: disk.user });

/** The part of a key that says what it holds. */
const kindOf = (key: string): string => key.split('/')[2]!;
const keysOf = (disk: SimDisk, ...kinds: string[]): string[] =>
  [...disk.pairs.keys()].filter((key) => key.startsWith('c/') && kinds.includes(kindOf(key)));

const SET = ['ack', 'branch', 'commit', 'committed', 'epoch', 'place', 'pool', 'proposal'];

type Pairs = ReadonlyMap<string, Uint8Array>;

/** Keys of a branch's runs, in order. */
const runsOf = (pairs: Pairs, keys: ChannelKeys, id: EpochId): string[] =>
  [...pairs.keys()].filter((key) => key.startsWith(`${keys.places}${id}/`)).sort();

/** All places of a branch, in order. */
const placesOf = (pairs: Pairs, keys: ChannelKeys, id: EpochId | undefined): RawPlace[] =>
  id ? runsOf(pairs, keys, id).flatMap((key) => decodeRun(pairs.get(key)!)) : [];

/** A run of these places, each with its record as it is there. */
const runWith = (hash: Hash, places: readonly RawPlace[]): Uint8Array =>
  encodeRun(
    places.map(({ header, hash: at, record, proof }) => {
      const offer = record.length > 0 ? { record: decodeRecord(hash, record), proof } : null;
      return { header, hash: at, offer };
    }),
  );

/** Whether this node acknowledged a branch in several runs to its end. */
function isAcknowledged({ pairs, channel }: SimDisk, id: EpochId | undefined): boolean {
  const keys = channelKeys(channel);
  const ack = id && pairs.get(keys.ack(id));
  if (!ack) return false;
  const runs = [...pairs.keys()].filter((key) => key.startsWith(`${keys.places}${id}/`)).sort();
  const last = runs.at(-1);
  if (last === undefined || runs.length < 3) return false;
  const end = Number.parseInt(last.slice(-14), 16) + decodeRun(pairs.get(last)!).length - 1;
  return decodeAs('ack', decodeSigned(ack).statement).seq === end;
}

const FITS = {
  /** In a partition's smaller part, with what others wrote there and what it wrote itself. */
  online: (disk: SimDisk): boolean =>
    ['ack', 'commit', 'out'].every((kind) => keysOf(disk, kind).length > 0) &&
    isAcknowledged(disk, branchesOf(disk, 'online')[0]) &&
    placesOf(disk.pairs, channelKeys(disk.channel), branchesOf(disk, 'online')[0]).some(
      ({ record }, i) => i > 1 && record.length > 0,
    ) &&
    runsOf(disk.pairs, channelKeys(disk.channel), branchesOf(disk, 'online')[0]!).length > 1,
  /** What fell out of the log is not merged yet. */
  formerTail: (disk: SimDisk): boolean => branchesOf(disk, 'roster').length > 0,
  committedTail: (disk: SimDisk): boolean => keysOf(disk, 'committed').length > 0,
};
type Kind = keyof typeof FITS;
const disks = {} as Record<Kind, SimDisk>;

test('whatever the core wrote verifies, at any moment', { timeout: 120_000 }, async () => {
  const seen = new Set<string>();
  let merges = 0;
  const faults = ['partition', 'crash', 'shift'] as const;
  const runs = [1, 2, 3].flatMap((seed) => [
    { ...apart(seed), everyMs: 500 },
    { seed, nodes: 4 + (seed % 3), minOnline: 1 + (seed % 2), faults, loadMs: 6_000, everyMs: 300 },
  ]);
  for (const run of runs) {
    for (const disk of await disksOf({ ...run, crypto: 'fast' })) {
      const { problems } = await verify(disk);
      expect(problems, `seed ${run.seed}, ${disk.at} ms, ${disk.user}`).toEqual([]);
      for (const key of keysOf(disk, ...SET)) seen.add(kindOf(key));
      merges += keysOf(disk, 'log').filter(
        (key) => decodeEntry(disk.hash, disk.pairs.get(key)!).record.kind === 'merge',
      ).length;
    }
  }
  // A committed tail is rare in these runs: it has a disk of its own below.
  expect(SET.filter((kind) => kind !== 'committed' && !seen.has(kind))).toEqual([]);
  expect(merges).toBeGreaterThan(0);
});

/** The smallest disk of each kind. */
beforeAll(async () => {
  const found: SimDisk[] = [];
  for (let seed = 1; seed <= 20; seed++) {
    found.push(...(await disksOf(apart(seed))));
    for (const kind of Object.keys(FITS) as Kind[]) {
      const fitting = found.filter(FITS[kind]).sort((a, b) => a.pairs.size - b.pairs.size);
      if (fitting[0]) disks[kind] = fitting[0];
    }
    if (Object.keys(disks).length === 3) return;
  }
  throw new Error('no run had all that these tests damage');
}, 120_000);

const KINDS = Object.keys(FITS) as Kind[];

describe.each(KINDS)('%s', (kind) => {
  test('is whole', async () => {
    expect((await verify(disks[kind])).problems).toEqual([]);
  });

  test('with one byte of any value changed, says where', { timeout: 120_000 }, async () => {
    const disk = disks[kind];
    const random = seededRandom(11);
    const unseen: string[] = [];
    for (const key of keysOf(disk, ...SET)) {
      const damaged = Uint8Array.from(disk.pairs.get(key)!);
      const at = Math.floor(random() * damaged.length);
      damaged[at]! ^= 1 + Math.floor(random() * 255);
      const { problems } = await verify(disk, new Map(disk.pairs).set(key, damaged));
      // Where a branch begins shows in its first place.
      const at0 = kindOf(key) === 'branch' ? key.replace('/branch/', '/place/') : key;
      const isNamed = problems.some(({ where }) => key.startsWith(where) || where.startsWith(at0));
      // A proposal for what was displaced since proves nothing any more.
      if (kind === 'formerTail' && kindOf(key) === 'proposal') continue;
      if (!isNamed) unseen.push(`${key} at byte ${at}: ${JSON.stringify(problems)}`);
    }
    expect(unseen).toEqual([]);
  });

  test('with any key lost, says so', { timeout: 120_000 }, async () => {
    const disk = disks[kind];
    const unseen: string[] = [];
    for (const key of keysOf(disk, ...SET)) {
      const left = new Map(disk.pairs);
      left.delete(key);
      if ((await verify(disk, left)).ok) unseen.push(key);
    }
    expect(unseen.filter((key) => !mayBeLost(disk, key))).toEqual([]);
  });
});

/** What the rest of the store doesn't speak of. */
function mayBeLost(disk: SimDisk, key: string): boolean {
  // Statements and certificates stand alone: without them less can be shown.
  if (['ack', 'commit', 'committed', 'proposal'].includes(kindOf(key))) return true;
  const keys = channelKeys(disk.channel);
  const inOnline = branchesOf(disk, 'online').flatMap((id) =>
    [...disk.pairs.keys()].filter((k) => k.startsWith(`${keys.places}${id}/`)),
  );
  // Some records of a former tail vanish; the others need no branch.
  if (kindOf(key) === 'pool') {
    const placed = inOnline.flatMap((k) =>
      decodeRun(disk.pairs.get(k)!).map(({ header }) => header.digest),
    );
    return !placed.some((digest) => key === keys.pool(digest));
  }
  // Nothing follows the last run of a former tail.
  if (kindOf(key) === 'place') {
    const branch = key.slice(0, -14);
    return !inOnline.includes(key) && key === lastOf(disk.pairs, branch);
  }
  return false;
}

/** A disk with something else in it; `epoch` is that of its first online branch. */
function altered(
  kind: Kind,
  change: (pairs: Map<string, Uint8Array>, keys: ChannelKeys, epoch: EpochId) => void,
): Promise<VerifyReport> {
  const disk = disks[kind];
  const pairs = new Map(disk.pairs);
  change(pairs, channelKeys(disk.channel), branchesOf(disk, 'online')[0]!);
  return verify(disk, pairs);
}

const lastOf = (pairs: Pairs, prefix: string): string =>
  [...pairs.keys()]
    .filter((key) => key.startsWith(prefix))
    .sort()
    .at(-1)!;

describe('what somebody with the keys of the disk may have done', () => {
  const whats = (report: VerifyReport): string[] => report.problems.map(({ what }) => what);

  test('an election with a ballot fewer', async () => {
    const report = await altered('online', (pairs, keys, id) => {
      const key = keys.epoch(id);
      const proof = decodeElectionProof(disks.online.hash, disks.online.channel, pairs.get(key)!);
      pairs.set(key, encodeElectionProof({ ...proof, ballots: proof.ballots.slice(1) }));
    });
    expect(whats(report)).toEqual(['1 ballots elect nobody in an online epoch']);
  });

  test('a certificate with an acknowledgement fewer', async () => {
    const report = await altered('online', (pairs, keys, id) => {
      const key = lastOf(pairs, `${keys.commits}${id}/`);
      const cert = decodeCertificate(pairs.get(key)!);
      pairs.set(key, encodeCertificate({ ...cert, acks: cert.acks.slice(1) }));
    });
    expect(whats(report)).toEqual([expect.stringMatching(/1 of 2 is no majority/)]);
  });

  test('a final certificate of a roster that was over by then', async () => {
    const report = await altered('online', (pairs, keys) => {
      const key = lastOf(pairs, keys.certs);
      const cert = decodeCertificate(pairs.get(key)!);
      pairs.set(key, encodeCertificate({ ...cert, roster: cert.roster - 2 }));
    });
    expect(whats(report)).toContainEqual(
      expect.stringMatching(/^roster \d+ counts for no seq \d+$/),
    );
  });

  test('a certificate under another seq', async () => {
    const report = await altered('online', (pairs, keys, id) => {
      const key = lastOf(pairs, `${keys.commits}${id}/`);
      const { seq } = decodeCertificate(pairs.get(key)!);
      pairs.set(keys.commit(id, seq + 1), pairs.get(key)!);
    });
    expect(whats(report)).toEqual([expect.stringMatching(/^it certifies seq \d+$/)]);
  });

  test('a certificate of a branch that is not there', async () => {
    const report = await altered('committedTail', (pairs, keys) => {
      const cert = pairs.get(keys.committed)!;
      const { epoch, seq } = decodeCertificate(cert);
      pairs.set(keys.commit(epoch, seq), cert);
    });
    expect(whats(report)).toEqual(['a certificate of a branch that is not there']);
  });

  test('the end of a branch cut off that this node acknowledged', async () => {
    const report = await altered('online', (pairs, keys, id) => {
      for (const key of keysOf(disks.online, 'commit')) pairs.delete(key);
      for (const key of runsOf(pairs, keys, id).slice(1)) pairs.delete(key);
    });
    expect(whats(report)).toEqual([
      expect.stringMatching(/^it acknowledges seq \d+, and the branch ends at \d+$/),
    ]);
  });

  test('a place between two others taken out', async () => {
    const report = await altered('online', (pairs, keys, id) => {
      pairs.delete(runsOf(pairs, keys, id)[0]!);
    });
    expect(report.problems[0]!.where).toContain('/place/');
    expect(whats(report)[0]).toMatch(/in its branch seq \d+ is before it/);
  });

  test('a branch that begins later, its front forgotten and not its places', async () => {
    const report = await altered('online', (pairs, keys, id) => {
      const { seq } = decodePoint(pairs.get(keys.branch(id))!);
      const [first, ...rest] = placesOf(pairs, keys, id);
      pairs.set(keys.branch(id), encodePoint({ seq: seq + 1, hash: first!.hash }));
      // A run may begin before its branch, but nothing is forgotten that is not final.
      const upTo = rest.findIndex(({ record }) => record.length > 0);
      const { hash } = rest[upTo]!;
      pairs.set(keys.branch(id), encodePoint({ seq: seq + 2 + upTo, hash }));
    });
    expect(report.ok).toBe(false);
  });

  test("a place that another epoch's leader made", async () => {
    const report = await altered('online', (pairs, keys, id) => {
      for (const kind of ['ack', 'commit']) {
        for (const key of keysOf(disks.online, kind)) pairs.delete(key);
      }
      const { hash } = disks.online;
      const key = lastOf(pairs, `${keys.places}${id}/`);
      const all = placesOf(pairs, keys, id);
      const run = decodeRun(pairs.get(key)!);
      const before = Number.parseInt(key.slice(-14), 16) - 1;
      const last = run.pop()!;
      if (run.length > 0) pairs.set(key, runWith(hash, run));
      const seq = before + run.length + 1;
      const header = { ...last.header, term: 1 };
      const place = { ...last, header, hash: chainNext(hash, all.at(-2)!.hash, seq, header) };
      pairs.set(keys.place(id, seq), runWith(hash, [place]));
    });
    expect(whats(report)).toEqual(['a place of another epoch than its branch']);
  });

  test('a record that a branch places thrown away', async () => {
    const report = await altered('online', (pairs, keys, id) => {
      const [key, run] = [...pairs]
        .filter(([k]) => k.startsWith(`${keys.places}${id}/`))
        .map(([k, value]) => [k, decodeRun(value)] as const)
        .find(([, places]) => places.some(({ record }) => record.length > 0))!;
      const at = run.findIndex(({ record }) => record.length > 0);
      run[at] = { ...run[at]!, record: new Uint8Array(0) };
      pairs.set(key, runWith(disks.online.hash, run));
    });
    expect(report.problems).toEqual([
      {
        where: expect.stringContaining('/place/'),
        what: 'the record that it places is not in this store',
      },
    ]);
  });

  test("the tail's certificate of commitment on what is not there", async () => {
    const report = await altered('committedTail', (pairs, keys) => {
      const { seq } = decodeCertificate(pairs.get(keys.committed)!);
      for (let at = seq; pairs.delete(keys.log(at)); ) at += 1;
    });
    expect(whats(report)).toContainEqual(
      expect.stringMatching(/^it certifies another entry than the one at seq \d+$/),
    );
  });
});

describe('merge records', () => {
  const BRANCH = { epoch: 'ab'.repeat(32) as EpochId, kind: 'online', term: 3 } as const;

  /** The committed tail's disk with more behind its tail, rightly signed and chained by its author. */
  function extended(records: readonly ('message' | { entries: number; named: number })[]) {
    const disk = disks.committedTail;
    const { hash, channel, seed, user } = disk;
    const pairs = new Map(disk.pairs);
    let tip = decodeEntry(hash, pairs.get(lastOf(pairs, channelKeys(channel).logs))!);
    const { epoch, term, roster } = tip.header;
    const proof = pairs.get(channelKeys(channel).epoch(epoch))!;
    const election = decodeElectionProof(hash, channel, proof).epoch;
    const secret = secretOf(seed, election.leader);
    const sign = (statement: Uint8Array) => nativeCrypto.ed25519Sign(secret, statement);
    let prev = ZERO_DIGEST;
    for (const what of records) {
      const fields = { channel, boot: ZERO_BOOT, n: 0, time: 0, keyEpoch: 0, id: ZERO_BOOT };
      const isMerge = what !== 'message';
      const branches = isMerge
        ? [{ ...BRANCH, leader: user, entries: what.named, warrant: new Uint8Array(0) }]
        : [];
      const record = encodeRecord(hash, {
        ...fields,
        author: election.leader,
        kind: isMerge ? 'merge' : 'message',
        prev: isMerge ? ZERO_DIGEST : prev,
        body: isMerge ? encodeMergeBody({ entries: what.entries, branches }) : new Uint8Array(0),
      });
      if (!isMerge) prev = record.digest;
      const { root, proofs } = batchOf(hash, [record], election);
      const header = { epoch, term, roster, digest: record.digest };
      const seq = tip.seq + 1;
      tip = {
        seq,
        header,
        hash: chainNext(hash, tip.hash, seq, header),
        record,
        proof: encodeProof(proofs(sign(signedRecords(election, root, 1)))[0]!),
      };
      pairs.set(channelKeys(channel).log(seq), encodeEntry(tip));
    }
    return verify(disk, pairs);
  }
  const ORDER = "it does not follow its author's previous message";
  const found = async (...records: Parameters<typeof extended>[0]) =>
    (await extended(records)).problems.map(({ what }) => what).filter((what) => what !== ORDER);

  test('move as many as they say', async () => {
    expect(await found({ entries: 2, named: 2 }, 'message', 'message', 'message')).toEqual([]);
    expect(await found({ entries: 2, named: 2 }, 'message')).toEqual([]);
  });

  test('name as many as they move', async () => {
    expect(await found({ entries: 2, named: 3 })).toEqual([
      'it says that it moved 2 records, and names 3',
    ]);
  });

  test('stand before all that they move', async () => {
    expect(await found({ entries: 2, named: 2 }, 'message', { entries: 1, named: 1 })).toEqual([
      'it stands where a merge says that 1 more messages are',
    ]);
  });

  test('have a body', async () => {
    expect(await found({ entries: 0, named: 0 })).toEqual([
      'a merge of no records, or of too many',
    ]);
  });
});
