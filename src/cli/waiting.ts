/** What a channel waits for, in words that name members and relays; programs get the same as fields. */

import type { UserId } from '../core/ids.js';
import type { Channel, ChannelStatus, Departure, Misbehaved, RelayStatus } from '../node/api.js';
import { formatTime } from './when.js';

/** A status with the names of whom it speaks of. */
export type NamedStatus = Omit<ChannelStatus, 'waiting' | 'misbehaved'> & {
  readonly misbehaved: readonly (Misbehaved & { readonly name: string })[];
  readonly leaderName: string | null;
  readonly waiting:
    | (NonNullable<ChannelStatus['waiting']> & { readonly names: readonly string[] })
    | null;
};

const SHORT_ID_CHARS = 8;
const NAMES_MAX = 5;

/** A member's name; of who is no member, the beginning of the id. */
export function namesOf(channel: Channel): (user: UserId) => string {
  const names = new Map(channel.members.list().map(({ user, name }) => [user, name]));
  return (user) => names.get(user) || user.slice(0, SHORT_ID_CHARS);
}

export function named(channel: Channel, status = channel.currentStatus()): NamedStatus {
  const nameOf = namesOf(channel);
  const { leader, waiting } = status;
  return {
    ...status,
    leaderName: leader === null ? null : nameOf(leader),
    waiting: waiting && { ...waiting, names: waiting.missing.map(nameOf) },
    misbehaved: status.misbehaved.map((one) => ({ ...one, name: nameOf(one.user) })),
  };
}

/** Why none of the relays is reached; undefined while one is, or may be. */
export function relayProblem(relays: readonly RelayStatus[]): string | undefined {
  if (relays.length === 0 || relays.some((relay) => relay.connected || !relay.problem))
    return undefined;
  const told = relays.map(({ url, problem }) => `${url} (${problem!.message})`);
  return `no relay answers: ${told.join(', ')}`;
}

/** Relays that are not reached while another one is: nothing waits for them, but they are missed. */
export function missedRelays(relays: readonly RelayStatus[]): string | undefined {
  if (!relays.some(({ connected }) => connected)) return undefined;
  const told = relays.flatMap(({ url, connected, problem }) =>
    connected || !problem ? [] : [`${url} (${problem.message})`],
  );
  return told.length === 0 ? undefined : `no link to ${told.join(', ')}`;
}

/** Whether it commits all the same, as a channel does that needs no more members online than there are on this side. */
export const isCutOff = ({ state, relays }: Pick<ChannelStatus, 'state' | 'relays'>): boolean =>
  state === 'healthy' && relayProblem(relays) !== undefined;

/** The state in words for people: whoever reaches nobody is not well, though it leads itself. */
export const stateWord = (status: Pick<ChannelStatus, 'state' | 'relays'>): string =>
  isCutOff(status) ? 'cut off, committing' : status.state;

/** What comes first: a relay that is not reached hides who is online. */
export function waitingFor({ state, waiting, relays }: NamedStatus): string | undefined {
  const problem = relayProblem(relays);
  if (problem !== undefined) return problem;
  if (waiting) {
    const { names, reason } = waiting;
    const more = names.length > NAMES_MAX ? `, and ${names.length - NAMES_MAX} more` : '';
    const missing =
      names.length > 0 ? `; missing: ${names.slice(0, NAMES_MAX).join(', ')}${more}` : '';
    return `${reason}${missing}`;
  }
  if (state === 'electing') return 'the members are electing a leader';
  if (relays.length > 0 && relays.every(({ connected }) => !connected)) {
    return `no relay answers yet: ${relays.map(({ url }) => url).join(', ')}`;
  }
  return undefined;
}

/** What an online epoch lacks, though all is well in it. */
export function notFinal({
  epoch,
  members,
}: Pick<ChannelStatus, 'epoch' | 'members'>): string | undefined {
  if (epoch?.kind !== 'online') return undefined;
  const need = Math.floor(members / 2) + 1;
  return `messages are committed on this side; nothing becomes final until ${need} of the ${members} members meet`;
}

/** By whom and when this node's user went. */
export function departureText({ how, by, time, replacedBy }: Departure): string {
  if (how === 'left') return `it left, ${formatTime(time)}`;
  const who = `${by.name || 'somebody'} (${by.user.slice(0, SHORT_ID_CHARS)})`;
  if (how === 'removed') return `${who} removed it, ${formatTime(time)}`;
  return `another key has its place, ${replacedBy!.slice(0, SHORT_ID_CHARS)}: ${who} made it so, ${formatTime(time)}`;
}
