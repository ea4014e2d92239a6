/**
 * Verification of a channel's log, entry by entry (docs/PROTOCOL.md, section
 * "Verification"): the chain, every signature, each epoch's election, each
 * record once and after its predecessor, and the indexes beside the log. In
 * bounded memory, whatever the length of the log.
 */

import { decodeWhole } from '../core/bytes.js';
import { recordSignatures } from '../core/certificate.js';
import { chainNext, chainStart, epochId, type Point } from '../core/chain.js';
import { ballotSignatures, decodeEpochBody, isElected } from '../core/epoch-record.js';
import type { Digest, EpochId, UserId } from '../core/ids.js';
import { decodeRawEntry, type RawEntry } from '../core/layout.js';
import { isMessageLane } from '../core/log.js';
import { decodeMergeBody } from '../core/merge-record.js';
import { type ChannelRecord, decodeRecord } from '../core/record.js';
import {
  departedBy,
  isLeaderKind,
  isMembership,
  minOnline,
  type Roster,
  voters,
} from '../core/roster.js';
import { standsIn } from '../core/standing.js';
import type { Verification } from './verification.js';

/** Entries read, and looked up in the indexes, at once. */
const PAGE_ENTRIES = 256;

export interface LogTotals {
  /** Messages, and how many of them are final. */
  readonly entries: number;
  readonly final: number;
  /** Chain hash at the last final entry. */
  readonly head: Digest;
}

export interface LogOptions {
  readonly final: Point;
  /** Seq of the last certificate kept. */
  readonly keptSeq: number;
  /** Digest of the membership record that each roster step speaks of, by its seq. */
  readonly steps: ReadonlyMap<number, Digest>;
  /** Certified points by seq, with the key that certifies. */
  readonly certified: ReadonlyMap<number, { readonly key: string; readonly hash: Digest }>;
  /** Whether the final point moved on since it was read: then the store is in use. */
  readonly hasMoved: () => Promise<boolean>;
  readonly onProgress: (entries: number) => void;
}

interface Item {
  readonly key: string;
  readonly raw: RawEntry;
  readonly record: ChannelRecord;
}

export class LogWalk {
  readonly #v: Verification;
  readonly #o: LogOptions;
  /** Digest of each author's last final message. */
  readonly tips = new Map<UserId, Digest>();
  /** Bytes of records that became final behind the last certificate kept. */
  bytesSinceKept = 0;
  #at: Point;
  #epoch: { id: EpochId; term: number; leader: UserId } | undefined;
  /** Messages that must follow the last `merge` record. */
  #merging = 0;
  /** The last merge brings something under a warrant. */
  #hasWarrant = false;
  /** Entries behind the final point, which no index knows. */
  readonly #tail = new Map<Digest, number>();
  #head: Digest;
  #entries = 0;
  #final = 0;

  constructor(v: Verification, options: LogOptions) {
    this.#v = v;
    this.#o = options;
    this.#at = { seq: 0, hash: chainStart(v.crypto.sha256, v.id) };
    this.#head = this.#at.hash;
  }

  /** The last epoch of the log, and who leads it. */
  get epoch(): { readonly id: EpochId; readonly leader: UserId } | undefined {
    return this.#epoch;
  }

  async run(): Promise<LogTotals> {
    const { keys } = this.#v;
    let page: Item[] = [];
    for await (const [key, value] of this.#v.under(keys.logs)) {
      await this.#v.check(key, () => {
        page.push(this.#decode(key, value));
      });
      if (page.length < PAGE_ENTRIES) continue;
      await this.#page(page);
      page = [];
    }
    await this.#page(page);
    const { seq } = this.#o.final;
    if (this.#at.seq < seq) {
      this.#v.problem(keys.logs, `the log ends at seq ${this.#at.seq}, its final point is ${seq}`);
    }
    return { entries: this.#entries, final: this.#final, head: this.#head };
  }

