/**
 * Where a private message belongs among those that are here of its author
 * (docs/PROTOCOL.md, section "Private messages"): pure, so that what makes
 * "once and in order" true can be read, and tried, by itself.
 *
 * Messages of one author to one receiver are a chain: each names the one before
 * by its digest. One that is here is a copy. One whose predecessor is here, or
 * that names none, comes next. All others wait for what comes before them.
 */

import { type Digest, ZERO_DIGEST } from '../core/ids.js';
import type { PrivateStatement } from '../core/private-statements.js';
import type { Place } from './private-log.js';

export type Standing = 'copy' | 'next' | 'gap' | 'wrong';

/** @param here where this message and its predecessor stand, of those that are here */
export function standingOf(
  message: Pick<PrivateStatement, 'boot' | 'n' | 'prev'>,
  here: { readonly itself: Place | undefined; readonly prev: Place | undefined },
): Standing {
  if (here.itself) return 'copy';
  if (message.prev === ZERO_DIGEST) return message.n === 1 ? 'next' : 'wrong';
  if (!here.prev) return 'gap';
  return message.n === countBehind(here.prev, message.boot) ? 'next' : 'wrong';
}

/** The count of the message in `boot` that follows one that stands at `place`. */
export const countBehind = (place: Place | undefined, boot: Place['boot']): number =>
  place?.boot === boot ? place.count + 1 : 1;

/** Its author had forgotten what it wrote behind the message that it names: a copy restored, or a new beginning. */
export const isRewound = (prev: Digest, last: Digest | undefined): boolean =>
  last !== undefined && prev !== last;
