/**
 * A member that misbehaves: an ordinary node, all that it says and hears goes
 * through here, and is changed, added to, withheld or not taken in, as its
 * misdeeds have it (misdeeds.ts). It signs what it likes with its own key, and
 * knows no other. What its own core holds and believes stays honest.
 */

import type { ChannelState } from '../core/channel-state.js';
import type { Body, Command, Outgoing, Payload } from '../core/commands.js';
import { COMMANDS } from '../core/commands.js';
import type { Hash } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import { type ChannelId, type Digest, type Ulid, type UserId, ulidFromBytes } from '../core/ids.js';
import type { LinkId } from '../core/presence.js';
import { batchOf, type ChannelRecord, decodeRecord, encodeRecord } from '../core/record.js';
import { encodeMembership, membershipPrev } from '../core/roster.js';
import { decodeAs, encodeStatement, signedRecords } from '../core/statements.js';
import { falseChange } from './false-changes.js';
import { forgedCertificate, oddStatement, shuffledSomewhere } from './forgeries.js';
import type { Deed, Misdeed } from './misdeeds.js';
import { below, chance, type Draw, pick } from './prng.js';
import { asSent, changedSomewhere } from './sim-liar.js';
import { TwoChains } from './two-chains.js';

/** Commands and certificates that it remembers, to use them again. */
const REMEMBERED_MAX = 128;
const CERTIFICATES_MAX = 32;

export interface MisbehaviourPorts {
  readonly self: UserId;
  readonly users: readonly UserId[];
  readonly channel: ChannelId;
  readonly hash: Hash;
  readonly draw: Draw;
  /** By its own key. */
  readonly sign: (statement: Uint8Array) => Uint8Array;
  readonly state: () => ChannelState | undefined;
  /** Puts a command on its way. */
  readonly send: (links: readonly LinkId[], command: Outgoing) => void;
  /** Told of what its core never meant to say, before it leaves. */
  readonly added: (command: Outgoing) => void;
}

/** What is done now and then. */
type Frequent = Exclude<Extract<Misdeed, { readonly often: number }>['do'], 'two-places'>;

/** The names under which members send what relays forward under others. */
const SENT_AS = new Map(
  Object.entries(COMMANDS).flatMap(([name, { as }]: [string, { as?: string }]) =>
    as !== undefined && as !== name && name !== 'CH_LEAD' ? [[as, name] as const] : [],
  ),
);

export class Misbehaviour {
  readonly #o: MisbehaviourPorts;
  readonly #chains: TwoChains;
  #misdeeds = new Map<Deed, Misdeed>();
  readonly #remembered: Outgoing[] = [];
  readonly #certificates: Uint8Array[] = [];
  #next = 0;

  constructor(options: MisbehaviourPorts) {
    this.#o = options;
    this.#chains = new TwoChains(options, (links, command) => this.#say(links, command));
  }

  begin(misdeeds: readonly Misdeed[]): void {
    for (const misdeed of misdeeds) this.#misdeeds.set(misdeed.do, misdeed);
  }

  end(): void {
    this.#misdeeds = new Map();
  }

  /** It would rather lead than follow. */
  get isEager(): boolean {
    return this.#misdeeds.has('censor') || this.#misdeeds.has('two-places');
  }

