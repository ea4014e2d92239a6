/**
 * The core: all channels of one node as one synchronous state machine
 * (docs/ARCHITECTURE.md, "The core"). `step(clock, inputs)` handles everything
 * that arrived and returns one Ready. No clock, no randomness, no I/O: they
 * come in through the arguments.
 */

import { Announcing } from './announcing.js';
import { onPage } from './catchup.js';
import type { ChannelState, Joining } from './channel-state.js';
import { onConfirm, onResent } from './confirm.js';
import { onMisbehaviour } from './convictions.js';
import type { Crypto } from './crypto.js';
import { witness } from './denounce.js';
import { Ready, type StepContext, type Submit } from './effects.js';
import { onBallot, onGrant, yieldToRival } from './election.js';
import { greet, onBranchPage } from './exchange.js';
import { drainLimbo, hearAck, onCommit, onElected, onPropose } from './follower.js';
import { type ChannelId, type Millis, type Ulid, type UserId, ulidTime } from './ids.js';
import type { Clock, Input } from './input.js';
import type { Inspection } from './inspect.js';
import {
  encodeHardState,
  encodeStoredGenesis,
  FRESH_HARD_STATE,
  type StoredGenesis,
} from './layout.js';
import { countAck, notePlaceable } from './leader.js';
import { JOIN_REFUSED_MS, type Timing } from './limits.js';
import { freshChannel } from './load.js';
import { asksRelays, askWhetherIn, onJoin, onRosterKnown } from './membership.js';
import { forget, forgetAll, onRecall, onReport } from './memory.js';
import { admit, onRecords, submit } from './offers.js';
import { OwnStore } from './own-store.js';
import { type LinkId, Presence } from './presence.js';
import { answerPull } from './pull-answers.js';
import { pullFrom } from './pulls.js';
import { relayKeyOf } from './relay-url.js';
import { endLeadership } from './replica.js';
import { voters } from './roster.js';
import { chooseLinks } from './route.js';
import { type Beacon, encodeStatement } from './statements.js';
import type { Growth, StoreBoots } from './store-boots.js';
import { judgeGenesis, type Stranger, tickStranger } from './stranger.js';
import { tick } from './tick.js';
import { onLead, onPrevote } from './voting.js';

export interface MachineOptions {
  readonly crypto: Pick<Crypto, 'sha256'>;
  readonly self: UserId;
  readonly boot: Ulid;
  readonly boots: StoreBoots;
  readonly timing: Timing;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** The same, for how long this node waits before it stands for election. */
  readonly patience?: () => number;
  readonly ulid: (wall: number) => Ulid;
  /** Only holds its channels, to be looked at: decides, signs and writes nothing. */
  readonly passive?: boolean;
}

interface Slot {
  readonly st: ChannelState;
  wakeAt: Millis;
  dirty: boolean;
  /** What this step submits: all of it goes under one signature. */
  submits: Submit[];
}

/** Whether who says this leads under a later roster. */
const isLater = (what: Inspection['what'], { roster }: ChannelState): boolean =>
  what.type === 'propose' && what.propose.roster > roster.number;

export class Machine {
  readonly self: UserId;
  readonly #o: MachineOptions;
  readonly #presence: Presence;
  readonly #store: OwnStore;
  readonly #relays = new Map<LinkId, UserId>();
  readonly #announcing = new Announcing();
  readonly #slots = new Map<ChannelId, Slot>();
  readonly #strangers = new Map<ChannelId, Stranger>();
  readonly #contexts = new Map<ChannelId, { relays: readonly string[]; ctx: StepContext }>();
  /** By list of relays, which is never changed, only replaced; until a link comes or goes. */
  #linksTo = new WeakMap<readonly string[], readonly LinkId[]>();
  #ready = new Ready();
  #clock: Clock = { now: 0, wall: 0 };

  constructor(options: MachineOptions) {
    this.self = options.self;
    this.#o = options;
    this.#store = new OwnStore(options.boot, options.boots);
    this.#presence = new Presence(options.self, options.boot, options.timing, options.random);
  }

  channel(id: ChannelId): ChannelState | undefined {
    return this.#slots.get(id)?.st;
  }

  /** Whether a user is online on any of this node's links. */
  isOnline(user: UserId, now: Millis): boolean {
    return this.#presence.isOnline(user, now);
  }

  /** What this node heard last of a user's store. */
  storeOf(user: UserId): Growth | undefined {
    return this.#presence.storeOf(user);
  }

  /** Read-only: status, display. */
  context(id: ChannelId, clock: Clock): StepContext {
    this.#clock = clock;
    return this.#contextFor(this.#slots.get(id)?.st.roster.relays ?? [], new Ready());
  }

