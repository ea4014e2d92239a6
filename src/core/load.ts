/**
 * A channel's state from its genesis, or from what the store holds
 * (docs/ARCHITECTURE.md, "Start"). Reads what does not grow with the log:
 * promises, rosters, authors' tips, the tail, the outbox.
 */

import { Branch } from './branch.js';
import { decodeWhole } from './bytes.js';
import {
  certifiedPoint,
  decodeCertificate,
  decodeStep,
  type Electors,
  electorsOf,
} from './certificate.js';
import { chainStart, type Point } from './chain.js';
import type { ChannelState } from './channel-state.js';
import type { Hash } from './crypto.js';
import { decodeElectionProof } from './epoch-record.js';
import { ConclaveError } from './errors.js';
import { rememberFact } from './facts.js';
import { channelIdOf, decodeGenesis } from './genesis.js';
import type { ChannelId, Digest, EpochId, UserId } from './ids.js';
import {
  after,
  CHANNEL_PREFIX,
  channelKeys,
  decodeConviction,
  decodeEntry,
  decodeFinal,
  decodeHardState,
  decodeOffer,
  decodePoint,
  decodeRun,
  decodeSigned,
  decodeStoredGenesis,
  FRESH_HARD_STATE,
  type HardState,
  type RawPlace,
  type StoredGenesis,
} from './layout.js';
import { MERGE_RECORDS_MAX } from './limits.js';
import { Log } from './log.js';
import { nothingKnown } from './memory.js';
import { disputedIn } from './misbehaviour.js';
import { Pool, pooledFrom } from './pool.js';
import { decodePortableProof } from './portable-proof.js';
import { heldRecord, isCommitted, isInBranch, isShownPlaced } from './provisional.js';
import { decodeRecord } from './record.js';
import { applyMembership, genesisRoster, type Roster } from './roster.js';
import { decodeAs } from './statements.js';
import { Witness } from './witness.js';

interface Loaded {
  readonly hard: HardState;
  readonly roster: Roster;
  readonly electors: Electors[];
  readonly log: Log;
  readonly cert: Uint8Array;
  readonly kept: { seq: number; bytesSince: number };
}

function stateOf(id: ChannelId, stored: StoredGenesis, loaded: Loaded): ChannelState {
  return {
    id,
    keys: channelKeys(id),
    stored,
    genesis: decodeGenesis(stored.bytes),
    ...loaded,
    pool: new Pool(),
    epochs: new Map(),
    branches: new Map(),
    acks: new Map(),
    tailProof: null,
    tailAsked: null,
    logCert: null,
    orphans: new Set(),
    version: 0,
    exchange: {
      at: 0,
      greet: new Set(),
      asked: new Map(),
      vain: 0,
      lastNamed: null,
      served: new Map(),
      confirms: new Map(),
      told: new Map(),
      done: new Map(),
    },
    sealedName: new Uint8Array(0),
    outbox: new Map(),
    outCount: 0,
    outBytes: 0,
    ownPrev: null,
    ownN: 0,
    offerAt: 0,
    offerOthersAt: 0,
    offerTailAt: 0,
    offerOthersRest: null,
    nothingToOffer: null,
    offered: new Set(),
    leadership: null,
    spoke: new Set(),
    suspected: null,
    leading: null,
    election: null,
    electionAt: 0,
    roundMs: 0,
    votedFor: null,
    standOnline: false,
    majoritySince: null,
    carrier: null,
    unsureSince: null,
    yieldUntil: null,
    seenTerm: { roster: 0, online: 0 },
    limbo: null,
    pull: null,
    challenge: null,
    facts: new Set(),
    joins: new Map(),
    asked: new Map(),
    wishes: [],
    joining: null,
    shutOut: null,
    askRelaysAt: 0,
    heardAcks: new Map(),
    memory: null,
    recalled: new Map(),
    recoveredIn: null,
    witness: new Witness(id),
    denounced: new Map(),
    convictions: new Map(),
    conflict: null,
  };
}

/** The state of a channel of which only the genesis is known. Throws `bad_genesis` or `bad_encoding`. */
export function freshChannel(hash: Hash, stored: StoredGenesis): ChannelState {
  const id = channelIdOf(hash, stored.bytes);
  const roster = genesisRoster(hash, id, decodeGenesis(stored.bytes));
  return stateOf(id, stored, {
    hard: FRESH_HARD_STATE,
    roster,
    electors: [electorsOf(roster)],
    log: new Log(hash, { seq: 0, hash: chainStart(hash, id) }, 0, new Map()),
    cert: new Uint8Array(0),
    kept: { seq: 0, bytesSince: 0 },
  });
}

/**
 * All that is under `prefix`, in key order, from key `from` on; a `prefix` that
 * does not end in a slash is one key.
 */
export type Scan = (
  prefix: string,
  from?: string,
) => Promise<readonly (readonly [string, Uint8Array])[]>;

