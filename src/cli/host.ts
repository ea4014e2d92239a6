/**
 * What the command line needs from the world around it: streams, the signal
 * to stop, and the parts of conclave that it starts. `real-host.ts` is the real
 * one; a test gives its own.
 */

import type { Readable, Writable } from 'node:stream';
import type { Logger } from 'pino';
import type { Node } from '../node/api.js';
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
  readonly log: Logger;
}

export interface RunningRelay {
  readonly url: string;
  readonly metricsPort?: number;
  /** Drains. */
  close(): Promise<void>;
}

/** What is wrong with the files of a store. */
export interface StoreProblem {
  readonly where: string;
  readonly what: string;
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
  /** Aborted by SIGINT, SIGTERM and SIGHUP; its reason is an `Interruption`. */
  readonly signal: AbortSignal;
  now(): number;
  /** Makes the empty store of a new node. Rejects with `exists` when there is one with something in it. */
  createStore(dir: string): Promise<void>;
  /** Rejects with `store_locked` when another process has it open. */
  openNode(options: OpenNode): Promise<Node>;
  /** Checks the files of the store itself, below channels; rejects like `openNode`. */
  checkStore(dir: string, onProgress: (keys: number) => void): Promise<readonly StoreProblem[]>;
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
