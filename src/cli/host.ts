/**
 * What the command line needs from the world around it: streams, the signal
 * to stop, and the parts of conclave that it starts. `real-host.ts` is the real
 * one; a test gives its own.
 */

import type { Readable, Writable } from 'node:stream';
import type { Logger } from 'pino';
import type { UserId } from '../core/ids.js';
import type { Node } from '../node/api.js';
import type { Examination } from '../node/examine-store.js';
import type { MendedStore } from '../node/mend-store.js';
import type { DirectoryReport } from '../node/verify-directory.js';
import type { Identity } from './identity.js';

export interface Terminal extends Writable {
  readonly isTTY?: boolean;
}

export interface OpenNode {
  /** Holds `identity.json`, the store and the control socket. */
  readonly dir: string;
  readonly identity: Identity;
  /** Without links nothing is sent or received: the store alone answers. */
  readonly links: boolean;
  /** Other addresses for known relays, for this process only. */
  readonly relays: readonly string[];
  /** What it joins it joins as an archive, and it reads no channel. */
  readonly archive?: boolean;
  /** What becomes of members that a proof convicts, in channels that this user manages; 'show' where absent. */
  readonly misbehaviour?: 'show' | 'remove';
  readonly log: Logger;
}

export interface HostAddress {
  readonly host: string;
  readonly port: number;
}

export interface StartRelay extends HostAddress {
  /** Where the relay's key is kept; without it the key lasts as long as the process. */
  readonly dir?: string;
  readonly name?: string;
  readonly metrics?: HostAddress;
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  /** Files: who may use the relay, the secret with which others may register, what happened. */
  readonly allowFile?: string;
  readonly tokenFile?: string;
  readonly auditFile?: string;
  /** By name, of the relay's limits and times; the relay itself knows which there are. */
  readonly limits?: Readonly<Record<string, number>>;
  readonly log: Logger;
}

export interface RunningRelay {
  readonly url: string;
  readonly metricsPort?: number;
  /** Reads its files again. */
  reload(): Promise<void>;
  /** Drains. */
  close(): Promise<void>;
}

export interface VerifyStore {
  readonly dir: string;
  /** Whose store it is. */
  readonly user: UserId;
  /** The id or the name of a channel; all without it. */
  readonly channel?: string;
  readonly onProgress: (what: 'keys' | 'entries', done: number) => void;
}

export interface ExamineStore {
  readonly dir: string;
  /** Whose store it is; undefined where the identity can't be read. */
  readonly user: UserId | undefined;
  readonly onProgress: (what: 'keys' | 'entries', done: number) => void;
}

export interface RestoreStore {
  readonly dir: string;
  readonly pages: AsyncIterable<Uint8Array>;
  readonly evidence: string;
}

export interface DemoOptions {
  readonly json: boolean;
  readonly stdout: Terminal;
  readonly stderr: Terminal;
  readonly signal: AbortSignal;
}

export interface Host {
  readonly stdin: Readable;
  readonly stdout: Terminal;
  readonly stderr: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by SIGINT, SIGTERM, and SIGHUP unless something else listens to it; its reason is an `Interruption`. */
  readonly signal: AbortSignal;
  /** SIGHUP calls `listener` instead of stopping the command, until what this returns is called. */
  onHangup(listener: () => void): () => void;
  now(): number;
  /** Whether the directory has a store, in whatever state. */
  hasStore(dir: string): Promise<boolean>;
  /** Makes the empty store of a new node. Rejects with `exists` when there is one with something in it. */
  createStore(dir: string): Promise<void>;
  /** Rejects with `store_locked` when another process has it open. */
  openNode(options: OpenNode): Promise<Node>;
  /** Checks a store that no node has open: its files, then all that is in it. Rejects like `openNode`. */
  verifyStore(options: VerifyStore): Promise<DirectoryReport>;
  /** The pages of a store that no node has open. Rejects like `openNode`. */
  snapshotStore(dir: string): AsyncIterable<Uint8Array>;
  /** Makes a store from pages; its node knows that it has lost memory, and why. */
  restoreStore(options: RestoreStore): Promise<void>;
  /** What is wrong with a store that no node has open. */
  examineStore(options: ExamineStore): Promise<Examination>;
  /** Makes it anew from what can be read of it. Rejects with `repair_failed`. */
  mendStore(options: ExamineStore & { readonly filesDamaged: boolean }): Promise<MendedStore>;
  startRelay(options: StartRelay): Promise<RunningRelay>;
  /** Resolves with the exit code. */
  runDemo(options: DemoOptions): Promise<number>;
}

/** Why `Host.signal` was aborted. */
export class Interruption extends Error {
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`stopped by ${signal}`);
    this.name = 'Interruption';
    this.signal = signal;
  }
}
