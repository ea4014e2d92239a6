/**
 * The channels that a relay knows: their proven roster, who of it is online
 * here, who may be answered though not a member (docs/PROTOCOL.md, section
 * "Relay: channels"). In memory only: members announce again after a restart.
 *
 *   - a user is in `online` of exactly the channels whose known roster names it
 *     and while it is connected;
 *   - `fanout` and `reach` hold receivers worked out before, and are dropped
 *     whenever a roster or somebody's connection changes.
 *
 * Knows nothing of frames, links and time; bounded by `RelayLimits`.
 */

import type { Payload } from '../core/commands.js';
import type { Crypto } from '../core/crypto.js';
import type { ConclaveError } from '../core/errors.js';
import type { ChannelId, UserId } from '../core/ids.js';
import { genesisRoster, type Roster } from '../core/roster.js';
import type { PeerId } from './effects.js';
import type { RelayLimits } from './limits.js';
import { LimitError } from './replies.js';
import { GENESIS_WORK, growRoster, type Spend, verifyGenesis } from './roster-chain.js';

export interface Channel {
  readonly id: ChannelId;
  roster: Roster;
  /** Until the relay first held as much as somebody who announced it: those who join meanwhile joined long ago. */
  isLearning: boolean;
  /** As members sent it; only they can read it. */
  name: Uint8Array;
  /** Who said last, as a member, that it was elected. A hint. */
  leader: UserId | undefined;
  readonly online: Map<UserId, PeerId>;
  /** Requesters to join, and until when they may be answered, in order of that. */
  readonly guests: Map<UserId, number>;
  /** Everyone online but the sender. */
  readonly fanout: Map<UserId, readonly PeerId[]>;
}

/** What an announcement changed. */
export interface Announced {
  readonly channel: Channel;
  /** The relay met this channel for the first time. */
  readonly isNew: boolean;
  readonly wasLearning: boolean;
  readonly joined: readonly UserId[];
  readonly left: readonly UserId[];
  readonly stopped: 'budget' | ConclaveError | undefined;
}

const NONE: ReadonlySet<Channel> = new Set();

export class Channels {
  readonly #crypto: Crypto;
  readonly #limits: RelayLimits;
  readonly #channels = new Map<ChannelId, Channel>();
  readonly #ofMember = new Map<UserId, Set<Channel>>();
  /** Channels without an online member, longest first. */
  readonly #idle = new Set<Channel>();
  readonly #reach = new Map<UserId, readonly PeerId[]>();

  constructor(crypto: Crypto, limits: RelayLimits) {
    this.#crypto = crypto;
    this.#limits = limits;
  }

  get size(): number {
    return this.#channels.size;
  }

  get(id: ChannelId): Channel | undefined {
    return this.#channels.get(id);
  }

  /** Channels whose known roster names `user`. */
  ofMember(user: UserId): ReadonlySet<Channel> {
    return this.#ofMember.get(user) ?? NONE;
  }

  /**
   * Believes as much of an announcement as is proven and paid for; `undefined`
   * when that is nothing. Throws when the genesis or room for it is missing.
   * `peerOf` says who is connected.
   */
  announce(
    announced: Payload<'CH_ROSTER'>,
    from: UserId,
    spend: Spend,
    peerOf: (user: UserId) => PeerId | undefined,
  ): Announced | undefined {
    const known = this.#channels.get(announced.id);
    const channel = known ?? this.#create(announced, spend);
    if (channel === undefined) return undefined;
    const before = known ? channel.roster : undefined;
    const { roster, stopped } = growRoster(this.#crypto, channel.roster, announced, spend);
    if (!known) this.#add(channel);
    const wasLearning = channel.isLearning;
    if (roster.number >= announced.number) channel.isLearning = false;
    const diff = this.#replaceRoster(channel, before, roster, peerOf);
    // A copy: the channel outlives the chunk that the name came in.
    // Who holds no key has none to give.
    const isNamed = announced.name.length > 0 && roster.members.has(from);
    if (isNamed) channel.name = announced.name.slice();
    return { channel, isNew: !known, wasLearning, ...diff, stopped };
  }

  #create(announced: Payload<'CH_ROSTER'>, spend: Spend): Channel | undefined {
    this.#makeRoom();
    if (!spend(GENESIS_WORK)) return undefined;
    const genesis = verifyGenesis(this.#crypto, announced);
    return {
      id: announced.id,
      isLearning: true,
      roster: genesisRoster(this.#crypto.sha256, announced.id, genesis),
      name: new Uint8Array(0),
      leader: undefined,
      online: new Map(),
      guests: new Map(),
      fanout: new Map(),
    };
  }

  #makeRoom(): void {
    if (this.#channels.size < this.#limits.channels_max) return;
    const [longestIdle] = this.#idle;
    if (longestIdle === undefined) {
      throw new LimitError(
        'full',
        'channels_max',
        `this relay serves ${this.#limits.channels_max} channels, its limit; use another relay or try later`,
      );
    }
    this.#forget(longestIdle);
  }

  #add(channel: Channel): void {
    this.#channels.set(channel.id, channel);
    this.#idle.add(channel);
  }

  #forget(channel: Channel): void {
    this.#channels.delete(channel.id);
    this.#idle.delete(channel);
    for (const user of channel.roster.members.keys()) this.#dropMember(channel, user);
  }

