/**
 * A key that was lost or stolen (docs/PROTOCOL.md, section "Replaced keys"):
 * recovery keys, and a new key's request for the place of an old one, each as a
 * text to keep or to hand over:
 *
 *     conclave-recovery.…   version u8 · seed 32 · checksum 4
 *     conclave-replace.…    version u8 · request bytes · userSig 64 · bySig 64 · checksum 4
 *
 * The first is a secret, an Ed25519 seed whose public key the channel's log
 * knows. The second is none: what it says is signed, and it serves for the one
 * key that it names.
 */

import { randomBytes } from 'node:crypto';
import type { Crypto } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import { type ChannelId, hex32, type SealingPublic, type UserId, unhex } from '../core/ids.js';
import { type MembershipBody, type Roster, rosterStart } from '../core/roster.js';
import {
  type Context,
  decodeAs,
  encodeStatement,
  type ReplaceRequest,
} from '../core/statements.js';
import { nativeCrypto } from '../native/crypto-native.js';
import { decodeChecked, encodeChecked } from './checked-text.js';

const RECOVERY = 'conclave-recovery';
const REPLACE = 'conclave-replace';
const REQUEST_BYTES_MAX = 1_024;
const NOBODYS_SIG = new Uint8Array(64);

/** Something that signs. */
interface Signer {
  readonly key: UserId;
  readonly seed: Uint8Array;
}

/** A new recovery key: a text to keep secret, away from the node, and its public half. */
export function makeRecoveryKey(): { readonly secret: string; readonly key: UserId } {
  const seed = new Uint8Array(randomBytes(32));
  const secret = encodeChecked(nativeCrypto.sha256, RECOVERY, (w) => w.raw(seed));
  return { secret, key: hex32<UserId>(nativeCrypto.ed25519PublicKey(seed)) };
}

/** The public half of a recovery key. Throws `bad_recovery_key`. */
export const recoveryKeyOf = (secret: string): UserId => recoverySigner(nativeCrypto, secret).key;

function recoverySigner(crypto: Crypto, secret: string): Signer {
  try {
    const seed = decodeChecked(crypto.sha256, RECOVERY, secret, (r) => r.raw(32));
    return { seed, key: hex32<UserId>(crypto.ed25519PublicKey(seed)) };
  } catch (cause) {
    throw new ConclaveError(
      'bad_recovery_key',
      `this is not a whole recovery key (it starts with "${RECOVERY}."): give all of it`,
      { cause },
    );
  }
}

/** What the new key asks for. */
export interface Replacing {
  readonly channel: ChannelId;
  readonly old: UserId;
  readonly name: string;
  readonly sealing: SealingPublic | null;
  /** The old key's recovery key, which the new one keeps; without it somebody who manages decides. */
  readonly recovery?: string | undefined;
}

/** The new key's request, signed by it and by the recovery key, if that is given. */
export function encodeReplacing(crypto: Crypto, own: Signer, asked: Replacing): string {
  const { channel, old, name, sealing } = asked;
  const by = asked.recovery === undefined ? null : recoverySigner(crypto, asked.recovery);
  const request = encodeStatement({
    ...{ tag: 'replace', channel, roster: 0, rosterHash: rosterStart(crypto.sha256, channel) },
    ...{ old, user: own.key, name, sealing, recovery: by?.key ?? null, by: by?.key ?? null },
  });
  const userSig = crypto.ed25519Sign(own.seed, request);
  const bySig = by ? crypto.ed25519Sign(by.seed, request) : NOBODYS_SIG;
  return encodeChecked(crypto.sha256, REPLACE, (w) => w.bytes(request).raw(userSig).raw(bySig));
}

export interface Replacement {
  readonly asked: ReplaceRequest;
  /** What the record says, but for the roster that it changes. */
  readonly body: Omit<MembershipBody & { kind: 'replace' }, 'base'>;
}

/** Throws `bad_replace_request`, also for a signature that does not verify. */
export function decodeReplacing(crypto: Crypto, text: string): Replacement {
  try {
    return decodeChecked(crypto.sha256, REPLACE, text, (r) => {
      const request = r.bytes(REQUEST_BYTES_MAX).slice();
      const [userSig, bySig] = [r.raw(64).slice(), r.raw(64).slice()];
      const asked = decodeAs('replace', request);
      const isSigned =
        crypto.ed25519Verify(unhex(asked.user), request, userSig) &&
        (asked.by === null || crypto.ed25519Verify(unhex(asked.by), request, bySig));
      if (!isSigned) throw new Error('a wrong signature');
      return { asked, body: { kind: 'replace', request, userSig, bySig } };
    });
  } catch (cause) {
    throw new ConclaveError(
      'bad_replace_request',
      `this is not a whole request (it starts with "${REPLACE}."): ask for it again and copy all of it`,
      { cause },
    );
  }
}

/** The record that registers `key` for `user`; the one before signs it, where there is one. */
export function recoveryChange(
  crypto: Crypto,
  { channel, number, hash }: Pick<Roster, 'channel' | 'number' | 'hash'>,
  user: UserId,
  key: UserId,
  previous: string | undefined,
): MembershipBody & { kind: 'recovery' } {
  const by = previous === undefined ? null : recoverySigner(crypto, previous);
  const context: Context = { channel, roster: number, rosterHash: hash };
  const fields = { tag: 'recovery', ...context, user, key, by: by?.key ?? null } as const;
  const request = encodeStatement(fields);
  const bySig = by ? crypto.ed25519Sign(by.seed, request) : NOBODYS_SIG;
  return { kind: 'recovery', base: number, request, bySig };
}
