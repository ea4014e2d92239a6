/**
 * The keys of one channel at work (docs/PROTOCOL.md, section "Encryption"):
 * encrypts what is sent, opens what is read, learns keys from the log, and makes
 * new ones when there is none to write under, when this node is the one to make
 * it for all, and on request.
 *
 * Promises: nothing is written under a key that is for others than those who
 * are members where it is written; what is sent keeps its order, also over the
 * making of a key; no plain text leaves here but to who reads.
 */

import type { CoreEvent, Submission } from '../core/effects.js';
import { ConclaveError } from '../core/errors.js';
import {
  FIRST_KEY_ALONE_MAX,
  FIRST_KEY_LOOK_MS,
  FIRST_KEY_LOOKS_MAX,
  KEY_ENTRIES_MAX,
  KEY_REPEAT_MS,
  KEYS_PER_AUTHOR_MAX,
} from '../core/limits.js';
import { type ChannelRecord, KEY_EPOCH_SEALED } from '../core/record.js';
import type { Also, Bodies, BodiesHost, Opened } from './bodies.js';
import {
  type ChannelKey,
  channelKey,
  type KeyId,
  keyIdOf,
  messageKeyOf,
  openBody,
  SECRET_BYTES,
  sealedBody,
  sealName,
} from './channel-cipher.js';
import { KeyLog } from './key-log.js';
import { patienceOf } from './key-turn.js';
import { Keyring } from './keyring.js';
import { KEYS_KIND, keyIdIn, keysIn, makeKeys, type Opener } from './keys-record.js';
import type { PlainSubmission } from './message-body.js';
import type { Settle } from './wait.js';

/** What it needs of the channel and its node. */
export interface KeysHost extends BodiesHost, Opener {}

/** So many entries become final between two notes of how far the log was looked through. */
const NOTED_ENTRIES = 4_096;

interface Waiting extends Settle {
  /** Its place in the order of what was sent. */
  readonly turn: number;
  readonly submissions: readonly PlainSubmission[];
  readonly also: Also;
}

const is = (error: unknown, code: string): boolean =>
  error instanceof ConclaveError && error.code === code;

export class ChannelKeys implements Bodies {
  readonly #host: KeysHost;
  readonly #ring: Keyring;
  readonly #log: KeyLog;
  /** Settles once all records that came are learned. */
  #learning: Promise<void> = Promise.resolve();
  #turn = 0;
  readonly #waiting: Waiting[] = [];
  #isFlushing = false;
  #making: Promise<KeyId> | undefined;
  /** When this node made its last key, and for which readers. */
  #made = { at: 0, readersSince: -1 };
  /** Since when a key is missing that this node may make, while one could become final. */
  #missingSince: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #namedUnder: KeyId | undefined;
  #notedUpTo = 0;
  #isLoaded = false;
  #isClosed = false;

  constructor(host: KeysHost) {
    this.#host = host;
    this.#log = new KeyLog(host.id, host.store, host.crypto.sha256);
    this.#ring = new Keyring(host, host.id, (seq) => this.#log.read(seq));
  }

  load(): Promise<void> {
    this.#learning = this.#load();
    return this.#learning;
  }

