/**
 * The node: opens a store, loads its channels, keeps links to their relays,
 * and hands out channels (docs/ARCHITECTURE.md, "The node").
 */

import { decodeWhole, Writer } from '../core/bytes.js';
import type { Verifier } from '../core/check-proof.js';
import type { Command } from '../core/commands.js';
import type { Crypto, Hash } from '../core/crypto.js';
import type { CoreEvent } from '../core/effects.js';
import { ConclaveError } from '../core/errors.js';
import { channelIdOf, commitName, encodeGenesis, type Genesis } from '../core/genesis.js';
import {
  type ChannelId,
  channelId,
  hex32,
  type SealingPublic,
  type Ulid,
  type UserId,
  userId,
} from '../core/ids.js';
import type { Clock, Input } from '../core/input.js';
import { after } from '../core/layout.js';
import { NICKNAME_BYTES_MAX } from '../core/limits.js';
import { loadChannel } from '../core/load.js';
import type { Machine } from '../core/machine.js';
import { pinnedRelayUrl, relayKeyOf } from '../core/relay-url.js';
import { isArchiveIn } from '../core/roster.js';
import type { Store } from '../core/store.js';
import { BATCHES_KEY, BOOTS_KEY, bootsOf, encodeBoots, nextBootTime } from '../core/store-boots.js';
import type {
  Channel,
  CreateOptions,
  Dm,
  JoinOptions,
  Node,
  PrivateMessage,
  RelayStatus,
  ReplacementOptions,
  VerifyReport,
  WaitOptions,
} from './api.js';
import type { Bodies, BodiesHost } from './bodies.js';
import { NodeChannel } from './channel.js';
import { ChannelKeys } from './channel-keys.js';
import { checkLoaded } from './check-loaded.js';
import { chosenPolicy } from './create-options.js';
import { Driver, type Opening } from './driver.js';
import { checkName } from './input.js';
import { checkPurpose, decodeInvite, type Invite } from './invite.js';
import {
  BOOT_KEY,
  decodeOverride,
  decodeUser,
  encodeOverride,
  OVERRIDES,
  storedChannels,
  USER_KEY,
} from './node-keys.js';
import { completeOptions, type FullOptions, type NodeOptions } from './options.js';
import type { NodeParts } from './parts.js';
import { PrivateMessages } from './private-messages.js';
import type { Sealing } from './private-parts.js';
import { verifierOf } from './proof-file.js';
import { encodeReplacing } from './recovery.js';
import type { RelayConnection } from './relay-link.js';
import { sealingOf } from './sealing.js';
import { snapshot } from './snapshot.js';
import { verifyChannel } from './verify.js';
import { abortable, aborted, closed, type Settle } from './wait.js';

const DRAIN_MS_DEFAULT = 2_000;

/**
 * Opens a node over its store.
 *
 * Throws what the store's opening throws (`store_locked`, `store_damaged`, …),
 * `bad_options`, `bad_identity`, `bad_name`, `bad_relay_url`, and `wrong_identity` for a store that
 * another user's node has written. The store is the node's from
 * here on: the node closes it.
 */
export async function openNode(options: NodeOptions): Promise<Node> {
  checkOptions(options);
  const { seed, name } = options.identity;
  if (!(seed instanceof Uint8Array) || seed.length !== 32) {
    throw new ConclaveError('bad_identity', "an identity's seed has 32 bytes");
  }
  checkName("an identity's name", name, NICKNAME_BYTES_MAX);
  for (const url of options.relays ?? []) pinnedRelayUrl(url);
  const full = await completeOptions(options);
  const opening = await nextOpening(full).catch(async (error: unknown) => {
    await full.store.close();
    throw error;
  });
  const node = new ConclaveNode(full, opening);
  try {
    await node.load();
    return node;
  } catch (error) {
    await node.close({ drainMs: 0 });
    throw error;
  }
}

