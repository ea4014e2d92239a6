/**
 * What must hold after every step on every node, dead ones' disks included
 * (docs/PROTOCOL.md, section "Invariants", by their numbers there):
 *
 *   1  at most one roster leader a term
 *   2  one ballot per voter and term, over crashes
 *   3  the same leadership, seq and hash mean the same prefix
 *   4  of two final logs one is a prefix of the other
 *   5  a roster leader holds all that was final in a lower term
 *   7  nothing is acknowledged, voted or claimed before it is durable
 *   9  every record once, after its `prev`
 *
 * An entry counts as final here as soon as acknowledgements that amount to a
 * final certificate have left their nodes, whether or not anyone got them.
 */

import { certificateSignatures, decodeCertificate } from '../core/certificate.js';
import type { Outgoing } from '../core/commands.js';
import type { Hash } from '../core/crypto.js';
import type { CoreEvent, Ready } from '../core/effects.js';
import type { ChannelId, Digest, UserId } from '../core/ids.js';
import {
  type ChannelKeys,
  channelKeys,
  decodeFinal,
  decodeHardState,
  decodeOffer,
  decodePlace,
  decodePoint,
  decodeRawEntry,
} from '../core/layout.js';
import { isMessageLane } from '../core/log.js';
import type { Input } from '../core/machine.js';
import { isMajority, majorityPosition } from '../core/quorum.js';
import { decodeRecord } from '../core/record.js';
import { voters } from '../core/roster.js';
import { type Ack, type Ballot, decodeAs } from '../core/statements.js';
import type { StoreOp } from '../core/store.js';
import { type Break, type ChainEntry, Chains } from './chains.js';
import type { SimNode } from './sim-node.js';

interface Leader {
  readonly node: number;
  readonly epoch: string;
  readonly tip: ChainEntry;
}

interface Placed {
  readonly entry: ChainEntry;
  /** Lowest term under which it is known to be final. */
  term: number;
}

export class Invariants {
  readonly #channel: ChannelId;
  readonly #keys: ChannelKeys;
  readonly #break: Break;
  readonly #hash: Hash;
  readonly chains: Chains;
  readonly #leaders = new Map<number, Leader>();
  readonly #ballots = new Map<string, string>();
  /** The final log: what any node called final, or what could be certified so. */
  readonly final: Placed[] = [];
  /** Voters of each roster, by its hash. */
  readonly #voters = new Map<Digest, readonly UserId[]>();
  readonly #acks = new Map<string, Map<UserId, Ack>>();
  /** What each node's batches made of its log, written or not. */
  readonly #tips = new Map<number, Map<number, Digest>>();
  /** Own messages, by `node/digest`, that were durable once. */
  readonly #ownDurable = new Set<string>();
  readonly #finalOf = new Map<number, number>();

  constructor(hash: Hash, channel: ChannelId, founder: UserId, onBreak: Break) {
    this.#hash = hash;
    this.#channel = channel;
    this.#keys = channelKeys(channel);
    this.#break = onBreak;
    this.chains = new Chains(hash, channel, founder, onBreak);
  }

  /** Leaderships seen so far. */
  get terms(): number {
    return this.#leaders.size;
  }

