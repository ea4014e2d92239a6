/**
 * Whom the limits by address count together (docs/PROTOCOL.md, section "Relay
 * limits"): an IPv4 address, or the /64 of an IPv6 address, since who has one
 * address of such a network usually has all 2^64.
 */

import { isIPv6 } from 'node:net';

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
const NETWORK_GROUPS = 4;

/** `remote` as a socket gives it; `undefined` when it is gone already. */
export function networkOf(remote: string | undefined): string {
  if (remote === undefined) return 'unknown';
  const mapped = MAPPED.exec(remote)?.[1];
  if (mapped !== undefined) return mapped;
  const [address] = remote.split('%') as [string];
  if (!isIPv6(address)) return address;
  const [head, tail] = address.split('::') as [string, string | undefined];
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const behind = tail === '' ? [] : tail.split(':');
    // A dotted end stands for two groups, but that is never in the first half.
    while (groups.length + behind.length < 8) groups.push('0');
    groups.push(...behind);
  }
  const network = groups.slice(0, NETWORK_GROUPS).map((group) => Number.parseInt(group, 16));
  return `${network.map((group) => group.toString(16)).join(':')}::/64`;
}
