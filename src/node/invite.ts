/**
 * Invitations as one string to hand over (docs/PROTOCOL.md, section
 * "Invitations"): `conclave-invite.` and the base64url of
 *
 *     version u8 · channel 32 · secret 32 · inviter 32 · seq u64 · hash 32
 *   · name text · relays list of text · invitee list of 32, at most one
 *   · archive u8 · checksum 4
 *
 * The secret is an Ed25519 seed; the channel's log knows only its public key.
 * `seq` and `hash` pin a final point, so that no old majority can feed a
 * newcomer another history.
 */

import type { Point } from '../core/chain.js';
import type { Hash } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import type { ChannelId, Digest, UserId } from '../core/ids.js';
import {
  CHANNEL_NAME_BYTES_MAX,
  RELAY_URL_BYTES_MAX,
  RELAYS_PER_CHANNEL_MAX,
} from '../core/limits.js';
import { readFlag } from '../core/statements.js';
import { decodeChecked, encodeChecked } from './checked-text.js';

export interface Invite {
  readonly channel: ChannelId;
  readonly secret: Uint8Array;
  readonly inviter: UserId;
  readonly pinned: Point;
  readonly name: string;
  readonly relays: readonly string[];
  /** The one user that it is for; null: anyone who was not removed. */
  readonly invitee: UserId | null;
  /** For an archive. */
  readonly isArchive: boolean;
}

const WORD = 'conclave-invite';

export const encodeInvite = (hash: Hash, invite: Invite): string =>
  encodeChecked(hash, WORD, (w) => {
    w.id(invite.channel).raw(invite.secret);
    w.id(invite.inviter).u64(invite.pinned.seq).id(invite.pinned.hash).text(invite.name);
    w.list(invite.relays, (url) => w.text(url));
    w.list(invite.invitee === null ? [] : [invite.invitee], (user) => w.id(user));
    return w.u8(invite.isArchive ? 1 : 0);
  });

/** Throws `invite_for_archive` or `invite_for_reader` where it is for the other kind of member. */
export function checkPurpose({ isArchive }: Invite, asArchive: boolean): void {
  if (isArchive && !asArchive) {
    throw new ConclaveError(
      'invite_for_archive',
      'the invitation is for an archive, which stores and never reads: join with --archive, or ask for another',
    );
  }
  if (!isArchive && asArchive) {
    throw new ConclaveError(
      'invite_for_reader',
      'the invitation is for one who reads: ask for one that "conclave invite --archive" made',
    );
  }
}

/** Throws `bad_invite`. */
export function decodeInvite(hash: Hash, text: string): Invite {
  try {
    return decodeChecked(hash, WORD, text, (r) => ({
      channel: r.id<ChannelId>(),
      secret: r.raw(32),
      inviter: r.id<UserId>(),
      pinned: { seq: r.u64(), hash: r.id<Digest>() },
      name: r.text(CHANNEL_NAME_BYTES_MAX),
      relays: r.list(RELAYS_PER_CHANNEL_MAX, () => r.text(RELAY_URL_BYTES_MAX)),
      invitee: r.list(1, () => r.id<UserId>())[0] ?? null,
      isArchive: readFlag(r),
    }));
  } catch (cause) {
    throw new ConclaveError(
      'bad_invite',
      `this is not a whole invitation (it starts with "${WORD}."): ask for it again and copy all of it`,
      { cause },
    );
  }
}
