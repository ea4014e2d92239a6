/** A channel as an application uses it: the `Channel` of api.ts over the core's state. */

import type { Point } from '../core/chain.js';
import type { ChannelState } from '../core/channel-state.js';
import type { CoreEvent } from '../core/effects.js';
import { ConclaveError } from '../core/errors.js';
import { type ChannelId, isId, type Ulid, type UserId, userId } from '../core/ids.js';
import { INVITE_USES_MAX, RELAYS_PER_CHANNEL_MAX } from '../core/limits.js';
import { pinnedRelayUrl, relayKeyOf } from '../core/relay-url.js';
import {
  isArchive,
  isArchiveIn,
  keysBefore,
  type MembershipBody,
  minOnline,
  type Roster,
} from '../core/roster.js';
import type { StoreOp } from '../core/store.js';
import { type ChannelView, channelView } from '../core/view.js';
import type {
  Channel,
  ChannelStatus,
  Departure,
  Explanation,
  InviteOptions,
  MemberInfo,
  ProveOptions,
  ReadEvent,
  ReadOptions,
  RelayStatus,
  Sending,
  SendOptions,
  WaitOptions,
} from './api.js';
import type { Bodies, BodiesHost } from './bodies.js';
import { departureOf } from './departure.js';
import { explain } from './explain.js';
import { logReader } from './explain-find.js';
import { Expulsion } from './expulsion.js';
import { type ImportMessage, type ImportOptions, importMessages } from './importing.js';
import { checkWhole } from './input.js';
import { decodeInvite, encodeInvite, type Invite } from './invite.js';
import { leave, type MembersHost, remove, replace, setRecoveryKey, setRole } from './members.js';
import { messageSubmission, type PlainSubmission } from './message-body.js';
import type { ChannelHost, ReadableChannel } from './parts.js';
import { armour } from './proof-file.js';
import { proveFinal } from './prove.js';
import { readChannel } from './reader.js';
import { formerMembers, openInvites } from './roster-shown.js';
import { Handle } from './sending.js';
import { Changes, Pace } from './wait.js';

export class NodeChannel implements Channel, ReadableChannel {
  readonly id: ChannelId;
  readonly changes = new Changes();
  readonly bodies: Bodies;
  readonly members: Channel['members'];
  readonly relays: Channel['relays'];
  readonly #node: ChannelHost;
  readonly #handles = new Map<Ulid, Handle>();
  readonly #importing = new Set<string>();
  readonly #expulsion: Expulsion | undefined;
  #final: Point;
  #departure: Departure | undefined;

