/**
 * The `epoch` record: the first entry that a new roster leader places
 * (docs/PROTOCOL.md, section "Epoch records"). Its body is the election's
 * proof, so the log itself says who led when, and why that was right.
 *
 *     body = kind u8 · term u64 · leader 32 · electorate list of 32 · ballots list of (user 32 · sig 64)
 */

import { decodeWhole, Writer } from './bytes.js';
import type { EpochDescriptor } from './chain.js';
import { ConclaveError } from './errors.js';
import type { UserId } from './ids.js';
import { MEMBERS_PER_CHANNEL_MAX } from './limits.js';

export interface EpochBody {
  readonly epoch: Pick<EpochDescriptor, 'kind' | 'term' | 'leader' | 'electorate'>;
  readonly ballots: readonly { readonly user: UserId; readonly sig: Uint8Array }[];
}

export function encodeEpochBody({ epoch, ballots }: EpochBody): Uint8Array {
  const w = new Writer(1024)
    .u8(epoch.kind === 'roster' ? 0 : 1)
    .u64(epoch.term)
    .id(epoch.leader);
  w.list(epoch.electorate, (user) => w.id(user));
  return w.list(ballots, (b) => w.id(b.user).raw(b.sig)).done();
}

/** Throws `bad_encoding`. */
export function decodeEpochBody(bytes: Uint8Array): EpochBody {
  return decodeWhole(bytes, (r) => {
    const kind = r.u8();
    if (kind > 1) throw new ConclaveError('bad_encoding', 'an unknown kind of epoch');
    const epoch = {
      kind: kind === 0 ? ('roster' as const) : ('online' as const),
      term: r.u64(),
      leader: r.id<UserId>(),
      electorate: r.list(MEMBERS_PER_CHANNEL_MAX, () => r.id<UserId>()),
    };
    const ballots = r.list(MEMBERS_PER_CHANNEL_MAX, () => ({
      user: r.id<UserId>(),
      sig: r.raw(64),
    }));
    return { epoch, ballots };
  });
}
