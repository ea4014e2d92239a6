/**
 * Relay addresses (docs/PROTOCOL.md, section "Relay addresses"):
 * `conclave://KEY@HOST:PORT`, where KEY is the relay's Ed25519 public key in
 * hex, and `?via=tls` behind it where the link runs in TLS. The key may be missing in an address typed by hand, never in one that
 * stands in a genesis, an invitation or a record.
 */

import { ConclaveError } from './errors.js';
import { type UserId, userId } from './ids.js';
import { RELAY_URL_BYTES_MAX, RELAYS_PER_CHANNEL_MAX } from './limits.js';

export interface RelayAddress {
  readonly url: string;
  readonly key: UserId | undefined;
  readonly host: string;
  readonly port: number;
  /** What the link runs in. */
  readonly via: 'tcp' | 'tls';
}

const URL_FORM =
  /^conclave:\/\/(?:([0-9a-f]{64})@)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})(?:\?via=(tcp|tls))?$/;

/** Throws `bad_relay_url`. */
export function parseRelayUrl(url: string): RelayAddress {
  const match = url.length <= RELAY_URL_BYTES_MAX ? URL_FORM.exec(url) : null;
  const port = Number(match?.[3]);
  if (!match || port < 1 || port > 65_535) {
    throw new ConclaveError(
      'bad_relay_url',
      `"${url.slice(0, 120)}" is not a relay address; it looks like conclave://KEY@HOST:PORT, with ?via=tls behind it for TLS`,
    );
  }
  const host = match[2]!.replace(/^\[|\]$/g, '');
  const via = match[4] === 'tls' ? 'tls' : 'tcp';
  return { url, key: match[1] ? userId(match[1]) : undefined, host, port, via };
}

/** Like `parseRelayUrl`, for a place where the key must be there. Throws `bad_relay_url`. */
export function pinnedRelayUrl(url: string): RelayAddress & { readonly key: UserId } {
  const address = parseRelayUrl(url);
  if (!address.key) {
    throw new ConclaveError(
      'bad_relay_url',
      `"${url}" names no relay key; take the whole address that "conclave relay" prints`,
    );
  }
  return { ...address, key: address.key };
}

/** A channel's relays: 1 to 8 whole addresses of different relays. Throws `bad_relay_url`. */
export function checkRelays(urls: readonly string[]): void {
  if (urls.length < 1 || urls.length > RELAYS_PER_CHANNEL_MAX) {
    throw new ConclaveError('bad_relay_url', `a channel has 1 to ${RELAYS_PER_CHANNEL_MAX} relays`);
  }
  const keys = urls.map((url) => pinnedRelayUrl(url).key);
  if (new Set(keys).size < keys.length) {
    throw new ConclaveError('bad_relay_url', 'a relay is named twice');
  }
}

/** The relay's key in a channel's relay URL. */
export const relayKeyOf = (url: string): string | undefined =>
  /^conclave:\/\/([0-9a-f]{64})@/.exec(url)?.[1];
