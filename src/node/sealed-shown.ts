/**
 * What a reader was shown sealed, and under which key, so that it is shown again
 * once the key comes (docs/PROTOCOL.md, section "Reading"). Of what is final
 * only the stretch of the log is kept, for each key.
 */

import type { Digest } from '../core/ids.js';
import type { KeyId } from './channel-cipher.js';

export interface Stretch {
  readonly key: KeyId;
  readonly first: number;
  readonly last: number;
}

export class SealedShown {
  readonly #final = new Map<KeyId, Stretch>();
  readonly #provisional = new Map<Digest, KeyId>();

  /** The entry at `seq` was shown sealed. */
  final(key: KeyId, seq: number): void {
    const { first } = this.#final.get(key) ?? { first: seq };
    this.#final.set(key, { key, first, last: seq });
  }

  /** A message that is not final was shown sealed. */
  provisional(key: KeyId, digest: Digest): void {
    this.#provisional.set(digest, key);
  }

  /** It was shown otherwise since. */
  settled(digest: Digest): void {
    this.#provisional.delete(digest);
  }

  /** The stretches whose key is here now; they count as shown. */
  takeFinal(has: (key: KeyId) => boolean): Stretch[] {
    const opened = [...this.#final.values()].filter(({ key }) => has(key));
    for (const { key } of opened) this.#final.delete(key);
    return opened;
  }

  /** Whether a message was shown sealed and its key is here now; it counts as shown. */
  takeProvisional(digest: Digest, has: (key: KeyId) => boolean): boolean {
    const key = this.#provisional.get(digest);
    return key !== undefined && has(key) && this.#provisional.delete(digest);
  }
}
