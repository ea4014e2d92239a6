/**
 * A leader with two faces (misdeeds.ts, `two-places`): to some it proposes
 * what its core placed, to others another chain, from some place on. It gathers
 * the acknowledgements of that one too, and says what they amount to.
 */

import { Branch } from '../core/branch.js';
import { decodeHeaders, encodeCertificate, encodeHeaders } from '../core/certificate.js';
import { chainOver, type Header } from '../core/chain.js';
import type { Body, Outgoing, Payload } from '../core/commands.js';
import { type EpochId, type Ulid, type UserId, ulidFromBytes } from '../core/ids.js';
import { TAIL_ENTRIES_MAX } from '../core/limits.js';
import type { LinkId } from '../core/presence.js';
import { batchOf, encodeProof, encodeRecord } from '../core/record.js';
import { certificateFrom } from '../core/replica.js';
import { voters } from '../core/roster.js';
import { decodeAs, encodeStatement, type Propose, signedRecords } from '../core/statements.js';
import type { MisbehaviourPorts } from './misbehaviour.js';
import { below, chance, sample } from './prng.js';

/** Later than any boot that there is. */
const FAR_BOOT = '7ZZZZZZZZZ0000000000000000' as Ulid;

interface Other {
  readonly epoch: EpochId;
  /** Behind the place where the two part, as those see it whom it is for. */
  readonly chain: Branch;
  readonly readers: ReadonlySet<UserId>;
  readonly acks: Map<UserId, { seq: number; sig: Uint8Array }>;
  certified: number;
}

export class TwoChains {
  readonly #o: MisbehaviourPorts;
  readonly #say: (links: readonly LinkId[], command: Outgoing) => void;
  #other: Other | null = null;

  constructor(
    options: MisbehaviourPorts,
    say: (links: readonly LinkId[], command: Outgoing) => void,
  ) {
    this.#o = options;
    this.#say = say;
  }

  /** The core proposes to all; true when the two chains were proposed instead. */
  propose(links: readonly LinkId[], payload: Body<'CH_PROPOSE'>, isNew: boolean): boolean {
    const propose = decodeAs('propose', payload.s);
    const headers = decodeHeaders(payload.headers, TAIL_ENTRIES_MAX);
    if (this.#other?.epoch !== propose.epoch) {
      if (!isNew || headers.length === 0) return false;
      this.#part(links, propose, headers);
    } else for (const header of headers) this.#other.chain.extend(header);
    const other = this.#other!;
    for (const user of this.#o.users) {
      if (user === this.#o.self) continue;
      if (other.readers.has(user)) this.#proposeOther(links, propose, other, headers.length, user);
      else this.#say(links, { name: 'CH_PROPOSE', payload: { ...payload, to: user } });
    }
    return true;
  }

  /** From this proposal on there are two. */
  #part(links: readonly LinkId[], propose: Propose, headers: readonly Header[]): void {
    const { draw, users, self, hash } = this.#o;
    const others = users.filter((user) => user !== self);
    const readers = new Set(sample(draw, others, Math.ceil(others.length / 2)));
    const kept = headers.slice(0, -1);
    const base = chainOver(hash, { seq: propose.baseSeq, hash: propose.baseHash }, kept);
    const chain = new Branch(hash, propose.epoch, base);
    const last = headers.at(-1)!;
    if (chance(draw, 0.8)) chain.extend({ ...last, digest: this.#ownRecord(links, propose) });
    this.#other = { epoch: propose.epoch, chain, readers, acks: new Map(), certified: 0 };
  }

  /** A message of its own that only the second chain has. */
  #ownRecord(links: readonly LinkId[], { channel, roster, rosterHash }: Propose) {
    const { self, hash, state, sign, draw } = this.#o;
    const st = state()!;
    const record = encodeRecord(hash, {
      channel,
      author: self,
      boot: FAR_BOOT,
      n: 1,
      prev: st.log.tipOf(self) ?? st.roster.members.get(self)!.root,
      kind: 'message',
      id: ulidFromBytes(Uint8Array.from({ length: 16 }, () => below(draw, 256))),
      time: 0,
      keyEpoch: 0,
      body: Uint8Array.of(Math.floor(draw() * 256)),
    });
    const { root, proofs } = batchOf(hash, [record], { roster, rosterHash });
    const sig = sign(signedRecords({ channel, roster, rosterHash }, root, 1));
    const each = { records: [record.bytes], proofs: [encodeProof(proofs(sig)[0]!)] };
    this.#say(links, { name: 'CH_MSG', payload: { id: channel, from: self, each } });
    return record.digest;
  }

  #proposeOther(
    links: readonly LinkId[],
    propose: Propose,
    { chain }: Other,
    count: number,
    to: UserId,
  ): void {
    const { self, sign } = this.#o;
    const { tip } = chain;
    const from = count === 0 ? tip.seq : chain.base.seq;
    const headers: Header[] = [];
    for (let seq = from + 1; seq <= tip.seq; seq++) headers.push(chain.headerAt(seq)!);
    const s = encodeStatement({
      ...propose,
      baseSeq: from,
      baseHash: chain.hashAt(from)!,
      tipSeq: tip.seq,
      tipHash: tip.hash,
    });
    this.#say(links, {
      name: 'CH_PROPOSE',
      payload: {
        id: propose.channel,
        from: self,
        to,
        s,
        sig: sign(s),
        headers: encodeHeaders(headers),
      },
    });
  }

  /** An acknowledgement came: what the second chain's amount to is said to all. */
  hear(link: LinkId, { from, s, sig }: Payload<'CH_MSG_ACK'>): void {
    const other = this.#other;
    const st = this.#o.state();
    const lead = st?.leadership;
    if (!other || !st || lead?.id !== other.epoch) return;
    const { self, sign } = this.#o;
    const ack = decodeAs('ack', s);
    const { chain, acks } = other;
    if (ack.epoch !== other.epoch || ack.seq <= chain.base.seq) return;
    if (chain.hashAt(ack.seq) !== ack.hash) return;
    acks.set(from, { seq: ack.seq, sig });
    const own = encodeStatement({ ...ack, seq: chain.tip.seq, hash: chain.tip.hash });
    acks.set(self, { seq: chain.tip.seq, sig: sign(own) });
    const isRoster = lead.epoch.kind === 'roster';
    const cert = certificateFrom(
      chain,
      isRoster ? 'final' : 'committed',
      lead,
      acks,
      isRoster ? voters(st.roster) : lead.epoch.electorate,
      other.certified,
    );
    if (!cert) return;
    other.certified = cert.seq;
    // It counts itself: so it has acknowledged both.
    this.#say([link], {
      name: 'ACK_CH_MSG',
      payload: { id: st.id, from: self, s: own, sig: sign(own) },
    });
    this.#say([link], {
      name: 'CH_COMMIT',
      payload: { id: st.id, from: self, cert: encodeCertificate(cert) },
    });
  }
}
