/** A channel as an application uses it: the `Channel` of api.ts over the core's state. */

import { Writer } from '../core/bytes.js';
import { decodeWhole } from '../core/bytes.js';
import type { ChannelState } from '../core/channel-state.js';
import type { CoreEvent, Submission } from '../core/effects.js';
import { ConclaveError } from '../core/errors.js';
import type { ChannelId, Ulid } from '../core/ids.js';
import { relayKeyOf } from '../core/machine.js';
import { pinnedRelayUrl } from '../core/relay-url.js';
import type { MembershipBody, Roster } from '../core/roster.js';
import { channelView, type ChannelView } from '../core/view.js';
import type {
  Channel,
  ChannelStatus,
  InviteOptions,
  MemberInfo,
  Progress,
  ReadEvent,
  ReadOptions,
  RecordState,
  Sending,
  SendOptions,
  WaitOptions,
} from './api.js';
import { decodeInvite, encodeInvite } from './invite.js';
import { encodeMessageBody } from './message-body.js';
import type { NodeParts } from './node.js';
import { readChannel } from './reader.js';
import { Changes } from './wait.js';

const RANK: { readonly [S in RecordState]: number } = {
  queued: 0,
  sent: 1,
  committed: 2,
  final: 3,
  withheld: 4,
};

/** A message on its way; forgotten here once it is final. */
class Handle implements Sending {
  readonly id: Ulid;
  state: RecordState = 'queued';
  seq: number | null = null;
  readonly stored: Promise<void>;
  readonly #changes = new Changes();

  constructor(id: Ulid, stored: Promise<void>) {
    this.id = id;
    this.stored = stored;
    stored.catch((error) => this.#changes.fail(error));
  }

  progress(state: RecordState, seq: number | null): void {
    if (RANK[state] < RANK[this.state] && this.state === 'committed') return;
    this.state = state;
    this.seq = seq;
    this.#changes.notify();
  }

  fail(error: unknown): void {
    this.#changes.fail(error);
  }

  async until(state: 'sent' | 'committed' | 'final', o: WaitOptions = {}): Promise<Progress> {
    while (RANK[this.state] < RANK[state]) await this.#changes.next(o.signal);
    return { id: this.id, state: this.state, seq: this.seq };
  }
}

const IMPORT_BATCH = 256;

export class NodeChannel implements Channel {
  readonly id: ChannelId;
  readonly #node: NodeParts;
  readonly #handles = new Map<Ulid, Handle>();
  readonly changes = new Changes();
  readonly members: Channel['members'];
  readonly relays: Channel['relays'];

  constructor(id: ChannelId, node: NodeParts) {
    this.id = id;
    this.#node = node;
    this.members = {
      list: () => this.#members(),
      invite: (options) => this.#invite(options ?? {}),
      revoke: (invite, options) => this.#revoke(invite, options ?? {}),
    };
    this.relays = {
      list: () => this.#relays(),
      add: (url, options) => this.#addRelay(url, options ?? {}),
      remove: (url, options) => this.#removeRelay(url, options ?? {}),
      override: (url) => node.overrideRelay(url),
    };
  }

  get state(): ChannelState {
    const st = this.#node.machine.channel(this.id);
    if (!st) throw new ConclaveError('no_channel', `there is no channel ${this.id} here`);
    return st;
  }

  get name(): string {
    return this.state.stored.name;
  }

  view(): ChannelView {
    return channelView(this.#node.machine.context(this.id, this.#node.clock()), this.state);
  }

  onEvent(event: CoreEvent): void {
    if (event.type === 'progress') {
      this.#handles.get(event.id)?.progress(event.state, event.seq);
      if (event.state === 'final') this.#handles.delete(event.id);
    }
    this.changes.notify();
  }

  fail(error: unknown): void {
    for (const handle of this.#handles.values()) handle.fail(error);
    this.changes.fail(error);
  }

  send(text: string, options: SendOptions = {}): Sending {
    const body = encodeMessageBody(options.name === undefined ? { text } : { text, name: options.name });
    const { wall } = this.#node.clock();
    const id = this.#node.ulid(wall);
    const submission = { kind: 'message', id, time: options.time ?? wall, body };
    const handle = new Handle(id, this.#submit([submission], []));
    this.#handles.set(id, handle);
    handle.stored.catch(() => this.#handles.delete(id));
    return handle;
  }

  #submit(submissions: readonly Submission[], also: { key: string; value: Uint8Array }[]): Promise<void> {
    return this.#node.request((token) => ({
      type: 'submit',
      channel: this.id,
      token,
      submissions,
      also,
    }));
  }

  #wish(make: (roster: Roster) => MembershipBody | null, o: WaitOptions): Promise<void> {
    return this.#node.request((token) => ({ type: 'wish', channel: this.id, token, make }), o.signal);
  }

