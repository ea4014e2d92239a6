/** The package's main entry: embedding a node. */

export { ConclaveError } from '../core/errors.js';
export type { ChannelId, Digest, Ulid, UserId } from '../core/ids.js';
export type { Store, StoreOp } from '../core/store.js';
export * from './api.js';
export { levelStore } from './level-store.js';
export { openNode } from './node.js';
export type { NodeIdentity, NodeLog, NodeMetrics, NodeOptions } from './options.js';
export { checkProof } from './proof-file.js';
export { makeRecoveryKey, recoveryKeyOf } from './recovery.js';
export { type RestoreOptions, restoreStore } from './restore.js';
export type { Connect, Transport, TransportEvents } from './transport.js';
export {
  type DirectoryReport,
  type VerifyDirectoryOptions,
  verifyDirectory,
} from './verify-directory.js';
