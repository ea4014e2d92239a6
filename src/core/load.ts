/**
 * A channel's state from its genesis, or from what the store holds
 * (docs/ARCHITECTURE.md, "Start"). Reads what does not grow with the log:
 * promises, rosters, authors' tips, the tail, the outbox.
 */

import { decodeWhole } from './bytes.js';
import { certifiedPoint, decodeCertificate, decodeStep } from './certificate.js';
import { chainStart, type Point } from './chain.js';
import type { ChannelState } from './channel-state.js';
import type { Hash } from './crypto.js';
import { ConclaveError } from './errors.js';
import { channelIdOf, decodeGenesis } from './genesis.js';
import type { ChannelId, Digest, UserId } from './ids.js';
import {
  after,
  CHANNEL_PREFIX,
  channelKeys,
  decodeEntry,
  decodeFinal,
  decodeHardState,
  decodeOffer,
  decodeStoredGenesis,
  FRESH_HARD_STATE,
  type HardState,
  type StoredGenesis,
} from './layout.js';
import { Log } from './log.js';
import { Pool } from './pool.js';
import { decodeRecord } from './record.js';
import { applyMembership, genesisRoster, type Roster } from './roster.js';

interface Loaded {
  readonly hard: HardState;
  readonly roster: Roster;
  readonly rosterHashes: Digest[];
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
    outbox: new Map(),
    outCount: 0,
    outBytes: 0,
    ownPrev: null,
    ownN: 0,
    offerAt: 0,
    offerOthersAt: 0,
    offered: new Set(),
    leadership: null,
    leading: null,
    election: null,
    electionAt: 0,
    votedFor: null,
    seenTerm: 0,
    limbo: null,
    pull: null,
    challenge: null,
    facts: new Map(),
    joins: new Map(),
    wishes: [],
    joining: null,
    heardAcks: new Map(),
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
    rosterHashes: [roster.hash],
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
    `the store of this channel is damaged: ${what}. Keep a copy of the directory, then run "conclave verify".`,
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
  for (const [, value] of await scan(keys.logs, keys.log(point.seq + 1))) {
    const entry = decodeEntry(hash, value);
    if (entry.seq !== log.tip.seq + 1) damaged(`its log has a gap behind seq ${log.tip.seq}`);
    log.restore(entry);
  }
  const kept = { seq: at?.keptSeq ?? 0, bytesSince: at?.bytesSince ?? 0 };
  const st = stateOf(id, stored, { hard, ...rosters, log, cert, kept });
  await loadOffers(hash, self, st, scan);
  if (await one(`${keys.all}conflict`)) st.conflict = 'two final certificates conflict';
  return st;
}

function rostersFrom(
  hash: Hash,
  id: ChannelId,
  stored: StoredGenesis,
  steps: readonly (readonly [string, Uint8Array])[],
): { roster: Roster; rosterHashes: Digest[] } {
  let roster = genesisRoster(hash, id, decodeGenesis(stored.bytes));
  const rosterHashes = [roster.hash];
  for (const [, value] of steps) {
    roster = applyMembership(hash, roster, decodeRecord(hash, decodeStep(value).record));
    rosterHashes.push(roster.hash);
  }
  return { roster, rosterHashes };
}

async function loadOffers(hash: Hash, self: UserId, st: ChannelState, scan: Scan): Promise<void> {
  const { keys } = st;
  for (const [key, value] of await scan(keys.outs)) {
    const offer = decodeOffer(hash, value);
    const count = Number.parseInt(key.slice(keys.outs.length), 16);
    const pooled = { ...offer, cameAt: 0, offeredAt: 0, kept: false };
    const placed = st.log.seqInTail(offer.record.digest) !== undefined;
    st.outbox.set(offer.record.digest, { pooled, count, state: placed ? 'sent' : 'queued' });
    st.outBytes += offer.record.bytes.length;
    st.outCount = count;
    st.ownPrev = offer.record.digest;
    if (!placed) st.pool.add(pooled, true);
  }
  st.ownPrev ??= st.log.tipOf(self) ?? null;
  for (const [, value] of await scan(keys.pools)) {
    st.pool.add({ ...decodeOffer(hash, value), cameAt: 0, offeredAt: 0, kept: true }, true);
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