  /** A node booted: what it knows is what its disk holds. */
  started(node: SimNode): void {
    const log = new Map<number, Digest>();
    for (const [, value] of node.disk.scan(this.#keys.logs)) {
      const { seq, hash } = decodeRawEntry(value);
      log.set(seq, hash);
    }
    this.#tips.set(node.index, log);
    const final = node.disk.get(this.#keys.final);
    this.#finalOf.set(node.index, final ? decodeFinal(final).seq : 0);
  }

  stepped(node: SimNode, inputs: readonly Input[], _ready: Ready): void {
    const st = node.state(this.#channel);
    if (!st) return;
    if (!this.#voters.has(st.roster.hash)) this.#voters.set(st.roster.hash, voters(st.roster));
    for (const input of inputs) {
      if (input.type === 'own-ack') this.#acknowledged(node.user, input.ack);
      if (input.type === 'own-ballot') this.#voted(node.user, input.ballot);
    }
  }

  #leads(node: SimNode): void {
    const st = node.state(this.#channel);
    if (!st?.leading || !st.leadership) return;
    const { id, epoch } = st.leadership;
    if (epoch.kind === 'online') return;
    const known = this.#leaders.get(epoch.term);
    if (known) {
      if (known.epoch !== id) {
        this.#break(
          '1 one leader',
          `nodes ${known.node} and ${node.index} both lead term ${epoch.term}`,
        );
      }
      return;
    }
    const before = st.log.hashAt(st.leading.firstSeq - 1);
    const tip = before === undefined ? undefined : this.chains.get(before);
    if (!tip) return this.#break('5 leader completeness', 'a leader starts from an unknown entry');
    const leader = { node: node.index, epoch: id, tip };
    this.#leaders.set(epoch.term, leader);
    for (const placed of this.final) this.#checkHolds(epoch.term, leader, placed);
  }

  /** Invariant 5. */
  #checkHolds(term: number, leader: Leader, { entry, term: finalIn }: Placed): void {
    if (finalIn >= term) return;
    if (this.chains.at(leader.tip, entry.seq) !== entry) {
      this.#break(
        '5 leader completeness',
        `node ${leader.node} leads term ${term} without entry ${entry.seq}, final in term ${finalIn}`,
      );
    }
  }

  /** A batch goes to the disk: the node's log as it is from now on. */
  writing(node: SimNode, ops: readonly StoreOp[]): void {
    const log = this.#tips.get(node.index)!;
    for (const { key, value } of ops) {
      if (!key.startsWith(this.#keys.logs)) continue;
      const seq = Number.parseInt(key.slice(this.#keys.logs.length), 16);
      if (!value) {
        log.delete(seq);
        continue;
      }
      const before = seq === 1 ? this.chains.start : log.get(seq - 1);
      const entry = before === undefined ? undefined : this.chains.add(before, value);
      if (!entry) return this.#break('3 log matching', `entry ${seq} was written behind a gap`);
      log.set(seq, entry.hash);
    }
    for (const { key, value } of ops) {
      if (key === this.#keys.final && value) this.#isFinalAt(node, value);
    }
    this.#leads(node);
  }

  #isFinalAt(node: SimNode, value: Uint8Array): void {
    const { seq, hash, cert } = decodeFinal(value);
    const before = this.#finalOf.get(node.index) ?? 0;
    if (seq <= before) this.#break('4 final', `the final point of node ${node.index} moved back`);
    this.#finalOf.set(node.index, seq);
    if (this.#tips.get(node.index)!.get(seq) !== hash) {
      this.#break('4 final', `node ${node.index} calls an entry final that its log does not hold`);
    }
    const entry = this.chains.get(hash);
    if (entry) this.#isFinal(entry, decodeCertificate(cert).term);
    this.#checkCertificate(cert);
  }

  /** Invariant 4: everything up to `entry` is final. */
  #isFinal(entry: ChainEntry, term: number): void {
    const news: ChainEntry[] = [];
    let at: ChainEntry | null = entry;
    while (at && at.seq > 0) {
      const known: Placed | undefined = this.final[at.seq - 1];
      if (known && known.entry !== at) {
        return this.#break('4 final', `two entries are final at seq ${at.seq}`);
      }
      if (known && known.term <= term) break;
      if (known) known.term = term;
      else news.push(at);
      at = at.previous;
    }
    for (const e of news.reverse()) this.final.push({ entry: e, term });
    for (const [leaderTerm, leader] of this.#leaders) {
      this.#checkHolds(leaderTerm, leader, { entry, term });
    }
  }

  /** Invariant 6, as far as rosters were seen: a majority, each counted once. */
  #checkCertificate(bytes: Uint8Array): void {
    const cert = decodeCertificate(bytes);
    const all = this.#voters.get(cert.rosterHash);
    if (!all) return;
    const counted = new Set(cert.acks.map((a) => a.user).filter((u) => all.includes(u)));
    if (counted.size !== cert.acks.length || !isMajority(counted.size, all.length)) {
      this.#break('6 certificates', `a certificate at seq ${cert.seq} counts no majority`);
    }
    if (cert.head.epoch !== cert.epoch) {
      this.#break('6 certificates', `a certificate at seq ${cert.seq} is over an older entry`);
    }
  }

  /** Invariants 2 and 7: a command leaves `node`. */
  sending(node: SimNode, command: Outgoing): void {
    switch (command.name) {
      case 'ACK_CH_MSG': {
        const ack = decodeAs('ack', command.payload.s);
        // What is sent again was durable when it was given; a later leader may have replaced it.
        if (!command.payload.re) this.#checkDurable(node, ack, 'acknowledges');
        return this.#acknowledged(node.user, ack);
      }
      case 'CH_VOTE':
        if (command.payload.ballot) {
          const ballot = decodeAs('ballot', command.payload.ballot.s);
          this.#checkPromise(node, ballot);
          this.#voted(node.user, ballot);
        }
        return;
      case 'CH_COMMIT':
        return this.#claims(node, command.payload.cert);
      case 'CH_MSG':
        if (command.payload.batch?.author === node.user)
          this.#checkOwn(node, command.payload.batch);
        return;
    }
  }

  #acknowledged(user: UserId, ack: Ack): void {
    const id = `${ack.epoch}${ack.rosterHash}`;
    const acks = this.#acks.get(id) ?? new Map<UserId, Ack>();
    this.#acks.set(id, acks);
    if ((acks.get(user)?.seq ?? 0) >= ack.seq) return;
    acks.set(user, ack);
    const all = this.#voters.get(ack.rosterHash);
    if (!all || ack.kind === 'online') return;
    const seq = majorityPosition(all.map((u) => acks.get(u)?.seq ?? 0));
    const holder = [...acks.values()].find((a) => a.seq >= seq);
    const tip = holder && this.chains.get(holder.hash);
    if (!tip || seq === 0) return;
    const entry = this.chains.at(tip, seq);
    if (entry?.epoch === ack.epoch) this.#isFinal(entry, ack.term);
  }

  #voted(user: UserId, b: Ballot): void {
    const place = `${user}/${b.kind}/${b.term}`;
    const vote = `${b.candidate}/${b.electorate}`;
    const known = this.#ballots.get(place);
    if (known !== undefined && known !== vote) {
      this.#break('2 one ballot', `${user.slice(0, 8)} voted twice in term ${b.term}`);
    }
    this.#ballots.set(place, vote);
  }

  #checkDurable(node: SimNode, ack: Ack, what: string): void {
    const hard = node.disk.durable(this.#keys.hard);
    if (!this.#holdsAcknowledged(node, ack)) {
      this.#break(
        '7 durable first',
        `node ${node.index} ${what} seq ${ack.seq} before it is durable`,
      );
    }
    if (!hard || decodeHardState(hard)[ack.kind].term < ack.term) {
      this.#break(
        '7 durable first',
        `node ${node.index} ${what} in term ${ack.term} before its promise is durable`,
      );
    }
  }

  /** Whether the disk holds the chain up to what is acknowledged: in the log, or in the branch of its epoch. */
  #holdsAcknowledged(node: SimNode, ack: Ack): boolean {
    if (ack.kind === 'roster') {
      const stored = node.disk.durable(this.#keys.log(ack.seq));
      return stored !== undefined && decodeRawEntry(stored).hash === ack.hash;
    }
    if (ack.seq === 0) return true;
    const stored = node.disk.durable(this.#keys.place(ack.epoch, ack.seq));
    if (stored !== undefined) return decodePlace(stored).hash === ack.hash;
    // Places at the front go once their records are final; the branch says where it begins since.
    const base = node.disk.durable(this.#keys.branch(ack.epoch));
    return base !== undefined && decodePoint(base).hash === ack.hash;
  }

  #checkPromise(node: SimNode, b: Ballot): void {
    const stored = node.disk.durable(this.#keys.hard);
    const hard = stored && decodeHardState(stored)[b.kind];
    const isKept =
      hard &&
      (hard.term > b.term ||
        (hard.term === b.term &&
          hard.votedFor?.candidate === b.candidate &&
          hard.votedFor.electorate === b.electorate));
    if (!isKept) {
      this.#break('7 durable first', `node ${node.index} votes before its promise is durable`);
    }
  }

  /** A leader says committed or final: whoever it counts must have said so. */
  #claims(node: SimNode, bytes: Uint8Array): void {
    const cert = decodeCertificate(bytes);
    const id = `${cert.epoch}${cert.rosterHash}`;
    certificateSignatures(this.#hash, cert);
    for (const { user, seq } of cert.acks) {
      if ((this.#acks.get(id)?.get(user)?.seq ?? 0) < seq) {
        this.#break('7 durable first', `node ${node.index} counts an acknowledgement never given`);
      }
    }
  }

  durable(node: SimNode, ops: readonly StoreOp[]): void {
    for (const { key, value } of ops) {
      if (!value || !key.startsWith(this.#keys.outs)) continue;
      this.#ownDurable.add(`${node.index}/${decodeOffer(this.#hash, value).record.digest}`);
    }
  }

  /** Own records leave once they are durable. */
  #checkOwn(node: SimNode, batch: { records: readonly Uint8Array[] }): void {
    for (const bytes of batch.records) {
      const record = decodeRecord(this.#hash, bytes);
      if (isMessageLane(record) && !this.#ownDurable.has(`${node.index}/${record.digest}`)) {
        this.#break('7 durable first', `node ${node.index} offers a message before it is durable`);
      }
    }
  }

  /** What the node's application is told must be so, and durable. */
  event(node: SimNode, event: CoreEvent): void {
    if (event.type !== 'progress' || event.state !== 'final') return;
    const placed = event.seq === null ? undefined : this.final[event.seq - 1];
    if (placed?.entry.digest !== event.digest) {
      this.#break('4 final', `node ${node.index} reports a record as final where it is not`);
    }
    const stored = node.disk.durable(this.#keys.final);
    if (!stored || decodeFinal(stored).seq < event.seq!) {
      this.#break('7 durable first', `node ${node.index} reports final before it is durable`);
    }
  }
}