  #decode(key: string, value: Uint8Array): Item {
    const raw = decodeRawEntry(value);
    if (key !== this.#v.keys.log(raw.seq)) throw new Error('an entry under the wrong seq');
    return { key, raw, record: decodeRecord(this.#v.crypto.sha256, raw.record) };
  }

  async #page(page: readonly Item[]): Promise<void> {
    if (page.length === 0) return;
    const keys = page.map(({ record }) => this.#v.keys.placed(record.digest));
    const placed = await this.#v.store.getMany(keys).catch(() => undefined);
    for (const [i, item] of page.entries()) {
      if (await this.#isPastKnown(item.raw)) break;
      await this.#v.check(item.key, async () => {
        await this.#entry(item, placed ? placed[i] : await this.#v.store.get(keys[i]!));
      });
    }
    this.#o.onProgress(this.#at.seq);
    // The event loop gets a turn.
    await new Promise(setImmediate);
  }

  /** In a store in use, what was placed under a roster that came after the final point was read is not judged. */
  async #isPastKnown({ seq, header }: RawEntry): Promise<boolean> {
    const isTail = seq > this.#o.final.seq;
    return isTail && !this.#v.rosters[header.roster] && (await this.#o.hasMoved());
  }

  async #entry(item: Item, placed: Uint8Array | undefined): Promise<void> {
    const { key, raw, record } = item;
    this.#chain(item);
    this.#epochOf(item);
    this.#merge(item);
    this.#v.signatures(key, recordSignatures(this.#v.crypto.sha256, record, raw.proof));
    await this.#order(item);
    this.#index(item, placed);
    if (record.kind === 'message') this.#entries += 1;
    if (raw.seq <= this.#o.final.seq) this.#noteFinal(item);
    const certified = this.#o.certified.get(raw.seq);
    if (certified && certified.hash !== raw.hash) {
      this.#v.problem(certified.key, `it certifies another entry than the one at seq ${raw.seq}`);
    }
  }

  #chain({ key, raw, record }: Item): void {
    const at = this.#at;
    this.#at = { seq: raw.seq, hash: raw.hash };
    if (record.channel !== this.#v.id) this.#v.problem(key, 'its record is of another channel');
    if (record.digest !== raw.header.digest) {
      this.#v.problem(key, 'its record is not the one that the chain names');
    }
    if (raw.seq !== at.seq + 1) this.#v.problem(key, `seq ${at.seq + 1} is missing before it`);
    else if (chainNext(this.#v.crypto.sha256, at.hash, raw.seq, raw.header) !== raw.hash) {
      this.#v.problem(key, 'the chain breaks here');
    }
  }

  /** An epoch begins with the record that proves its election; what follows is of that epoch. */
  #epochOf({ key, raw, record }: Item): void {
    const { epoch, term, roster: number } = raw.header;
    const roster = this.#v.rosters[number];
    if (!roster) throw new Error(`it was placed under roster ${number}, which nothing proves`);
    const hasStanding = standsIn(roster, { record, proof: raw.proof });
    const isWarranted = this.#merging > 0 && this.#hasWarrant && isMessageLane(record);
    if (!hasStanding && !isWarranted) {
      this.#v.problem(key, 'its author was not a member, or not yet when it was signed');
    }
    if (record.kind === 'epoch') {
      if (this.#epoch && term <= this.#epoch.term) {
        this.#v.problem(key, `term ${term} begins after term ${this.#epoch.term}`);
      }
      this.#election(key, raw, record, roster);
      this.#epoch = { id: epoch, term, leader: record.author };
    } else if (this.#epoch?.id !== epoch || this.#epoch.term !== term) {
      this.#v.problem(key, 'it is of another epoch than the one that runs');
    }
  }