  #deed<D extends Deed>(deed: D): Extract<Misdeed, { do: D }> | undefined {
    return this.#misdeeds.get(deed) as Extract<Misdeed, { do: D }> | undefined;
  }

  /** Whether it does this one now, for a deed that is done now and then. */
  #does(deed: Frequent): boolean {
    const often = this.#deed(deed)?.often;
    return often !== undefined && chance(this.#o.draw, often);
  }

  /** Says something that its core does not. */
  #say(links: readonly LinkId[], command: Outgoing): void {
    let sent: Outgoing;
    try {
      sent = asSent(command);
    } catch (error) {
      // No frame can hold it.
      if (error instanceof ConclaveError) return;
      throw error;
    }
    this.#o.added(sent);
    this.#o.send(links, sent);
  }

  /** Its core says something: what leaves is up to its misdeeds. */
  says(links: readonly LinkId[], command: Outgoing): void {
    if (this.#misdeeds.size === 0) return this.#o.send(links, command);
    const isBeacon = command.name === 'BEACON';
    const withheld = this.#deed('withhold')?.names;
    const isWithheld = withheld === 'all' ? !isBeacon : withheld?.includes(command.name);
    if (isWithheld && command.name !== 'CH_ROSTER') return;
    if (isBeacon) {
      if (this.#does('forge')) this.#signOdd(links, command);
      return this.#o.send(links, command);
    }
    this.#remember(command);
    this.#addTo(links, command);
    const { name, payload } = command;
    if (name === 'CH_PROPOSE' && this.#deed('two-places')) {
      const isNew = chance(this.#o.draw, this.#deed('two-places')!.often);
      if (this.#chains.propose(links, payload, isNew)) return;
    }
    const isPage = name === 'CH_APPEND' || name === 'CH_MERGE';
    if (isPage && this.#does('false-pages')) {
      return this.#say(links, { name, payload: this.#falsePage(payload) } as Outgoing);
    }
    if (name === 'CH_REPORT' && this.#deed('false-report')) {
      return this.#say(links, { name, payload: this.#falseReport(payload) });
    }
    this.#o.send(links, command);
  }

  #addTo(links: readonly LinkId[], command: Outgoing): void {
    const { draw, self } = this.#o;
    if (this.#remembered.length === 0) return;
    if (this.#does('forge')) {
      if (chance(draw, 0.5)) this.#signOdd(links, command);
      else
        this.#say(
          links,
          this.#again((payload) => changedSomewhere(draw, payload)),
        );
    }
    if (this.#does('replay'))
      this.#say(
        links,
        this.#again((payload) => payload),
      );
    if (this.#does('false-certificates')) {
      const cert = forgedCertificate(draw, this.#certificates);
      if (cert) this.#say(links, this.#withCertificate(cert));
    }
    if (this.#does('false-changes')) this.#askFalsely(links);
    if (command.name === 'CH_MSG' && command.payload.batch?.author === self) {
      if (this.#does('two-records')) this.#sayTwin(links, command.payload.batch);
    }
  }

  /** Something that was said before, in its own name, and maybe to another. */
  #again(change: (payload: Outgoing['payload']) => Outgoing['payload']): Outgoing {
    const { draw, self, users } = this.#o;
    const { name, payload } = pick(draw, this.#remembered);
    const to = 'to' in payload && payload.to !== undefined ? { to: pick(draw, users) } : {};
    return { name, payload: { ...change(payload), ...to, from: self } } as Outgoing;
  }

  #signOdd(links: readonly LinkId[], command: Outgoing): void {
    const { draw, sign } = this.#o;
    const { s } = command.payload as { s?: Uint8Array };
    const odd = s && oddStatement(draw, s);
    if (!odd) return;
    const payload = { ...command.payload, s: odd, sig: sign(odd) };
    this.#say(links, { name: command.name, payload } as Outgoing);
  }

  /** In a commit, or at the end of a page. */
  #withCertificate(cert: Uint8Array): Outgoing {
    const { draw, self, channel } = this.#o;
    const page = this.#remembered.find(({ name }) => name === 'CH_APPEND' || name === 'CH_MERGE');
    if (page && chance(draw, 0.5)) {
      const payload = { ...page.payload, from: self, cert };
      return { name: page.name, payload } as Outgoing;
    }
    return { name: 'CH_COMMIT', payload: { id: channel, from: self, cert } };
  }

  #falsePage(payload: Body<'CH_APPEND'> | Body<'CH_MERGE'>): Outgoing['payload'] {
    const { draw } = this.#o;
    const records = shuffledSomewhere(draw, payload.records);
    const proofs = shuffledSomewhere(draw, payload.proofs);
    const kind = pick(draw, ['records', 'proofs', 'both', 'any', 'cert'] as const);
    if (kind === 'records') return { ...payload, records };
    if (kind === 'proofs') return { ...payload, proofs };
    if (kind === 'both') return { ...payload, records, proofs };
    const cert = kind === 'cert' ? forgedCertificate(draw, this.#certificates) : undefined;
    return cert ? { ...payload, cert } : changedSomewhere(draw, payload);
  }

  #falseReport(payload: Body<'CH_REPORT'>) {
    const { draw, sign } = this.#o;
    const report = decodeAs('report', payload.s);
    const s = encodeStatement({
      ...report,
      lastTerm: Math.max(0, report.lastTerm + below(draw, 5) - 2),
      lastSeq: Math.max(0, report.lastSeq + below(draw, 9) - 6),
      promised: Math.max(0, report.promised + below(draw, 5) - 3),
    });
    return { ...payload, s, sig: sign(s) };
  }

  /** Another record at the same boot and `n`, to all or to one. */
  #sayTwin(links: readonly LinkId[], batch: NonNullable<Payload<'CH_MSG'>['batch']>): void {
    const { draw, hash } = this.#o;
    const twin = this.#twinOf(decodeRecord(hash, pick(draw, batch.records)));
    this.#offer(links, twin, { roster: batch.roster, rosterHash: batch.roster_hash });
  }

  #askFalsely(links: readonly LinkId[]): void {
    const { draw, self, channel, hash, sign, state } = this.#o;
    const roster = state()?.roster;
    const prev = roster && membershipPrev(roster, self);
    if (!roster || !prev) return;
    const body = falseChange(draw, hash, roster, self, sign);
    const record = encodeRecord(hash, {
      ...{ channel, author: self, boot: this.#someUlid(), n: 1, prev, kind: body.kind },
      ...{ id: this.#someUlid(), time: 0, keyEpoch: 0, body: encodeMembership(body) },
    });
    this.#offer(links, record, { roster: roster.number, rosterHash: roster.hash });
  }

  /** A record under its signature alone, to all or to one. */
  #offer(
    links: readonly LinkId[],
    record: ChannelRecord,
    context: { readonly roster: number; readonly rosterHash: Digest },
  ): void {
    const { draw, self, channel, hash, sign, users } = this.#o;
    const { root } = batchOf(hash, [record], context);
    const sig = sign(signedRecords({ channel, ...context }, root, 1));
    const to = chance(draw, 0.5) ? { to: pick(draw, users) } : {};
    const { roster, rosterHash: roster_hash } = context;
    const batch = { author: self, roster, roster_hash, sig, records: [record.bytes] };
    this.#say(links, { name: 'CH_MSG', payload: { id: channel, from: self, ...to, batch } });
  }

  #someUlid(): Ulid {
    return ulidFromBytes(Uint8Array.from({ length: 16 }, () => below(this.#o.draw, 256)));
  }

  #twinOf(record: ChannelRecord): ChannelRecord {
    const { draw, hash } = this.#o;
    const id = chance(draw, 0.5) ? record.id : this.#someUlid();
    return encodeRecord(hash, { ...record, id, body: Uint8Array.of(below(draw, 256)) });
  }

  /** Something arrived over `link`; false when its core is not to hear of it. */
  hears(link: LinkId, command: Command): boolean {
    if (this.#misdeeds.size === 0) return true;
    if (command.name !== 'BEACON') this.#remember(command as Outgoing);
    try {
      return this.#isHeard(link, command);
    } catch (error) {
      // Another one's nonsense, or a relay's: its core refuses that.
      if (error instanceof ConclaveError && error.code.startsWith('bad_')) return true;
      throw error;
    }
  }

  #isHeard(link: LinkId, { name, payload }: Command): boolean {
    if (name === 'CH_MSG') return !this.#isCensored(payload);
    if (name === 'CH_VOTE' && payload.request && this.#deed('two-votes')) {
      this.#vote(link, payload, payload.request);
    } else if (name === 'CH_PREVOTE' && this.#deed('two-votes')) this.#grant(link, payload);
    else if (name === 'CH_PROPOSE' && this.#deed('two-acks')) this.#acknowledge(link, payload);
    else if (name === 'CH_MSG_ACK') this.#chains.hear(link, payload);
    return true;
  }

  /** What came from who leads is what was placed; a censor that follows takes it. */
  #isCensored({ batch, each, from }: Payload<'CH_MSG'>): boolean {
    const censor = this.#deed('censor');
    if (!censor) return false;
    const { users, state, hash } = this.#o;
    const lead = state()?.leadership;
    if (lead?.epoch.leader === from) return false;
    if (censor.author === 'all') return true;
    const author = users[censor.author];
    if (batch) return batch.author === author;
    return (each?.records ?? []).some((bytes) => decodeRecord(hash, bytes).author === author);
  }

  #vote(
    link: LinkId,
    { id, election, from }: Payload<'CH_VOTE'>,
    request: NonNullable<Payload<'CH_VOTE'>['request']>,
  ): void {
    const { self, sign } = this.#o;
    const { kind, candidate, term, electorate, channel, roster, rosterHash } = decodeAs(
      'lead',
      request.s,
    );
    const context = { channel, roster, rosterHash };
    const s = encodeStatement({ tag: 'ballot', ...context, kind, candidate, term, electorate });
    const ballot = { s, sig: sign(s) };
    const payload = { id, from: self, to: from, election, user: candidate, ballot };
    this.#say([link], { name: 'CH_VOTE', payload });
  }

  #grant(link: LinkId, { id, from, s }: Payload<'CH_PREVOTE'>): void {
    const prevote = decodeAs('prevote', s);
    const { kind, round, term, roster } = prevote;
    const { self, sign } = this.#o;
    const sig = sign(encodeStatement({ ...prevote, tag: 'grant' }));
    const payload = { id, from: self, to: from, round, kind, term: term - 1, roster, sig };
    this.#say([link], { name: 'CH_GRANT', payload });
  }

  #acknowledge(link: LinkId, { id, from, s: proposed }: Payload<'CH_PROPOSE'>): void {
    const { self, sign } = this.#o;
    const { kind, epoch, term, tipSeq, tipHash, channel, roster, rosterHash } = decodeAs(
      'propose',
      proposed,
    );
    const context = { channel, roster, rosterHash };
    const place = { kind, epoch, term, seq: tipSeq, hash: tipHash };
    const s = encodeStatement({ tag: 'ack', ...context, ...place });
    this.#say([link], {
      name: 'ACK_CH_MSG',
      payload: { id, from: self, to: from, s, sig: sign(s) },
    });
  }

  /** Beacons are many, and old ones say little. */
  #remember(command: Outgoing): void {
    const name = SENT_AS.get(command.name) ?? command.name;
    if (!('from' in command.payload) || !('id' in command.payload)) return;
    const { cert } = command.payload as { cert?: Uint8Array };
    if (cert && cert.length > 0) {
      this.#certificates.push(cert);
      if (this.#certificates.length > CERTIFICATES_MAX) this.#certificates.shift();
    }
    this.#remembered[this.#next] = { name, payload: command.payload } as Outgoing;
    this.#next = (this.#next + 1) % REMEMBERED_MAX;
  }
}
