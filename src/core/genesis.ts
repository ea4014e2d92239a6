/**
 * Genesis and channel id (docs/PROTOCOL.md, section "Genesis"). A channel's id
 * is the hash of its founder-signed genesis, so it certifies itself and needs
 * no registry.
 *
 *     genesis = tag text · version u8 · founder 32 · founderName text · founderSealing 32
 *             · nameCommitment 32 · salt 16 · time u64 · minOnline u8 · few u8 · quorum u8
 *             · history u8 · relays list of text
 *     channel = H("conclave/channel" · genesis)
 *
 * The channel's name is not in it: a relay sees the genesis, and so learns
 * only a salted commitment to the name.
 */

import { decodeWhole, utf8, Writer } from './bytes.js';
import type { Hash } from './crypto.js';
import { ConclaveError } from './errors.js';
import type { ChannelId, Digest, SealingPublic, UserId } from './ids.js';
import { hex32, sealingOrNull } from './ids.js';
import {
  MEMBERS_PER_CHANNEL_MAX,
  MIN_ONLINE_ARCHIVE,
  NICKNAME_BYTES_MAX,
  PROTOCOL_VERSION,
  RELAY_URL_BYTES_MAX,
  RELAYS_PER_CHANNEL_MAX,
} from './limits.js';
import { checkRelays } from './relay-url.js';

/** Whether a `minOnline` below 3 counts while an archive is a member, or always (roster.ts). */
export type FewPolicy = 'archive' | 'always';

/** `roster` turns online epochs off: then committed and final are one. */
export type QuorumPolicy = 'online' | 'roster';

/** Whether a newcomer gets the keys of what was written before it joined. */
export type HistoryPolicy = 'all' | 'joined';

export interface Genesis {
  readonly founder: UserId;
  readonly founderName: string;
  /** To which channel keys are sealed for the founder, who always has one. */
  readonly founderSealing: SealingPublic;
  readonly nameCommitment: Digest;
  readonly salt: Uint8Array;
  /** Author's wall clock, ms since 1970. */
  readonly time: number;
  /** Of members; what counts under a roster is `minOnline` of roster.ts. */
  readonly minOnline: number;
  readonly few: FewPolicy;
  readonly quorum: QuorumPolicy;
  readonly history: HistoryPolicy;
  readonly relays: readonly string[];
}

const TAG = 'conclave/genesis';
const SALT_BYTES = 16;

export function encodeGenesis(g: Genesis): Uint8Array {
  const w = new Writer(512).text(TAG).u8(PROTOCOL_VERSION);
  w.id(g.founder).text(g.founderName).id(g.founderSealing);
  w.id(g.nameCommitment).raw(g.salt).u64(g.time);
  w.u8(g.minOnline)
    .u8(g.few === 'always' ? 1 : 0)
    .u8(g.quorum === 'roster' ? 1 : 0)
    .u8(g.history === 'joined' ? 1 : 0);
  return w.list(g.relays, (url) => w.text(url)).done();
}

/** Throws `bad_encoding`, `bad_genesis` or `bad_relay_url`. */
export function decodeGenesis(bytes: Uint8Array): Genesis {
  return decodeWhole(bytes, (r) => {
    if (r.text(32) !== TAG || r.u8() !== PROTOCOL_VERSION) {
      throw new ConclaveError('bad_genesis', 'not a genesis of this protocol version');
    }
    const fixed = {
      founder: r.id<UserId>(),
      founderName: r.text(NICKNAME_BYTES_MAX),
      founderSealing: r.id<SealingPublic>(),
      nameCommitment: r.id<Digest>(),
      salt: r.raw(SALT_BYTES),
      time: r.u64(),
      minOnline: r.u8(),
    };
    const few = r.u8();
    const quorum = r.u8();
    const history = r.u8();
    const relays = r.list(RELAYS_PER_CHANNEL_MAX, () => r.text(RELAY_URL_BYTES_MAX));
    if (
      few > 1 ||
      quorum > 1 ||
      history > 1 ||
      fixed.minOnline < (few === 1 ? 1 : MIN_ONLINE_ARCHIVE) ||
      fixed.minOnline > MEMBERS_PER_CHANNEL_MAX
    ) {
      throw new ConclaveError(
        'bad_genesis',
        "a genesis whose policy is outside the protocol's bounds",
      );
    }
    if (sealingOrNull(fixed.founderSealing) === null) {
      throw new ConclaveError('bad_genesis', 'a genesis of an archive, which founds no channel');
    }
    checkRelays(relays);
    return {
      ...fixed,
      few: few === 1 ? ('always' as const) : ('archive' as const),
      quorum: quorum === 1 ? ('roster' as const) : ('online' as const),
      history: history === 1 ? ('joined' as const) : ('all' as const),
      relays,
    };
  });
}

export function channelIdOf(hash: Hash, genesis: Uint8Array): ChannelId {
  return hex32(
    hash(new Writer(64 + genesis.length).text('conclave/channel').bytes(genesis).done()),
  );
}

/** Salted commitment to the channel's name. */
export function commitName(hash: Hash, salt: Uint8Array, name: string): Digest {
  return hex32(hash(new Writer(256).text('conclave/name').raw(salt).bytes(utf8(name)).done()));
}
