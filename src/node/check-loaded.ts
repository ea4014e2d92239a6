/**
 * What a node checks of its own store before it shows or serves anything of a
 * channel, beyond what loading does: that the channel's name is the one its
 * founder committed to, that each roster follows from the one before by a
 * record that stands under its certificate, and that the one of the final
 * certificate is among them. Hashes alone, no signatures: it is
 * against damage, and it is quick. `verify` checks everything.
 */

import { checkStep, decodeCertificate, decodeStep } from '../core/certificate.js';
import type { Hash } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import { commitName, decodeGenesis } from '../core/genesis.js';
import type { ChannelId } from '../core/ids.js';
import { after, channelKeys, decodeFinal, decodeStoredGenesis } from '../core/layout.js';
import { genesisRoster } from '../core/roster.js';
import type { Store } from '../core/store.js';

/** Throws `store_damaged`. */
export async function checkLoaded(store: Store, hash: Hash, id: ChannelId): Promise<void> {
  const keys = channelKeys(id);
  try {
    const stored = await store.get(keys.genesis);
    // Loading says so.
    if (!stored) return;
    const { bytes, name } = decodeStoredGenesis(stored);
    const genesis = decodeGenesis(bytes);
    if (name !== '' && commitName(hash, genesis.salt, name) !== genesis.nameCommitment) {
      throw new Error("the channel's name is not the one that its founder chose");
    }
    const rosters = [genesisRoster(hash, id, genesis)];
    for await (const [, value] of store.range({ gte: keys.steps, lt: after(keys.steps) })) {
      rosters.push(checkStep(hash, rosters.at(-1)!, decodeStep(value)).roster);
    }
    const final = await store.get(keys.final);
    if (!final) return;
    const cert = decodeCertificate(decodeFinal(final).cert);
    // A lost step would leave the node with a roster that is not in force any more.
    if (rosters[cert.roster]?.hash !== cert.rosterHash) {
      throw new Error(`roster ${cert.roster}, under which it is final, is not what its steps give`);
    }
  } catch (cause) {
    if (cause instanceof ConclaveError && cause.code.startsWith('store_')) throw cause;
    throw damaged(id, (cause as Error).message, cause);
  }
}

export const damaged = (id: ChannelId, what: string, cause?: unknown): ConclaveError =>
  new ConclaveError(
    'store_damaged',
    `the store of channel ${id} is damaged: ${what}. Run "conclave doctor"`,
    { cause },
  );
