/**
 * A channel that this node asked to join and knows nothing of yet
 * (docs/PROTOCOL.md, section "Joining and growth").
 */

import { chainStart } from './chain.js';
import type { Joining } from './channel-state.js';
import type { Hash } from './crypto.js';
import type { StepContext } from './effects.js';
import { channelIdOf, commitName, decodeGenesis } from './genesis.js';
import type { ChannelId, Millis } from './ids.js';
import { askToJoin } from './membership.js';
import { rosterStart } from './roster.js';

export interface Stranger {
  readonly joining: Joining;
  /** As the invitation gives it; empty for one that is not to know it. */
  readonly name: string;
}

/** Asks again when it is time; when that is next. */
export function tickStranger(ctx: StepContext, id: ChannelId, { joining }: Stranger): Millis {
  if (ctx.now >= joining.nextAt) {
    const hash = ctx.crypto.sha256;
    const context = { channel: id, roster: 0, rosterHash: rosterStart(hash, id) };
    askToJoin(ctx, context, joining, { seq: 0, hash: chainStart(hash, id) });
  }
  return joining.nextAt;
}

/** Whether a genesis is that of the channel, and has the name that the invitation gives. */
export function judgeGenesis(
  hash: Hash,
  id: ChannelId,
  { name }: Stranger,
  bytes: Uint8Array,
): 'right' | 'of another channel' | 'of another name' {
  if (channelIdOf(hash, bytes) !== id) return 'of another channel';
  const { salt, nameCommitment } = decodeGenesis(bytes);
  if (name === '') return 'right';
  return commitName(hash, salt, name) === nameCommitment ? 'right' : 'of another name';
}
