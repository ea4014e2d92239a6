/**
 * What must hold after every step on every node, dead ones' disks included
 * (docs/PROTOCOL.md, section "Invariants", by their numbers there):
 *
 *   1   at most one roster leader a term, by more than half of the ballots
 *   2   one ballot per voter, term and kind, over crashes
 *   4   of two final logs one is a prefix of the other
 *   5   a roster leader holds all that was final in a lower term
 *   7   nothing is acknowledged, voted or claimed before it is durable
 *   12  only ballots given under the roster in force are counted
 *   17  what a node says of a message never goes back
 *
 * Beside this: 1, 12 of elections in election-check.ts, 12 of who may be what in standing-check.ts,
 * 3, 9, 10, 12 of single entries in chains.ts and branches.ts, 3, 4, 8, 12 of batches in
 * disk-model.ts, 6 in certificate-check.ts, 11, 17 in pages.ts, 14 in convictions.ts, 16 in bounds.ts.
 *
 * An entry counts as final here as soon as acknowledgements that amount to a
 * final certificate have left their nodes, whether or not anyone got them.
 */

import { certifiedPoint, decodeCertificate } from '../core/certificate.js';
import type { Leadership } from '../core/channel-state.js';
import type { Verifier } from '../core/check-proof.js';
import type { Body, Outgoing } from '../core/commands.js';
import type { CoreEvent, Ready } from '../core/effects.js';
import { ConclaveError } from '../core/errors.js';
import type { ChannelId, Digest, EpochId, UserId } from '../core/ids.js';
import type { Input } from '../core/input.js';
import { type ChannelKeys, channelKeys, decodeFinal, decodeSigned } from '../core/layout.js';
import { isMessageLane } from '../core/log.js';
import { decodeRecord } from '../core/record.js';
import type { Roster } from '../core/roster.js';
import { type Ack, type Ballot, decodeAs } from '../core/statements.js';
import type { StoreOp } from '../core/store.js';
import type { BootBatches } from '../core/store-boots.js';
import {
  type Acknowledged,
  asGiven,
  checkOneChain,
  type GivenAck,
  reachedAlong,
} from './acks-amid-lies.js';
import { checkBounds, checkFrame } from './bounds.js';
import { Branches } from './branches.js';
import { CertificateCheck, type KnownRoster } from './certificate-check.js';
import { type Break, type ChainEntry, Chains, type Leader, type Placed } from './chains.js';
import { Committed } from './committed.js';
import { Convictions } from './convictions.js';
import { type LeastOnline, reachedByMore, votersOf } from './counting.js';
import { DiskModel } from './disk-model.js';
import { type ElectionCheck, electionCheck } from './election-check.js';
import { LeaderWatch } from './leader-watch.js';
import type { Deed } from './misdeeds.js';
import { Offences } from './offences.js';
import { OnDisk } from './on-disk.js';
import { Pages } from './pages.js';
import { PlacingWatch } from './placing-watch.js';
import { PutBack, type Verdicts } from './put-back.js';
import type { SimNode } from './sim-node.js';
import { StandingCheck } from './standing-check.js';
import { Told } from './told.js';
import type { Reach } from './topology.js';

