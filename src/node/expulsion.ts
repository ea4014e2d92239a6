/**
 * Removes whom there is a proof of misbehaviour of, where the user of this
 * node wants that (`misbehaviour: 'remove'`) and manages the channel
 * (docs/PROTOCOL.md, section "Misbehaviour"; decision 0024). A removal has a
 * place in the log, so the offender is refused by all and from one place on.
 * Who was taken back after what it did is not removed for that again.
 */

import type { ChannelState, Conviction } from '../core/channel-state.js';
import type { Digest, UserId } from '../core/ids.js';
import { rosterOfOffence } from '../core/misbehaviour.js';
import { decodePortableProof } from '../core/portable-proof.js';

export interface ExpulsionHost {
  readonly user: UserId;
  state(): ChannelState;
  /** Resolves once the change is in force. */
  remove(user: UserId): Promise<void>;
  /** One could not be removed; it is tried again under another roster. */
  failed(user: UserId, error: unknown): void;
}

export class Expulsion {
  readonly #host: ExpulsionHost;
  /** Under which roster each proof was looked at last. */
  readonly #seen = new Map<Digest, number>();

  constructor(host: ExpulsionHost) {
    this.#host = host;
  }

  /** Something changed: there may be a proof that is new, or a role that allows it now. */
  look(): void {
    const { convictions, roster } = this.#host.state();
    if (convictions.size === 0) return;
    const own = roster.members.get(this.#host.user);
    if (own === undefined || own.role === 'member') return;
    for (const [id, conviction] of convictions) {
      const { offender } = conviction;
      if (this.#seen.get(id) === roster.number) continue;
      this.#seen.set(id, roster.number);
      if (!this.#isDue(conviction)) continue;
      this.#host.remove(offender).catch((error) => this.#host.failed(offender, error));
    }
  }

  /** Whether the offender is a member, and was one already when it did that. */
  #isDue({ offender, proof }: Conviction): boolean {
    const { user } = this.#host;
    const member = this.#host.state().roster.members.get(offender);
    if (member === undefined || offender === user) return false;
    const decoded = decodePortableProof(proof);
    if (decoded.kind !== 'misbehaviour') return false;
    return rosterOfOffence(decoded.misbehaviour) >= member.since;
  }
}