/** What has no default, for those whom no compiler tells. */
function checkOptions({ store, identity, misbehaviour }: Partial<NodeOptions> = {}): void {
  const wrong =
    (misbehaviour !== undefined &&
      misbehaviour !== 'show' &&
      misbehaviour !== 'remove' &&
      '"misbehaviour" must be "show" or "remove"') ||
    (typeof store !== 'function' &&
      typeof store?.write !== 'function' &&
      '"store" must be one, as levelStore("./data")') ||
    (typeof identity !== 'object' && '"identity" must be { seed, name }');
  if (wrong) throw new ConclaveError('bad_options', `openNode({ store, identity }): ${wrong}`);
}

/** A boot id greater than the last one, durable before anything bears it, and what came before. */
async function nextOpening(o: FullOptions): Promise<Opening & { sealing: Sealing }> {
  const { store, clock, ulid, offline } = o;
  const user = await checkOwner(o);
  const stored = await store.get(BOOT_KEY);
  const last = stored ? decodeWhole(stored, (r) => r.ulid()) : undefined;
  const boots = bootsOf(await store.get(BOOTS_KEY), await store.get(BATCHES_KEY));
  const boot = ulid(nextBootTime(clock().wall, last, boots));
  if (!offline) {
    const ops = [
      { key: USER_KEY, value: new Writer(32).id(user).done() },
      { key: BOOT_KEY, value: new Writer(16).ulid(boot).done() },
      { key: BOOTS_KEY, value: encodeBoots(boots) },
    ];
    await store.write(ops, { sync: true });
  }
  const sealing = await sealingOf(o.crypto, { user, seed: o.identity.seed });
  return { boot, boots, sealing };
}

/** Whoever opens a store first is its user: nobody else would find a channel in it. */
async function checkOwner({ store, identity, crypto }: FullOptions): Promise<UserId> {
  const user = hex32<UserId>(crypto.ed25519PublicKey(identity.seed));
  const stored = await store.get(USER_KEY);
  const owner = stored ? decodeUser(stored) : user;
  if (owner === user) return user;
  throw new ConclaveError(
    'wrong_identity',
    `this store is user ${owner}'s, and the seed given is user ${user}'s: open it with the seed that it was ` +
      'made with, or give another store',
  );
}

class ConclaveNode implements Node, NodeParts {
  readonly user: UserId;
  readonly name: string;
  readonly store: Store;
  readonly hash: Hash;
  readonly crypto: Crypto;
  readonly verifier: Verifier;
  readonly machine: Machine;
  readonly offline: boolean;
  readonly #o: FullOptions;
  readonly #driver: Driver;
  readonly #channels = new Map<ChannelId, NodeChannel>();
  readonly #requests = new Map<number, Settle>();
  readonly #private: PrivateMessages;
  /** This node's own addresses for relays, by key. */
  readonly #overrides = new Map<string, string>();
  /** Relays of channels that this node is about to join. */
  readonly #joining = new Map<ChannelId, readonly string[]>();
  #token = 0;
  #closing: Promise<void> | undefined;
  #failure: unknown;

