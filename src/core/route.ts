/**
 * Which links a command takes (docs/PROTOCOL.md, section "Links and routes"):
 * the fewest that together reach everyone it is for. Pure.
 */

import type { UserId } from './ids.js';
import type { LinkId } from './presence.js';

/**
 * @param targets who should get the command
 * @param links   this node's links that are up, in order of preference
 * @param reaches whether a user is online over a link
 * @returns the links to send on. Targets that no link is known to reach are
 *   tried on every link, since presence is learnt by trying.
 */
export function chooseLinks(
  targets: readonly UserId[],
  links: readonly LinkId[],
  reaches: (link: LinkId, user: UserId) => boolean,
): LinkId[] {
  if (links.length <= 1) return [...links];
  let missing = targets.filter((user) => links.some((link) => reaches(link, user)));
  if (missing.length < targets.length && missing.length === 0) return [...links];
  const chosen: LinkId[] = [];
  while (missing.length > 0) {
    let best = links[0]!;
    let bestCount = -1;
    for (const link of links) {
      const count = missing.filter((user) => reaches(link, user)).length;
      if (count > bestCount) [best, bestCount] = [link, count];
    }
    chosen.push(best);
    missing = missing.filter((user) => !reaches(best, user));
  }
  return chosen.length === 0 ? [links[0]!] : chosen;
}
