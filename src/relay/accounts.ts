/**
 * What each user, and each network address, used of a relay lately, over all
 * its connections (docs/PROTOCOL.md, section "Relay limits"). An account
 * outlives the connection, so that whoever comes back finds what it left: one
 * that nobody holds is forgotten once all its buckets are whole, or when too
 * many are remembered, the one idle for longest first.
 */

import type { PeerId } from './effects.js';
import { type RelayLimits, rateOf } from './limits.js';
import type { TokenBucket } from './token-bucket.js';

export type Scope = 'user' | 'address';

export interface Account {
  /** A user's id, or a network. */
  readonly key: string;
  readonly handshakes: TokenBucket;
  /** ERRs to connections that are refused at once. */
  readonly refusals: TokenBucket;
  /** What does not wait for its turn. */
  readonly prompt: TokenBucket;
  readonly frames: TokenBucket;
  readonly bytes: TokenBucket;
  readonly channels: TokenBucket;
  readonly work: TokenBucket;
  /** Its connections. */
  readonly peers: Set<PeerId>;
  /** Those of them without a valid `CNN`, oldest first. */
  readonly dallying: Set<PeerId>;
}

const BUCKETS = ['handshakes', 'frames', 'bytes', 'channels', 'work'] as const;

export function newAccount(scope: Scope, key: string, limits: RelayLimits, nowMs: number): Account {
  return {
    key,
    handshakes: rateOf(limits, `${scope}_handshakes`, nowMs),
    refusals: rateOf(limits, 'address_refusals', nowMs),
    prompt: rateOf(limits, 'address_prompt', nowMs),
    frames: rateOf(limits, `${scope}_frames`, nowMs),
    bytes: rateOf(limits, `${scope}_bytes`, nowMs),
    channels: rateOf(limits, `${scope}_channels`, nowMs),
    work: rateOf(limits, `${scope}_work`, nowMs),
    peers: new Set(),
    dallying: new Set(),
  };
}

export class Accounts {
  readonly #scope: Scope;
  readonly #limits: RelayLimits;
  readonly #accounts = new Map<string, Account>();
  /** Without a connection, the one that had none for longest first. */
  readonly #idle = new Set<Account>();

  constructor(scope: Scope, limits: RelayLimits) {
    this.#scope = scope;
    this.#limits = limits;
  }

  get size(): number {
    return this.#accounts.size;
  }

  /** The account of `key`, which `peer` uses from now on. */
  hold(key: string, peer: PeerId, nowMs: number): Account {
    let account = this.#accounts.get(key);
    if (!account) {
      account = newAccount(this.#scope, key, this.#limits, nowMs);
      this.#accounts.set(key, account);
    }
    account.peers.add(peer);
    this.#idle.delete(account);
    return account;
  }

  release(account: Account, peer: PeerId): void {
    account.dallying.delete(peer);
    if (!account.peers.delete(peer) || account.peers.size > 0) return;
    this.#idle.add(account);
    if (this.#idle.size > this.#limits.idle_accounts_max) this.#forget(firstOf(this.#idle)!);
  }

  /** Forgets those that are as good as new. */
  sweep(nowMs: number): void {
    for (const account of this.#idle) {
      // Those behind it were used later.
      if (!BUCKETS.every((name) => account[name].isWhole(nowMs))) return;
      this.#forget(account);
    }
  }

  #forget(account: Account): void {
    this.#idle.delete(account);
    this.#accounts.delete(account.key);
  }
}

export const firstOf = <T>(set: ReadonlySet<T>): T | undefined => set.values().next().value;
