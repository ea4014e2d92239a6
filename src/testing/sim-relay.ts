/**
 * A relay as its users see it (docs/PROTOCOL.md, section "Relay"), without its
 * checks: it knows who is connected, learns each channel's roster from what
 * members announce, and forwards. It changes only a command's name. A restart
 * forgets everything. It may lie (sim-liar.ts).
 */

import { decodeStep } from '../core/certificate.js';
import { COMMANDS, type Outgoing } from '../core/commands.js';
import type { Hash } from '../core/crypto.js';
import { decodeGenesis } from '../core/genesis.js';
import type { ChannelId, UserId } from '../core/ids.js';
import { decodeRecord } from '../core/record.js';
import { applyMembership, genesisRoster, type Roster } from '../core/roster.js';
import type { Draw } from './prng.js';
import { Liar, type Lies } from './sim-liar.js';
import type { Timeline } from './timeline.js';

interface KnownChannel {
  roster: Roster;
  /** Who asked to join, and may be answered. */
  readonly guests: Set<UserId>;
}

/** What members may send to one who is no member yet. */
const FOR_GUESTS: ReadonlySet<string> = new Set(['CH_APPEND', 'CH_REFUSE']);

export interface RelayOptions {
  readonly hash: Hash;
  readonly timeline: Timeline;
  readonly draw: Draw;
  /** Puts a command on its way to a user of this relay. */
  readonly deliver: (to: UserId, command: Outgoing) => void;
  /** The same for what is no answer to anything. */
  readonly say: (to: UserId, command: Outgoing) => void;
}

export class SimRelay {
  readonly #o: RelayOptions;
  readonly #hash: Hash;
  readonly #deliver: RelayOptions['deliver'];
  readonly #users = new Set<UserId>();
  readonly #channels = new Map<ChannelId, KnownChannel>();
  /** Who shares a channel with whom, as far as it was asked for since rosters changed. */
  readonly #sharing = new Map<UserId, ReadonlySet<UserId>>();
  /** From whom this relay forwards nothing to whom: a partition. */
  readonly #blocked = new Map<UserId, Map<UserId, number>>();
  /** Told of what is not forwarded to `to`, which is here, because it is blocked. */
  onBlocked: (to: UserId) => void = () => {};

  #isForgetful = false;
  /** Present where this relay lies sooner or later. */
  #liar: Liar | undefined;

  constructor(options: RelayOptions) {
    this.#o = options;
    this.#hash = options.hash;
    this.#deliver = options.deliver;
  }

  connected(user: UserId): void {
    for (const other of this.#users) {
      if (other !== user) this.#deliver(other, hello(user));
    }
    this.#users.add(user);
    for (const [id, { roster }] of this.#channels) {
      if (roster.members.has(user)) this.#deliver(user, this.#status(id, roster));
    }
  }

  disconnected(user: UserId): void {
    this.#users.delete(user);
  }

  /** Forwards nothing from `from` to `to`, until as many calls with -1. */
  block(from: UserId, to: UserId, by: 1 | -1): void {
    const counts = this.#blocked.get(from) ?? new Map<UserId, number>();
    this.#blocked.set(from, counts);
    const count = (counts.get(to) ?? 0) + by;
    if (count > 0) counts.set(to, count);
    else counts.delete(to);
  }

