/**
 * Recognises members that contradict themselves (docs/PROTOCOL.md, section
 * "Misbehaviour"): remembers a bounded part of what was signed lately, and
 * compares what comes with it. One or two look-ups in memory for each
 * statement, none in the store; what is older than it remembers goes
 * unnoticed. What it finds is judged before it counts (denounce.ts).
 */

import { type Certificate, certificateSignatures, certifiedPoint } from './certificate.js';
import { type Chain, headersOf, type Stretch } from './chain.js';
import type { Hash } from './crypto.js';
import type { ChannelId, Digest, EpochId, Ulid, UserId } from './ids.js';
import {
  BALLOTS_WITNESSED_MAX,
  PROPOSALS_WITNESSED_MAX,
  RECORD_BYTES_WITNESSED_MAX,
  RECORDS_WITNESSED_MAX,
  TAIL_ENTRIES_MAX,
} from './limits.js';
import type { Misbehaviour, PlaceSide, StatementSide } from './misbehaviour.js';
import { type ChannelRecord, ZERO_BOOT } from './record.js';
import {
  type Ack,
  type Ballot,
  decodeAs,
  encodeStatement,
  type Propose,
  type Signed,
} from './statements.js';

type Choice = Pick<Ballot, 'kind' | 'term' | 'candidate' | 'electorate'>;

interface SeenRecord {
  readonly record: ChannelRecord;
  readonly proof: Uint8Array;
}

interface SeenProposal {
  readonly leader: UserId;
  readonly epoch: EpochId;
  readonly stretch: Stretch;
  readonly signed: StatementSide;
}

interface SeenAck {
  readonly ack: Ack;
  readonly sig: Uint8Array;
}

/** Acknowledgements under one leadership: each member's furthest on the chain here, and one that is not on it. */
interface SeenAcks {
  readonly epoch: EpochId;
  readonly on: Map<UserId, SeenAck>;
  readonly off: Map<UserId, SeenAck>;
  /** The newest of that chain. */
  cert: Certificate | null;
}

export class Witness {
  readonly #channel: ChannelId;
  /** By author, boot and counter. */
  readonly #records = new Map<UserId, Map<Ulid, Map<number, SeenRecord>>>();
  /** The same in the order in which they came, and how many came and were forgotten. */
  readonly #ring: (SeenRecord | undefined)[] = [];
  #seen = 0;
  #forgotten = 0;
  #recordBytes = 0;
  /** By voter, kind and term, oldest first. */
  readonly #ballots = new Map<
    string,
    { readonly choice: string; readonly signed: StatementSide }
  >();
  /** Proposals with headers, oldest first. */
  readonly #proposals: SeenProposal[] = [];
  #proposedHeaders = 0;
  #acks: SeenAcks | null = null;

  constructor(channel: ChannelId) {
    this.#channel = channel;
  }

  /** A record whose author's signature was verified. */
  record(record: ChannelRecord, proof: () => Uint8Array): Misbehaviour | undefined {
    const { author, boot, n, digest } = record;
    if (boot === ZERO_BOOT) return undefined;
    const ofBoot = this.#ofBoot(author, boot);
    const known = ofBoot.get(n);
    if (!known) {
      const seen = { record, proof: proof() };
      ofBoot.set(n, seen);
      return this.#remember(seen);
    }
    if (known.record.digest === digest) return undefined;
    return {
      channel: this.#channel,
      offender: author,
      offence: 'records',
      sides: [sideOf(known), sideOf({ record, proof: proof() })],
    };
  }

