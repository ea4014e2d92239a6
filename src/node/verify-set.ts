/**
 * Verification of what is provisional (docs/PROTOCOL.md, sections "Provisional
 * set" and "Verification"): every election is proven, every branch is a chain
 * from its base, what it places is in this store, every certificate of
 * commitment holds for its election and its chain, and what this node
 * acknowledged is still here.
 *
 * What it reads first is never ahead of what it reads later: a store in use
 * grows meanwhile.
 */

import { Branch } from '../core/branch.js';
import {
  type Certificate,
  certificateSignatures,
  certifiedPoint,
  checkCommittedCertificate,
  decodeCertificate,
  recordSignatures,
} from '../core/certificate.js';
import { branchStart, chainNext, chainStart } from '../core/chain.js';
import {
  ballotSignatures,
  decodeElectionProof,
  type ElectionProof,
  isElected,
} from '../core/epoch-record.js';
import type { Digest, EpochId, UserId } from '../core/ids.js';
import {
  decodeOffer,
  decodePoint,
  decodeRawEntry,
  decodeRun,
  decodeSigned,
  type RawPlace,
} from '../core/layout.js';
import { decodeRecord } from '../core/record.js';
import { minOnline, voters } from '../core/roster.js';
import { type Ack, decodeAs } from '../core/statements.js';
import type { Verification } from './verification.js';

export interface SetOptions {
  /** Whose store it is: whose acknowledgements it holds. */
  readonly self: UserId | undefined;
  readonly finalSeq: number;
  /** The last epoch of the log, and who leads it. */
  readonly lastEpoch: { readonly id: EpochId; readonly leader: UserId } | undefined;
  /** Whether the final point moved on since it was read: then the store is in use. */
  readonly hasMoved: () => Promise<boolean>;
}

export const verifySet = (v: Verification, o: SetOptions): Promise<void> =>
  v.twice(async () => {
    const acks = await acknowledgements(v, o.self);
    const certificates = await certificatesIn(v);
    const { branches, ...records } = await branchesIn(v);
    const epochs = await elections(v, o);
    for (const branch of branches.values()) checkBranch(v, branch, epochs.get(branch.id));
    for (const [epoch, certified] of certificates) {
      checkCertificates(v, certified, epochs, branches.get(epoch));
    }
    for (const [key, ack] of acks) checkAck(v, key, ack, epochs, branches.get(ack.epoch));
    await checkTail(v, o, epochs);
    await checkProposal(v, o, epochs);
    const online = [...branches.values()].filter(
      ({ id }) => epochs.get(id)?.epoch.kind === 'online',
    );
    await v.check(v.keys.pools, () => checkRecords(v, o, online, records));
  });

/** What this node acknowledged last under each election, by key. */
async function acknowledgements(
  v: Verification,
  self: UserId | undefined,
): Promise<Map<string, Ack>> {
  const acks = new Map<string, Ack>();
  for await (const [key, value] of v.under(v.keys.acks)) {
    await v.check(key, () => {
      const { statement, sig } = decodeSigned(value);
      const ack = decodeAs('ack', statement);
      if (ack.channel !== v.id) throw new Error('an acknowledgement of another channel');
      if (key !== v.keys.ack(ack.epoch)) throw new Error('an acknowledgement of another epoch');
      acks.set(key, ack);
      if (self === undefined) return;
      v.signatures(key, [{ by: self, statement, sig }]);
    });
  }
  return acks;
}

interface Certified {
  readonly key: string;
  readonly cert: Certificate;
}

/** Certificates of commitment by branch, the lowest first. */
async function certificatesIn(v: Verification): Promise<Map<EpochId, Certified[]>> {
  const found = new Map<EpochId, Certified[]>();
  for await (const [key, value] of v.under(v.keys.commits)) {
    await v.check(key, () => {
      const epoch = key.split('/')[3] as EpochId;
      const cert = decodeCertificate(value);
      if (key !== v.keys.commit(epoch, cert.seq)) throw new Error(`it certifies seq ${cert.seq}`);
      if (cert.epoch !== epoch) throw new Error('it is of another epoch than its branch');
      found.set(epoch, [...(found.get(epoch) ?? []), { key, cert }]);
    });
  }
  return found;
}