  constructor(id: ChannelId, node: ChannelHost) {
    this.id = id;
    this.#node = node;
    this.#final = this.state.log.final;
    this.bodies = node.bodiesOf(this.#bodiesHost());
    if (node.removesMisbehaving) {
      this.#expulsion = new Expulsion({
        user: node.user,
        state: () => this.state,
        remove: (user) => this.#remove(user, {}),
        failed: (user, error) =>
          node.warn({ channel: id, user, error }, 'a member that misbehaved is not removed'),
      });
    }
    this.members = {
      list: () => this.#members(),
      former: () => formerMembers(this.state.roster),
      invites: () => openInvites(this.state.roster, this.#node.clock().wall),
      invite: (options) => this.#invite(options ?? {}),
      revoke: (invite, options) => this.#revoke(invite, options ?? {}),
      remove: (user, options) => this.#remove(user, options ?? {}),
      setRole: (user, role, options) => setRole(this.#changing, user, role, options ?? {}),
      replace: (user, request, options) => this.#replace(user, request, options ?? {}),
      setRecoveryKey: (key, options) => setRecoveryKey(this.#changing, key, options ?? {}),
    };
    this.relays = {
      list: () => this.#relays(),
      add: (url, options) => this.#addRelay(url, options ?? {}),
      remove: (url, options) => this.#removeRelay(url, options ?? {}),
      override: (url) => node.overrideRelay(url),
    };
  }

  #bodiesHost(): BodiesHost {
    const node = this.#node;
    return {
      id: this.id,
      user: node.user,
      store: node.store,
      mayWrite: !node.offline,
      state: () => this.state,
      view: () => this.view(),
      now: () => this.now(),
      random: (bytes) => node.random(bytes),
      made: (kind, body) => {
        const { wall } = node.clock();
        return { kind, id: node.ulid(wall), time: wall, body };
      },
      request: (input) => node.request(input),
      input: (input) => node.input(input),
      changed: () => this.changes.notify(),
      next: (signal) => this.changes.next(this.changes.version, signal),
      failed: (error) => node.fail(error),
    };
  }

  /** Removes, and has a key made that the removed one does not get. */
  async #remove(user: string, options: WaitOptions): Promise<void> {
    await remove(this.#changing, user, options);
    await this.bodies.replace(options.signal);
  }

  /** Replaces, has a key made that the old one does not get, and leads the new one's node here. */
  async #replace(user: string, request: string, options: WaitOptions): Promise<string> {
    const invitee = await replace(this.#changing, user, request, options);
    await this.bodies.replace(options.signal);
    const isArchive = isArchiveIn(this.state.roster, invitee);
    return this.#inviteFor(this.#node.random(32), { invitee, isArchive });
  }

  rotateKey({ signal }: WaitOptions = {}): Promise<void> {
    return this.bodies.rotate(signal);
  }

  get #changing(): MembersHost {
    return {
      self: this.user,
      crypto: this.#node.crypto,
      roster: () => this.state.roster,
      isOnline: (user) => this.#node.machine.isOnline(user, this.#node.clock().now),
      change: (make, options) => this.#change(make, options),
    };
  }

