/**
 * Which channel a text names: one by its id or the beginning of it, or by its
 * name, if only one fits. Names are chosen by founders, so one that looks like
 * the beginning of another channel's id makes the text ambiguous, and no more.
 */

import { ConclaveError } from '../core/errors.js';
import { type ChannelId, isId } from '../core/ids.js';

interface Nameable {
  readonly id: ChannelId;
  /** Empty or undefined where it is not known. */
  readonly name: string | undefined;
}

/** Shorter beginnings fit some channel by chance. */
export const ID_PREFIX_CHARS_MIN = 4;
const PREFIX = new RegExp(`^[0-9a-f]{${ID_PREFIX_CHARS_MIN},63}$`);
const SHOWN_MAX = 5;
const SHOWN_CHARS = 16;

/** Throws `no_channel` or `ambiguous`. */
export function channelNamed<T extends Nameable>(channels: readonly T[], wanted: string): T {
  const isMeant = ({ id, name }: T): boolean =>
    isId(wanted)
      ? id === wanted
      : name === wanted || (PREFIX.test(wanted) && id.startsWith(wanted));
  const fits = channels.filter(isMeant);
  if (fits.length === 1) return fits[0]!;
  if (fits.length === 0) {
    throw new ConclaveError(
      'no_channel',
      `there is no channel "${wanted}" here: "conclave status" lists the channels of this node. ` +
        `Give the name, or the id or ${ID_PREFIX_CHARS_MIN} or more of its first digits`,
    );
  }
  const shown = fits.slice(0, SHOWN_MAX).map(({ id, name }) => {
    const short = id.slice(0, SHOWN_CHARS);
    return name ? `${name} (${short})` : short;
  });
  const more = fits.length > SHOWN_MAX ? `, and ${fits.length - SHOWN_MAX} more` : '';
  throw new ConclaveError(
    'ambiguous',
    `${fits.length} channels fit "${wanted}": ${shown.join(', ')}${more}. Give more of the id`,
  );
}