  async #load(): Promise<void> {
    const { state, mayWrite } = this.#host;
    const { log, outbox } = state();
    for await (const { record, seq } of this.#log.load(log.final.seq, mayWrite)) {
      await this.#ring.learn(record, seq, state());
    }
    await this.learnOf([...outbox.values()].map(({ pooled }) => pooled.record));
    this.#notedUpTo = log.final.seq;
    this.#isLoaded = true;
    this.#learned();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  onEvent(event: CoreEvent): void {
    const { seq: final } = this.#host.state().log.final;
    if (final - this.#notedUpTo >= NOTED_ENTRIES) this.#noteSeen(final);
    if (event.type === 'carried' && event.record.kind === KEYS_KIND) {
      const { record, seq } = event;
      this.#learn(async () => {
        if (await this.#log.note(record, seq)) {
          await this.#ring.learn(record, seq, this.#host.state());
        } else this.#ring.ignore(record);
      });
    }
    this.#consider();
  }

  /** What this step made final is told in other events of it, which come first. */
  #noteSeen(final: number): void {
    this.#notedUpTo = final;
    if (!this.#host.mayWrite) return;
    setImmediate(() => this.#learn(() => this.#log.noteSeen(final)));
  }

  #learn(some: () => Promise<void>): void {
    this.#learning = this.#learning
      .then(some)
      .then(() => this.#learned())
      .catch((error) => this.#host.failed(error));
  }

  #learned(): void {
    if (this.#isClosed) return;
    this.#tellName();
    this.#host.changed();
    this.#consider();
  }

  ready(): Promise<void> {
    return this.#learning;
  }

  async learnOf(records: readonly ChannelRecord[]): Promise<void> {
    for (const record of records) {
      if (this.#ring.isNews(record)) await this.#ring.learn(record, null, this.#host.state());
    }
  }

  isNews(record: ChannelRecord): boolean {
    return this.#ring.isNews(record);
  }

  has(id: KeyId): boolean {
    return this.#ring.has(id);
  }

  open(record: ChannelRecord): Opened {
    if (record.keyEpoch === 0) return { is: 'plain' };
    const id = record.keyEpoch === KEY_EPOCH_SEALED ? keyIdOf(record.body) : undefined;
    if (id === undefined) return { is: 'sealed', key: null };
    const key = this.#ring.get(id);
    if (!key) return { is: 'sealed', key: id };
    const body = openBody(key, record);
    return body ? { is: 'open', body } : { is: 'sealed', key: null };
  }

  async messageKey(record: ChannelRecord): Promise<Uint8Array | undefined> {
    if (record.kind !== 'message' || record.keyEpoch !== KEY_EPOCH_SEALED) return undefined;
    await this.ready();
    const id = keyIdOf(record.body);
    const key = id === undefined ? undefined : this.#ring.get(id);
    // Of a body that opens for nobody there is nothing to show.
    return key && openBody(key, record) ? messageKeyOf(key, record) : undefined;
  }

  // Sending

  submit(submissions: readonly PlainSubmission[], also: Also): Promise<void> {
    const turn = ++this.#turn;
    return new Promise((resolve, reject) => {
      const waiting = { turn, submissions, also, resolve, reject };
      // Of a part of the log it can't be told which key is for whom.
      const isFree = this.#isLoaded && this.#waiting.length === 0 && !this.#isFlushing;
      const key = isFree ? this.#ring.usable(this.#host.state()) : undefined;
      if (key) this.#give(waiting, key);
      else this.#wait(waiting);
    });
  }

  #give(waiting: Waiting, key: ChannelKey): void {
    const { submissions, also } = waiting;
    const sealed = submissions.map((s) => ({ ...s, body: this.#sealed(s, key) }));
    this.#submit(sealed, also).then(waiting.resolve, (error) => {
      if (is(error, 'readers_changed')) this.#wait(waiting);
      else waiting.reject(error);
    });
  }

  #sealed({ body }: PlainSubmission, key: ChannelKey) {
    return sealedBody(key, body, (bytes) => this.#host.random(bytes));
  }

  #submit(submissions: readonly Submission[], also: Also): Promise<void> {
    const { id: channel } = this.#host;
    const { readersSince } = this.#host.state().roster;
    const input = { type: 'submit', channel, submissions, also, readersSince } as const;
    return this.#host.request((token) => ({ ...input, token }));
  }

  #wait(waiting: Waiting): void {
    const at = this.#waiting.findIndex(({ turn }) => turn > waiting.turn);
    this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, waiting);
    if (!this.#isFlushing) void this.#flush();
  }

  async #flush(): Promise<void> {
    this.#isFlushing = true;
    try {
      while (this.#waiting.length > 0) {
        // What one step refused is all here by then.
        await new Promise((resolve) => setImmediate(resolve));
        if (!this.#isLoaded) await this.#learning;
        const key = this.#ring.usable(this.#host.state()) ?? (await this.#makeUsable());
        if (key) for (const each of this.#waiting.splice(0)) this.#give(each, key);
      }
    } catch (error) {
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    } finally {
      this.#isFlushing = false;
    }
  }

  async #makeUsable(): Promise<ChannelKey | undefined> {
    const id = await this.#make();
    const usable = this.#ring.usable(this.#host.state());
    return usable?.id === id ? usable : undefined;
  }

  // Making keys

  /** Makes a key for the present readers and puts it into this node's lane, durably; one at a time. */
  #make(): Promise<KeyId> {
    this.#making ??= this.#makeNow().finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #makeNow(): Promise<KeyId> {
    await this.#learning;
    for (;;) {
      const host = this.#host;
      const st = host.state();
      const { roster } = st;
      if (!this.#isReader()) {
        this.#checkMember();
        throw holdsNoKeys();
      }
      this.#checkRoom(st.log.final.seq);
      const random = (bytes: number): Uint8Array => host.random(bytes);
      const key = channelKey(host.crypto, host.id, random(SECRET_BYTES));
      const older = this.#ring.toCarry(st);
      const secrets = older.map(({ secret }) => secret);
      const body = await makeKeys(key, roster, host.user, secrets, random);
      if (host.state().roster.readersSince !== roster.readersSince) continue;
      try {
        this.#made = { at: host.now(), readersSince: roster.readersSince };
        await this.#submit([host.made(KEYS_KIND, body)], []);
      } catch (error) {
        if (is(error, 'readers_changed')) continue;
        throw error;
      }
      const ids = older.map(({ id }) => id);
      this.#ring.addOwn(key, roster.readersSince, ids);
      this.#learned();
      return key.id;
    }
  }

  /** Others would not take its key from one more record. */
  #checkRoom(final: number): void {
    if (this.#log.left(this.#host.user, final) > this.#ring.onTheirWay) return;
    throw new ConclaveError(
      'too_many_keys',
      `this node made ${KEYS_PER_AUTHOR_MAX} keys within ${KEY_ENTRIES_MAX} entries of the log, the most that count: ` +
        'go on once another member made one',
      { retryable: true },
    );
  }

  /** Makes the key that is missing for all once it is this node's turn. */
  #consider(): void {
    const patience = this.#isClosed ? null : this.#patience();
    if (patience === null) {
      this.#missingSince = undefined;
      return;
    }
    const now = this.#host.now();
    this.#missingSince ??= now;
    const due = Math.max(this.#missingSince + patience, this.#pausedUntil());
    if (due <= now) this.#makeUnasked();
    else {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#consider(), due - now);
    }
  }

  #patience(): number | null {
    const { mayWrite, user, state, view } = this.#host;
    const st = state();
    if (!mayWrite || this.#making || !this.#isLoaded || this.#ring.hasOwn(st)) return null;
    const makers = this.#ring.makers(st);
    return makers && patienceOf(user, makers, view());
  }

  #pausedUntil(): number {
    const { at, readersSince } = this.#made;
    const isSame = readersSince === this.#host.state().roster.readersSince;
    return isSame ? at + KEY_REPEAT_MS : 0;
  }

  #makeUnasked(): void {
    this.#missingSince = undefined;
    this.#make().catch((error) => {
      // What can't be made now is considered again with what happens next.
      if (!(error instanceof ConclaveError)) this.#host.failed(error);
    });
  }

  async rotate(signal?: AbortSignal): Promise<void> {
    await this.#making?.catch(() => {});
    for (;;) {
      const id = await this.#make();
      if (await this.#isFinal(id, signal)) return;
    }
  }

  /** Resolves once the key that this node made last is final, to false where its record came to nothing. */
  async #isFinal(id: KeyId, signal?: AbortSignal): Promise<boolean> {
    const { readersSince } = this.#made;
    for (;;) {
      await this.#learning;
      if (!this.#ring.isOnItsWay(id)) return true;
      this.#checkMember();
      const { roster, outbox } = this.#host.state();
      // Who was removed and is back has lost what was on its way.
      const isLost = roster.readersSince !== readersSince && !isIn(outbox.values(), id);
      if (isLost) {
        this.#ring.dropOwn(id);
        return false;
      }
      await this.#host.next(signal);
    }
  }

  async replace(signal?: AbortSignal): Promise<void> {
    await this.#learning;
    const st = this.#host.state();
    if (!this.#isReader()) return;
    if (!this.#ring.usable(st)) await this.#make();
    const isStuck = (state: string): boolean => state === 'waiting' || state === 'removed';
    while (!this.#ring.settled(this.#host.state()) && !isStuck(this.#host.view().state)) {
      await this.#host.next(signal);
    }
  }

  async firstKey(signal?: AbortSignal): Promise<void> {
    if (!this.#isReader()) return;
    await this.#learning;
    let alone = 0;
    for (let looks = 0; looks < FIRST_KEY_LOOKS_MAX && alone < FIRST_KEY_ALONE_MAX; looks++) {
      if (await this.#isGivenSoon(signal)) return;
      const givers = this.#ring.givers(this.#host.state()) ?? [];
      const isHelped = this.#host.view().online.some((user) => givers.includes(user));
      alone = isHelped ? 0 : alone + 1;
    }
  }

  /** Whether this node lacks no key any more, within one look. */
  async #isGivenSoon(signal: AbortSignal | undefined): Promise<boolean> {
    const look = AbortSignal.timeout(FIRST_KEY_LOOK_MS);
    const either = signal ? AbortSignal.any([signal, look]) : look;
    try {
      while (this.#ring.givers(this.#host.state()) !== null) await this.#host.next(either);
      return true;
    } catch (error) {
      if (!is(error, 'aborted') || signal?.aborted) throw error;
      return false;
    }
  }

  #isReader(): boolean {
    const { mayWrite, user, state } = this.#host;
    return mayWrite && Boolean(state().roster.members.get(user)?.sealing);
  }

  #checkMember(): void {
    if (this.#host.state().roster.members.has(this.#host.user)) return;
    throw new ConclaveError('removed', 'this node is not a member of the channel');
  }

  /** Gives the core the channel's name as relays may have it, under a key that all members have. */
  #tellName(): void {
    const { mayWrite, state, input, id: channel, random } = this.#host;
    const st = state();
    const key = mayWrite ? this.#ring.settled(st) : undefined;
    if (!key || key.id === this.#namedUnder) return;
    this.#namedUnder = key.id;
    const name = sealName(key, st.stored.name, random);
    input({ type: 'name', channel, name });
  }
}

function isIn(
  outbox: Iterable<{ readonly pooled: { readonly record: ChannelRecord } }>,
  id: KeyId,
) {
  for (const { pooled } of outbox) {
    const keys = keysIn(pooled.record);
    if (keys && keyIdIn(keys) === id) return true;
  }
  return false;
}

const holdsNoKeys = (): ConclaveError =>
  new ConclaveError(
    'no_key',
    'this member stores and never reads: it holds no key to write under. Write from another member',
  );