export class Invariants {
  readonly #channel: ChannelId;
  readonly #keys: ChannelKeys;
  readonly #crypto: Verifier;
  readonly chains: Chains;
  /** What members that misbehave have signed, and so what is excused. */
  readonly offences = new Offences();
  readonly #branches: Branches;
  readonly #disks: DiskModel;
  readonly #pages: Pages;
  readonly #certificates: CertificateCheck;
  readonly #leaderWatch: LeaderWatch;
  readonly #placingWatch: PlacingWatch;
  readonly #convictions: Convictions;
  readonly #standing: StandingCheck;
  readonly #checkElection: ElectionCheck;
  readonly #leaders = new Map<number, Leader>();
  /** Leaderships that were checked when they began. */
  readonly #epochs = new Map<EpochId, Leadership['epoch']>();
  /** How far the leader of each epoch has written its log. */
  readonly #leaderTips = new Map<EpochId, ChainEntry>();
  readonly #ballots = new Map<string, string>();
  /** The final log: what any node called final, or what could be certified so. */
  readonly final: Placed[] = [];
  /** Where each record stands in it. */
  readonly finalAt = new Map<Digest, number>();
  readonly #rosters = new Map<Digest, KnownRoster>();
  #newest: Roster | undefined;
  readonly #acks = new Map<string, Acknowledged>();
  /** All of them, in a run in which a member misbehaves. */
  readonly #allAcks = new Map<string, GivenAck[]>();
  readonly #committed = new Set<ChainEntry>();
  /** Messages that were committed at some time. */
  readonly committed = new Committed(
    (digest) => this.isHeld(digest),
    () => this.offences.areNone && this.#nodes().every(({ isGone }) => !isGone),
  );
  /** Own messages, by `node/digest`, that were durable once. */
  readonly #ownDurable = new Set<string>();
  readonly #told: Told;
  readonly #putBack: PutBack;
  readonly #nodes: () => readonly SimNode[];
  readonly #onDisk: OnDisk;
  /** Then proofs on certified pages may be others than their authors' (section "What finality withstands"). */
  doRelaysLie = false;
  mayBeGone: (author: UserId) => boolean = () => false;
  leastOnline: LeastOnline = () => 1;
  readonly broke: Break;

