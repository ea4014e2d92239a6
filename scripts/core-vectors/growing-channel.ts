/** A channel whose roster changes step by step, for test/vectors/certificates.json; growth.ts, departures.ts and replacements.ts tell how. */

import {
  alice,
  type Context,
  id,
  KEYS,
  RELAY,
  repeat,
  SALT,
  sealingOf,
  TIME,
  ulidOf,
  users,
} from './common.js';
import {
  type Actor,
  certificate,
  chainNext,
  chainStart,
  channelId,
  epochId,
  type Fields,
  genesis,
  type Hex,
  membershipBody,
  merkleRoot,
  nameCommitment,
  proof,
  record,
  recordDigest,
  rosterNext,
  rosterStart,
  signed,
  statement,
  step,
} from './encoding.js';

const genesisFields = {
  founder: alice.user,
  founderName: 'alice',
  founderSealing: sealingOf(alice),
  nameCommitment: nameCommitment(SALT, 'team'),
  salt: SALT,
  time: TIME,
  minOnline: 3,
  few: 'archive',
  quorum: 'online',
  history: 'all',
  relays: [RELAY],
};
export const GENESIS = genesis(genesisFields);
export const CHANNEL_ID = channelId(GENESIS);

export interface MemberState {
  readonly user: Hex;
  readonly name: string;
  readonly role: string;
  readonly sealing: Hex | null;
  readonly votes: boolean;
  readonly since: number;
  readonly root: Hex;
  readonly recovery: Hex | null;
  /** The invitations that it joined with. */
  readonly cameBy: readonly Hex[];
}
export interface InviteState {
  readonly key: Hex;
  readonly author: Hex;
  readonly usesLeft: number;
  readonly expires: number;
  readonly invitee: Hex | null;
  readonly isArchive: boolean;
}
export interface DepartedState {
  readonly user: Hex;
  readonly since: number;
  readonly isRemoved: boolean;
  readonly replacedBy: Hex | null;
  readonly cameBy: readonly Hex[];
}
interface State {
  readonly number: number;
  readonly hash: Hex;
  readonly members: readonly MemberState[];
  readonly invites: readonly InviteState[];
  readonly relays: readonly string[];
  readonly departed: readonly DepartedState[];
  /** The first roster with the members that have a sealing key now. */
  readonly readersSince: number;
}

export const FOUNDED: State = {
  number: 0,
  hash: rosterStart(CHANNEL_ID),
  members: [
    {
      user: alice.user,
      name: 'alice',
      role: 'founder',
      sealing: sealingOf(alice),
      votes: true,
      since: 0,
      root: CHANNEL_ID,
      recovery: null,
      cameBy: [],
    },
  ],
  invites: [],
  relays: [RELAY],
  departed: [],
  readersSince: 0,
};

const readersOf = ({ members }: Pick<State, 'members'>): string =>
  JSON.stringify(members.map((m) => m.sealing && [m.user, m.sealing, m.since]).filter(Boolean));

export interface StepOptions {
  /** What the record says instead. */
  readonly change?: Fields;
  /** Who signs the record. */
  readonly signer?: Actor;
  /** Entries between the membership record and the certified one, that one included. */
  readonly behind?: number;
  /** What the step says itself. */
  readonly said?: Fields;
}

/** In the place of a signature that nobody gives. */
export const NOBODYS = repeat(0, 64);

export class GrowingChannel {
  state = FOUNDED;
  readonly refused: { what: string; breaks: string; after: number; step: Hex }[] = [];
  #seq = 0;
  #hash = chainStart(CHANNEL_ID);
  readonly #lastMembership = new Map<Hex, Hex>();

  get context(): Context {
    return { channel: CHANNEL_ID, roster: this.state.number, rosterHash: this.state.hash };
  }

  /** Both signatures over one request. */
  joinFields(user: Actor, invite: Actor, change: Fields = {}): Fields {
    const request = statement('join', {
      ...this.context,
      user: user.user,
      name: user.name,
      sealing: sealingOf(user),
      invite: invite.user,
      seq: this.#seq,
      hash: this.#hash,
      ...change,
    });
    return { request, inviteSig: signed(invite, request), userSig: signed(user, request) };
  }

  /** A request for the place of `old`; `by` is its recovery key, where that signs. */
  replaceFields(old: Actor, user: Actor, by: Actor | null, change: Fields = {}): Fields {
    const request = statement('replace', {
      ...{ channel: CHANNEL_ID, roster: 0, rosterHash: FOUNDED.hash, old: old.user },
      ...{ user: user.user, name: user.name, sealing: sealingOf(user) },
      ...{ recovery: null, by: by?.user ?? null, ...change },
    });
    return { request, userSig: signed(user, request), bySig: by ? signed(by, request) : NOBODYS };
  }

