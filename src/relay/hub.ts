/**
 * What a relay does with commands (docs/PROTOCOL.md, section "Relay"): presence,
 * the channels it knows, and where each forwarded command goes. It is sans-IO:
 * the caller says who connected, who left, what came and what time it is, and
 * gets back what to send, to whom. Links, keys and limits of connections are
 * `links.ts`; the simulator may run the hub without them.
 *
 * Promises: a command goes only to those it is for (`to`, or the online members
 * of its channel, or those the sender shares a channel with), only when `from`
 * is the sender, and a channel's commands only between members of the newest
 * roster that is proven to the relay. Every other command is answered with a
 * typed `ERR`; nothing is dropped in silence, nothing is kept.
 */

import {
  COMMANDS,
  type CommandName,
  decodeCommand,
  type Outgoing,
  type Payload,
} from '../core/commands.js';
import type { Crypto } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import { type ChannelId, hex32, type UserId } from '../core/ids.js';
import { type Route, routeOf } from '../core/link.js';
import { type Account, newAccount } from './accounts.js';
import { type Announced, type Channel, Channels } from './channels.js';
import { type Effect, type Now, type PeerId, type Received, send } from './effects.js';
import {
  LIST_ENTRY_BYTES_MAX,
  LIST_HEAD_BYTES_MAX,
  type RelayLimits,
  rateOf,
  WORK,
} from './limits.js';
import {
  bareStatusOf,
  errorCommand,
  hintOf,
  isHealthy,
  LimitError,
  lacks,
  noChannel,
  notAllowed,
  notConnected,
  notMember,
  rate,
  replaced,
  statusOf,
} from './replies.js';
import { JOIN_AGAIN_WORK, JOIN_WORK, type Spend, verifyJoin } from './roster-chain.js';
import type { TokenBucket } from './token-bucket.js';
import { type OnlineUser, Users } from './users.js';

/** Commands from one user to another, whatever channels they are in. */
const PRIVATE: ReadonlySet<CommandName> = new Set(['CNN_USR', 'PV_MSG', 'ACK_MSG']);
/** Commands that a requester to join may be sent. */
const FOR_GUESTS: ReadonlySet<CommandName> = new Set(['CH_APPEND', 'CH_MSG', 'CH_REFUSE']);

/** What a relay's operator may want to know or keep. */
export interface HubEvents {
  /** `peer` made a channel known. */
  announced(peer: PeerId, channel: ChannelId, now: Now): void;
  /** `user` came with the relay's token, and is on the allow-list from now on. */
  registered(peer: PeerId, user: UserId, now: Now): void;
}

/** Who came. */
export interface Entering {
  readonly user: UserId;
  readonly name: string;
  readonly hasToken?: boolean;
}

export class Hub {
  readonly #crypto: Crypto;
  readonly #limits: RelayLimits;
  readonly #channels: Channels;
  readonly #users: Users;
  readonly #work: TokenBucket;
  readonly #events: HubEvents | undefined;

  constructor(options: {
    readonly crypto: Crypto;
    readonly limits: RelayLimits;
    readonly allow?: readonly UserId[] | undefined;
    readonly nowMs: number;
    readonly events?: HubEvents | undefined;
  }) {
    this.#crypto = options.crypto;
    this.#limits = options.limits;
    this.#channels = new Channels(options.crypto, options.limits);
    this.#users = new Users(this.#channels, options.limits, options.allow);
    this.#work = rateOf(options.limits, 'work_total', options.nowMs);
    this.#events = options.events;
  }

  get userCount(): number {
    return this.#users.size;
  }

  isOnline(peer: PeerId): boolean {
    return this.#users.at(peer) !== undefined;
  }

  get channelCount(): number {
    return this.#channels.size;
  }

  /**
   * A peer proved that it is `user`. A second connection takes the place of the
   * first. What it does is charged to `accounts`.
   */
  connect(
    peer: PeerId,
    { user, name, hasToken = false }: Entering,
    now: Now,
    accounts: readonly Account[] = [newAccount('user', user, this.#limits, now.ms)],
  ): Effect[] {
    const effects: Effect[] = [];
    if (!this.#users.isAllowed(user)) {
      const refusal = hasToken ? this.#register(effects, peer, user, now) : notAllowed();
      if (refusal) return [{ type: 'close', peer, error: refusal }];
    }
    const older = this.#users.online(user);
    if (older) {
      this.#users.leave(older);
      effects.push({ type: 'close', peer: older.peer, error: replaced() });
    }
    const entered = this.#users.enter(peer, { user, name }, accounts, now.ms);
    this.#tell(effects, this.#users.interestedIn(entered), {
      name: 'UCNN',
      payload: { id: user, name },
    });
    for (const channel of this.#channels.ofMember(user)) {
      effects.push(send(entered.self, statusOf(channel)));
    }
    return effects;
  }