interface Stored {
  readonly branches: Map<EpochId, Branch>;
  /** Records that stand with places. */
  readonly withPlaces: Set<Digest>;
  /** Records with places that their branches have forgotten since, and where those are. */
  readonly forgotten: Map<Digest, string>;
}

/** The branches with their places, as far as each is a chain. */
async function branchesIn(v: Verification): Promise<Stored> {
  const hash = v.crypto.sha256;
  const branches = new Map<EpochId, Branch>();
  for await (const [key, value] of v.under(v.keys.branches)) {
    await v.check(key, () => {
      const id = key.slice(v.keys.branches.length) as EpochId;
      branches.set(id, new Branch(hash, id, decodePoint(value)));
    });
  }
  const broken = new Set<EpochId>();
  const withPlaces = new Set<Digest>();
  const forgotten = new Map<Digest, string>();
  for await (const [key, value] of v.under(v.keys.places)) {
    const id = key.split('/')[3] as EpochId;
    if (broken.has(id)) continue;
    await v.check(key, () => {
      broken.add(id);
      const branch = branches.get(id);
      if (!branch) throw new Error('a place of a branch that is not there');
      takeRun(v, branch, key, decodeRun(value), { withPlaces, forgotten });
      broken.delete(id);
    });
  }
  return { branches, withPlaces, forgotten };
}

/** Takes in a run: its chain, as far as its branch reaches, and the records that stand with the places. */
function takeRun(
  v: Verification,
  branch: Branch,
  key: string,
  places: readonly RawPlace[],
  { withPlaces, forgotten }: Omit<Stored, 'branches'>,
): void {
  const hash = v.crypto.sha256;
  const first = Number.parseInt(key.split('/')[4]!, 16);
  if (places.length === 0) throw new Error('it holds no place');
  if (first + places.length - 1 <= branch.base.seq) throw new Error('its branch begins behind it');
  branch.runs.push(first);
  for (const [i, { header, hash: stored, record, proof }] of places.entries()) {
    const { tip } = branch;
    const seq = first + i;
    if (seq > branch.base.seq) {
      if (seq !== tip.seq + 1) throw new Error(`in its branch seq ${tip.seq} is before it`);
      branch.restore(header, stored);
      if (chainNext(hash, tip.hash, seq, header) !== stored) {
        throw new Error('the chain of its branch breaks here');
      }
    }
    if (record.length === 0) continue;
    const decoded = decodeRecord(hash, record);
    if (decoded.digest !== header.digest) throw new Error(`with seq ${seq} stands another record`);
    v.signatures(key, recordSignatures(hash, decoded, proof));
    if (seq > branch.base.seq) withPlaces.add(header.digest);
    else forgotten.set(header.digest, key);
  }
}

/** The run that holds a place. */
const runOf = (v: Verification, { id, runs }: Branch, seq: number): string =>
  v.keys.place(id, runs.findLast((first) => first <= seq) ?? seq);

async function elections(
  v: Verification,
  { hasMoved }: SetOptions,
): Promise<Map<EpochId, ElectionProof>> {
  const epochs = new Map<EpochId, ElectionProof>();
  for await (const [key, value] of v.under(v.keys.epochs)) {
    await v.check(key, async () => {
      const proof = decodeElectionProof(v.crypto.sha256, v.id, value);
      const { id, epoch, ballots } = proof;
      if (key !== v.keys.epoch(id)) throw new Error('an election of another epoch');
      epochs.set(id, proof);
      const roster = v.rosters[epoch.roster];
      if (!roster && (await hasMoved())) return;
      if (roster?.hash !== epoch.rosterHash) {
        throw new Error(`an election under roster ${epoch.roster}, which nothing proves`);
      }
      const { quorum } = v.genesis!;
      if (!isElected(epoch, ballots, voters(roster), minOnline(roster))) {
        v.problem(key, `${ballots.length} ballots elect nobody in ${KIND[epoch.kind]}`);
      }
      if (epoch.kind === 'online' && quorum === 'roster') {
        v.problem(key, 'an online epoch, which the channel rules out');
      }
      v.signatures(key, ballotSignatures(v.crypto.sha256, proof));
    });
  }
  return epochs;
}