  recoveryFields(user: Actor, key: Actor, by: Actor | null, change: Fields = {}): Fields {
    const request = statement('recovery', {
      ...{ ...this.context, user: user.user, key: key.user, by: by?.user ?? null, ...change },
    });
    return { request, bySig: by ? signed(by, request) : NOBODYS };
  }

  /** A membership record of `author` on the roster in force, with its proof. */
  recordOf(author: Actor, kind: string, fields: Fields, options: StepOptions = {}) {
    const { context, state } = this;
    const member = state.members.find((m) => m.user === author.user);
    const bytes = record({
      channel: CHANNEL_ID,
      author: author.user,
      boot: ulidOf(1),
      n: state.number + 1,
      prev: this.#lastMembership.get(author.user) ?? member?.root ?? CHANNEL_ID,
      kind,
      id: ulidOf(state.number + 100),
      time: TIME,
      keyEpoch: 0,
      body: membershipBody(kind, { base: state.number, ...fields }),
      ...options.change,
    });
    const root = merkleRoot([recordDigest(bytes)]);
    const message = statement('records', { ...context, root, count: 1 });
    const sig = signed(options.signer ?? author, message);
    return {
      record: bytes,
      proof: proof({ ...context, count: 1, index: 0, path: [], sig }),
    };
  }

  /** The step that puts a membership record of `author` in force, in a new epoch led by alice. */
  stepOf(author: Actor, kind: string, fields: Fields, options: StepOptions = {}) {
    const { context, state } = this;
    const { behind = 0, said = {} } = options;
    const made = this.recordOf(author, kind, fields, options);
    const digest = recordDigest(made.record);

    const voters = KEYS.filter((k) => state.members.some((m) => m.user === k.user && m.votes));
    const term = state.number + 1;
    const electorate = users(voters);
    const epoch = epochId({ ...context, kind: 'roster', term, leader: alice.user, electorate });
    const header = (digest: Hex) => ({ epoch, term, roster: state.number, digest });
    const headers = [digest, ...Array.from({ length: behind }, (_, i) => id(`message ${i}`))].map(
      header,
    );
    const seq = this.#seq + 2;
    const hashes = [this.#hash];
    for (const [i, h] of [header(id(`epoch record ${term}`)), ...headers].entries()) {
      hashes.push(chainNext(hashes.at(-1)!, this.#seq + 1 + i, h));
    }
    const end = { seq: seq + behind, hash: hashes.at(-1)! };
    const ack = statement('ack', { ...context, kind: 'roster', epoch, term, ...end });
    const cert = certificate({
      kind: 'final',
      epochKind: 'roster',
      ...context,
      epoch,
      term,
      seq: end.seq,
      prevHash: hashes.at(-2)!,
      head: headers.at(-1),
      links: [],
      acks: voters.map((v) => ({ user: v.user, seq: end.seq, sig: signed(v, ack) })),
    });
    const encoded = step({
      seq,
      prevHash: hashes[1],
      headers: headers.slice(0, -1),
      ...made,
      cert,
      ...said,
    });
    return { step: encoded, record: made.record, digest, end };
  }

  /** Takes a step; `next` is what it changes. */
  take(
    author: Actor,
    kind: string,
    fields: Fields,
    next: (digest: Hex) => Partial<State>,
    behind = 0,
  ) {
    const { step, digest, end } = this.stepOf(author, kind, fields, { behind });
    const number = this.state.number + 1;
    const hash = rosterNext(this.state.hash, number, digest);
    const changed = { ...this.state, ...next(digest) };
    const isSame = readersOf(changed) === readersOf(this.state);
    const readersSince = isSame ? this.state.readersSince : number;
    this.state = { ...changed, number, hash, readersSince };
    this.#lastMembership.set(author.user, digest);
    [this.#seq, this.#hash] = [end.seq, end.hash];
    return { step, point: end, roster: this.state };
  }

  /** A step that must not hold on the roster in force, and the rule that it breaks. */
  refuse(
    what: string,
    breaks: string,
    author: Actor,
    kind: string,
    fields: Fields,
    options: StepOptions = {},
  ) {
    const { step } = this.stepOf(author, kind, fields, options);
    this.refused.push({ what, breaks, after: this.state.number, step });
  }
}

/** The invitee of an invitation for anyone. */
export const ANYONE = repeat(0, 32);

export const memberOf = (
  a: Actor,
  votes: boolean,
  since: number,
  root: Hex,
  invite: Actor | null,
): MemberState => ({
  user: a.user,
  name: a.name,
  role: 'member',
  sealing: sealingOf(a),
  votes,
  since,
  root,
  recovery: null,
  cameBy: invite ? [invite.user] : [],
});

export const inviteState = (
  key: Actor,
  usesLeft: number,
  change: Partial<InviteState> = {},
): InviteState => ({
  key: key.user,
  author: alice.user,
  usesLeft,
  expires: 0,
  invitee: null,
  isArchive: false,
  ...change,
});