  step(clock: Clock, inputs: readonly Input[]): Ready {
    this.#clock = clock;
    this.#ready = new Ready();
    this.#contexts.clear();
    for (const input of inputs) this.#take(input);
    for (const link of this.#announcing.takeDue(clock.now)) this.#announceAll(link);
    for (const user of this.#presence.lapsed(clock.now)) this.#memberChanged(user, false, false);
    let next: Millis = Number.POSITIVE_INFINITY;
    for (const slot of this.#slots.values()) {
      if (this.#o.passive) continue;
      if (slot.dirty || slot.wakeAt <= clock.now) this.#tick(slot);
      next = Math.min(next, slot.wakeAt);
    }
    next = Math.min(next, this.#tickStrangers());
    // New members of a channel should know each other as online at once.
    if (this.#ready.events.some((e) => e.type === 'roster')) this.#presence.hint(clock.now);
    this.#sendBeacon();
    if (!this.#o.passive) this.#store.count(this.#ready);
    const { due, lapseDue } = this.#presence;
    this.#ready.wakeAt = Math.min(next, due, lapseDue, this.#announcing.due);
    return this.#ready;
  }

  #contextFor(relays: readonly string[], ready: Ready): StepContext {
    const { crypto, self, timing, random, patience = random } = this.#o;
    const { boot } = this.#store;
    const { now, wall } = this.#clock;
    const links = this.#linksOver(relays);
    const reaches = (link: LinkId, user: UserId): boolean =>
      this.#presence.onlineOn(link, user, now);
    return {
      crypto,
      self,
      boot,
      now,
      wall,
      timing,
      random,
      patience,
      ready,
      ulid: () => this.#o.ulid(wall),
      isOnline: (user) => links.some((link) => reaches(link, user)),
      isKnownTo: (user) => this.#presence.hasNamed(user),
      linksTo: (users) => (users.length === 0 ? links : chooseLinks(users, links, reaches)),
    };
  }

  /** This node's links to any of these relays. */
  #linksOver(relays: readonly string[]): readonly LinkId[] {
    const known = this.#linksTo.get(relays);
    if (known) return known;
    const keys = new Set(relays.map(relayKeyOf));
    const links = [...this.#relays].filter(([, relay]) => keys.has(relay)).map(([link]) => link);
    this.#linksTo.set(relays, links);
    return links;
  }

  /** One context serves all of a channel's inputs in one step, until its relays or links change. */
  #contextOf(st: ChannelState): StepContext {
    const cached = this.#contexts.get(st.id);
    if (cached && cached.relays === st.roster.relays) return cached.ctx;
    const { relays } = st.roster;
    const invited = st.joining && !st.roster.members.has(this.self) ? st.joining.relays : [];
    const all = invited.length === 0 ? relays : [...relays, ...invited];
    const ctx = this.#contextFor(all, this.#ready);
    this.#contexts.set(st.id, { relays, ctx });
    return ctx;
  }

  #take(input: Input): void {
    switch (input.type) {
      case 'link-up':
        this.#contexts.clear();
        this.#linksTo = new WeakMap();
        this.#relays.set(input.link, input.relay);
        this.#presence.linkUp(input.link, this.#clock.now);
        this.#announceAll(input.link);
        this.#linkChanged();
        return;
      case 'link-down':
        this.#contexts.clear();
        this.#linksTo = new WeakMap();
        this.#relays.delete(input.link);
        this.#presence.linkDown(input.link);
        this.#announcing.linkDown(input.link);
        this.#linkChanged();
        return;
      case 'message':
        return this.#takeMessage(input.link, input.inspection);
      case 'open':
        this.#add(input.state);
        return;
      case 'create':
        return this.#create(input.token, input.genesis);
      case 'join':
        return this.#join(input);
      case 'stop-join': {
        this.#strangers.delete(input.channel);
        const st = this.channel(input.channel);
        if (st) st.joining = null;
        return;
      }
      default:
        return this.#takeForChannel(input);
    }
  }

  #takeForChannel(input: Extract<Input, { channel: ChannelId }>): void {
    const slot = this.#slots.get(input.channel);
    if (!slot) return;
    slot.dirty = true;
    const { st } = slot;
    const ctx = this.#contextOf(st);
    switch (input.type) {
      case 'submit':
        slot.submits.push(input);
        return;
      case 'name':
        st.sealedName = input.name;
        for (const link of ctx.linksTo([])) this.#announce(st, link);
        return;
      case 'wish':
        st.wishes.push({
          token: input.token,
          make: input.make,
          current: null,
          base: -1,
          doneAt: null,
        });
        this.#ready.events.push({ type: 'changed', channel: st.id });
        return;
      case 'stop-wish':
        st.wishes = st.wishes.filter((wish) => wish.token !== input.token);
        this.#ready.events.push({ type: 'changed', channel: st.id });
        return;
      case 'own-ack':
        return countAck(ctx, st, this.self, input.ack, input.signed.sig);
      case 'own-ballot':
        return onBallot(ctx, st, this.self, input.ballot, input.signed.sig);
      case 'own-records':
        for (const digest of input.digests) notePlaceable(st, digest);
        return;
    }
  }

  #fail(token: number, code: string, message: string, retryable: boolean): void {
    this.#ready.events.push({ type: 'failed', token, code, message, retryable });
  }

  #add(st: ChannelState): void {
    // Who votes alone waits for nobody.
    const patience =
      voters(st.roster).length === 1 ? 0 : 0.5 + (this.#o.patience ?? this.#o.random)();
    st.electionAt = this.#clock.now + this.#o.timing.election_min_ms * patience;
    this.#slots.set(st.id, { st, wakeAt: 0, dirty: true, submits: [] });
    this.#strangers.delete(st.id);
    const keys = new Set(st.roster.relays.map(relayKeyOf));
    for (const [link, relay] of this.#relays) {
      if (keys.has(relay)) this.#announce(st, link);
    }
    this.#presence.hint(this.#clock.now);
  }

  #create(token: number, stored: StoredGenesis): void {
    const st = this.#found(stored);
    this.#add(st);
    this.#ready.events.push({ type: 'done', token });
  }

