/**
 * What a relay says itself: the commands that answer, and the errors that its
 * hub refuses with (docs/PROTOCOL.md, section "Relay").
 */

import type { CommandName, Outgoing } from '../core/commands.js';
import { ConclaveError } from '../core/errors.js';
import type { ChannelId, UserId } from '../core/ids.js';
import { minOnline } from '../core/roster.js';
import type { Channel } from './channels.js';

/** Something was over a limit of the relay, which it names. */
export class LimitError extends ConclaveError {
  readonly limit: string;

  constructor(code: string, limit: string, message: string) {
    super(code, message, { retryable: true });
    this.limit = limit;
  }
}

/** An `ERR` about a command that was not done, or about the end of the connection. */
export function errorCommand(error: ConclaveError, about: string, id?: ChannelId): Outgoing {
  // What a peer sent may be quoted in a message: ASCII fits the schema whatever it was.
  const message = error.message.replace(/[^ -~]/g, '?').slice(0, 512);
  const limit = error instanceof LimitError ? { limit: error.limit } : {};
  const payload = { code: error.code, about, message, ...limit };
  return { name: 'ERR', payload: id === undefined ? payload : { ...payload, id } };
}

export const rate = (about: string, retryMs: number, limit: string): Outgoing => ({
  name: 'RATE',
  payload: { retry_ms: retryMs, about, limit },
});

export const hintOf = ({ id, name, leader }: Channel) =>
  leader === undefined ? { id, name } : { id, name, leader };

export const statusOf = (channel: Channel): Outgoing => ({
  name: 'CH_STATUS',
  payload: {
    ...hintOf(channel),
    roster: channel.roster.number,
    online: [...channel.online.keys()],
  },
});

/** For one who is not a member of the roster that the relay knows: only what it may send steps from. */
export const bareStatusOf = ({ id, roster }: Channel): Outgoing => ({
  name: 'CH_STATUS',
  payload: { id, name: new Uint8Array(0), roster: roster.number, online: [] },
});

/** V0: at least 3 online members and an elected leader; as far as the relay sees. */
export const isHealthy = ({ roster, leader, online }: Channel): boolean =>
  leader !== undefined && online.size >= minOnline(roster);

export const lacks = (name: CommandName, field: 'id' | 'to') =>
  new ConclaveError('bad_payload', `${name} lacks the field "${field}"`);

export const notAllowed = () =>
  new ConclaveError(
    'not_allowed',
    "the user is not on this relay's allow-list, and proved no registration token of it",
  );

export const replaced = () =>
  new ConclaveError('replaced', 'the same user connected again; this older connection ends');

export const noChannel = () =>
  new ConclaveError('no_channel', 'this relay does not know the channel: announce it (CH_ROSTER)');

export const notMember = () =>
  new ConclaveError(
    'not_member',
    'the sender is not in the roster that this relay knows: announce a newer one (CH_ROSTER)',
  );

export const notConnected = (user: UserId) =>
  new ConclaveError('not_connected', `${user} is not connected to this relay`, { retryable: true });