  leave(options: WaitOptions = {}): Promise<void> {
    return leave(this.#changing, options);
  }

  get state(): ChannelState {
    const st = this.#node.machine.channel(this.id);
    if (!st) throw new ConclaveError('no_channel', `there is no channel ${this.id} here`);
    return st;
  }

  get user(): UserId {
    return this.#node.user;
  }

  get name(): string {
    return this.state.stored.name;
  }

  /** The final point as this node's store holds it; the core may be ahead of its disk for a moment. */
  get final(): Point {
    return this.#final;
  }

  view(): ChannelView {
    return channelView(this.#node.machine.context(this.id, this.#node.clock()), this.state);
  }

  /** ms of a clock that never goes back. */
  now(): number {
    return this.#node.clock().now;
  }

  /** What led to an event is durable, and so is all that the core knows while it is told. */
  onEvent(event: CoreEvent): void {
    this.#final = this.state.log.final;
    if (event.type === 'progress') {
      this.#handles.get(event.id)?.progress(event.state, event.seq);
      if (event.state === 'final') this.#handles.delete(event.id);
    }
    this.bodies.onEvent(event);
    if (event.type === 'roster') this.learnDeparture().catch((error) => this.#node.fail(error));
    this.#expulsion?.look();
    this.changes.notify();
  }

  /** Reads how this node's user went, for `currentStatus`. */
  async learnDeparture(): Promise<void> {
    const { store, hash } = this.#node;
    this.#departure = await departureOf(store, hash, this.state, this.user);
    if (this.#departure) this.changes.notify();
  }

  fail(error: unknown): void {
    this.bodies.close();
    for (const handle of this.#handles.values()) handle.fail(error);
    this.#handles.clear();
    this.changes.fail(error);
  }

  send(text: string, { name, time }: SendOptions = {}): Sending {
    const { wall } = this.#node.clock();
    const input = { text, time: time ?? wall, ...(name !== undefined && { name }) };
    const submission = messageSubmission(this.#node.ulid(wall), input);
    const handle = new Handle(submission.id, this.bodies.submit([submission], []));
    this.#handles.set(handle.id, handle);
    handle.stored.catch(() => this.#handles.delete(handle.id));
    return handle;
  }

  read(options: ReadOptions = {}): AsyncIterable<ReadEvent> {
    return readChannel(this, this.#node.store, this.#node.hash, options);
  }

  explain(id: string): Promise<Explanation[]> {
    const { state } = this;
    const { store, hash, offline } = this.#node;
    const log = logReader(store, hash, state.keys, this.#final.seq);
    const { bodies } = this;
    return explain(state, id, { log, bodies, view: offline ? undefined : this.view() });
  }

  prove(id: string, { text = true }: ProveOptions = {}): Promise<string> {
    const { store, verifier: crypto } = this.#node;
    const options = { store, crypto, finalSeq: this.#final.seq };
    if (!text) return proveFinal(this.state, id, options);
    return proveFinal(this.state, id, {
      ...options,
      keyFor: (record) => this.bodies.messageKey(record),
    });
  }

  proveMisbehaviour(user: string): string {
    const of = [...this.state.convictions.values()].filter(({ offender }) => offender === user);
    of.sort((a, b) => a.since - b.since);
    if (of[0]) return armour(of[0].proof);
    throw new ConclaveError(
      'no_proof',
      `this node has no proof that ${user} misbehaved; "conclave status --json" shows whom it has one of`,
    );
  }

  currentStatus(): ChannelStatus {
    const st = this.state;
    const view = this.view();
    // That it lost memory, the store alone knows.
    const waiting = st.memory ? view.waiting : null;
    const alone = { online: [], leader: null, epoch: null, waiting };
    const isOffline = this.#node.offline && view.state !== 'removed';
    return {
      channel: this.id,
      name: st.stored.name,
      ...(isArchiveIn(st.roster, this.user) && { archive: true }),
      relays: this.#relays(),
      members: st.roster.members.size,
      minOnline: minOnline(st.roster),
      ...view,
      ...(view.state === 'removed' && this.#departure && { departure: this.#departure }),
      ...(isOffline ? { ...alone, state: 'offline' } : {}),
      final: this.#final.seq,
      head: this.#final.hash,
    };
  }

  async *status({ signal }: WaitOptions = {}): AsyncIterable<ChannelStatus> {
    let shown = '';
    const pace = new Pace(() => this.now());
    for (;;) {
      const seen = this.changes.version;
      const now = pace.run(() => this.currentStatus());
      const text = JSON.stringify(now);
      if (text !== shown) yield now;
      shown = text;
      await pace.rest(signal);
      await this.changes.next(seen, signal);
    }
  }

  #members(): MemberInfo[] {
    const { online, leader, epoch } = this.currentStatus();
    const { roster } = this.state;
    return [...roster.members.values()].map((member) => {
      const { user, name, role, recovery } = member;
      const replaces = keysBefore(roster, user);
      return {
        ...{ user, name, role, ...(isArchive(member) && { archive: true }) },
        online: online.includes(user),
        leads: user === leader ? epoch : null,
        ...(recovery !== null && { recoverable: true as const }),
        ...(replaces.length > 0 && { replaces }),
      };
    });
  }

  /** Makes a change of membership and waits until it is in force; false when there is nothing to change. */
  async #change(
    make: (roster: Roster) => MembershipBody | null,
    { signal }: WaitOptions,
  ): Promise<boolean> {
    try {
      const channel = this.id;
      await this.#node.request(
        (token) => ({ type: 'wish', channel, token, make }),
        signal,
        (token) => ({ type: 'stop-wish', channel, token }),
      );
      return true;
    } catch (error) {
      if (error instanceof ConclaveError && error.code === 'no_change') return false;
      throw error;
    }
  }

  async #invite(o: InviteOptions): Promise<string> {
    const { uses = 1, expires, archive: isArchive = false } = o;
    const invitee = o.for === undefined ? null : userId(o.for);
    if (invitee !== null && uses !== 1) {
      throw new ConclaveError('bad_invite_options', 'an invitation for one user has one use');
    }
    checkWhole('bad_invite_options', 'the uses of an invitation', uses, 1, INVITE_USES_MAX);
    if (expires !== undefined) {
      const { wall } = this.#node.clock();
      checkWhole('bad_invite_options', 'the time when an invitation expires', expires, wall);
    }
    const secret = this.#node.random(32);
    const key = this.#node.publicKey(secret);
    const terms = { kind: 'invite', key, uses, expires: expires ?? 0, invitee, isArchive } as const;
    await this.#change((roster) => ({ ...terms, base: roster.number }), o);
    return this.#inviteFor(secret, { invitee, isArchive });
  }

  #inviteFor(
    secret: Uint8Array,
    { invitee, isArchive }: Pick<Invite, 'invitee' | 'isArchive'>,
  ): string {
    const st = this.state;
    return encodeInvite(this.#node.hash, {
      ...{ channel: this.id, secret, inviter: this.#node.user, pinned: st.log.final },
      ...{ name: isArchive ? '' : st.stored.name, relays: st.roster.relays, invitee, isArchive },
    });
  }

  async #revoke(invite: string, o: WaitOptions): Promise<void> {
    const key = this.#inviteKey(invite);
    const revoked = await this.#change(
      (roster) => (roster.invites.has(key) ? { kind: 'revoke', base: roster.number, key } : null),
      o,
    );
    if (!revoked) {
      throw new ConclaveError(
        'invite_not_open',
        'the invitation is not open: it was used up, or revoked before. Nothing is left to revoke',
      );
    }
  }

  /** Of the string that was handed over; an id is it already. */
  #inviteKey(invite: string): UserId {
    if (isId(invite)) return userId(invite);
    const { channel, secret } = decodeInvite(this.#node.hash, invite);
    if (channel === this.id) return this.#node.publicKey(secret);
    throw new ConclaveError('bad_invite', 'the invitation is for another channel');
  }

  #relays(): RelayStatus[] {
    return this.state.roster.relays.map((url) => {
      const link = this.#node.linkTo(relayKeyOf(url));
      const problem = link?.problem;
      return { url, connected: link?.connected ?? false, ...(problem && { problem }) };
    });
  }

  async #addRelay(url: string, o: WaitOptions): Promise<void> {
    const { key } = pinnedRelayUrl(url);
    const others = ({ relays }: Roster): string[] => relays.filter((r) => relayKeyOf(r) !== key);
    if (others(this.state.roster).length >= RELAYS_PER_CHANNEL_MAX) {
      throw new ConclaveError(
        'not_allowed',
        `the channel has ${RELAYS_PER_CHANNEL_MAX} relays, its limit: remove one first`,
      );
    }
    await this.#change((roster) => {
      if (roster.relays.includes(url)) return null;
      return { kind: 'relays', base: roster.number, relays: [...others(roster), url] };
    }, o);
  }

