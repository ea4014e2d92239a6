/**
 * What happened to one message, step by step (`conclave explain`;
 * docs/PROTOCOL.md, sections "States" and "Provisional set"): who made it, how
 * it was signed, which leaders placed it where and who acknowledged that, what
 * merge brought it into the log, and whose certificate makes it final, or what
 * it waits for.
 *
 * It is read from this node's store and state alone. What the state forgot is
 * not told: places of a branch are kept until their records are final.
 */

import type { Branch } from '../core/branch.js';
import { type Certificate, decodeCertificate } from '../core/certificate.js';
import type { Header } from '../core/chain.js';
import type { ChannelState } from '../core/channel-state.js';
import type { EpochId, UserId } from '../core/ids.js';
import { decodeFinal } from '../core/layout.js';
import { heldRecord, isOrphan } from '../core/provisional.js';
import { decodeProof } from '../core/record.js';
import { nameIn } from '../core/roster.js';
import { type ChannelView, provisional } from '../core/view.js';
import type { ExplainedLeadership, ExplainStep, Explanation, Named } from './api.js';
import type { Bodies } from './bodies.js';
import { type Found, findRecords, type LogReader } from './explain-find.js';
import { membershipIn } from './member-in.js';
import { messageIn } from './message-body.js';

export interface ExplainOptions {
  readonly log: LogReader;
  readonly bodies: Pick<Bodies, 'open' | 'ready'>;
  /** How the channel is now; undefined when no process is up on this store. */
  readonly view: ChannelView | undefined;
}

/** One explanation for each record of this id: nothing keeps others from using it again. */
export async function explain(
  st: ChannelState,
  id: string,
  o: ExplainOptions,
): Promise<Explanation[]> {
  const found = await findRecords(st, id, o.log);
  await o.bodies.ready();
  const explanations: Explanation[] = [];
  for (const each of found) explanations.push(await new Story(st, o, each).tell());
  return explanations;
}

class Story {
  readonly #st: ChannelState;
  readonly #o: ExplainOptions;
  readonly #found: Found;
  readonly #steps: ExplainStep[] = [];

  constructor(st: ChannelState, options: ExplainOptions, found: Found) {
    this.#st = st;
    this.#o = options;
    this.#found = found;
  }

  async tell(): Promise<Explanation> {
    const { record } = this.#found;
    this.#made();
    await this.#placed();
    await this.#inLog();
    const state = this.#state();
    const { id, digest, author: from, kind } = record;
    const { name = this.#named(from).name, ...shown } = messageIn(record, this.#o.bodies);
    return {
      id,
      digest,
      from,
      name,
      kind,
      ...shown,
      ...membershipIn(record, this.#st.roster),
      state,
      seq: state === 'final' ? this.#found.final!.entry.seq : null,
      steps: this.#steps,
      waits: state === 'final' ? null : waitsFor(this.#st, this.#found, this.#o.view),
    };
  }

  #named(user: UserId): Named {
    return { user, name: nameIn(this.#st.roster, user) };
  }

  #made(): void {
    const { record, proof } = this.#found;
    const { author, time, boot, n } = record;
    this.#steps.push({ step: 'made', by: this.#named(author), time, boot, n });
    if (proof.length > 0) {
      const { roster, count } = decodeProof(proof);
      this.#steps.push({ step: 'signed', roster, records: count });
    }
    if (this.#st.outbox.has(record.digest)) this.#steps.push({ step: 'queued' });
  }

  #leadership(header: Header): ExplainedLeadership {
    const epoch = this.#st.epochs.get(header.epoch)?.epoch;
    const leader = epoch ? this.#named(epoch.leader) : null;
    return { kind: epoch?.kind ?? null, term: header.term, leader };
  }

  /** Its places in branches, in the order of leaderships. */
  async #placed(): Promise<void> {
    const { digest } = this.#found.record;
    const places = [...this.#st.branches.values()].flatMap((branch) => {
      const seq = branch.seqOf(digest);
      return seq === undefined ? [] : [{ branch, seq, header: branch.headerAt(seq)! }];
    });
    places.sort((a, b) => a.header.term - b.header.term || a.seq - b.seq);
    for (const { branch, seq, header } of places) {
      const under = this.#leadership(header);
      const committed = this.#committedIn(branch, seq);
      const acknowledged = this.#hasAcknowledged(header.epoch, seq);
      const isOfLog = under.kind !== 'online';
      const where = isOfLog ? 'log' : 'branch';
      this.#steps.push({ step: 'placed', in: where, under, seq, acknowledged, committed });
      if (isOfLog) this.#steps.push({ step: 'displaced', under, seq });
    }
  }

  #hasAcknowledged(epoch: EpochId, seq: number): boolean {
    return (this.#st.acks.get(epoch)?.ack.seq ?? 0) >= seq;
  }

  #committedIn(branch: Branch, seq: number) {
    const certified = branch.certificates.find((at) => at.seq >= seq);
    return certified ? this.#certified(decodeCertificate(certified.bytes)) : null;
  }