  /** Why it can't be put on the allow-list; nothing when it was. */
  #register(effects: Effect[], peer: PeerId, user: UserId, now: Now): ConclaveError | undefined {
    try {
      effects.push(...this.allow(user));
      this.#events?.registered(peer, user, now);
    } catch (error) {
      if (error instanceof ConclaveError) return error;
      throw error;
    }
    return undefined;
  }

  /** The peer's connection ended. */
  disconnect(peer: PeerId): Effect[] {
    const leaving = this.#users.at(peer);
    if (!leaving) return [];
    const { user: id, name } = leaving;
    const effects: Effect[] = [];
    this.#tell(effects, this.#users.interestedIn(leaving), {
      name: 'UDCNN',
      payload: { id, name },
    });
    this.#users.leave(leaving);
    return effects;
  }

  /** Puts a user on the allow-list. */
  allow(id: UserId): Effect[] {
    if (!this.#users.allow(id)) return [];
    const payload = { id, status: 'offline' as const, name: '' };
    return [send(this.#users.peers(), { name: 'USR_ADD', payload })];
  }

  /** Takes a user off the allow-list and disconnects it. */
  disallow(id: UserId): Effect[] {
    if (!this.#users.disallow(id)) return [];
    const effects: Effect[] = [];
    const removed = this.#users.online(id);
    if (removed) {
      effects.push(...this.disconnect(removed.peer));
      effects.push({ type: 'close', peer: removed.peer, error: notAllowed() });
    }
    effects.push(send(this.#users.peers(), { name: 'USR_RMD', payload: { id } }));
    return effects;
  }

  /** A command of a connected peer. */
  command(peer: PeerId, received: Received, now: Now): Effect[] {
    const sender = this.#users.at(peer);
    if (!sender) return [];
    const effects: Effect[] = [];
    try {
      this.#dispatch(effects, sender, received, now);
    } catch (error) {
      if (!(error instanceof ConclaveError)) throw error;
      effects.push(send(sender.self, errorCommand(error, received.name, channelIn(received))));
    }
    return effects;
  }

  #dispatch(effects: Effect[], sender: OnlineUser, received: Received, now: Now): void {
    const { name, payload } = received;
    switch (name) {
      case 'KALIVE':
        effects.push(send(sender.self, { name, payload: {} }));
        break;
      case 'DCNN':
        effects.push(...this.disconnect(sender.peer));
        effects.push({ type: 'close', peer: sender.peer });
        break;
      case 'LST_USR':
        this.#listUsers(effects, sender, now);
        break;
      case 'CH_LST':
        this.#listChannels(effects, sender, now);
        break;
      case 'CH_ROSTER':
        this.#announce(effects, sender, decoded(name, payload), now);
        break;
      default:
        this.#forward(effects, sender, received, now);
    }
  }

  #forward(effects: Effect[], sender: OnlineUser, received: Received, now: Now): void {
    const { name, raw } = received;
    const spec = COMMANDS[name];
    if (spec.from === 'relay' || spec.key !== 'broadcast') {
      throw new ConclaveError('bad_command', `a client does not send ${name} here`);
    }
    const route = routeOf(received.payload);
    if (route.from !== sender.user) {
      throw new ConclaveError(
        'bad_from',
        `${name} names another sender than its connection's user`,
      );
    }
    const to = this.#receivers(effects, sender, received, route, now);
    if (to.length > 0) effects.push({ type: 'forward', to, name: forwardedName(name), raw });
  }

  #receivers(
    effects: Effect[],
    sender: OnlineUser,
    received: Received,
    route: Route,
    now: Now,
  ): readonly PeerId[] {
    const { name } = received;
    if (name === 'BEACON') return this.#channels.sharing(sender.user);
    if (PRIVATE.has(name)) return this.#privately(sender, name, route);
    if (route.id === undefined) throw lacks(name, 'id');
    const channel = this.#channels.get(route.id);
    if (!channel) throw noChannel();
    if (!channel.roster.members.has(sender.user)) {
      if (name !== 'CH_JOIN') throw notMember();
      return this.#join(effects, sender, channel, received, now);
    }
    if (name === 'CH_ELECTED') noteLeader(channel, sender.user, decoded(name, received.payload));
    if (route.to === undefined) return this.#channels.others(channel, sender.user);
    return this.#directed(channel, name, route.to, now);
  }

  /** To one user, whoever it is. */
  #privately(sender: OnlineUser, name: CommandName, { to }: Route): readonly PeerId[] {
    if (to === undefined) throw lacks(name, 'to');
    this.#users.watch(sender, to);
    const receiver = this.#users.online(to);
    if (!receiver) throw notConnected(to);
    return receiver.self;
  }

  /** To one member, or to one who asked to become one. */
  #directed(channel: Channel, name: CommandName, to: UserId, now: Now): readonly PeerId[] {
    const member = channel.roster.members.has(to);
    if (!member && !(FOR_GUESTS.has(name) && this.#channels.isGuest(channel, to, now.ms))) {
      throw new ConclaveError('not_member', `${to} is not a member of the channel`);
    }
    const receiver = this.#users.online(to);
    if (!receiver) throw notConnected(to);
    return receiver.self;
  }

  /** Of one who is no member yet. One that is, and does not know it, asks like any member. */
  #join(
    effects: Effect[],
    sender: OnlineUser,
    channel: Channel,
    received: Received,
    now: Now,
  ): readonly PeerId[] {
    const wasGuest = this.#channels.isGuest(channel, sender.user, now.ms);
    if (!sender.joins.take(1, now.ms)) {
      const { limit } = sender.joins;
      const retryMs = sender.joins.msUntil(1, now.ms);
      effects.push(send(sender.self, rate(received.name, retryMs, limit)));
      return [];
    }
    if (!this.#spendOf(sender, now)(wasGuest ? JOIN_AGAIN_WORK : JOIN_WORK)) {
      effects.push(this.#tooMuchWork(sender, received.name, now));
      return [];
    }
    const join = decoded('CH_JOIN', received.payload);
    verifyJoin(this.#crypto, channel.roster, sender.user, join, now.wallMs);
    this.#channels.admitGuest(channel, sender.user, now.ms + this.#limits.guest_ms);
    if (!wasGuest) effects.push(send(sender.self, statusOf(channel)));
    return this.#channels.others(channel, sender.user);
  }

  #announce(
    effects: Effect[],
    sender: OnlineUser,
    announced: Payload<'CH_ROSTER'>,
    now: Now,
  ): void {
    this.#mayAnnounce(sender, announced.id, now);
    const result = this.#channels.announce(
      announced,
      sender.user,
      this.#spendOf(sender, now),
      (user) => this.#users.online(user)?.peer,
    );
    if (result?.isNew) {
      sender.announced++;
      for (const { channels } of sender.accounts) channels.draw(1, now.ms);
      this.#events?.announced(sender.peer, announced.id, now);
    }
    const stopped = result ? result.stopped : 'budget';
    // The status asks for what is missing, so it must not come before that may be sent.
    if (result) this.#reportChange(effects, result, sender, stopped !== 'budget');
    if (stopped === 'budget') effects.push(this.#tooMuchWork(sender, 'CH_ROSTER', now));
    else if (stopped) throw stopped;
  }

  #mayAnnounce(sender: OnlineUser, id: ChannelId, now: Now): void {
    if (this.#channels.get(id)) return;
    if (sender.announced >= this.#limits.channels_announced_max) {
      const made = `this connection made ${sender.announced} channels known`;
      throw new LimitError('full', 'channels_announced_max', `${made}, the limit of this relay`);
    }
    for (const { channels } of sender.accounts) {
      if (channels.level(now.ms) >= 1) continue;
      const what = 'too many channels were made known from here';
      throw new LimitError('full', channels.limit, `${what}: try again later`);
    }
  }

  /** Members learn who came and went; those who are new get the status, and the sender if it `isAnswer`. */
  #reportChange(effects: Effect[], change: Announced, sender: OnlineUser, isAnswer: boolean): void {
    const { channel, wasLearning, joined, left } = change;
    const { roster, online } = channel;
    if (!wasLearning) {
      for (const user of joined) {
        const command = { name: 'CH_UJOIN', payload: { channel: channel.id, user } } as const;
        this.#tell(effects, [...online.values()], command);
      }
    }
    for (const user of left) {
      const command = { name: 'CH_ULEAVE', payload: { channel: channel.id, user } } as const;
      const own = this.#users.online(user)?.self ?? [];
      this.#tell(effects, [...online.values(), ...own], command);
    }
    if (isAnswer) {
      const isMember = roster.members.has(sender.user);
      effects.push(send(sender.self, isMember ? statusOf(channel) : bareStatusOf(channel)));
    }
    const others = joined.flatMap((user) => (user === sender.user ? [] : (online.get(user) ?? [])));
    this.#tell(effects, others, statusOf(channel));
  }

  #listUsers(effects: Effect[], sender: OnlineUser, now: Now): void {
    const max = this.#listMax(LIST_ENTRY_BYTES_MAX.user);
    if (!this.#payForList(effects, sender, 'LST_USR', this.#users.knownCount(sender), max, now)) {
      return;
    }
    const users = this.#users.knownTo(sender, max);
    effects.push(send(sender.self, { name: 'USR_LST', payload: { users } }));
  }

  #listChannels(effects: Effect[], sender: OnlineUser, now: Now): void {
    const max = this.#listMax(LIST_ENTRY_BYTES_MAX.channel);
    const known = this.#channels.ofMember(sender.user);
    if (!this.#payForList(effects, sender, 'CH_LST', known.size, max, now)) return;
    const channels = [...known].slice(0, max).map((channel) => ({
      ...hintOf(channel),
      status: isHealthy(channel) ? ('healthy' as const) : ('waiting' as const),
    }));
    effects.push(send(sender.self, { name: 'LST_CH', payload: { channels } }));
  }

  #listMax(entryBytes: number): number {
    return Math.floor((this.#limits.payload_bytes_max - LIST_HEAD_BYTES_MAX) / entryBytes);
  }

  /** A long list answers a short question, so it is charged. */
  #payForList(
    effects: Effect[],
    sender: OnlineUser,
    about: CommandName,
    count: number,
    max: number,
    now: Now,
  ): boolean {
    const entries = Math.min(count, max) / WORK.list_entries_per_unit;
    const units = 1 + Math.ceil(entries + count / WORK.lookups_per_unit);
    if (this.#spendOf(sender, now)(units)) return true;
    effects.push(this.#tooMuchWork(sender, about, now));
    return false;
  }

  /** Budgets of the sender, its address and the relay. */
  #budgetsOf(sender: OnlineUser): TokenBucket[] {
    return [...sender.accounts.map(({ work }) => work), this.#work];
  }

  /** Pays from each of them, or from none. */
  #spendOf(sender: OnlineUser, now: Now): Spend {
    const budgets = this.#budgetsOf(sender);
    return (units) => {
      if (budgets.some((budget) => budget.level(now.ms) < units)) return false;
      for (const budget of budgets) budget.draw(units, now.ms);
      return true;
    };
  }

  /** `RATE` until all of them are whole; it names the one that takes longest. */
  #tooMuchWork(sender: OnlineUser, about: CommandName, now: Now): Effect {
    let [retryMs, limit] = [-1, ''];
    for (const budget of this.#budgetsOf(sender)) {
      const ms = budget.msUntil(budget.burst, now.ms);
      if (ms > retryMs) [retryMs, limit] = [ms, budget.limit];
    }
    return send(sender.self, rate(about, retryMs, limit));
  }

  #tell(effects: Effect[], to: readonly PeerId[], command: Outgoing): void {
    if (to.length > 0) effects.push(send(to, command));
  }
}

function decoded<N extends CommandName>(name: N, payload: unknown): Payload<N> {
  return decodeCommand(name, payload).payload as Payload<N>;
}

function forwardedName(name: CommandName): CommandName {
  const spec: { readonly as?: string } = COMMANDS[name];
  return (spec.as ?? name) as CommandName;
}

/** The channel that a command is about, if it names one. */
function channelIn({ payload }: Received): ChannelId | undefined {
  const { id } = payload;
  return id instanceof Uint8Array && id.length === 32 ? hex32<ChannelId>(id) : undefined;
}

/** A member speaks for its own election only, so that nobody can spoil the hint. */
function noteLeader(channel: Channel, sender: UserId, elected: Payload<'CH_ELECTED'>): void {
  if (elected.leader === sender) channel.leader = sender;
}