const KIND = { roster: 'a roster epoch', online: 'an online epoch' } as const;

function checkBranch(v: Verification, branch: Branch, proof: ElectionProof | undefined): void {
  const key = v.keys.branch(branch.id);
  const { base, tip, id } = branch;
  if (!proof) {
    if (branch.size > 0) v.problem(key, 'no election of its leader is proven');
    return;
  }
  const hash = v.crypto.sha256;
  const isOnline = proof.epoch.kind === 'online';
  const start = isOnline ? branchStart(hash, id) : chainStart(hash, v.id);
  if (base.seq === 0 && base.hash !== start) v.problem(key, 'it begins at another chain');
  if (!isOnline) return;
  const { term, roster } = proof.epoch;
  for (let seq = base.seq + 1; seq <= tip.seq; seq++) {
    const header = branch.headerAt(seq)!;
    if (header.epoch === id && header.term === term && header.roster === roster) continue;
    v.problem(runOf(v, branch, seq), 'a place of another epoch than its branch');
  }
}

function checkCertificates(
  v: Verification,
  certified: readonly Certified[],
  epochs: ReadonlyMap<EpochId, ElectionProof>,
  branch: Branch | undefined,
): void {
  for (const { key, cert } of certified) {
    if (!branch) {
      v.problem(key, 'a certificate of a branch that is not there');
      continue;
    }
    checkCommitted(v, key, cert, epochs);
    const point = certifiedPoint(v.crypto.sha256, cert);
    if (cert.seq > branch.tip.seq) {
      v.problem(key, `it certifies seq ${cert.seq}, and its branch ends at ${branch.tip.seq}`);
    } else if (cert.seq >= branch.base.seq && branch.hashAt(cert.seq) !== point.hash) {
      v.problem(key, `it certifies another place than the one at seq ${cert.seq}`);
    }
  }
}

/** A certificate of commitment holds for its election. */
function checkCommitted(
  v: Verification,
  key: string,
  cert: Certificate,
  epochs: ReadonlyMap<EpochId, ElectionProof>,
): void {
  if (v.genesis!.quorum === 'roster') v.problem(key, 'this channel commits nothing by itself');
  const proof = epochs.get(cert.epoch);
  if (!proof) {
    v.problem(key, 'a certificate under an election that nothing proves');
    return;
  }
  try {
    checkCommittedCertificate(cert, proof.id, proof.epoch);
    v.signatures(key, certificateSignatures(v.crypto.sha256, cert));
  } catch (error) {
    v.problem(key, error);
  }
}

/** What this node acknowledged, it must be able to show. */
function checkAck(
  v: Verification,
  key: string,
  ack: Ack,
  epochs: ReadonlyMap<EpochId, ElectionProof>,
  branch: Branch | undefined,
): void {
  const epoch = epochs.get(ack.epoch)?.epoch;
  if (!epoch) {
    v.problem(key, 'an acknowledgement under an election that nothing proves');
    return;
  }
  const { kind, term, roster, rosterHash } = epoch;
  if (ack.kind !== kind || ack.term !== term) {
    v.problem(key, 'it is of another kind or term than its epoch');
  }
  if (ack.roster !== roster || ack.rosterHash !== rosterHash) {
    v.problem(key, 'it is of another roster than its epoch');
  }
  if (kind === 'roster') return;
  if (!branch || ack.seq > branch.tip.seq) {
    const end = branch?.tip.seq ?? 'nothing';
    v.problem(key, `it acknowledges seq ${ack.seq}, and the branch ends at ${end}`);
  } else if (ack.seq >= branch.base.seq && branch.hashAt(ack.seq) !== ack.hash) {
    v.problem(key, `it acknowledges another place than the one at seq ${ack.seq}`);
  }
}