  /** Who acknowledged what a certificate certifies, and of how many that is a majority. */
  #certified(cert: Certificate) {
    const voters = this.#st.electors[cert.roster]?.voters.length ?? 0;
    const electorate = this.#st.epochs.get(cert.epoch)?.epoch.electorate.length;
    const of = cert.kind === 'final' ? voters : (electorate ?? voters);
    return { seq: cert.seq, by: cert.acks.map(({ user }) => this.#named(user)), of };
  }

  /** Its place in the log: in the tail, or final. */
  async #inLog(): Promise<void> {
    const { final, record } = this.#found;
    const { log, logCert } = this.#st;
    const inTail = log.entryOf(record.digest);
    const entry = final?.entry ?? inTail;
    if (!entry) return;
    const merge = await this.#o.log.mergeOf(entry.seq);
    if (merge) this.#merged(merge);
    if (!final) {
      const isCertified = logCert !== null && logCert.seq >= entry.seq;
      this.#steps.push({
        step: 'placed',
        in: 'log',
        under: this.#leadership(entry.header),
        seq: entry.seq,
        acknowledged: this.#hasAcknowledged(entry.header.epoch, entry.seq),
        committed: isCertified ? this.#certified(decodeCertificate(logCert.bytes)) : null,
      });
      return;
    }
    const under: ExplainedLeadership = {
      kind: 'roster',
      term: entry.header.term,
      leader: final.leader === null ? null : this.#named(final.leader),
    };
    const cert = await this.#finalCertificate(entry.seq);
    this.#steps.push({ step: 'final', seq: entry.seq, under, certificate: cert });
  }

  #merged({ seq, by, branches }: NonNullable<Awaited<ReturnType<LogReader['mergeOf']>>>): void {
    const sources = branches.map(({ kind, term, leader, entries }) => ({
      under: { kind, term, leader: this.#named(leader) },
      entries,
    }));
    this.#steps.push({ step: 'merged', seq, by: this.#named(by), branches: sources });
  }

  /** The first certificate kept that covers it: the next one of the log's, else the newest. */
  async #finalCertificate(seq: number) {
    const { keys } = this.#st;
    const bytes = await this.#o.log.firstFrom(keys.certs, keys.cert(seq));
    if (bytes) return this.#certified(decodeCertificate(bytes));
    const final = await this.#o.log.get(keys.final);
    return final ? this.#certified(decodeCertificate(decodeFinal(final).cert)) : null;
  }

  #state(): Explanation['state'] {
    if (this.#found.final) return 'final';
    const { digest } = this.#found.record;
    return provisional(this.#st).find((e) => e.record.digest === digest)?.state ?? 'queued';
  }
}

/** Why it is not final yet, in words. */
function waitsFor(st: ChannelState, { record }: Found, view: ChannelView | undefined): string {
  if (isOrphan(st, record)) {
    return "for its author's message before it, which nobody showed this node yet";
  }
  const isPlaced = st.log.seqOf(record.digest) !== undefined;
  const isInBranch = [...st.branches.values()].some((b) => b.seqOf(record.digest) !== undefined);
  const what = isPlaced
    ? 'for more than half of the voters to acknowledge it'
    : isInBranch
      ? 'for a roster leader to merge it into the log'
      : heldRecord(st, record.prev)
        ? 'for a leader to place it, and what its author wrote before it'
        : 'for a leader to place it';
  if (!view) return `${what}: no process is up on this store, "conclave up" goes on`;
  return `${what}${whyNot(view)}`;
}

function whyNot({ waiting, state, epoch }: ChannelView): string {
  if (waiting) return `: ${waiting.reason}`;
  if (state === 'electing') return ': the members are electing a leader';
  if (epoch?.kind === 'online') return ': too few voting members are online for a roster leader';
  return '';
}