function damaged(what: string): never {
  throw new ConclaveError(
    'store_damaged',
    `the store of this channel is damaged: ${what}. Keep a copy of the directory, then run "conclave doctor".`,
  );
}

/** Throws `store_damaged` when what is there cannot be a channel. */
export async function loadChannel(
  hash: Hash,
  self: UserId,
  id: ChannelId,
  scan: Scan,
): Promise<ChannelState> {
  const keys = channelKeys(id);
  const one = async (key: string): Promise<Uint8Array | undefined> =>
    (await scan(key, key)).find(([k]) => k === key)?.[1];
  const stored = decodeStoredGenesis(
    (await one(keys.genesis)) ?? damaged('its genesis is missing'),
  );
  if (channelIdOf(hash, stored.bytes) !== id) damaged('its genesis is of another channel');
  const hard = decodeHardState((await one(keys.hard)) ?? damaged('its promises are missing'));
  const rosters = rostersFrom(hash, id, stored, await scan(keys.steps));
  const tips = new Map<UserId, Digest>();
  for (const [key, value] of await scan(keys.tips)) {
    tips.set(
      key.slice(keys.tips.length) as UserId,
      decodeWhole(value, (r) => r.id<Digest>()),
    );
  }
  const final = await one(keys.final);
  const at = final ? decodeFinal(final) : undefined;
  const cert = at?.cert ?? new Uint8Array(0);
  if (at && cert.length === 0) damaged('its final point has no certificate');
  const point: Point = at ? { seq: at.seq, hash: at.hash } : { seq: 0, hash: chainStart(hash, id) };
  const certified = at ? decodeCertificate(cert) : undefined;
  if (certified && certifiedPoint(hash, certified).hash !== point.hash) {
    damaged('its final point is not the one that its certificate certifies');
  }
  const log = new Log(hash, point, certified?.head.term ?? 0, tips);
  const from = Math.max(1, point.seq - MERGE_RECORDS_MAX);
  for (const [, value] of await scan(keys.logs, keys.log(from))) {
    const entry = decodeEntry(hash, value);
    if (entry.seq <= point.seq) {
      if (entry.record.kind === 'merge') log.noteFinalMerge(entry.seq, entry.record);
      continue;
    }
    if (entry.seq !== log.tip.seq + 1) damaged(`its log has a gap behind seq ${log.tip.seq}`);
    log.restore(entry);
  }
  const kept = { seq: at?.keptSeq ?? 0, bytesSince: at?.bytesSince ?? 0 };
  const st = stateOf(id, stored, { hard, ...rosters, log, cert, kept });
  await loadOffers(hash, self, st, scan);
  await loadSet(hash, self, st, scan);
  for (const [key, value] of await scan(keys.convictions)) {
    const { since, proof } = decodeConviction(value);
    const decoded = decodePortableProof(proof);
    if (decoded.kind !== 'misbehaviour') damaged('a proof of misbehaviour is none');
    const { offence, offender } = decoded.misbehaviour;
    const records = disputedIn(hash, decoded.misbehaviour);
    const kept = {
      offence,
      offender,
      since,
      records,
      proof,
      told: new Set<UserId>(),
      isOwn: false,
    };
    st.convictions.set(key.slice(keys.convictions.length) as Digest, kept);
  }
  const recovered = await one(keys.recovered);
  if (recovered) st.recoveredIn = decodeWhole(recovered, (r) => r.ulid());
  if (await one(keys.forgotten)) st.memory = nothingKnown();
  if (await one(`${keys.all}conflict`)) st.conflict = 'two final certificates conflict';
  return st;
}

function rostersFrom(
  hash: Hash,
  id: ChannelId,
  stored: StoredGenesis,
  steps: readonly (readonly [string, Uint8Array])[],
): Pick<Loaded, 'roster' | 'electors'> {
  let roster = genesisRoster(hash, id, decodeGenesis(stored.bytes));
  const electors = [electorsOf(roster)];
  for (const [, value] of steps) {
    roster = applyMembership(hash, roster, decodeRecord(hash, decodeStep(value).record));
    electors.push(electorsOf(roster));
  }
  return { roster, electors };
}

async function loadOffers(hash: Hash, self: UserId, st: ChannelState, scan: Scan): Promise<void> {
  const { keys } = st;
  for (const [key, value] of await scan(keys.outs)) {
    const offer = decodeOffer(hash, value);
    const count = Number.parseInt(key.slice(keys.outs.length), 16);
    const pooled = pooledFrom(offer, { cameAt: 0, kept: false });
    const placed = st.log.seqOf(offer.record.digest) !== undefined;
    st.outbox.set(offer.record.digest, { pooled, count, state: placed ? 'sent' : 'queued' });
    st.outBytes += offer.record.bytes.length;
    st.outCount = count;
    st.ownPrev = offer.record.digest;
    if (!placed) st.pool.add(pooled, true);
  }
  st.ownPrev ??= st.log.tipOf(self) ?? null;
  for (const [, value] of await scan(keys.pools)) {
    const apart = { cameAt: 0, kept: true, apart: true };
    st.pool.add(pooledFrom(decodeOffer(hash, value), apart), true);
  }
}

