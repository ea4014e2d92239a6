/**
 * Links between clients and relays (docs/PROTOCOL.md, sections "Links", "Keys"
 * and "Frames"), the names that drivers use. A link's two ends are state
 * machines without I/O; what a relay forwards it seals once for all receivers.
 */

export { ClientLink, type LinkEvent, type TlsSeen } from './client-link.js';
export { type LinkIdentity, linkIdentity } from './keys.js';
export {
  type BroadcastKey,
  type RelayEvent,
  type RelayInfo,
  RelayLink,
  type Route,
  routeOf,
} from './relay-link.js';
export { sealBroadcast } from './seal.js';
