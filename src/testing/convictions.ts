/**
 * The second half of invariant 14, by a slow twin of what the core does
 * (core/witness.ts): whoever signs two statements that contradict each other,
 * both of which reach one honest member, is convicted there by a proof that
 * anybody accepts; and nobody who follows the protocol is convicted anywhere.
 */

import type { ChannelState } from '../core/channel-state.js';
import { checkPortableProof, type Verifier } from '../core/check-proof.js';
import type { ChannelId, Digest, Millis, UserId } from '../core/ids.js';
import type { Input } from '../core/input.js';
import type { Inspection } from '../core/inspect.js';
import type { Offence } from '../core/misbehaviour.js';
import { ZERO_BOOT } from '../core/record.js';
import { decodeAs } from '../core/statements.js';
import type { Break } from './chains.js';
import type { SimNode } from './sim-node.js';

const NAME = '14 misbehaviour';
/** A node remembers at least the last so many statements of a kind, of so many bytes. */
const WITNESSED = 24;
const WITNESSED_BYTES = 100_000;
/** A proof is kept at the latest then, and told to others. */
const JUDGED_MS = 3_000;

/** What a node has met in this life. */
interface Met {
  readonly statements: Map<
    string,
    { readonly said: string; readonly count: number; readonly bytes: number }
  >;
  readonly counts: Record<Offence, { count: number; bytes: number }>;
  /** Offences that it must know of, and until when. */
  readonly due: Map<
    string,
    { readonly offence: Offence; readonly offender: UserId; readonly at: Millis }
  >;
}

interface Said {
  readonly offence: Offence;
  readonly by: UserId;
  readonly where: string;
  readonly what: string;
  readonly bytes: number;
}

export class Convictions {
  readonly #verifier: Verifier;
  readonly #isHonest: (user: UserId) => boolean;
  /** It signed on a disk that was put back, which nobody who knew could tell it: in good faith it may contradict itself. */
  readonly #mayContradict: (user: UserId) => boolean;
  readonly #now: (node: SimNode) => Millis;
  readonly #break: Break;
  readonly #met = new Map<number, Met>();
  readonly #judged = new Set<Digest>();

  constructor(
    verifier: Verifier,
    isHonest: (user: UserId) => boolean,
    mayContradict: (user: UserId) => boolean,
    onBreak: Break,
  ) {
    this.#verifier = verifier;
    this.#isHonest = isHonest;
    this.#mayContradict = mayContradict;
    this.#now = (node) => node.clock.now;
    this.#break = onBreak;
  }

  /** A node booted: it remembers what it kept, and nothing else. */
  started(index: number): void {
    const none = () => ({ count: 0, bytes: 0 });
    const counts = {
      records: none(),
      ballots: none(),
      proposals: none(),
      acknowledgements: none(),
    };
    this.#met.set(index, { statements: new Map(), counts, due: new Map() });
  }

  stepped(node: SimNode, st: ChannelState, inputs: readonly Input[]): void {
    if (st.convictions.size > 0) this.#judge(node, st);
    if (!this.#isHonest(node.user)) return;
    const met = this.#met.get(node.index)!;
    for (const input of inputs) {
      if (input.type !== 'message' || input.inspection.channel !== st.id) continue;
      for (const said of saidIn(input.inspection, st)) this.#meet(node, met, said);
    }
    const now = this.#now(node);
    for (const [key, { offence, offender, at }] of met.due) {
      if (isConvicted(st, offence, offender)) met.due.delete(key);
      else if (now > at) {
        const who = offender.slice(0, 8);
        this.#break(NAME, `node ${node.index} met two ${offence} of ${who} and keeps no proof`);
      }
    }
  }

  #meet(node: SimNode, met: Met, { offence, by, where, what, bytes }: Said): void {
    const counts = met.counts[offence];
    counts.count += 1;
    counts.bytes += bytes;
    const key = `${offence}/${by}/${where}`;
    const known = met.statements.get(key);
    if (!known || isForgotten(known, counts)) {
      met.statements.set(key, { said: what, ...counts });
      return;
    }
    if (known.said === what) return;
    const due = `${offence}/${by}`;
    const at = this.#now(node) + JUDGED_MS;
    if (!met.due.has(due)) met.due.set(due, { offence, offender: by, at });
  }