  #ofBoot(author: UserId, boot: Ulid): Map<number, SeenRecord> {
    const boots = this.#records.get(author) ?? new Map<Ulid, Map<number, SeenRecord>>();
    const ofBoot = boots.get(boot) ?? new Map<number, SeenRecord>();
    if (ofBoot.size === 0) {
      boots.set(boot, ofBoot);
      this.#records.set(author, boots);
    }
    return ofBoot;
  }

  #remember(seen: SeenRecord): undefined {
    const ring = this.#ring;
    if (this.#seen - this.#forgotten === RECORDS_WITNESSED_MAX) this.#forget();
    ring[this.#seen % RECORDS_WITNESSED_MAX] = seen;
    this.#seen += 1;
    this.#recordBytes += seen.record.bytes.length;
    while (this.#recordBytes > RECORD_BYTES_WITNESSED_MAX && this.#seen - this.#forgotten > 1) {
      this.#forget();
    }
  }

  /** The oldest record. */
  #forget(): void {
    const at = this.#forgotten % RECORDS_WITNESSED_MAX;
    const { author, boot, n, bytes } = this.#ring[at]!.record;
    this.#ring[at] = undefined;
    this.#forgotten += 1;
    this.#recordBytes -= bytes.length;
    const boots = this.#records.get(author)!;
    const ofBoot = boots.get(boot)!;
    ofBoot.delete(n);
    if (ofBoot.size === 0) boots.delete(boot);
    if (boots.size === 0) this.#records.delete(author);
  }

  /** Ballots for one candidate, as their voters signed them. */
  ballots(
    { kind, term, candidate, electorate }: Choice,
    signed: readonly Signed[],
  ): Misbehaviour[] {
    const found: Misbehaviour[] = [];
    const choice = candidate + electorate;
    for (const { by, statement, sig } of signed) {
      const key = [by, kind, term].join();
      const known = this.#ballots.get(key);
      if (!known) this.#ballots.set(key, { choice, signed: { statement, sig: sig.slice() } });
      else if (known.choice !== choice) {
        const sides = [known.signed, { statement, sig }] as const;
        found.push({ channel: this.#channel, offender: by, offence: 'ballots', sides });
      }
    }
    for (const oldest of this.#ballots.keys()) {
      if (this.#ballots.size <= BALLOTS_WITNESSED_MAX) break;
      this.#ballots.delete(oldest);
    }
    return found;
  }

  /** A proposal that `leader` signed, of the headers of `stretch`. */
  proposal(
    leader: UserId,
    { epoch }: Propose,
    stretch: Stretch,
    signed: StatementSide,
  ): Misbehaviour | undefined {
    const seen = { leader, epoch, stretch, signed };
    let found: Misbehaviour | undefined;
    for (const known of this.#proposals) found ??= this.#conflict(known, seen);
    // A heartbeat names only what an earlier proposal had.
    if (stretch.headers.length > 0) this.#proposals.push(seen);
    this.#proposedHeaders += stretch.headers.length;
    const isFull = (): boolean =>
      this.#proposals.length > PROPOSALS_WITNESSED_MAX || this.#proposedHeaders > TAIL_ENTRIES_MAX;
    while (this.#proposals.length > 1 && isFull()) {
      this.#proposedHeaders -= this.#proposals.shift()!.stretch.headers.length;
    }
    return found;
  }

  /** Chains that differ anywhere differ at the last place that both have. */
  #conflict(one: SeenProposal, other: SeenProposal): Misbehaviour | undefined {
    if (one.epoch !== other.epoch || one.leader !== other.leader) return undefined;
    const seq = Math.min(lastOf(one.stretch), lastOf(other.stretch));
    if (seq < Math.max(one.stretch.anchor.seq, other.stretch.anchor.seq)) return undefined;
    const sides = [placeSide(one, seq), placeSide(other, seq)] as const;
    if (sides[0].hash === sides[1].hash) return undefined;
    const convicted = { channel: this.#channel, offender: one.leader };
    return { ...convicted, offence: 'proposals', seq, sides };
  }

  /** An acknowledgement under the leadership whose entries `chain` holds. */
  ack(user: UserId, ack: Ack, sig: Uint8Array, chain: Chain): Misbehaviour | undefined {
    const here = chain.hashAt(ack.seq);
    if (here === undefined && ack.seq <= chain.tip.seq) return undefined;
    const { on, off } = this.#acksOf(ack.epoch);
    const seen = { ack, sig };
    const known = off.get(user);
    if (here === ack.hash) {
      const before = on.get(user);
      if (!before || ack.seq > before.ack.seq) on.set(user, seen);
      if (!known) return undefined;
      // The chain here may have come as far meanwhile.
      if (chain.hashAt(known.ack.seq) === known.ack.hash) off.delete(user);
      return this.#ackConflict(user, known, seen, chain);
    }
    if (!known) off.set(user, seen);
    const other = on.get(user);
    const found = other && this.#ackConflict(user, other, seen, chain);
    return found ?? (known && this.#ackConflict(user, known, seen, chain));
  }

  /**
   * A certificate whose acknowledgements were verified, of the leadership whose
   * entries `chain` holds. They are looked at one by one only where it
   * certifies another chain, or another did before.
   */
  certificate(hash: Hash, cert: Certificate, chain: Chain): Misbehaviour[] {
    const here = chain.hashAt(cert.seq);
    if (here === undefined) return [];
    const acks = this.#acksOf(cert.epoch);
    if (here === certifiedPoint(hash, cert).hash) {
      acks.cert = cert;
      const isOdd = acks.off.size > 0 && cert.acks.some(({ user }) => acks.off.has(user));
      return isOdd ? this.#ofCertificate(hash, cert, chain) : [];
    }
    const known = acks.cert ? this.#ofCertificate(hash, acks.cert, chain) : [];
    return [...known, ...this.#ofCertificate(hash, cert, chain)];
  }

  #ofCertificate(hash: Hash, cert: Certificate, chain: Chain): Misbehaviour[] {
    const found: Misbehaviour[] = [];
    for (const { by, statement, sig } of certificateSignatures(hash, cert)) {
      const one = this.ack(by, decodeAs('ack', statement), sig, chain);
      if (one) found.push(one);
    }
    return found;
  }

  /** Of another leadership than before: what is known of that is forgotten. */
  #acksOf(epoch: EpochId): SeenAcks {
    if (this.#acks?.epoch !== epoch) {
      this.#acks = { epoch, on: new Map(), off: new Map(), cert: null };
    }
    return this.#acks!;
  }

  /** Two points that no one chain has; where they lie apart, as far as `chain` leads from one to the other. */
  #ackConflict(user: UserId, one: SeenAck, other: SeenAck, chain: Chain): Misbehaviour | undefined {
    const [low, high] = one.ack.seq <= other.ack.seq ? [one, other] : [other, one];
    const { seq } = low.ack;
    const length = high.ack.seq - seq;
    const between = length === 0 ? high.ack.hash : chain.hashAt(seq);
    if (between === undefined || between === low.ack.hash) return undefined;
    if (length > TAIL_ENTRIES_MAX) return undefined;
    if (length > 0 && chain.hashAt(high.ack.seq) !== high.ack.hash) return undefined;
    const headers = length === 0 ? [] : headersOf(chain, seq + 1, high.ack.seq);
    if (headers.length !== length || headers.some((header) => header === undefined))
      return undefined;
    return {
      channel: this.#channel,
      offender: user,
      offence: 'acknowledgements',
      seq,
      sides: [
        { hash: low.ack.hash, headers: [], ...signedAck(low) },
        { hash: between, headers, ...signedAck(high) },
      ],
    };
  }
}

const signedAck = ({ ack, sig }: SeenAck): StatementSide => ({
  statement: encodeStatement(ack),
  sig,
});

const sideOf = ({ record, proof }: SeenRecord) => ({ record: record.bytes, proof });

const lastOf = ({ anchor, headers }: Stretch): number => anchor.seq + headers.length;

function placeSide({ stretch, signed }: SeenProposal, seq: number): PlaceSide {
  const { anchor, headers, hashes } = stretch;
  const at = seq - anchor.seq;
  const hash: Digest = at === 0 ? anchor.hash : hashes[at - 1]!;
  return { hash, headers: headers.slice(at), ...signed };
}
