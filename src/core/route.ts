/**
 * Which links a command takes (docs/PROTOCOL.md, section "Links and routes"):
 * the fewest that together reach everyone it is for. Pure. A channel has at
 * most 8 relays, so looking at every set of links is cheap; nearly always one
 * link reaches all, and that is looked at first.
 */

import type { UserId } from './ids.js';
import type { LinkId } from './presence.js';

/**
 * @param targets who should get the command
 * @param links   this node's links that are up, in order of preference
 * @param reaches whether a user is online over a link
 * @returns the links to send on. Targets that no link is known to reach ask
 *   for no link; when that is all of them, every link is tried, since presence
 *   is learnt by trying.
 */
export function chooseLinks(
  targets: readonly UserId[],
  links: readonly LinkId[],
  reaches: (link: LinkId, user: UserId) => boolean,
): LinkId[] {
  if (links.length <= 1) return [...links];
  if (targets.length === 0) return [links[0]!];
  const reached = targets.filter((user) => links.some((link) => reaches(link, user)));
  if (reached.length === 0) return [...links];
  for (let size = 1; size < links.length; size++) {
    const found = chooseSome(reached, links, reaches, size);
    if (found) return found;
  }
  return [...links];
}

/** The first set of `size` links, in order of preference, that together reach all of `users`. */
function chooseSome(
  users: readonly UserId[],
  links: readonly LinkId[],
  reaches: (link: LinkId, user: UserId) => boolean,
  size: number,
): LinkId[] | undefined {
  if (size === 0) return users.length === 0 ? [] : undefined;
  for (let i = 0; i + size <= links.length; i++) {
    const link = links[i]!;
    const missing = users.filter((user) => !reaches(link, user));
    const others = chooseSome(missing, links.slice(i + 1), reaches, size - 1);
    if (others) return [link, ...others];
  }
  return undefined;
}