  /** A channel's state from its genesis alone, and its first values in the store. */
  #found(stored: StoredGenesis): ChannelState {
    const st = freshChannel(this.#o.crypto.sha256, stored);
    this.#ready.put(st.keys.genesis, encodeStoredGenesis(stored));
    this.#ready.put(st.keys.hard, encodeHardState(FRESH_HARD_STATE));
    this.#ready.sync = true;
    return st;
  }

  #join(input: Extract<Input, { type: 'join' }>): void {
    const joining: Joining = {
      token: input.token,
      invite: input.invite,
      name: input.nickname,
      sealing: input.sealing,
      pinned: input.pinned,
      relays: input.relays,
      nextAt: this.#clock.now,
      refusedSince: null,
    };
    const st = this.channel(input.channel);
    if (st) {
      st.joining = joining;
      this.#slots.get(st.id)!.dirty = true;
    } else {
      this.#strangers.set(input.channel, { joining, name: input.name });
    }
  }

  #tickStrangers(): Millis {
    const due = [...this.#strangers].map(([id, stranger]) =>
      tickStranger(this.#contextFor(stranger.joining.relays, this.#ready), id, stranger),
    );
    return Math.min(Number.POSITIVE_INFINITY, ...due);
  }

  /** Asks one link's relay where it stands with every channel that uses it. */
  #announceAll(link: LinkId): void {
    const relay = this.#relays.get(link);
    for (const { st } of this.#slots.values()) {
      if (st.roster.relays.some((url) => relayKeyOf(url) === relay)) this.#announce(st, link);
    }
  }

  #linkChanged(): void {
    for (const slot of this.#slots.values()) {
      slot.dirty = true;
      const { st } = slot;
      // What was under way on a dead link is offered, asked and proposed again at once.
      st.offerAt = 0;
      st.pull = null;
      if (st.leading) st.leading.nudge = true;
      if (st.leadership) st.leadership.ackAgain = true;
      this.#ready.events.push({ type: 'changed', channel: st.id });
    }
    for (const { joining } of this.#strangers.values()) joining.nextAt = this.#clock.now;
  }

  /** Without `first` the relay is only asked where it stands. */
  #announce(st: ChannelState, link: LinkId, first = st.roster.number + 1): void {
    if (!st.roster.members.has(this.self)) return;
    this.#ready.serves.push({ type: 'announce', channel: st.id, link, first });
  }

  #takeMessage(link: LinkId, inspection: Inspection): void {
    const { from, channel, what } = inspection;
    if (what.type === 'beacon') {
      const { beacon, sig, shown } = what;
      if (this.#concerns(beacon.user)) this.#hear(link, beacon, sig);
      // Who lost its channels with its disk knows nobody who shows it that.
      if (shown) this.#isShown(shown);
      return;
    }
    if (what.type === 'hint') return this.#presence.hint(this.#clock.now);
    if (what.type === 'rate') {
      this.#announcing.busy(link, this.#clock.now + what.retryMs);
      return;
    }
    if (channel === null) return;
    const slot = this.#slots.get(channel);
    if (slot) {
      slot.dirty = true;
      return this.#takeChannelMessage(slot.st, link, inspection);
    }
    const stranger = this.#strangers.get(channel);
    if (stranger) this.#takeAsStranger(channel, stranger, from, what);
  }

  #hear(link: LinkId, beacon: Beacon, sig: Uint8Array): void {
    const { newBoot, cameOnline } = this.#presence.heard(link, beacon, sig, this.#clock.now);
    if (newBoot || cameOnline) this.#memberChanged(beacon.user, newBoot, cameOnline);
  }

  /** A member of one of this node's channels, or one that asks to join. */
  #concerns(user: UserId): boolean {
    for (const { st } of this.#slots.values()) {
      if (st.roster.members.has(user) || st.joins.has(user)) return true;
    }
    return false;
  }

  #isShown(shown: Beacon): void {
    const evidence = this.#store.isShown(this.#ready, shown);
    if (this.#store.isOfTheDead(shown, this.#clock.now)) this.#bootBehind(shown.boot);
    if (!evidence) return;
    for (const slot of this.#slots.values()) {
      slot.dirty = true;
      forget(this.#contextOf(slot.st), slot.st, evidence);
    }
  }

  /** The clock went back since that boot, so that nobody would hear this node in its present one. */
  #bootBehind(boot: Ulid): void {
    const next = this.#o.ulid(ulidTime(boot) + 1);
    this.#contexts.clear();
    this.#store.restart(this.#ready, next);
    this.#presence.restart(next, this.#clock.now);
    const detail = `the clock is behind boot ${boot} of this node`;
    for (const { st } of this.#slots.values()) {
      endLeadership(this.#contextOf(st), st, this.#o.timing.election_min_ms);
      this.#ready.events.push({ type: 'note', channel: st.id, note: 'clock went back', detail });
    }
  }

  #memberChanged(user: UserId, newBoot: boolean, cameOnline: boolean): void {
    for (const slot of this.#slots.values()) {
      const { st } = slot;
      if (!st.roster.members.has(user)) continue;
      slot.dirty = true;
      this.#ready.events.push({ type: 'changed', channel: st.id });
      if (newBoot && st.leadership?.epoch.leader === user) st.leadership.live = false;
      if (cameOnline) greet(st, user);
    }
  }

  #takeAsStranger(
    id: ChannelId,
    stranger: Stranger,
    from: UserId | null,
    what: Inspection['what'],
  ): void {
    if (what.type === 'refuse') {
      this.#strangers.delete(id);
      return this.#fail(stranger.joining.token, what.payload.code, what.payload.message, false);
    }
    if (what.type === 'error') {
      if (this.#joinRefused(stranger.joining, what.payload)) this.#strangers.delete(id);
      return;
    }
    if (what.type !== 'page' || !what.genesis || from === null) return;
    const { bytes, sig } = what.genesis;
    const verdict = judgeGenesis(this.#o.crypto.sha256, id, stranger, bytes);
    if (verdict === 'of another channel') return;
    if (verdict === 'of another name') {
      this.#strangers.delete(id);
      const message = 'the invitation gives the channel another name than its founder did';
      return this.#fail(stranger.joining.token, 'bad_invite', message, false);
    }
    const st = this.#found({ bytes, sig, name: stranger.name });
    if (this.#store.wasPutBack) forgetAll(this.#ready, st, 'a channel that the store lost');
    this.#add(st);
    st.joining = stranger.joining;
    this.#takeChannelMessage(st, 0, { from, what, checks: [] });
  }

  /**
   * A relay that knows no such open invitation may only lag behind; when it
   * says so for long, it is right.
   */
  #joinRefused(
    joining: Joining | null,
    { code, message }: { code: string; message: string },
  ): boolean {
    if (!joining || code !== 'invite_refused') return false;
    joining.refusedSince ??= this.#clock.now;
    if (this.#clock.now - joining.refusedSince < JOIN_REFUSED_MS) return false;
    this.#fail(joining.token, code, message, false);
    return true;
  }

  #takeChannelMessage(
    st: ChannelState,
    link: LinkId,
    { from, what, checks }: Pick<Inspection, 'from' | 'what' | 'checks'>,
  ): void {
    const ctx = this.#contextOf(st);
    if (what.type === 'status') {
      const { now } = this.#clock;
      const { roster: known, online } = what.payload;
      onRosterKnown(ctx, st, known, online);
      const first = this.#announcing.next(link, st.id, known, st.roster.number, now);
      if (first !== undefined) this.#announce(st, link, first);
      return;
    }
    if (what.type === 'error') {
      const { code } = what.payload;
      const unknown = code === 'no_channel' || code === 'not_member';
      if (code === 'not_member' && st.roster.members.has(this.self)) askWhetherIn(ctx, st);
      if (unknown && this.#announcing.lost(link, st.id, this.#clock.now)) this.#announce(st, link);
      if (this.#joinRefused(st.joining, what.payload)) st.joining = null;
      return;
    }
    if (from === null) return;
    witness(ctx, st, from, { what, checks });
    switch (what.type) {
      case 'page':
        return onPage(ctx, st, from, what.page);
      case 'join':
        return onJoin(ctx, st, from, what.payload);
      case 'refuse':
        if (st.joining && !st.roster.members.has(this.self)) {
          this.#fail(st.joining.token, what.payload.code, what.payload.message, false);
          st.joining = null;
        }
        return;
    }
    const member = st.roster.members.get(from);
    if (member?.votes === false) st.spoke.add(from);
    if (member) this.#takeFromMember(ctx, st, from, what);
    // It may have become a member in what this node forgot, or has not seen yet.
    else if (st.memory || isLater(what, st)) pullFrom(ctx, st, from);
  }

  #takeFromMember(
    ctx: StepContext,
    st: ChannelState,
    from: UserId,
    what: Inspection['what'],
  ): void {
    switch (what.type) {
      case 'records':
        onRecords(ctx, st, what.items);
        return drainLimbo(ctx, st);
      case 'propose':
        return onPropose(ctx, st, from, what.propose, what.stretch, what.signed);
      case 'ack':
        if (what.ack.epoch !== st.leadership?.id) onResent(ctx, st, from, what.ack, what.sig);
        countAck(ctx, st, from, what.ack, what.sig);
        return hearAck(ctx, st, from, what.ack, what.sig);
      case 'commit':
        return onCommit(ctx, st, from, what.cert);
      case 'prevote':
        yieldToRival(ctx, st, what.prevote);
        return onPrevote(ctx, st, from, what.prevote);
      case 'grant':
        onGrant(ctx, st, what.payload);
        if (what.payload.roster > st.roster.number) pullFrom(ctx, st, from);
        return;
      case 'lead':
        return onLead(ctx, st, what.lead, what.electorate, what.grants);
      case 'ballot':
        return onBallot(ctx, st, from, what.ballot, what.sig);
      case 'elected':
        return onElected(ctx, st, from, what.proof, what.beat);
      case 'pull':
        return answerPull(ctx, st, from, what.payload);
      case 'branch-page':
        onBranchPage(ctx, st, from, what.page);
        return drainLimbo(ctx, st);
      case 'misbehaviour':
        return onMisbehaviour(ctx, st, from, what.misbehaviour, what.id, what.proof);
      case 'recall':
        return onRecall(ctx, st, from, what.recall);
      case 'report':
        return onReport(ctx, st, from, what.report);
      case 'confirm':
        return onConfirm(ctx, st, from, what.payload);
    }
  }

  /** Carries one channel on. */
  #tick(slot: Slot): void {
    const { st } = slot;
    const ctx = this.#contextOf(st);
    this.#ready.wakeAt = Number.POSITIVE_INFINITY;
    slot.dirty = false;
    const submissions = admit(ctx, st, slot.submits.splice(0));
    if (submissions.length > 0) submit(ctx, st, submissions);
    tick(ctx, st);
    if (asksRelays(ctx, st)) for (const link of ctx.linksTo([])) this.#announce(st, link);
    slot.wakeAt = this.#ready.wakeAt;
  }

  #sendBeacon(): void {
    if (this.#clock.now < this.#presence.due) return;
    const users = new Set<UserId>();
    const former = new Set<UserId>();
    for (const { st } of this.#slots.values()) {
      for (const user of st.roster.members.keys()) users.add(user);
      for (const user of st.roster.departed.keys()) former.add(user);
    }
    const beacon = this.#presence.beacon(this.#clock.now, users, this.#store.told, former);
    if (!beacon || users.size === 0) return;
    const statement = encodeStatement(beacon);
    const signed = this.#ready.signed(this.self, statement);
    const beacons = this.#presence.takeShown();
    const shown = beacons.length > 0 && {
      shown: beacons.map(({ by, statement: s, sig }) => ({ user: by, s, sig })),
    };
    this.#ready.early.push({
      links: [...this.#relays.keys()],
      command: () => ({
        name: 'BEACON',
        payload: { from: this.self, s: statement, sig: signed.sig, ...shown },
      }),
    });
  }
}
