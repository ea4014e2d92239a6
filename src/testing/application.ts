/**
 * What stands on top of the simulated nodes: a founder that creates a channel
 * and invites, others that join, and everyone posting. It remembers what the
 * nodes told it, which is what must come true.
 */

import { utf8 } from '../core/bytes.js';
import type { CoreEvent, Submission } from '../core/effects.js';
import { channelIdOf, commitName, encodeGenesis, type FewPolicy } from '../core/genesis.js';
import {
  type ChannelId,
  type Digest,
  type SealingPublic,
  type Ulid,
  type UserId,
  ulidFromBytes,
} from '../core/ids.js';
import type { Input } from '../core/input.js';
import { channelKeys, type StoredGenesis } from '../core/layout.js';
import type { MembershipBody, Roster } from '../core/roster.js';
import { type LeastOnline, leastOnlineOf } from './counting.js';
import { between, type Draw, drawsOf } from './prng.js';
import { recoveryBody, recoveryOf, replaceBody } from './replacing.js';
import type { SimCrypto } from './sim-crypto.js';
import type { SimNode } from './sim-node.js';
import type { Timeline } from './timeline.js';
import type { Change, Post } from './workload.js';

type Failed = Extract<CoreEvent, { type: 'failed' }>;

const RETRY_MS = 500;
const SALT = new Uint8Array(16);

/** Of one who reads. Nothing is sealed to it: bodies are plain here. */
const readersKey = (user: UserId): SealingPublic => user as string as SealingPublic;

export interface ApplicationOptions {
  readonly seed: number;
  readonly crypto: SimCrypto;
  readonly timeline: Timeline;
  readonly users: readonly UserId[];
  readonly relays: readonly string[];
  /** How many of the users found the channel and join it; the others are new keys of these. All by default. */
  readonly members?: number;
  readonly minOnline: number;
  readonly few: FewPolicy;
  /** So many of these, the last ones, join as archives: they say nothing. */
  readonly archives: number;
  readonly quorum?: 'online' | 'roster';
}

/** What one kind of member joins with. */
interface Invitation {
  readonly key: UserId;
  readonly isArchive: boolean;
  isOpen: boolean;
}

interface Submitted {
  readonly node: number;
  readonly bytes: number;
  stored: boolean;
  /** The best that its author was told. */
  seen: 'nothing' | 'committed' | 'final';
  /** Of the record that was made of it, once something was told of it. */
  digest?: Digest;
}

export class Application {
  readonly #o: ApplicationOptions;
  readonly #draw: Draw;
  readonly #genesis: StoredGenesis;
  readonly #invitations: readonly Invitation[];
  readonly #archives: Set<UserId>;
  readonly leastOnline: LeastOnline;
  readonly channel: ChannelId;
  #nodes: readonly SimNode[] = [];
  #isFounded = false;
  /** Invitations that were reported as done. */
  readonly #promised: UserId[] = [];
  #tokens = 0;
  /** What waits for an answer, by token. */
  readonly #asked = new Map<
    number,
    { node: number; done: () => void; failed: (event: Failed) => void }
  >();
  /** Sees what is handed to a node, and what of it the node calls stored. */
  onSent: (node: SimNode, submissions: readonly Submission[]) => void = () => {};
  onStored: (node: SimNode, submissions: readonly Submission[]) => void = () => {};
  readonly #mayBeGone = new Set<number>();
  /** Nodes of the new keys of each. */
  readonly #newKeys = new Map<number, SimNode[]>();
  /** By which invitation a node that left or was removed comes back, or that of a new key comes in: its user keeps that, whatever becomes of its disk. */
  readonly #backBy = new Map<number, UserId>();
  /** Every message ever handed to a node, by its id. */
  readonly submitted = new Map<Ulid, Submitted>();