  #election(key: string, raw: RawEntry, record: ChannelRecord, roster: Roster): void {
    const hash = this.#v.crypto.sha256;
    const { epoch: body, ballots } = decodeEpochBody(record.body);
    const context = { channel: this.#v.id, roster: roster.number, rosterHash: roster.hash };
    const epoch = { ...context, ...body };
    if (
      epochId(hash, epoch) !== raw.header.epoch ||
      epoch.term !== raw.header.term ||
      record.author !== epoch.leader
    ) {
      this.#v.problem(key, 'the election that it proves is not that of its epoch');
    }
    if (epoch.kind !== 'roster') this.#v.problem(key, 'an online epoch has no place in the log');
    const all = voters(roster);
    if (!isElected(epoch, ballots, all, minOnline(roster))) {
      this.#v.problem(key, `${ballots.length} ballots of ${all.length} voters elect nobody`);
    }
    this.#v.signatures(key, ballotSignatures(hash, { epoch, ballots }));
  }

  /** Directly behind a `merge` record stand as many messages as it says, or all up to the next epoch. */
  #merge({ key, record }: Item): void {
    const starts = isLeaderKind(record.kind);
    if (this.#merging > 0 && record.kind !== 'epoch' && !isMessageLane(record)) {
      this.#v.problem(key, `it stands where a merge says that ${this.#merging} more messages are`);
    }
    this.#merging = starts ? 0 : Math.max(0, this.#merging - 1);
    if (record.kind !== 'merge') return;
    if (record.author !== this.#epoch?.leader) {
      this.#v.problem(key, 'a merge by somebody else than the leader');
    }
    const { entries, branches } = decodeMergeBody(record.body);
    this.#merging = entries;
    this.#hasWarrant = branches.some(({ warrant }) => warrant.length > 0);
    const named = branches.reduce((sum, branch) => sum + branch.entries, 0);
    if (named !== entries) {
      this.#v.problem(key, `it says that it moved ${entries} records, and names ${named}`);
    }
  }

  /** A message stands behind its author's previous one. */
  async #order({ key, raw, record }: Item): Promise<void> {
    const { author, prev } = record;
    if (!isMessageLane(record) || this.tips.get(author) === prev) return;
    if (this.#v.rosters.some((roster) => roster.members.get(author)?.root === prev)) return;
    const before = this.#tail.get(prev) ?? (await this.#placed(prev));
    if (before === undefined || before >= raw.seq) {
      this.#v.problem(key, "it does not follow its author's previous message");
    }
  }

  async #placed(digest: Digest): Promise<number | undefined> {
    const value = await this.#v.store.get(this.#v.keys.placed(digest));
    return value && decodeWhole(value, (r) => r.u64());
  }

  /** What is final stands in the index, at one seq; so no record is final twice. */
  #index({ key, raw, record }: Item, value: Uint8Array | undefined): void {
    const where = this.#v.keys.placed(record.digest);
    const seq = value && decodeWhole(value, (r) => r.u64());
    const known = this.#tail.get(record.digest) ?? seq;
    if (raw.seq <= this.#o.final.seq) {
      if (seq !== raw.seq) this.#v.problem(where, `the index does not know it at seq ${raw.seq}`);
      return;
    }
    if (known !== undefined && known !== raw.seq) {
      this.#v.problem(key, `its record stands at seq ${known} too`);
    }
    this.#tail.set(record.digest, raw.seq);
  }

  #noteFinal({ key, raw, record }: Item): void {
    this.#head = raw.hash;
    if (raw.seq > this.#o.keptSeq) this.bytesSinceKept += raw.record.length;
    if (record.kind === 'message') this.#final += 1;
    const isMember = this.#v.rosters[raw.header.roster]?.members.has(record.author);
    if (isMessageLane(record) && isMember) this.tips.set(record.author, record.digest);
    const departs = departedBy(record);
    if (departs) this.tips.delete(departs);
    if (isMembership(record.kind) && this.#o.steps.get(raw.seq) !== record.digest) {
      this.#v.problem(key, 'a change of membership without the step that proves it');
    }
  }
}