  constructor(o: FullOptions, { sealing, ...opening }: Opening & { sealing: Sealing }) {
    this.#o = o;
    this.store = o.store;
    this.hash = o.crypto.sha256;
    this.crypto = o.crypto;
    this.verifier = verifierOf(o.crypto);
    this.offline = o.offline;
    this.name = o.identity.name;
    this.#driver = new Driver(o, opening, {
      core: (event) => this.#onCore(event),
      command: (link, command) => this.#onCommand(link, command),
      links: () => {
        for (const channel of this.#channels.values()) channel.changes.notify();
      },
      up: () => this.#private.sendPending(0),
      failed: (error) => this.fail(error),
    });
    this.user = this.#driver.user;
    this.machine = this.#driver.pump.machine;
    this.#private = new PrivateMessages({
      ...{ user: this.user, store: this.store, offline: this.offline, boot: opening.boot },
      ...{ crypto: o.crypto, sealing, log: o.log, clock: o.clock, ulid: o.ulid },
      sign: (statement) => o.crypto.ed25519Sign(o.identity.seed, statement),
      links: () => this.links(),
      isOnline: (user) => this.machine.isOnline(user, this.clock().now),
      checkOpen: () => this.checkOpen(),
      fail: (error) => this.fail(error),
    });
  }

  async load(): Promise<void> {
    for await (const [key, value] of this.store.range({ gte: OVERRIDES, lt: after(OVERRIDES) })) {
      this.#overrides.set(key.slice(OVERRIDES.length), decodeOverride(value));
    }
    for (const url of this.#o.relays) this.#overrides.set(pinnedRelayUrl(url).key, url);
    for (const id of await storedChannels(this.store)) {
      await checkLoaded(this.store, this.hash, id);
      const state = await loadChannel(this.hash, this.user, id, (prefix, from) =>
        this.#scan(prefix, from),
      );
      this.#driver.pump.input({ type: 'open', state });
      await this.#driver.idle();
      // Of a channel that this node was still joining there is nothing to show.
      const { members, departed } = state.roster;
      if (members.has(this.user) || departed.has(this.user)) {
        if (this.#o.archive && members.has(this.user) && !isArchiveIn(state.roster, this.user)) {
          throw readsChannel(id);
        }
        const channel = new NodeChannel(id, this);
        this.#channels.set(id, channel);
        await channel.bodies.load();
        await channel.learnDeparture();
      }
    }
    await this.#private.load();
    this.#keepLinks();
  }

  async #scan(prefix: string, from = prefix): Promise<(readonly [string, Uint8Array])[]> {
    if (!prefix.endsWith('/')) {
      const value = await this.store.get(prefix);
      return value ? [[prefix, value]] : [];
    }
    const pairs: (readonly [string, Uint8Array])[] = [];
    for await (const pair of this.store.range({ gte: from, lt: after(prefix) })) pairs.push(pair);
    return pairs;
  }

  #keepLinks(): void {
    const urls = new Map<string, string>();
    const add = (url: string): void => {
      const key = relayKeyOf(url);
      if (key && !urls.has(key)) urls.set(key, this.#overrides.get(key) ?? url);
    };
    for (const relays of this.#joining.values()) relays.forEach(add);
    for (const id of [...this.#joining.keys(), ...this.#channels.keys()]) {
      this.machine.channel(id)?.roster.relays.forEach(add);
    }
    this.#driver.keepLinks([...urls.values()]);
  }

  /** What others seal to for this node, where it is no archive. */
  get #sealingKey(): SealingPublic {
    return hex32<SealingPublic>(this.#o.sealing.publicKey);
  }

  bodiesOf(host: BodiesHost): Bodies {
    const { crypto, sealing } = this.#o;
    return new ChannelKeys({ ...host, user: this.user, crypto, sealing });
  }

  get removesMisbehaving(): boolean {
    return this.#o.misbehaviour === 'remove' && !this.#o.offline;
  }

  warn(fields: object, message: string): void {
    this.#o.log.warn(fields, message);
  }

  clock(): Clock {
    return this.#o.clock();
  }
  ulid(wall: number): Ulid {
    return this.#o.ulid(wall);
  }
  random(bytes: number): Uint8Array {
    return this.#o.random(bytes);
  }
  publicKey(seed: Uint8Array): UserId {
    return hex32<UserId>(this.#o.crypto.ed25519PublicKey(seed));
  }
  links(): Iterable<RelayConnection> {
    return this.#driver.links;
  }
  linkTo(key: string | undefined): RelayConnection | undefined {
    return this.#driver.linkTo(key);
  }

  async overrideRelay(url: string): Promise<void> {
    const { key } = pinnedRelayUrl(url);
    const value = encodeOverride(url);
    await this.store.write([{ key: OVERRIDES + key, value }], { sync: true });
    this.#overrides.set(key, url);
    this.#keepLinks();
  }

  checkOpen(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing) throw closed();
    if (this.offline) throw OFFLINE;
  }

  async request(
    input: (token: number) => Input,
    signal?: AbortSignal,
    stop?: (token: number) => Input,
  ): Promise<void> {
    this.checkOpen();
    return abortable(signal, (request) => {
      const token = ++this.#token;
      this.#requests.set(token, request);
      this.#driver.pump.input(input(token));
      return () => {
        this.#requests.delete(token);
        if (stop) this.#driver.pump.input(stop(token));
      };
    });
  }

  #settle(token: number, outcome: (request: Settle) => void): void {
    const request = this.#requests.get(token);
    if (!request) return;
    this.#requests.delete(token);
    outcome(request);
  }

  #onCore(event: CoreEvent): void {
    switch (event.type) {
      case 'done':
        return this.#settle(event.token, (r) => r.resolve());
      case 'failed': {
        const { code, message, retryable } = event;
        return this.#settle(event.token, (r) =>
          r.reject(new ConclaveError(code, message, { retryable })),
        );
      }
      case 'note':
        this.#o.log.info({ channel: event.channel, detail: event.detail }, event.note);
        break;
      case 'roster':
        this.#keepLinks();
        break;
      case 'joined':
        this.#adopt(event.channel);
        if (event.token !== null) this.#settle(event.token, (r) => r.resolve());
        break;
    }
    this.#channels.get(event.channel)?.onEvent(event);
  }

  #onCommand(link: RelayConnection, command: Command): void {
    if (command.name === 'ERR') {
      const { code, about, message } = command.payload;
      this.#o.log.debug({ relay: link.url, code, about }, message);
    }
    this.#private.onCommand(link, command);
  }

  async create(o: CreateOptions): Promise<Channel> {
    this.checkOpen();
    if (o.signal?.aborted) throw aborted(o.signal);
    if (this.#o.archive) {
      throw new ConclaveError('not_allowed', 'an archive reads nothing, and founds no channel');
    }
    const genesis = this.#genesis(o);
    const bytes = encodeGenesis(genesis);
    const sig = this.#o.crypto.ed25519Sign(this.#o.identity.seed, bytes);
    const stored = { bytes, sig, name: o.name };
    await this.request((token) => ({ type: 'create', token, genesis: stored }));
    return this.#adopt(channelIdOf(this.hash, bytes));
  }

  #genesis(o: CreateOptions): Genesis {
    const policy = chosenPolicy(o);
    const salt = this.random(16);
    return {
      founder: this.user,
      founderName: this.name,
      founderSealing: this.#sealingKey,
      nameCommitment: commitName(this.hash, salt, o.name),
      salt,
      time: this.clock().wall,
      ...policy,
    };
  }

  #adopt(id: ChannelId): NodeChannel {
    let channel = this.#channels.get(id);
    if (!channel) {
      channel = new NodeChannel(id, this);
      this.#channels.set(id, channel);
      // What it says of keys was told before anyone listened.
      channel.bodies.load().catch((error) => this.fail(error));
      this.#keepLinks();
    }
    return channel;
  }

  async join(text: string, o: JoinOptions = {}): Promise<Channel> {
    const invite = decodeInvite(this.hash, text);
    this.checkOpen();
    if (o.signal?.aborted) throw aborted(o.signal);
    if (invite.invitee !== null && invite.invitee !== this.user) {
      throw new ConclaveError(
        'invite_for_another',
        `the invitation is for user ${invite.invitee}, this node is ${this.user}: ask for one for it`,
      );
    }
    checkPurpose(invite, o.archive ?? this.#o.archive);
    for (const url of o.relays ?? []) await this.overrideRelay(url);
    const id = invite.channel;
    const known = this.#channels.get(id);
    if (known?.state.roster.members.has(this.user)) return known;
    if (this.#joining.has(id)) {
      throw new ConclaveError('join_running', 'this node is joining the channel already', {
        retryable: true,
      });
    }
    this.#joining.set(id, invite.relays);
    this.#keepLinks();
    try {
      await this.#askToJoin(invite, o.signal);
      const channel = this.#adopt(id);
      await channel.bodies.firstKey(o.signal);
      return channel;
    } finally {
      this.#joining.delete(id);
      this.#keepLinks();
    }
  }

  #askToJoin(invite: Invite, signal: AbortSignal | undefined): Promise<void> {
    const { channel, name, pinned, relays, isArchive } = invite;
    const nickname = this.name;
    const key = this.#driver.addKey(invite.secret);
    return this.request(
      (token) => ({
        type: 'join',
        token,
        channel,
        name,
        invite: key,
        nickname,
        sealing: isArchive ? null : this.#sealingKey,
        pinned,
        relays,
      }),
      signal,
      () => ({ type: 'stop-join', channel }),
    );
  }

  requestReplacement(asked: ReplacementOptions): string {
    const { channel, user: old, recovery, archive: isArchive = this.#o.archive } = asked;
    if (old === this.user) {
      throw new ConclaveError(
        'same_user',
        'this node has that key: ask from a node with a new one, as "conclave init" makes it',
      );
    }
    const own = { key: this.user, seed: this.#o.identity.seed };
    return encodeReplacing(this.crypto, own, {
      ...{ channel: channelId(channel), old: userId(old), name: this.name },
      ...{ sealing: isArchive ? null : this.#sealingKey, recovery },
    });
  }

  channel(id: string): Channel {
    const channel = this.#channels.get(channelId(id));
    if (!channel) {
      throw new ConclaveError(
        'no_channel',
        `this node is in no channel ${id}; "conclave status" lists those it is in`,
      );
    }
    return channel;
  }

  relays(): RelayStatus[] {
    return [...this.#driver.links].map(({ url, connected, problem }) => ({
      ...{ url, connected },
      ...(problem && { problem }),
    }));
  }

  channels(): Channel[] {
    return [...this.#channels.values()];
  }

  dm(user: string): Dm {
    return this.#private.with(userId(user));
  }

  inbox(o: WaitOptions & { live?: boolean } = {}): AsyncIterable<PrivateMessage> {
    return this.#private.read(o);
  }

  async verify(id?: string, onProgress?: (entries: number) => void): Promise<VerifyReport[]> {
    const ids =
      id === undefined ? await storedChannels(this.store) : [(this.channel(id) as NodeChannel).id];
    const reports: VerifyReport[] = [];
    for (const each of ids) {
      const options = { self: this.user, onProgress };
      reports.push(await verifyChannel(this.#o.crypto, this.store, each, options));
    }
    return reports;
  }

  snapshot(): AsyncIterable<Uint8Array> {
    return snapshot(this.store);
  }

  input(input: Input): void {
    if (this.#failure === undefined && !this.#closing) this.#driver.pump.input(input);
  }

  fail(error: unknown): void {
    if (this.#failure !== undefined || this.#closing) return;
    this.#failure = error;
    this.#o.log.warn({ error }, 'the node stopped: something failed that it cannot go on without');
    this.#endWaits(error);
  }

  #endWaits(error: unknown): void {
    for (const request of this.#requests.values()) request.reject(error);
    this.#requests.clear();
    for (const channel of this.#channels.values()) channel.fail(error);
    this.#private.fail(error);
  }

  close(o: { readonly drainMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(o.drainMs ?? DRAIN_MS_DEFAULT);
    return this.#closing;
  }

  async #close(drainMs: number): Promise<void> {
    await this.#drain(drainMs);
    await this.#private.close();
    await this.#driver.close();
    this.#endWaits(closed());
    await this.store.close();
  }

  /** Lets own messages that a leader already has become final, for a bounded time. */
  async #drain(drainMs: number): Promise<void> {
    if (this.offline || this.#failure !== undefined) return;
    const signal = AbortSignal.timeout(Math.max(1, drainMs));
    for (const channel of this.#channels.values()) {
      try {
        while (channel.view().sent > 0) await channel.changes.next(channel.changes.version, signal);
      } catch {
        return;
      }
    }
  }
}

const readsChannel = (id: ChannelId): ConclaveError =>
  new ConclaveError(
    'not_archive',
    `this node is a member of channel ${id} that reads it: give the archive a directory and an identity of its own`,
  );

const OFFLINE = new ConclaveError(
  'offline',
  'this node was opened offline: it can be read, not changed',
  { retryable: true },
);