  async #removeRelay(url: string, o: WaitOptions): Promise<void> {
    const { key } = pinnedRelayUrl(url);
    const isLast = ({ relays }: Roster): boolean => relays.every((r) => relayKeyOf(r) === key);
    if (isLast(this.state.roster)) {
      throw new ConclaveError('not_allowed', "it is the channel's last relay: add another first");
    }
    await this.#change((roster) => {
      const relays = roster.relays.filter((r) => relayKeyOf(r) !== key);
      if (relays.length === roster.relays.length) return null;
      return { kind: 'relays', base: roster.number, relays };
    }, o);
  }

  async importFrom(
    source: string,
    messages: AsyncIterable<ImportMessage>,
    options: ImportOptions = {},
  ): Promise<{ imported: number; skipped: number }> {
    if (this.#importing.has(source)) {
      throw new ConclaveError('import_running', 'this source is being imported already', {
        retryable: true,
      });
    }
    this.#importing.add(source);
    try {
      const ports = {
        channel: this.id,
        store: this.#node.store,
        hash: this.#node.hash,
        changes: this.changes,
        ulid: () => this.#node.ulid(this.#node.clock().wall),
        submit: (some: readonly PlainSubmission[], also: readonly Required<StoreOp>[]) =>
          this.bodies.submit(some, also),
      };
      return await importMessages(ports, source, messages, options);
    } finally {
      this.#importing.delete(source);
    }
  }
}
