/**
 * Short names for what a run is about, for people: members by their index,
 * epochs by term and leader, records by what they say. Names are learned from
 * the events of a run (observer.ts), so a reader needs no table of digests.
 */

import type { Outgoing } from '../core/commands.js';
import type { Hash } from '../core/crypto.js';
import { decodeElectionProof } from '../core/epoch-record.js';
import type { Digest, EpochId, Ulid, UserId } from '../core/ids.js';
import { decodeOffer, decodeRawEntry, decodeRun } from '../core/layout.js';
import { type ChannelRecord, decodeRecord } from '../core/record.js';
import {
  decodeMembership,
  isLeaderKind,
  isMembership,
  joinSignatures,
  replaceSignatures,
} from '../core/roster.js';
import type { EpochKind } from '../core/statements.js';
import type { StoreOp } from '../core/store.js';
import { decodeMessageBody } from '../node/message-body.js';
import type { SimEvent } from './observer.js';

const TEXT_CHARS_MAX = 32;
/** Enough for so many characters, and the name that is shown with them. */
const BODY_BYTES_MAX = 256;
const PRINTABLE = /^[\p{L}\p{N}\p{P}\p{S} ]+$/u;

/** The first digits of an identifier. */
export const short = (id: string): string => id.slice(0, 6);

const unknownHash: Hash = () => {
  throw new Error('names are learned from the start of a run');
};

export class Names {
  #hash: Hash = unknownHash;
  #users: ReadonlyMap<UserId, number> = new Map();
  readonly #records = new Map<Digest, string>();
  readonly #epochs = new Map<EpochId, string>();
  /** Messages by the id that their author gave them: the author's first, second … */
  readonly #posted = new Map<Ulid, string>();
  readonly #count = new Map<number, number>();

  decoded(bytes: Uint8Array): ChannelRecord {
    return decodeRecord(this.#hash, bytes);
  }

  /** A message that was posted; by what it says, once its digest is known. */
  message(id: Ulid, digest: Digest | undefined): string {
    const said = digest && this.#records.get(digest);
    return said ?? this.#posted.get(id) ?? short(id);
  }

  /** The record in these bytes, as the run's hash names it. */
  recordIn(bytes: Uint8Array): string {
    return this.record(decodeRecord(this.#hash, bytes).digest);
  }

  offerIn(bytes: Uint8Array): string {
    return this.record(decodeOffer(this.#hash, bytes).record.digest);
  }

  user(id: UserId): string {
    const index = this.#users.get(id);
    return index === undefined ? short(id) : String(index);
  }

  /** `0 1 4`, in order. */
  users(ids: Iterable<UserId>): string {
    return [...ids]
      .map((id) => this.user(id))
      .sort(byNumber)
      .join(' ');
  }

  epoch(id: EpochId): string {
    return this.#epochs.get(id) ?? `epoch ${short(id)}`;
  }

  record(digest: Digest): string {
    return this.#records.get(digest) ?? short(digest);
  }

  records(digests: readonly Digest[]): string {
    return shortList(digests.map((digest) => this.record(digest)));
  }

  /** Takes in what an event shows. */
  learn(event: SimEvent): void {
    switch (event.type) {
      case 'begins':
        this.#hash = event.hash;
        this.#users = new Map(event.users.map((user, index) => [user, index]));
        return;
      case 'posted':
        for (const id of event.ids) {
          const n = (this.#count.get(event.node) ?? 0) + 1;
          this.#count.set(event.node, n);
          this.#posted.set(id, `m${event.node}.${n}`);
        }
        return;
      case 'state': {
        const { epoch } = event.view;
        if (epoch) this.#learnEpoch(epoch.id, epoch.kind, epoch.term, String(epoch.leader));
        return;
      }
      case 'says':
        return this.#learnCommand(event.command);
      case 'durable':
        for (const op of event.ops) this.#learnOp(op);
    }
  }

  #learnEpoch(id: EpochId, kind: EpochKind, term: number, leader: string): void {
    if (this.#epochs.has(id)) return;
    this.#epochs.set(id, `${kind === 'online' ? 'online ' : ''}term ${term} of ${leader}`);
  }

  #learnCommand(command: Outgoing): void {
    try {
      this.#readCommand(command);
    } catch {
      // What can't be read names nothing.
    }
  }

  #readCommand({ name, payload }: Outgoing): void {
    if (name === 'CH_MSG') {
      const { batch, each } = payload;
      for (const bytes of [...(batch?.records ?? []), ...(each?.records ?? [])]) {
        this.#learnRecord(decodeRecord(this.#hash, bytes));
      }
    } else if (name === 'CH_MERGE') {
      const { id, epoch } = decodeElectionProof(this.#hash, payload.id, payload.proof);
      this.#learnEpoch(id, epoch.kind, epoch.term, this.user(epoch.leader));
    }
  }

  #learnOp({ key, value }: StoreOp): void {
    if (!value) return;
    const folder = key.split('/')[2];
    if (folder === 'out' || folder === 'pool') {
      this.#learnRecord(decodeOffer(this.#hash, value).record);
    } else if (folder === 'place') {
      for (const { header, record } of decodeRun(value)) {
        if (record.length > 0 && !this.#records.has(header.digest))
          this.#learnRecord(decodeRecord(this.#hash, record));
      }
    } else if (folder === 'log') {
      const raw = decodeRawEntry(value);
      if (!this.#records.has(raw.header.digest))
        this.#learnRecord(decodeRecord(this.#hash, raw.record));
    }
  }

  #learnRecord(record: ChannelRecord): void {
    if (!this.#records.has(record.digest)) this.#records.set(record.digest, this.#label(record));
  }

  #label({ kind, body, id, author, n }: ChannelRecord): string {
    if (kind === 'message') {
      const text = textOf(body);
      return text ? `"${text}"` : (this.#posted.get(id) ?? `message ${n} of ${this.user(author)}`);
    }
    if (!isMembership(kind))
      return isLeaderKind(kind) ? `${kind} record of ${this.user(author)}` : kind;
    const change = decodeMembership(kind, body);
    switch (change.kind) {
      case 'join':
        return `join of ${this.user(joinSignatures(change).request.user)}`;
      case 'vote':
        return `vote for ${this.user(change.user)}`;
      case 'leave':
        return `leave of ${this.user(author)}`;
      case 'remove':
        return `removal of ${this.user(change.user)}`;
      case 'replace': {
        const { old, user } = replaceSignatures(change).request;
        return `replacement of ${this.user(old)} by ${this.user(user)}`;
      }
      case 'role':
        return `role of ${this.user(change.user)}: ${change.role}`;
      case 'invite':
        return change.invitee ? `invite for ${this.user(change.invitee)}` : kind;
      default:
        return kind;
    }
  }
}

/** All of a few names, the first and the last of many. */
export function shortList(names: readonly string[]): string {
  if (names.length <= 4) return names.join(', ');
  return `${names[0]} … ${names.at(-1)} (${names.length})`;
}

/** What a message of an application says, or one whose body is its text; if that is short. */
function textOf(body: Uint8Array): string | undefined {
  if (body.length === 0 || body.length > BODY_BYTES_MAX) return undefined;
  const text = decodeMessageBody(body)?.text ?? new TextDecoder().decode(body);
  return text.length <= TEXT_CHARS_MAX && PRINTABLE.test(text) ? text : undefined;
}

function byNumber(a: string, b: string): number {
  return Number(a) - Number(b) || (a < b ? -1 : 1);
}
