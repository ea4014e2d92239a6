/**
 * What stands on top of the simulated nodes: a founder that creates a channel
 * and invites, others that join, and everyone posting. It remembers what the
 * nodes told it, which is what must come true.
 */

import { utf8 } from '../core/bytes.js';
import type { CoreEvent, Submission } from '../core/effects.js';
import { channelIdOf, commitName, encodeGenesis } from '../core/genesis.js';
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
import { between, type Draw, drawsOf } from './prng.js';
import type { SimCrypto } from './sim-crypto.js';
import type { SimNode } from './sim-node.js';
import type { Timeline } from './timeline.js';
import type { Change, Post } from './workload.js';

type Failed = Extract<CoreEvent, { type: 'failed' }>;

const RETRY_MS = 500;
const SALT = new Uint8Array(16);

/** Nothing is sealed to it: bodies are plain here. */
const sealingOf = (user: UserId): SealingPublic => user as string as SealingPublic;

export interface ApplicationOptions {
  readonly seed: number;
  readonly crypto: SimCrypto;
  readonly timeline: Timeline;
  readonly users: readonly UserId[];
  readonly relays: readonly string[];
  readonly minOnline: number;
  readonly quorum?: 'online' | 'roster';
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
  readonly #invite: UserId;
  readonly channel: ChannelId;
  #nodes: readonly SimNode[] = [];
  #isFounded = false;
  #isInvited = false;
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
  /** Every message ever handed to a node, by its id. */
  readonly submitted = new Map<Ulid, Submitted>();

  constructor(options: ApplicationOptions) {
    const { seed, crypto, users, relays, minOnline, quorum = 'online' } = options;
    const hash = crypto.sha256;
    this.#o = options;
    this.#draw = drawsOf(seed, 'application');
    const name = `sim ${seed}`;
    const bytes = encodeGenesis({
      founder: users[0]!,
      founderName: 'node0',
      founderSealing: sealingOf(users[0]!),
      nameCommitment: commitName(hash, SALT, name),
      salt: SALT,
      time: 0,
      minOnline,
      few: 'always',
      quorum,
      history: 'all',
      relays,
    });
    this.#genesis = { bytes, sig: crypto.sign(users[0]!, bytes), name };
    this.channel = channelIdOf(hash, bytes);
    this.#invite = crypto.userOf(`invite ${seed}`);
  }

  set nodes(nodes: readonly SimNode[]) {
    this.#nodes = nodes;
    for (const node of nodes) node.inviteKeys.add(this.#invite);
  }

  isMember(node: SimNode): boolean {
    return node.state(this.channel)?.roster.members.has(node.user) ?? false;
  }

  get allJoined(): boolean {
    return this.#nodes.every((node) => this.mayBeGone(node.index) || this.isMember(node));
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
    else if (this.#isInvited) this.#planJoin(node, RETRY_MS * this.#draw());
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
    if (node.disk.get(channelKeys(this.channel).genesis)) return this.#wishInvite(node);
    const token = this.#ask(
      node,
      () => {
        this.#isFounded = true;
        this.#wishInvite(node);
      },
      () => {},
    );
    node.input({ type: 'create', token, genesis: this.#genesis });
  }

  #wishInvite(node: SimNode): void {
    const uses = this.#nodes.length - 1;
    if (this.#isInvited || uses === 0) return;
    const token = this.#ask(
      node,
      () => this.#invited(),
      () => this.#invited(),
    );
    const key = this.#invite;
    node.input({
      type: 'wish',
      channel: this.channel,
      token,
      make: (roster) =>
        roster.invites.has(key) || roster.members.size > 1
          ? null
          : {
              kind: 'invite',
              base: roster.number,
              key,
              uses,
              expires: 0,
              invitee: null,
              isArchive: false,
            },
    });
  }

  #invited(): void {
    if (this.#isInvited) return;
    this.#isInvited = true;
    for (const node of this.#nodes.slice(1)) {
      this.#planJoin(node, between(this.#draw, 0, 1_000));
    }
  }

  #planJoin(node: SimNode, delay: number, invite = this.#invite): void {
    this.#o.timeline.in(delay, () => {
      if (!node.isUp || this.isMember(node)) return;
      // Who was a member comes back by an invitation of its own alone.
      if (invite === this.#invite && this.#isDeparted(node)) return;
      const inviter = this.#nodes.find((other) => other !== node && other.state(this.channel));
      const { final } = inviter?.state(this.channel)?.log ?? {};
      if (!final) return this.#planJoin(node, RETRY_MS, invite);
      const token = this.#ask(
        node,
        () => {},
        () => {
          if (invite === this.#invite) this.#planJoin(node, RETRY_MS);
        },
      );
      node.input({
        type: 'join',
        token,
        channel: this.channel,
        name: this.#genesis.name,
        invite,
        nickname: `node${node.index}`,
        sealing: sealingOf(node.user),
        pinned: final,
        relays: this.#o.relays,
      });
    });
  }

  /** Whether the newest roster that a node has names this one as a former member. */
  #isDeparted({ user }: SimNode): boolean {
    const rosters = this.#nodes.flatMap((node) => node.state(this.channel)?.roster ?? []);
    const newest = Math.max(...rosters.map(({ number }) => number));
    return rosters.some(({ number, departed }) => number === newest && departed.has(user));
  }

  /** Carries out what a plan says of membership. */
  change({ what, node: index, by }: Change): void {
    const node = this.#nodes[index]!;
    const asks = this.#nodes[by]!;
    const { user } = node;
    if (what === 'return') return this.#takeBack(node, asks);
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
    this.wish(
      by,
      ({ number, members }) =>
        members.has(user)
          ? null
          : {
              kind: 'invite',
              base: number,
              key,
              uses: 1,
              expires: 0,
              invitee: user,
              isArchive: false,
            },
      () => this.#planJoin(node, 0, key),
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
    const invites = node.state(this.channel)?.roster.invites;
    return this.#promised.find((key) => !invites?.has(key));
  }

  /** Hands messages to a node, if it can take any; returns their ids. */
  post({ node: index, count, bytes, text }: Post): Ulid[] {
    const node = this.#nodes[index]!;
    if (!node.isUp || !this.isMember(node)) return [];
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