/** The provisional set: elections, own acknowledgements, branches with their certificates, orphans. */
async function loadSet(hash: Hash, self: UserId, st: ChannelState, scan: Scan): Promise<void> {
  const { keys } = st;
  for (const [, value] of await scan(keys.epochs)) {
    const proof = decodeElectionProof(hash, st.id, value);
    st.epochs.set(proof.id, proof);
  }
  for (const [key, value] of await scan(keys.acks)) {
    const signed = { by: self, ...decodeSigned(value) };
    const ack = decodeAs('ack', signed.statement);
    st.acks.set(key.slice(keys.acks.length) as EpochId, { ack, signed });
  }
  const proposal = (await scan(keys.proposal)).find(([key]) => key === keys.proposal)?.[1];
  if (proposal) {
    const signed = decodeSigned(proposal);
    st.tailProof = { propose: decodeAs('propose', signed.statement), signed };
  }
  const committed = (await scan(keys.committed)).find(([key]) => key === keys.committed)?.[1];
  if (committed) {
    const { seq, hash: at } = certifiedPoint(hash, decodeCertificate(committed));
    if (seq > st.log.final.seq && st.log.hashAt(seq) === at) st.logCert = { seq, bytes: committed };
  }
  for (const [key, value] of await scan(keys.branches)) {
    const id = key.slice(keys.branches.length) as EpochId;
    const branch = new Branch(hash, id, decodePoint(value));
    const places = `${keys.places}${id}/`;
    for (const [at, run] of await scan(places)) {
      const first = Number.parseInt(at.slice(places.length), 16);
      await loadRun(hash, st, branch, first, decodeRun(run), scan);
    }
    const certificates = `${keys.commits}${id}/`;
    for (const [at, bytes] of await scan(certificates)) {
      branch.certificates.push({ seq: Number.parseInt(at.slice(certificates.length), 16), bytes });
    }
    st.branches.set(id, branch);
  }
  await loadPredecessors(st, scan);
  for (const own of st.outbox.values()) {
    const { record } = own.pooled;
    if (isCommitted(st, record)) own.state = 'committed';
    else if (isInBranch(st, record.digest)) own.state = 'sent';
  }
}

/** Takes up one run: what lies behind the branch's base, with the records that are neither in the tail nor final. */
async function loadRun(
  hash: Hash,
  st: ChannelState,
  branch: Branch,
  first: number,
  places: readonly RawPlace[],
  scan: Scan,
): Promise<void> {
  branch.runs.push(first);
  for (const [i, { header, hash: placeHash, record, proof }] of places.entries()) {
    if (first + i <= branch.base.seq) continue;
    if (first + i !== branch.tip.seq + 1) {
      damaged(`a branch has a gap behind seq ${branch.tip.seq}`);
    }
    branch.restore(header, placeHash);
    if (record.length === 0 || heldRecord(st, header.digest)) continue;
    // Copies: a record may be held when the others of its run are gone.
    const offer = { record: decodeRecord(hash, record.slice()), proof: proof.slice() };
    // What stands behind a message that is not final is not final either.
    if (!heldRecord(st, offer.record.prev) && (await isFinal(st, header.digest, scan))) continue;
    st.pool.add(pooledFrom(offer, { cameAt: 0, kept: true }), true);
  }
}

async function isFinal(st: ChannelState, digest: Digest, scan: Scan): Promise<boolean> {
  const key = st.keys.placed(digest);
  return (await scan(key, key)).some(([k]) => k === key);
}

/**
 * What stands before the records that are held, where memory does not tell:
 * those of branches whose predecessor is neither placed nor final are orphans.
 * Where it is final, but not its author's last one, that is noted: what is held
 * does not come again, and nothing else would look it up.
 */
async function loadPredecessors(st: ChannelState, scan: Scan): Promise<void> {
  for (const { record } of st.pool.values()) {
    const { digest, prev, author } = record;
    const isPlacedHere = isInBranch(st, digest);
    if (isPlacedHere ? isShownPlaced(st, prev) : heldRecord(st, prev)) continue;
    const member = st.roster.members.get(author);
    if (prev === member?.root || prev === st.log.finalTipOf(author)) continue;
    if (await isFinal(st, prev, scan)) rememberFact(st, prev);
    else if (isPlacedHere) st.orphans.add(digest);
  }
}

/**
 * Every channel in the store.
 * @param firstFrom the first key at or after this one, below `c0`
 */
export async function channelsIn(
  firstFrom: (key: string) => Promise<string | undefined>,
): Promise<ChannelId[]> {
  const ids: ChannelId[] = [];
  let key = await firstFrom(CHANNEL_PREFIX);
  while (key) {
    const id = key.slice(CHANNEL_PREFIX.length, CHANNEL_PREFIX.length + 64) as ChannelId;
    ids.push(id);
    key = await firstFrom(after(channelKeys(id).all));
  }
  return ids;
}
