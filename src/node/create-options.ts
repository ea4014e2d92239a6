/**
 * What `node.create` is asked, with defaults, checked before a genesis is
 * signed (docs/PROTOCOL.md, section "Genesis"): each error says which option is
 * wrong and what it may be.
 */

import { ConclaveError } from '../core/errors.js';
import type { Genesis } from '../core/genesis.js';
import {
  CHANNEL_NAME_BYTES_MAX,
  MEMBERS_PER_CHANNEL_MAX,
  MIN_ONLINE_ARCHIVE,
  MIN_ONLINE_DEFAULT,
  RELAYS_PER_CHANNEL_MAX,
} from '../core/limits.js';
import { pinnedRelayUrl } from '../core/relay-url.js';
import type { CreateOptions } from './api.js';
import { checkName, checkWhole } from './input.js';

export type ChosenPolicy = Pick<Genesis, 'minOnline' | 'few' | 'quorum' | 'history' | 'relays'>;

/** Throws `bad_name`, `bad_relays`, `bad_policy` and what is wrong with an address. */
export function chosenPolicy(o: CreateOptions): ChosenPolicy {
  const { name, relays, minOnline = MIN_ONLINE_DEFAULT } = o;
  const { few = 'archive', quorum = 'online', history = 'all' } = o;
  checkName('the name of a channel', name, CHANNEL_NAME_BYTES_MAX);
  checkRelays(relays);
  checkOneOf('few', few, ['archive', 'always']);
  checkWhole('bad_policy', 'minOnline', minOnline, 1, MEMBERS_PER_CHANNEL_MAX);
  if (few === 'archive' && minOnline < MIN_ONLINE_ARCHIVE) {
    throw new ConclaveError(
      'bad_policy',
      `minOnline must be ${MIN_ONLINE_ARCHIVE} at least, which counts while an archive is a member; less takes the policy few: 'always'`,
    );
  }
  checkOneOf('quorum', quorum, ['online', 'roster']);
  checkOneOf('history', history, ['all', 'joined']);
  return { minOnline, few, quorum, history, relays };
}

function checkOneOf(what: string, value: string, [one, other]: readonly [string, string]): void {
  if (value === one || value === other) return;
  throw new ConclaveError('bad_policy', `${what} must be '${one}' or '${other}'`);
}

/** Each a relay of its own. */
function checkRelays(relays: readonly string[]): void {
  const keys = new Set(relays.map((url) => pinnedRelayUrl(url).key));
  if (keys.size === 0 || relays.length > RELAYS_PER_CHANNEL_MAX) {
    throw new ConclaveError('bad_relays', `a channel has 1 to ${RELAYS_PER_CHANNEL_MAX} relays`);
  }
  if (keys.size < relays.length) {
    throw new ConclaveError('bad_relays', 'two of the addresses are of one relay: name it once');
  }
}