  /** Remembers what it forwards, in order to replay it one day. */
  willLie(users: readonly UserId[]): void {
    const { draw, timeline, deliver, say } = this.#o;
    const ifHere =
      (send: RelayOptions['deliver']): RelayOptions['deliver'] =>
      (to, command) => {
        if (this.#users.has(to)) send(to, command);
      };
    this.#liar ??= new Liar({
      draw,
      timeline,
      users,
      forward: ifHere(deliver),
      say: ifHere(say),
      withheld: (to) => this.onBlocked(to),
    });
  }

  lie(lies: Lies | null): void {
    if (this.#liar) this.#liar.lies = lies;
  }

  /** Forwards to all; true when it is not as it should be and must be replaced. */
  heal(): boolean {
    this.#blocked.clear();
    return this.#isForgetful || this.#liar?.lies != null;
  }

  /** Forgets its channels and keeps its connections. */
  forget(): void {
    this.#isForgetful = true;
    this.#channels.clear();
    this.#sharing.clear();
  }

  /** Forgets everything, as a restarted process does. */
  restart(): void {
    this.#users.clear();
    this.forget();
    this.#isForgetful = false;
    this.lie(null);
  }

  receive(from: UserId, command: Outgoing): void {
    if (!this.#users.has(from)) return;
    if (command.name === 'CH_ROSTER') return this.#announced(from, command.payload);
    const { as = command.name }: { as?: string } = COMMANDS[command.name];
    const forwarded = { name: as, payload: command.payload } as Outgoing;
    const blocked = this.#blocked.get(from);
    for (const to of this.#receivers(from, command)) {
      if (to === from || !this.#users.has(to)) continue;
      if (blocked?.has(to)) this.onBlocked(to);
      else if (this.#liar) this.#liar.forward(from, to, forwarded);
      else this.#deliver(to, forwarded);
    }
  }

  #receivers(from: UserId, command: Outgoing): Iterable<UserId> {
    if (command.name === 'BEACON') return this.#sharingWith(from);
    const { id, to } = command.payload as { id?: ChannelId; to?: UserId };
    const channel = id && this.#channels.get(id);
    if (!channel) return this.#refuse(from, command, 'no_channel');
    const members = channel.roster.members;
    if (command.name === 'CH_JOIN') {
      channel.guests.add(from);
      return members.keys();
    }
    if (!members.has(from)) return this.#refuse(from, command, 'not_member');
    if (to === undefined) return members.keys();
    const isReachable = members.has(to) || (FOR_GUESTS.has(command.name) && channel.guests.has(to));
    return isReachable ? [to] : [];
  }

  #refuse(to: UserId, { name, payload }: Outgoing, code: string): [] {
    const { id } = payload as { id?: ChannelId };
    const about = { code, about: name, message: 'refused' };
    if (id) this.#deliver(to, { name: 'ERR', payload: { ...about, id } });
    return [];
  }

  #sharingWith(user: UserId): ReadonlySet<UserId> {
    const known = this.#sharing.get(user);
    if (known) return known;
    const sharing = new Set<UserId>();
    for (const { roster } of this.#channels.values()) {
      if (roster.members.has(user)) for (const member of roster.members.keys()) sharing.add(member);
    }
    this.#sharing.set(user, sharing);
    return sharing;
  }

  #announced(from: UserId, p: Extract<Outgoing, { name: 'CH_ROSTER' }>['payload']): void {
    const known = this.#channels.get(p.id);
    const channel = known ?? {
      roster: genesisRoster(this.#hash, p.id, decodeGenesis(p.genesis)),
      guests: new Set<UserId>(),
    };
    this.#channels.set(p.id, channel);
    this.#sharing.clear();
    const before = known?.roster.members;
    for (const [i, bytes] of p.steps.entries()) {
      if (p.first + i !== channel.roster.number) continue;
      const record = decodeRecord(this.#hash, decodeStep(bytes).record);
      channel.roster = applyMembership(this.#hash, channel.roster, record);
    }
    const joined = [...channel.roster.members.keys()].filter((u) => !before?.has(u));
    for (const user of new Set([from, ...joined])) {
      if (this.#users.has(user)) this.#deliver(user, this.#status(p.id, channel.roster));
    }
  }

  #status(id: ChannelId, roster: Roster): Outgoing {
    const online = [...roster.members.keys()].filter((u) => this.#users.has(u));
    return {
      name: 'CH_STATUS',
      payload: { id, name: new Uint8Array(0), roster: roster.number, online },
    };
  }
}

const hello = (id: UserId): Outgoing => ({ name: 'UCNN', payload: { id, name: '' } });