  constructor(options: ApplicationOptions) {
    const { seed, crypto, users, relays, minOnline, few, quorum = 'online' } = options;
    const hash = crypto.sha256;
    this.#o = options;
    this.#draw = drawsOf(seed, 'application');
    const name = `sim ${seed}`;
    const bytes = encodeGenesis({
      founder: users[0]!,
      founderName: 'node0',
      founderSealing: readersKey(users[0]!),
      nameCommitment: commitName(hash, SALT, name),
      salt: SALT,
      time: 0,
      minOnline,
      few,
      quorum,
      history: 'all',
      relays,
    });
    this.#genesis = { bytes, sig: crypto.sign(users[0]!, bytes), name };
    this.channel = channelIdOf(hash, bytes);
    const { members = users.length, archives } = options;
    this.#archives = new Set(users.slice(members - archives, members));
    this.leastOnline = leastOnlineOf(options, this.#archives);
    this.#invitations = ['invite', 'invite archives'].map((what, i) => ({
      ...{ key: crypto.userOf(`${what} ${seed}`), isArchive: i === 1, isOpen: false },
    }));
  }

  /** How few members may be online, with whoever of the users is a member. */
  get leastEver(): number {
    return this.leastOnline(this.#o.users);
  }

  isArchive(user: UserId): boolean {
    return this.#archives.has(user);
  }

  /** What a node's key, or one in its place, shows for others to seal to. */
  sealingOf(user: UserId, replaced = user): SealingPublic | null {
    if (!this.#archives.has(replaced)) return readersKey(user);
    this.#archives.add(user);
    return null;
  }

  #invitationOf({ user }: SimNode): Invitation {
    return this.#invitations[this.isArchive(user) ? 1 : 0]!;
  }

  set nodes(nodes: readonly SimNode[]) {
    this.#nodes = nodes;
    for (const node of nodes) node.inviteKeys.add(this.#invitationOf(node).key);
  }

  isMember(node: SimNode): boolean {
    return node.state(this.channel)?.roster.members.has(node.user) ?? false;
  }

  get allJoined(): boolean {
    return this.#members.every((node) => this.mayBeGone(node.index) || this.isMember(node));
  }

  /** Those that join from the start on. */
  get #members(): readonly SimNode[] {
    return this.#nodes.filter((node) => !this.isForNewKey(node));
  }

  /** Whether a node is there for a new key: it becomes a member with that alone. */
  isForNewKey({ index }: SimNode): boolean {
    return index >= (this.#o.members ?? this.#nodes.length);
  }

  /** Whether somebody asked that a node be no member any more. */
  mayBeGone(index: number): boolean {
    return this.#mayBeGone.has(index);
  }

  /** Somebody will ask that: its key is to be replaced. */
  mayGo(index: number): void {
    this.#mayBeGone.add(index);
  }

  /** A node booted: its application wants what it wanted before. */
  started(node: SimNode): void {
    for (const [token, { node: index }] of this.#asked) {
      if (index === node.index) this.#asked.delete(token);
    }
    const isThere = node.disk.get(channelKeys(this.channel).genesis) !== undefined;
    // A founder whose disk is gone comes back as any member does.
    if (node.index === 0 && (isThere || !this.#isFounded)) this.#found(node);
    else if (this.#mayAsk(node)) this.#planJoin(node, RETRY_MS * this.#draw());
  }

  /** A founder is a member, and gets by any invitation what it is one of; a new key comes in by one of its own. */
  #mayAsk(node: SimNode): boolean {
    if (this.isForNewKey(node)) return this.#backBy.has(node.index);
    const own = node.index === 0 ? this.#invitations : [this.#invitationOf(node)];
    return own.some(({ isOpen }) => isOpen);
  }

  /**
   * A node lost part of its memory, or is gone for good: what only its disk held need not come true,
   * not even if it alone made an electorate and committed it, or had it from an
   * author that had lost it before.
   */
  forgets(node: SimNode, isHeld: (digest: Digest) => boolean): void {
    for (const submitted of this.submitted.values()) {
      const { seen, digest } = submitted;
      if (seen === 'final' || (digest && seen === 'committed' && isHeld(digest))) continue;
      const isGone = digest !== undefined && !isHeld(digest);
      if (submitted.node !== node.index && !isGone) continue;
      Object.assign(submitted, { stored: false, seen: 'nothing' });
    }
  }

  #ask(node: SimNode, done: () => void, failed: (event: Failed) => void): number {
    this.#tokens += 1;
    this.#asked.set(this.#tokens, { node: node.index, done, failed });
    return this.#tokens;
  }

  /** Gives a node what it answers once, unless it crashes first. */
  request(
    node: SimNode,
    make: (token: number) => Input,
    done: () => void,
    failed: (event: Failed) => void,
  ): number {
    let submissions: readonly Submission[] = [];
    const answered = (): void => {
      this.#stored(node, submissions);
      done();
    };
    const token = this.#ask(node, answered, failed);
    const input = make(token);
    if (input.type === 'submit') submissions = input.submissions;
    this.#submitted(node, submissions);
    node.input(input);
    return token;
  }

  /** Nobody waits for this answer any longer. */
  forget(token: number): void {
    this.#asked.delete(token);
  }

  #submitted(node: SimNode, submissions: readonly Submission[]): void {
    for (const { id, body } of submissions) {
      const bytes = body.length;
      this.submitted.set(id, { node: node.index, bytes, stored: false, seen: 'nothing' });
    }
    if (submissions.length > 0) this.onSent(node, submissions);
  }

  #stored(node: SimNode, submissions: readonly Submission[]): void {
    if (submissions.length === 0) return;
    for (const { id } of submissions) this.submitted.get(id)!.stored = true;
    this.onStored(node, submissions);
  }

  #found(node: SimNode): void {
    if (node.disk.get(channelKeys(this.channel).genesis)) return this.#wishInvites(node);
    const token = this.#ask(
      node,
      () => {
        this.#isFounded = true;
        this.#wishInvites(node);
      },
      () => {},
    );
    node.input({ type: 'create', token, genesis: this.#genesis });
  }

  #wishInvites(node: SimNode): void {
    for (const invitation of this.#invitations) this.#wishInvite(node, invitation);
  }

  #wishInvite(node: SimNode, invitation: Invitation): void {
    const { key, isArchive } = invitation;
    const invited = this.#members.slice(1).filter((n) => this.#invitationOf(n) === invitation);
    if (invitation.isOpen || invited.length === 0) return;
    const opened = (): void => this.#opened(invitation, invited);
    const token = this.#ask(node, opened, opened);
    const terms = { key, uses: invited.length, expires: 0, invitee: null, isArchive };
    node.input({
      type: 'wish',
      channel: this.channel,
      token,
      make: ({ number, invites, members }) =>
        invites.has(key) || invited.some(({ user }) => members.has(user))
          ? null
          : { kind: 'invite', base: number, ...terms },
    });
  }

  #opened(invitation: Invitation, invited: readonly SimNode[]): void {
    if (invitation.isOpen) return;
    invitation.isOpen = true;
    for (const node of invited) this.#planJoin(node, between(this.#draw, 0, 1_000));
  }

  #planJoin(node: SimNode, delay: number): void {
    this.#o.timeline.in(delay, () => {
      if (!node.isUp || this.isMember(node)) return;
      const named = this.#backBy.get(node.index);
      const invite = named ?? this.#invitationOf(node).key;
      // Who was a member comes back by an invitation of its own alone.
      if (!named && this.#isDeparted(node)) return;
      const inviter = this.#nodes.find((other) => other !== node && this.#mayLeadIn(other, node));
      const { final } = inviter?.state(this.channel)?.log ?? {};
      if (!final) return this.#planJoin(node, RETRY_MS);
      const token = this.#ask(
        node,
        () => {},
        () => {
          this.#inviteAgain(node);
          const isBack = named && this.#isDeparted(node);
          if (!isBack || this.isForNewKey(node)) this.#planJoin(node, RETRY_MS);
        },
      );
      node.input({
        type: 'join',
        token,
        channel: this.channel,
        name: this.#genesis.name,
        invite,
        nickname: `node${node.index}`,
        sealing: this.sealingOf(node.user),
        pinned: final,
        relays: this.#o.relays,
      });
    });
  }

  /** A new key is led in once it is in the roster. */
  #mayLeadIn(other: SimNode, node: SimNode): boolean {
    const roster = other.state(this.channel)?.roster;
    return roster !== undefined && (!this.isForNewKey(node) || roster.members.has(node.user));
  }

  /** Whether the newest roster that a node has names this one as a former member. */
  #isDeparted({ user }: SimNode): boolean {
    const rosters = this.#nodes.flatMap((node) => node.state(this.channel)?.roster ?? []);
    const newest = Math.max(...rosters.map(({ number }) => number));
    return rosters.some(({ number, departed }) => number === newest && departed.has(user));
  }

  #againBy({ user }: SimNode): UserId {
    return this.#o.crypto.userOf(`again ${user}`);
  }

  /** The invitation of one that never came in ends when another that used it is removed: who manages invites it by name. */
  #inviteAgain(node: SimNode): void {
    const { user } = node;
    const first = this.#invitationOf(node);
    if (this.isForNewKey(node) || !first.isOpen || this.#isDeparted(node)) return;
    const manager = this.#nodes.find((other) => other.isUp && this.#manages(other));
    const { invites } = manager?.state(this.channel)?.roster ?? {};
    if (!manager || !invites || invites.has(first.key)) return;
    const key = this.#againBy(node);
    node.inviteKeys.add(key);
    if (invites.has(key)) this.#backBy.set(node.index, key);
    const isArchive = this.isArchive(user);
    const terms = { key, uses: 1, expires: 0, invitee: user, isArchive };
    this.wish(manager, ({ number, members, ...roster }) =>
      members.has(user) || roster.invites.has(key)
        ? null
        : { kind: 'invite', base: number, ...terms },
    );
  }

  #manages(node: SimNode): boolean {
    const member = node.state(this.channel)?.roster.members.get(node.user);
    return member !== undefined && member.role !== 'member';
  }

  /** Carries out what a plan says of membership. */
  change(change: Change): void {
    const { what, node: index, by } = change;
    const { crypto } = this.#o;
    const node = this.#nodes[index]!;
    const asks = this.#nodes[by]!;
    const { user } = node;
    if (what === 'return') return this.#takeBack(node, asks);
    if (what === 'replace') return this.#replace(change);
    if (what === 'recovery') {
      // A thief of the key has another one.
      const key = recoveryOf(crypto, change.word === 'forged' ? this.#invitations[0]!.key : user);
      return this.wish(node, (roster) => recoveryBody(roster, user, key));
    }
    if (what === 'admin' || what === 'member') {
      return this.wish(asks, ({ number }) => ({ kind: 'role', base: number, user, role: what }));
    }
    this.#mayBeGone.add(index);
    this.wish(asks, ({ number }) =>
      what === 'leave' ? { kind: 'leave', base: number } : { kind: 'remove', base: number, user },
    );
  }

  /** Invites one by name who left or was removed; it joins with that once it knows that it is none. */
  #takeBack(node: SimNode, by: SimNode): void {
    const { user } = node;
    const key = this.#o.crypto.userOf(`back ${user} ${this.#tokens}`);
    node.inviteKeys.add(key);
    const isArchive = this.isArchive(user);
    const terms = { key, uses: 1, expires: 0, invitee: user, isArchive };
    this.wish(
      by,
      ({ number, members }) =>
        members.has(user) ? null : { kind: 'invite', base: number, ...terms },
      () => {
        this.#backBy.set(node.index, key);
        this.#planJoin(node, 0);
      },
    );
  }

  /** Asks that another key gets a member's place; its node comes in once it has that. */
  #replace({ node: index, by: asks, as, word }: Change): void {
    const { crypto } = this.#o;
    const device = this.#nodes[as!]!;
    const { user: old } = this.#nodes[index]!;
    this.#mayBeGone.add(index);
    if (!this.#backBy.has(device.index)) {
      const key = crypto.userOf(`in ${device.user}`);
      device.inviteKeys.add(key);
      this.#backBy.set(device.index, key);
      this.#newKeys.set(index, [...(this.#newKeys.get(index) ?? []), device]);
      this.#planJoin(device, RETRY_MS);
    }
    const by =
      word === undefined ? null : recoveryOf(crypto, word === 'recovery' ? old : device.user);
    const sealing = this.sealingOf(device.user, old);
    const asked = { old, user: device.user, name: `node${device.index}`, sealing, by };
    this.wish(this.#nodes[asks]!, (roster) =>
      roster.departed.get(old)?.replacedBy === device.user
        ? null
        : replaceBody(crypto, roster, asked),
    );
  }

  /** A node asks for a change of membership. */
  wish(
    node: SimNode,
    make: (roster: Roster) => MembershipBody | null,
    done: () => void = () => {},
  ): void {
    if (!node.isUp || !this.isMember(node)) return;
    const token = this.#ask(node, done, () => {});
    node.input({ type: 'wish', channel: this.channel, token, make });
  }

  /** The founder invites one more, who does not come. */
  inviteOneMore(): void {
    const founder = this.#nodes[0]!;
    if (!founder.isUp || !this.isMember(founder)) return;
    const key = this.#o.crypto.userOf(`one more ${this.#o.seed} ${this.#tokens}`);
    const token = this.#ask(
      founder,
      () => this.#promised.push(key),
      () => {},
    );
    founder.input({
      type: 'wish',
      channel: this.channel,
      token,
      make: (roster) => ({
        kind: 'invite',
        base: roster.number,
        key,
        uses: 1,
        expires: 0,
        invitee: null,
        isArchive: false,
      }),
    });
  }

  /** An invitation that a node called done and that `node` does not have. */
  missingInvite(node: SimNode): UserId | undefined {
    // They end with their author.
    if (this.mayBeGone(0)) return undefined;
    const invites = node.state(this.channel)?.roster.invites;
    return this.#promised.find((key) => !invites?.has(key));
  }

  /** Hands messages to a node, if it can take any; returns their ids. The nodes of its new keys write too. */
  post(post: Post): Ulid[] {
    for (const device of this.#newKeys.get(post.node) ?? []) this.#postAt(device, post);
    return this.#postAt(this.#nodes[post.node]!, post);
  }

  #postAt(node: SimNode, { count, bytes, text }: Post): Ulid[] {
    if (!node.isUp || !this.isMember(node) || this.isArchive(node.user)) return [];
    const submissions = Array.from({ length: count }, () => {
      const body = text === undefined ? new Uint8Array(bytes) : utf8(text);
      return { kind: 'message', id: this.#ulid(), time: 0, body };
    });
    const { channel } = this;
    this.request(
      node,
      (token) => ({ type: 'submit', channel, token, submissions }),
      () => {},
      () => {},
    );
    return submissions.map(({ id }) => id);
  }

  #ulid(): Ulid {
    const bytes = new Uint8Array(16);
    for (let i = 0; i < 16; i++) bytes[i] = Math.floor(this.#draw() * 256);
    return ulidFromBytes(bytes);
  }

  event(node: SimNode, event: CoreEvent): void {
    if (event.type === 'done' || event.type === 'failed') {
      const asked = this.#asked.get(event.token);
      if (!asked || asked.node !== node.index) return;
      this.#asked.delete(event.token);
      if (event.type === 'done') asked.done();
      else asked.failed(event);
    } else if (event.type === 'progress') {
      const submitted = this.submitted.get(event.id);
      if (submitted) submitted.digest = event.digest;
      if (submitted && event.state === 'final') submitted.seen = 'final';
      else if (submitted?.seen === 'nothing' && event.state === 'committed')
        submitted.seen = 'committed';
    }
  }
}