  read(options: ReadOptions = {}): AsyncIterable<ReadEvent> {
    return readChannel(this, this.#node.store, this.#node.hash, options);
  }

  currentStatus(): ChannelStatus {
    const st = this.state;
    const { state, ...view } = this.view();
    return {
      channel: this.id,
      name: st.stored.name,
      relays: this.#relays(),
      members: st.roster.members.size,
      ...view,
      state: this.#node.offline && state !== 'removed' ? 'offline' : state,
      final: st.log.final.seq,
      head: st.log.final.hash,
    };
  }

  async *status(o: WaitOptions = {}): AsyncIterable<ChannelStatus> {
    let last = '';
    for (;;) {
      const now = this.currentStatus();
      const text = JSON.stringify(now);
      if (text !== last) {
        last = text;
        yield now;
        continue;
      }
      await this.changes.next(o.signal);
    }
  }

  #members(): MemberInfo[] {
    const online = new Set(this.view().online);
    return [...this.state.roster.members.values()].map(({ user, name, role }) => ({
      user,
      name,
      role,
      online: online.has(user),
    }));
  }

  async #invite(o: InviteOptions): Promise<string> {
    const secret = this.#node.random(32);
    const key = this.#node.publicKey(secret);
    const { uses = 1, expires = 0 } = o;
    await this.#wish((roster) => ({ kind: 'invite', base: roster.number, key, uses, expires }), o);
    const st = this.state;
    return encodeInvite(this.#node.hash, {
      channel: this.id,
      secret,
      inviter: this.#node.user,
      pinned: st.log.final,
      name: st.stored.name,
      relays: st.roster.relays,
    });
  }

  async #revoke(invite: string, o: WaitOptions): Promise<void> {
    const { channel, secret } = decodeInvite(this.#node.hash, invite);
    if (channel !== this.id) throw new ConclaveError('bad_invite', 'the invitation is for another channel');
    const key = this.#node.publicKey(secret);
    await this.#wish(
      (roster) => (roster.invites.has(key) ? { kind: 'revoke', base: roster.number, key } : null),
      o,
    );
  }

  #relays(): { url: string; connected: boolean }[] {
    return this.state.roster.relays.map((url) => ({
      url,
      connected: this.#node.linkTo(relayKeyOf(url))?.connected ?? false,
    }));
  }

  async #addRelay(url: string, o: WaitOptions): Promise<void> {
    const { key } = pinnedRelayUrl(url);
    await this.#wish((roster) => {
      const others = roster.relays.filter((r) => relayKeyOf(r) !== key);
      return roster.relays.includes(url) ? null : { kind: 'relays', base: roster.number, relays: [...others, url] };
    }, o);
  }

  async #removeRelay(url: string, o: WaitOptions): Promise<void> {
    const { key } = pinnedRelayUrl(url);
    await this.#wish((roster) => {
      const relays = roster.relays.filter((r) => relayKeyOf(r) !== key);
      return relays.length === roster.relays.length ? null : { kind: 'relays', base: roster.number, relays };
    }, o);
  }

  async importFrom(
    source: string,
    messages: AsyncIterable<{ index: number; text: string; name: string; time: number }>,
    o: WaitOptions & { onProgress?: (done: number) => void } = {},
  ): Promise<{ imported: number; skipped: number }> {
    const key = `node/import/${this.id}/${source}`;
    const stored = await this.#node.store.get(key);
    let next = stored ? decodeWhole(stored, (r) => r.u64()) : 0;
    let imported = 0;
    let skipped = 0;
    let batch: Submission[] = [];
    const flush = async (): Promise<void> => {
      if (batch.length === 0) return;
      const submissions = batch;
      batch = [];
      // The records and how far the source was read go to disk as one.
      const value = new Writer(8).u64(next).done();
      await this.#whenRoom(() => this.#submit(submissions, [{ key, value }]), o.signal);
      imported += submissions.length;
      o.onProgress?.(imported + skipped);
    };
    for await (const { index, text, name, time } of messages) {
      if (index < next) {
        skipped += 1;
        continue;
      }
      next = index + 1;
      const id = this.#node.ulid(this.#node.clock().wall);
      batch.push({ kind: 'message', id, time, body: encodeMessageBody({ text, name }) });
      if (batch.length >= IMPORT_BATCH) await flush();
    }
    await flush();
    return { imported, skipped };
  }

  /** Tries again whenever the outbox may have room. */
  async #whenRoom(attempt: () => Promise<void>, signal?: AbortSignal): Promise<void> {
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof ConclaveError) || error.code !== 'outbox_full') throw error;
        await this.changes.next(signal);
      }
    }
  }
}
