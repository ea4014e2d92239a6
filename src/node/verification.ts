/** What the parts of a verification share: the store, the rosters found so far, and the problems. */

import type { Crypto } from '../core/crypto.js';
import type { Genesis } from '../core/genesis.js';
import { type ChannelId, unhex } from '../core/ids.js';
import { after, type ChannelKeys, channelKeys } from '../core/layout.js';
import type { Roster } from '../core/roster.js';
import type { Signed } from '../core/statements.js';
import type { Store } from '../core/store.js';
import type { VerifyReport } from './api.js';

type Problem = VerifyReport['problems'][number];

const PROBLEMS_MAX = 100;
/** Signatures that were found right: many records share one. */
const SEEN_MAX = 65_536;

export class Verification {
  readonly crypto: Crypto;
  readonly store: Store;
  readonly id: ChannelId;
  readonly keys: ChannelKeys;
  readonly problems: Problem[] = [];
  /** Known, with roster 0, before anything else is looked at. */
  genesis: Genesis | undefined;
  /** The channel's, as its genesis is stored. */
  name: string | undefined;
  /** By number, as far as the store proves them. */
  readonly rosters: Roster[] = [];
  readonly #seen = new Set<string>();

  constructor(crypto: Crypto, store: Store, id: ChannelId) {
    this.crypto = crypto;
    this.store = store;
    this.id = id;
    this.keys = channelKeys(id);
  }

  problem(where: string, what: unknown): void {
    if (this.problems.length >= PROBLEMS_MAX) return;
    this.problems.push({ where, what: what instanceof Error ? what.message : String(what) });
  }

  /** Runs one check; whatever it throws is a problem at `where`. */
  async check(where: string, run: () => void | Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      this.problem(where, error);
    }
  }

  /**
   * Looks, and looks again for the problems that were found: in a store in use,
   * what belongs together may have been read at two moments. What is found
   * twice counts.
   */
  async twice(look: () => Promise<void>): Promise<void> {
    const before = this.problems.length;
    await look();
    const first = this.problems.splice(before);
    if (first.length === 0) return;
    await look();
    const again = new Set(this.problems.splice(before).map((p) => JSON.stringify(p)));
    this.problems.push(...first.filter((p) => again.has(JSON.stringify(p))));
  }

  /** All that is under `prefix`, from key `from` on, as far as it can be read. */
  async *under(prefix: string, from = prefix): AsyncGenerator<readonly [string, Uint8Array]> {
    try {
      yield* this.store.range({ gte: from, lt: after(prefix) });
    } catch (error) {
      this.problem(prefix, error);
    }
  }

  signatures(where: string, signed: readonly Signed[]): void {
    const { sha256, ed25519Verify } = this.crypto;
    for (const { by, statement, sig } of signed) {
      const key = Buffer.concat([unhex(by), sig, sha256(statement)]).toString('latin1');
      if (this.#seen.has(key)) continue;
      if (!ed25519Verify(unhex(by), statement, sig)) {
        this.problem(where, `a signature of ${by} does not verify`);
      } else if (this.#seen.size < SEEN_MAX) {
        this.#seen.add(key);
      }
    }
  }
}