  constructor(
    crypto: Verifier,
    channel: ChannelId,
    founder: UserId,
    nodes: () => readonly SimNode[],
    { broke, beyond }: Verdicts,
  ) {
    const onBreak: Break = (invariant, message) => {
      const excuse = this.#putBack.excuse(invariant);
      if (excuse) beyond(`${excuse}: ${message}`);
      else broke(invariant, message);
    };
    this.#nodes = nodes;
    this.#putBack = new PutBack(nodes, (user) => this.offences.isHonest(user), broke);
    this.#crypto = crypto;
    this.#channel = channel;
    this.#keys = channelKeys(channel);
    this.#onDisk = new OnDisk(this.#keys, onBreak);
    this.broke = onBreak;
    this.chains = new Chains(crypto, channel, founder, onBreak);
    this.chains.mayHaveFalseProofs = () => this.offences.haveFalsePages || this.doRelaysLie;
    this.chains.isForked = () => this.offences.isForked;
    this.chains.leastOnline = (members) => this.leastOnline(members);
    this.chains.electorateOf = (epoch) => this.#epochs.get(epoch)?.electorate;
    this.chains.hasTwoChains = (epoch) => this.offences.hasTwoChains(epoch);
    this.#branches = new Branches(this.#crypto.sha256, this.chains, this.finalAt, onBreak);
    this.#disks = new DiskModel(
      this.#crypto.sha256,
      this.#keys,
      this.chains,
      this.#branches,
      this.finalAt,
      (index) => this.#mayGive(nodes()[index]!),
      (digest) => this.mayBeWithheld(digest),
      onBreak,
    );
    this.#pages = new Pages(this.finalAt, (digest) => this.mayBeWithheld(digest), onBreak);
    this.#told = new Told(onBreak);
    this.#leaderWatch = new LeaderWatch(onBreak);
    this.#placingWatch = new PlacingWatch(onBreak);
    const isHonest = (user: UserId): boolean => this.offences.isHonest(user);
    const isExcused = (user: UserId): boolean => this.#putBack.mayUserContradict(user);
    this.#convictions = new Convictions(crypto, isHonest, isExcused, broke);
    this.#standing = new StandingCheck(founder, this.final, onBreak);
    this.#checkElection = electionCheck(crypto, this.#rosters, onBreak);
    this.#certificates = new CertificateCheck(
      crypto,
      this.chains,
      this.#rosters,
      this.#epochs,
      onBreak,
    );
  }

  /** Roster leaderships seen so far. */
  get terms(): number {
    return this.#leaders.size;
  }

  /** A node lost power: it has what its disk holds. */
  lost(node: SimNode): void {
    this.#disks.started(node.index, (prefix) => node.disk.scan(prefix));
  }

  /** It booted. */
  started(node: SimNode): void {
    this.lost(node);
    this.#told.started(node.index);
    // A node may have lost power between writing an acknowledgement and giving it: then it gives it now.
    for (const [, value] of node.disk.scan(this.#keys.acks)) {
      this.#acknowledged(node.user, decodeAs('ack', decodeSigned(value).statement));
    }
    this.#leaderWatch.started(node.index);
    this.#convictions.started(node.index);
  }

  /** A node's disk was put back, or lost: what it alone held is gone. */
  forgot(node: SimNode, before: readonly BootBatches[]): void {
    this.#putBack.restored(node, before);
    this.started(node);
    this.#pages.forget(node.index);
    this.committed.forget();
  }

  /** From now on a node may do such things: what it alone holds nobody may ever get. */
  mayMisbehave(node: SimNode, deeds: readonly Deed[]): void {
    this.offences.mayDo(node.user, deeds);
    this.committed.forget();
  }

  /** Why the channel can't come to rest, whatever the product does. */
  irreparable(reach: Reach): string | undefined {
    return (
      this.#putBack.irreparable(this.#channel, reach, this.#newest?.number ?? 0) ??
      this.offences.stalling(this.#nodes(), this.#channel)
    );
  }

  mayBeWithheld(digest: Digest): boolean {
    const author = this.#branches.messages.get(digest)?.author;
    return author !== undefined && this.mayBeGone(author);
  }

  /** Whether others would get what a node holds: it is honest and there, and nobody knows that it is no member any more. */
  #mayGive({ user, isGone }: SimNode): boolean {
    return this.offences.isHonest(user) && !isGone && this.#newest?.members.has(user) !== false;
  }

  /** It is final, or on the disk of a member that would give it. */
  isHeld(digest: Digest): boolean {
    return this.finalAt.has(digest) || this.#disks.isHeld(digest);
  }

  stepped(node: SimNode, inputs: readonly Input[], ready: Ready): void {
    const st = node.state(this.#channel);
    if (!st) return;
    if (st.memory) this.#putBack.noticed(node, st);
    const { roster } = st;
    if (!this.#rosters.has(roster.hash)) {
      this.#rosters.set(roster.hash, { roster, voters: votersOf(roster) });
      if (roster.number > (this.#newest?.number ?? 0)) this.#newest = roster;
      // What only who left, or was removed, holds nobody may ever get.
      this.committed.forget();
    }
    for (const input of inputs) {
      if (input.type === 'own-ack') {
        this.#putBack.signed(node, node.user);
        this.#acknowledged(node.user, input.ack);
      }
      if (input.type === 'own-ballot') this.#voted(node, input.ballot);
    }
    checkBounds(node.index, st, this.broke);
    this.#convictions.stepped(node, st, inputs);
    if (!this.offences.isForked) this.#standing.stepped(node.index, st);
    this.#leaderWatch.stepped(node.index, st, inputs, ready);
    this.#placingWatch.stepped(node, this.#channel, this.leastOnline);
    if (ready.ops.length === 0) this.#leads(node);
  }

  #leads(node: SimNode): void {
    const st = node.state(this.#channel);
    const lead = st?.leadership;
    if (!st?.leading || !lead || this.#epochs.has(lead.id)) return;
    this.#epochs.set(lead.id, lead.epoch);
    this.#checkElection(node.index, this.leastOnline, lead);
    const { term, kind } = lead.epoch;
    if (kind === 'online') return;
    const known = this.#leaders.get(term);
    if (known) {
      const ballots = lead.ballots.map(({ user }) => user);
      if (this.offences.excuseTwoLeaders(kind, term, ballots, known.ballots)) return;
      this.broke('1 one leader', `nodes ${known.node} and ${node.index} both lead term ${term}`);
      return;
    }
    const before = st.log.hashAt(st.leading.firstSeq - 1);
    const tip = before === undefined ? undefined : this.chains.get(before);
    if (!tip) return this.broke('5 leader completeness', 'a leader starts from an unknown entry');
    const ballots = lead.ballots.map(({ user }) => user);
    const leader = { node: node.index, epoch: lead.id, tip, ballots };
    this.#leaders.set(term, leader);
    for (const placed of this.final) this.#checkHolds(term, leader, placed);
  }

  /** Invariant 5. */
  #checkHolds(term: number, leader: Leader, { entry, term: finalIn }: Placed): void {
    if (finalIn >= term || this.offences.isForked) return;
    if (this.chains.at(leader.tip, entry.seq) !== entry) {
      if (this.offences.mayFork(term)) return;
      this.broke(
        '5 leader completeness',
        `node ${leader.node} leads term ${term} without entry ${entry.seq}, final in term ${finalIn}`,
      );
    }
  }

  /** A batch goes to the disk: the node's log as it is from now on. */
  writing(node: SimNode, ops: readonly StoreOp[]): void {
    this.#disks.write(node.index, ops);
    for (const { key, value } of ops) {
      if (!value) continue;
      if (key === this.#keys.final) this.#isFinalAt(node, value);
      else if (
        key.startsWith(this.#keys.certs) ||
        key.startsWith(this.#keys.commits) ||
        key === this.#keys.committed
      ) {
        this.#certificates.check(node.index, value);
      }
    }
    this.#leads(node);
    const st = node.state(this.#channel);
    if (!st?.leading || !st.leadership) return;
    const tip = this.#disks.at(node.index, st.log.tip.seq);
    if (tip) this.#leaderTips.set(st.leadership.id, tip);
  }

  #isFinalAt(node: SimNode, value: Uint8Array): void {
    const { seq, hash, cert } = decodeFinal(value);
    const { index } = node;
    const entry = this.#disks.at(index, seq);
    if (entry?.hash !== hash) {
      return this.broke('4 final', `node ${index} calls final what its log does not hold`);
    }
    const certificate = this.#certificates.check(index, cert);
    const { term } = certificate;
    if (certifiedPoint(this.#crypto.sha256, certificate).hash !== hash) {
      this.broke('4 final', `node ${index} calls seq ${seq} final, which is not what is certified`);
    }
    this.#isFinal(entry, term);
  }

  /** Invariant 4: everything up to `entry` is final. */
  #isFinal(entry: ChainEntry, term: number): void {
    const news: ChainEntry[] = [];
    let at: ChainEntry | null = entry;
    while (at && at.seq > 0) {
      const known: Placed | undefined = this.final[at.seq - 1];
      if (known && known.entry !== at) {
        if (this.offences.mayFork(Math.max(term, known.term))) {
          this.offences.isForked = true;
          return;
        }
        return this.broke('4 final', `two entries are final at seq ${at.seq}`);
      }
      if (known && known.term <= term) break;
      if (known) known.term = term;
      else news.push(at);
      at = at.previous;
    }
    for (const e of news.reverse()) {
      this.final.push({ entry: e, term });
      this.finalAt.set(e.digest, e.seq);
    }
    for (const [leaderTerm, leader] of this.#leaders) {
      this.#checkHolds(leaderTerm, leader, { entry, term });
    }
  }

  /** Invariants 2, 7 and 16: a command leaves `node`. */
  sending(node: SimNode, command: Outgoing): void {
    switch (command.name) {
      case 'ACK_CH_MSG': {
        const ack = decodeAs('ack', command.payload.s);
        // What is sent again was durable when it was given; a later leader may have replaced it.
        if (command.payload.re) this.#checkGiven(node, ack);
        else {
          this.#onDisk.checkAck(node, ack);
          this.#checkMatches(node, ack);
        }
        const leader = this.#epochs.get(ack.epoch)?.leader;
        // What it signed before its disk was put back contradicts nothing.
        if (leader && !command.payload.re) this.#putBack.signed(node, leader);
        return this.#acknowledged(node.user, ack);
      }
      case 'CH_VOTE':
        if (command.payload.ballot) {
          const ballot = decodeAs('ballot', command.payload.ballot.s);
          this.#onDisk.checkBallot(node, ballot);
          this.#voted(node, ballot);
        }
        return;
      case 'CH_COMMIT':
        return this.#claims(node, command.payload.cert);
      case 'CH_MSG':
        checkFrame(node.index, command, this.broke);
        if (command.payload.batch?.author === node.user)
          this.#checkOwn(node, command.payload.batch);
        return;
      case 'CH_APPEND':
        return checkFrame(node.index, command, this.broke);
    }
  }

  /**
   * A command leaves that the node's core did not mean to say. What it signs
   * counts as what anybody signs; what theory gives up for it is noted.
   */
  misbehaves(node: SimNode, command: Outgoing): void {
    try {
      this.#noteDeed(node, command);
    } catch (error) {
      // What can't be read binds nobody.
      if (!(error instanceof ConclaveError)) throw error;
    }
  }

  #noteDeed(node: SimNode, { name, payload }: Outgoing): void {
    const { user } = node;
    if (name === 'ACK_CH_MSG') {
      const ack = decodeAs('ack', payload.s);
      if (!this.#crypto.isValid({ by: user, statement: payload.s, sig: payload.sig })) return;
      if (ack.kind === 'roster' && !this.#onDisk.mayAcknowledge(node, ack)) {
        this.offences.spokeFalsely(ack.term);
      }
      this.#acknowledged(user, ack);
    } else if (name === 'CH_VOTE' && payload.ballot) {
      const { s: statement, sig } = payload.ballot;
      if (!this.#crypto.isValid({ by: user, statement, sig })) return;
      const ballot = decodeAs('ballot', statement);
      if (ballot.kind === 'roster' && !this.#onDisk.isPromised(node, ballot)) {
        this.offences.spokeFalsely(ballot.term);
      }
      this.#voted(node, ballot);
    } else if (name === 'CH_PROPOSE' && this.offences.may(user, 'two-places')) {
      const { epoch, kind, term } = decodeAs('propose', payload.s);
      this.offences.placedTwice(epoch, kind, term);
    } else if (name === 'CH_REPORT' && this.offences.may(user, 'false-report')) {
      this.offences.spokeFalsely(decodeAs('report', payload.s).term);
    } else if (name === 'CH_MSG') this.#noteTwins(user, payload);
  }

  #noteTwins(user: UserId, { batch, each }: Body<'CH_MSG'>): void {
    if (!this.offences.may(user, 'two-records') && !this.offences.may(user, 'two-places')) return;
    for (const bytes of [...(batch?.records ?? []), ...(each?.records ?? [])]) {
      const record = decodeRecord(this.#crypto.sha256, bytes);
      if (record.author === user) this.offences.twins.add(record.digest);
    }
  }

  #acknowledged(user: UserId, ack: Ack): void {
    if (!this.offences.areNone) return this.#acknowledgedAmidLies(user, ack);
    const id = `${ack.epoch}${ack.rosterHash}`;
    const known = this.#acks.get(id) ?? { acks: new Map<UserId, Ack>(), final: 0, committed: 0 };
    this.#acks.set(id, known);
    const { acks } = known;
    if ((acks.get(user)?.seq ?? 0) >= ack.seq) return;
    acks.set(user, ack);
    const reached = (among: readonly UserId[]): number =>
      reachedByMore(among.map((u) => acks.get(u)?.seq ?? 0));
    const final = reached(this.#rosters.get(ack.rosterHash)?.voters ?? []);
    if (ack.kind === 'roster' && final > known.final) {
      known.final = final;
      const entry = this.#acknowledgedAt(acks, final);
      if (entry?.epoch === ack.epoch) this.#isFinal(entry, ack.term);
    }
    const committed = reached(this.#epochs.get(ack.epoch)?.electorate ?? []);
    if (committed > known.committed) {
      known.committed = committed;
      if (ack.kind === 'online') {
        const digests = this.#branches.digestsUpTo(ack.epoch, committed);
        for (const digest of digests) this.committed.add(digest);
      }
      const entry = this.#acknowledgedAt(acks, committed);
      if (entry?.epoch === ack.epoch) this.#isCommitted(entry);
    }
  }

  /** The same where not all that acknowledge need have the same chain, nor one each. */
  #acknowledgedAmidLies(user: UserId, ack: Ack): void {
    const id = `${ack.epoch}${ack.rosterHash}`;
    const all = this.#allAcks.get(id) ?? [...(this.#acks.get(id)?.acks ?? [])].map(asGiven);
    this.#allAcks.set(id, all);
    if (all.some((a) => a.user === user && a.ack.hash === ack.hash && a.ack.seq === ack.seq))
      return;
    if (this.offences.isHonest(user)) checkOneChain(this.chains, user, ack, all, this.broke);
    all.push({ user, ack });
    const known = this.#acks.get(id) ?? { acks: new Map<UserId, Ack>(), final: 0, committed: 0 };
    this.#acks.set(id, known);
    if ((known.acks.get(user)?.seq ?? 0) < ack.seq) known.acks.set(user, ack);
    const reached = (among: readonly UserId[]): number =>
      reachedByMore(among.map((u) => reachedAlong(this.chains, this.#branches, ack, u, all)));
    const voters = this.#rosters.get(ack.rosterHash)?.voters ?? [];
    const electorate = this.#epochs.get(ack.epoch)?.electorate ?? [];
    const tip = this.chains.get(ack.hash);
    const entryAt = (seq: number): ChainEntry | undefined => tip && this.chains.at(tip, seq);
    const final = ack.kind === 'roster' ? entryAt(reached(voters)) : undefined;
    if (final?.epoch === ack.epoch) this.#isFinal(final, ack.term);
    const committed = reached(electorate);
    const entry = entryAt(committed);
    if (entry?.epoch === ack.epoch) this.#isCommitted(entry);
    if (ack.kind !== 'online' || !this.#branches.hasAt(ack.epoch, ack.seq, ack.hash)) return;
    for (const digest of this.#branches.digestsUpTo(ack.epoch, committed)) {
      this.committed.add(digest);
    }
  }

  /** The entry at `seq` in the chain of whoever acknowledged so far. */
  #acknowledgedAt(acks: ReadonlyMap<UserId, Ack>, seq: number): ChainEntry | undefined {
    const holder = [...acks.values()].find((a) => a.seq >= seq);
    const tip = holder && this.chains.get(holder.hash);
    return tip && this.chains.at(tip, seq);
  }

  /** Everything up to `entry` is. */
  #isCommitted(entry: ChainEntry): void {
    for (let at: ChainEntry | null = entry; at && !this.#committed.has(at); at = at.previous) {
      this.#committed.add(at);
      if (at.isMessage) this.committed.add(at.digest);
    }
  }

  #voted(node: SimNode, b: Ballot): void {
    const { user } = node;
    this.#putBack.signed(node, b.candidate);
    const place = `${user}/${b.kind}/${b.term}`;
    const vote = `${b.candidate}/${b.electorate}`;
    const known = this.#ballots.get(place);
    if (known !== undefined && known !== vote && this.offences.may(user, 'two-votes')) {
      this.offences.votedTwice(user, b.kind, b.term);
    } else if (known !== undefined && known !== vote && !this.#putBack.mayContradict(node)) {
      this.broke('2 one ballot', `${user.slice(0, 8)} voted twice in term ${b.term}`);
    }
    this.#ballots.set(place, vote);
  }

  /** Only an acknowledgement that was given is given again: it tells what was on this disk then. */
  #checkGiven(node: SimNode, { epoch, rosterHash, seq }: Ack): void {
    const given = this.#acks.get(`${epoch}${rosterHash}`)?.acks.get(node.user);
    if ((given?.seq ?? 0) >= seq) return;
    this.broke(
      '7 durable first',
      `node ${node.index} confirms seq ${seq}, which it never acknowledged`,
    );
  }

  /** Invariant 3: what is acknowledged to a roster leader is in its log. */
  #checkMatches(node: SimNode, { kind, epoch, term, seq, hash }: Ack): void {
    const { offences } = this;
    if (kind === 'online' || offences.mayFork(term) || offences.hasTwoChains(epoch)) return;
    const tip = this.#leaderTips.get(epoch);
    const entry = this.chains.get(hash);
    if (tip && entry && this.chains.at(tip, seq) === entry) return;
    // A leader that stepped down in the very step in which it won had written nothing yet.
    if (!tip && entry && this.final[seq - 1]?.entry === entry) return;
    this.broke(
      '3 log matching',
      `node ${node.index} acknowledges seq ${seq} to the leader of term ${term}, which has another entry there`,
    );
  }

  /** A leader says committed or final: whoever it counts must have said so. */
  #claims(node: SimNode, bytes: Uint8Array): void {
    const cert = decodeCertificate(bytes);
    const id = `${cert.epoch}${cert.rosterHash}`;
    // Its own it may have given in an earlier boot.
    const own = node.disk.durable(this.#keys.ack(cert.epoch));
    if (own) this.#acknowledged(node.user, decodeAs('ack', decodeSigned(own).statement));
    for (const { user, seq } of cert.acks) {
      if ((this.#acks.get(id)?.acks.get(user)?.seq ?? 0) < seq) {
        this.broke('7 durable first', `node ${node.index} counts an acknowledgement never given`);
      }
    }
    this.#certificates.check(node.index, bytes);
  }

  durable(node: SimNode, ops: readonly StoreOp[]): void {
    for (const { key, value } of ops) {
      if (!value || !key.startsWith(this.#keys.outs)) continue;
      const digest = this.#disks.messageAt(node.index, key);
      if (digest) this.#ownDurable.add(`${node.index}/${digest}`);
    }
  }

  /** Own records leave once they are durable. */
  #checkOwn(node: SimNode, batch: { records: readonly Uint8Array[] }): void {
    for (const bytes of batch.records) {
      const record = decodeRecord(this.#crypto.sha256, bytes);
      if (isMessageLane(record) && !this.#ownDurable.has(`${node.index}/${record.digest}`)) {
        this.broke('7 durable first', `node ${node.index} offers a message before it is durable`);
      }
    }
  }

  /** What the node's application is told must be so, and durable. */
  event(node: SimNode, event: CoreEvent): void {
    if (event.type === 'changed') {
      const st = this.offences.isHonest(node.user) && node.state(this.#channel);
      if (st) this.#pages.look(node.index, st, this.#disks.of(node.index));
    }
    // What one that misbehaves is told by its own core is not judged: others answered to what it said.
    if (event.type !== 'progress' || !this.offences.isHonest(node.user)) return;
    this.#told.progress(node.index, event, () => this.#disks.isPlaced(node.index, event.digest));
    const isKnown = this.committed.has(event.digest) || !this.offences.isOfOneChain;
    if (event.state === 'committed' && !isKnown) {
      this.broke('7 durable first', `node ${node.index} reports as committed what no majority has`);
    }
    if (event.state !== 'final' || this.offences.isForked) return;
    const placed = event.seq === null ? undefined : this.final[event.seq - 1];
    if (placed?.entry.digest !== event.digest) {
      this.broke('4 final', `node ${node.index} reports a record as final where it is not`);
    }
    const stored = node.disk.durable(this.#keys.final);
    if (!stored || decodeFinal(stored).seq < event.seq!) {
      this.broke('7 durable first', `node ${node.index} reports final before it is durable`);
    }
  }
}