  /** Who is in `roster` and was not in the one before, and the other way round. */
  #replaceRoster(
    channel: Channel,
    before: Roster | undefined,
    roster: Roster,
    peerOf: (user: UserId) => PeerId | undefined,
  ): { joined: UserId[]; left: UserId[] } {
    if (before === roster) return { joined: [], left: [] };
    const old = before?.members ?? new Map();
    const joined = [...roster.members.keys()].filter((user) => !old.has(user));
    const left = [...old.keys()].filter((user) => !roster.members.has(user));
    channel.roster = roster;
    for (const user of left) {
      this.#setOnline(channel, user, undefined);
      this.#dropMember(channel, user);
    }
    for (const user of joined) {
      this.#addMember(channel, user);
      this.#setOnline(channel, user, peerOf(user));
    }
    return { joined, left };
  }

  #addMember(channel: Channel, user: UserId): void {
    const channels = this.#ofMember.get(user);
    if (channels) channels.add(channel);
    else this.#ofMember.set(user, new Set([channel]));
  }

  #dropMember(channel: Channel, user: UserId): void {
    const channels = this.#ofMember.get(user);
    channels?.delete(channel);
    if (channels?.size === 0) this.#ofMember.delete(user);
    this.#reach.delete(user);
  }

  /** Tells all channels of `user` that its connection is `peer` now, or that there is none. */
  setOnline(user: UserId, peer: PeerId | undefined): void {
    this.#reach.delete(user);
    for (const channel of this.ofMember(user)) this.#setOnline(channel, user, peer);
  }

  #setOnline(channel: Channel, user: UserId, peer: PeerId | undefined): void {
    for (const member of channel.online.keys()) this.#reach.delete(member);
    this.#reach.delete(user);
    channel.fanout.clear();
    if (peer !== undefined) channel.online.set(user, peer);
    else {
      channel.online.delete(user);
      if (channel.leader === user) channel.leader = undefined;
    }
    if (channel.online.size > 0) this.#idle.delete(channel);
    else this.#idle.add(channel);
  }

  /** Connections of everyone online in `channel` but `sender`; the same array while nothing changes. */
  others(channel: Channel, sender: UserId): readonly PeerId[] {
    const known = channel.fanout.get(sender);
    if (known) return known;
    const peers: PeerId[] = [];
    for (const [user, peer] of channel.online) if (user !== sender) peers.push(peer);
    channel.fanout.set(sender, peers);
    return peers;
  }

  /** Connections of everyone who shares a channel with `user`, but its own; likewise the same array. */
  sharing(user: UserId): readonly PeerId[] {
    const known = this.#reach.get(user);
    if (known) return known;
    const peers = new Set<PeerId>();
    for (const channel of this.ofMember(user)) {
      for (const [member, peer] of channel.online) if (member !== user) peers.add(peer);
    }
    const reach = [...peers];
    this.#reach.set(user, reach);
    return reach;
  }

  /** Lets members answer `user`, who is none, until `untilMs`. */
  admitGuest(channel: Channel, user: UserId, untilMs: number): void {
    channel.guests.delete(user);
    channel.guests.set(user, untilMs);
    if (channel.guests.size > this.#limits.guests_per_channel_max) {
      const [oldest] = channel.guests.keys();
      channel.guests.delete(oldest!);
    }
  }

  isGuest(channel: Channel, user: UserId, nowMs: number): boolean {
    const until = channel.guests.get(user);
    return until !== undefined && until > nowMs;
  }
}