  /** Every proof convicts somebody, and nobody honest. */
  #judge(
    node: SimNode,
    { id: channel, convictions }: { id: ChannelId } & Pick<ChannelState, 'convictions'>,
  ): void {
    for (const [id, { offender, offence, proof }] of convictions) {
      if (this.#judged.has(id)) continue;
      this.#judged.add(id);
      const who = offender.slice(0, 8);
      if (this.#isHonest(offender) && !this.#mayContradict(offender)) {
        this.#break(NAME, `node ${node.index} convicts ${who}, who is honest, of two ${offence}`);
      }
      try {
        const proven = checkPortableProof(this.#verifier, proof);
        const m = proven.proves === 'misbehaviour' ? proven.misbehaviour : undefined;
        if (m?.offender === offender && m.offence === offence && m.channel === channel) continue;
        this.#break(NAME, `node ${node.index} keeps a proof against ${who} that convicts another`);
      } catch (error) {
        const why = (error as Error).message;
        this.#break(NAME, `node ${node.index} keeps a proof against ${who} that holds not: ${why}`);
      }
    }
  }
}

const isConvicted = ({ convictions }: ChannelState, offence: Offence, offender: UserId): boolean =>
  [...convictions.values()].some((c) => c.offence === offence && c.offender === offender);

const isForgotten = (
  then: { readonly count: number; readonly bytes: number },
  now: { readonly count: number; readonly bytes: number },
): boolean => now.count - then.count > WITNESSED || now.bytes - then.bytes > WITNESSED_BYTES;

/** What an inspected command says, as far as a node that follows the protocol can't say two such things. */
function* saidIn({ what, checks, from }: Inspection, st: ChannelState): Iterable<Said> {
  switch (what.type) {
    case 'records':
      for (const { record } of what.items) {
        const { author: by, boot, n, digest, bytes } = record;
        if (boot === ZERO_BOOT || !isKnownUser(st, by)) continue;
        yield { offence: 'records', by, where: `${boot}/${n}`, what: digest, bytes: bytes.length };
      }
      return;
    case 'ballot':
    case 'elected':
      for (const { by, statement } of what.type === 'ballot' ? checks : checks.slice(1)) {
        const { kind, term, candidate, electorate } = decodeAs('ballot', statement);
        if (!isKnownUser(st, by)) continue;
        const said = { what: candidate + electorate, bytes: 0 };
        yield { offence: 'ballots', by, where: `${kind}/${term}`, ...said };
      }
      return;
    case 'page':
    case 'propose': {
      const page = what.type === 'page' ? what.page : { ...what, ...what.stretch, cert: null };
      if (page.cert || !page.propose || page.headers.length === 0) return;
      const { epoch, tipSeq, tipHash } = page.propose;
      const { length } = page.headers;
      const by = checks[0]!.by;
      if (!isKnownUser(st, by)) return;
      // So many headers are remembered less long.
      const bytes = 1_000 * length;
      yield { offence: 'proposals', by, where: `${epoch}/${tipSeq}`, what: tipHash, bytes };
      return;
    }
    case 'ack': {
      const { epoch, seq, hash } = what.ack;
      // Only a leader hears of all; of what is final it knows no chain any more.
      const lead = st.leading && st.leadership;
      if (lead?.id !== epoch || seq <= st.log.final.seq || !isKnownUser(st, from!)) return;
      const chain = lead.branch ?? st.log;
      const isOn = chain.hashAt(seq) === hash;
      yield {
        offence: 'acknowledgements',
        by: from!,
        where: `${epoch}/${seq}`,
        what: isOn ? 'on' : 'off',
        bytes: 0,
      };
    }
  }
}

const isKnownUser = ({ roster }: ChannelState, user: UserId): boolean =>
  roster.members.has(user) || roster.departed.has(user);