/** The certificate of commitment over the log's tail. */
async function checkTail(
  v: Verification,
  { finalSeq }: SetOptions,
  epochs: ReadonlyMap<EpochId, ElectionProof>,
): Promise<void> {
  const key = v.keys.committed;
  await v.check(key, async () => {
    const value = await v.store.get(key);
    if (!value) return;
    const cert = decodeCertificate(value);
    if (cert.seq <= finalSeq) throw new Error(`it certifies seq ${cert.seq}, which is final`);
    checkCommitted(v, key, cert, epochs);
    if (cert.epochKind !== 'roster') throw new Error('it is of an online epoch');
    const entry = await v.store.get(v.keys.log(cert.seq));
    const { hash } = certifiedPoint(v.crypto.sha256, cert);
    if (!entry || decodeRawEntry(entry).hash !== hash) {
      throw new Error(`it certifies another entry than the one at seq ${cert.seq}`);
    }
  });
}

/** The newest proposal that the log reached: by the leader of its epoch, while that is known here. */
async function checkProposal(
  v: Verification,
  { lastEpoch }: SetOptions,
  epochs: ReadonlyMap<EpochId, ElectionProof>,
): Promise<void> {
  const key = v.keys.proposal;
  await v.check(key, async () => {
    const value = await v.store.get(key);
    if (!value) return;
    const { statement, sig } = decodeSigned(value);
    const { channel, kind, epoch, tipSeq, tipHash } = decodeAs('propose', statement);
    if (channel !== v.id || kind !== 'roster') throw new Error('a proposal for another chain');
    const known = epochs.get(epoch)?.epoch ?? (lastEpoch?.id === epoch ? lastEpoch : undefined);
    if (known) return v.signatures(key, [{ by: known.leader, statement, sig }]);
    // A leader proposes from its first entry on; what was displaced is not in the log.
    const stored = await v.store.get(v.keys.log(tipSeq));
    const entry = stored && decodeRawEntry(stored);
    if (entry?.hash === tipHash && entry.header.epoch !== epoch) {
      throw new Error(`a proposal of another epoch than the entry at seq ${tipSeq}`);
    }
  });
}

/** Records looked up at once. */
const RECORDS_AT_ONCE = 1_024;

/** What an online epoch placed is kept until it is final. Of a former tail some records vanish. */
async function checkRecords(
  v: Verification,
  o: SetOptions,
  branches: readonly Branch[],
  { withPlaces, forgotten }: Omit<Stored, 'branches'>,
): Promise<void> {
  const outside = await recordsOutside(v, o);
  for (const digest of withPlaces) outside.add(digest);
  for await (const digest of missing(v, [...forgotten.keys()], outside)) {
    v.problem(forgotten.get(digest)!, 'a branch has forgotten a record that is not final');
  }
  for (const branch of branches) {
    for await (const digest of missing(v, branch.digests(), outside)) {
      const place = runOf(v, branch, branch.seqOf(digest)!);
      v.problem(place, 'the record that it places is not in this store');
    }
  }
}

/** Those that stand nowhere: neither where `outside` says, nor under their own key, nor in the log as final. */
async function* missing(
  v: Verification,
  all: readonly Digest[],
  outside: ReadonlySet<Digest>,
): AsyncGenerator<Digest> {
  const digests = all.filter((digest) => !outside.has(digest));
  for (let from = 0; from < digests.length; from += RECORDS_AT_ONCE) {
    const part = digests.slice(from, from + RECORDS_AT_ONCE);
    const pooled = await v.store.getMany(part.map(v.keys.pool));
    const rest = part.filter((_, i) => pooled[i] === undefined);
    const final = await v.store.getMany(rest.map(v.keys.placed));
    yield* rest.filter((_, i) => final[i] === undefined);
  }
}

/** Records that stand neither in the pool nor among what is final: own ones, and those in the tail. */
async function recordsOutside(v: Verification, { finalSeq }: SetOptions): Promise<Set<Digest>> {
  const found = new Set<Digest>();
  for await (const [key, value] of v.under(v.keys.outs)) {
    await v.check(key, () => {
      found.add(decodeOffer(v.crypto.sha256, value).record.digest);
    });
  }
  for await (const [key, value] of v.under(v.keys.logs, v.keys.log(finalSeq + 1))) {
    await v.check(key, () => {
      found.add(decodeRawEntry(value).header.digest);
    });
  }
  return found;
}
