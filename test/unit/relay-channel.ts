/**
 * A real channel for the relay's tests: genesis, membership records, final
 * certificates, all signed, and the payloads that announce it or ask to join.
 */

import { encodeCertificate, encodeStep } from '../../src/core/certificate.js';
import { chainNext } from '../../src/core/chain.js';
import type { Body } from '../../src/core/commands.js';
import { channelIdOf, commitName, encodeGenesis } from '../../src/core/genesis.js';
import type { Digest, EpochId, SealingPublic, UserId } from '../../src/core/ids.js';
import { type LinkIdentity, linkIdentity } from '../../src/core/link.js';
import { majorityOf } from '../../src/core/quorum.js';
import { batchOf, encodeProof, encodeRecord, ZERO_BOOT } from '../../src/core/record.js';
import {
  applyMembership,
  encodeMembership,
  genesisRoster,
  type MembershipBody,
  membershipPrev,
  type Roster,
  voters,
} from '../../src/core/roster.js';
import { encodeStatement, signedRecords } from '../../src/core/statements.js';
import { nativeCrypto as crypto } from '../../src/native/crypto-native.js';

const hash = crypto.sha256;
const EPOCH = 'e'.repeat(64) as EpochId;
const HEAD = 'c'.repeat(64) as Digest;

/** Some sealing key; nothing is sealed to it. */
export const sealingOf = ({ user }: LinkIdentity): SealingPublic => user as string as SealingPublic;

/** The same identity for the same number, every time. */
export function identity(n: number): LinkIdentity {
  const seed = new Uint8Array(32).fill(n & 255);
  seed[0] = n >> 8;
  return linkIdentity(crypto, seed);
}

export class TestChannel {
  readonly founder: LinkIdentity;
  readonly genesis: Uint8Array;
  readonly id;
  readonly steps: Uint8Array[] = [];
  roster: Roster;
  readonly #identities = new Map<UserId, LinkIdentity>();

  constructor(founder: LinkIdentity, options: { minOnline?: number; salt?: number } = {}) {
    this.founder = founder;
    const salt = new Uint8Array(16).fill(options.salt ?? 1);
    const genesis = {
      founder: founder.user,
      founderName: 'founder',
      founderSealing: sealingOf(founder),
      nameCommitment: commitName(hash, salt, 'a channel'),
      salt,
      time: 1_700_000_000_000,
      minOnline: options.minOnline ?? 3,
      few: 'always' as const,
      quorum: 'online' as const,
      history: 'all' as const,
      relays: [`conclave://${'ab'.repeat(32)}@127.0.0.1:7400`],
    };
    this.genesis = encodeGenesis(genesis);
    this.id = channelIdOf(hash, this.genesis);
    this.roster = genesisRoster(hash, this.id, genesis);
    this.#identities.set(founder.user, founder);
  }

  /** Founder and `others`, each invited and joined, with votes. */
  static of(founder: LinkIdentity, others: readonly LinkIdentity[], salt = 1): TestChannel {
    const channel = new TestChannel(founder, { salt });
    for (const other of others) channel.admit(other);
    return channel;
  }

  /** Invites and joins one user; the roster number grows by two, or three where a vote comes first. */
  admit(user: LinkIdentity): void {
    const invitation = this.invite();
    this.join(user, invitation);
  }

  /** The key pair of an open invitation, as who was invited holds it. */
  invite(options: { expires?: number } = {}): LinkIdentity {
    const invitation = identity(10_000 + this.roster.number);
    const expires = options.expires ?? 0;
    this.change({
      kind: 'invite',
      base: this.roster.number,
      key: invitation.user,
      uses: 1,
      expires,
      invitee: null,
      isArchive: false,
    });
    return invitation;
  }

  join(user: LinkIdentity, invitation: LinkIdentity): void {
    const second = [...this.roster.members.values()].find((member) => !member.votes);
    if (second) this.change({ kind: 'vote', base: this.roster.number, user: second.user });
    const { request, invite_sig, sig } = this.request(user, invitation);
    this.#identities.set(user.user, user);
    const base = this.roster.number;
    this.change({ kind: 'join', base, request, inviteSig: invite_sig, userSig: sig });
  }

  /** Adds a membership record of the founder and the step that proves it final. */
  change(body: MembershipBody): void {
    const { roster, founder } = this;
    const seq = roster.number + 1;
    const record = encodeRecord(hash, {
      channel: this.id,
      author: founder.user,
      boot: ZERO_BOOT,
      n: seq,
      prev: membershipPrev(roster, founder.user)!,
      kind: body.kind,
      id: ZERO_BOOT,
      time: 1_700_000_000_000,
      keyEpoch: 0,
      body: encodeMembership(body),
    });
    const context = { channel: this.id, roster: roster.number, rosterHash: roster.hash };
    const batch = batchOf(hash, [record], context);
    const sig = crypto.ed25519Sign(founder.seed, signedRecords(context, batch.root, 1));
    const head = { epoch: EPOCH, term: 1, roster: roster.number, digest: record.digest };
    const point = { seq, hash: chainNext(hash, HEAD, seq, head) };
    const ack = encodeStatement({
      tag: 'ack',
      ...context,
      kind: 'roster',
      epoch: EPOCH,
      term: 1,
      ...point,
    });
    const votes = voters(roster);
    const acks = votes.slice(0, majorityOf(votes.length)).map((user) => ({
      user,
      seq,
      sig: crypto.ed25519Sign(this.#identities.get(user)!.seed, ack),
    }));
    const cert = encodeCertificate({
      kind: 'final',
      epochKind: 'roster',
      ...context,
      epoch: EPOCH,
      term: 1,
      seq,
      prevHash: HEAD,
      head,
      links: [],
      acks,
    });
    const proof = encodeProof(batch.proofs(sig)[0]!);
    this.steps.push(
      encodeStep({ seq, prevHash: HEAD, headers: [], record: record.bytes, proof, cert }),
    );
    this.roster = applyMembership(hash, roster, record);
  }

  /** CH_ROSTER with the steps from roster number `first` on. */
  announcement(first = 0): Body<'CH_ROSTER'> {
    return {
      id: this.id,
      genesis: this.genesis,
      genesis_sig: crypto.ed25519Sign(this.founder.seed, this.genesis),
      number: this.roster.number,
      first,
      steps: this.steps.slice(first),
      name: new Uint8Array([1, 2, 3]),
    };
  }

  /** CH_JOIN of `user`. */
  request(user: LinkIdentity, invitation: LinkIdentity): Body<'CH_JOIN'> {
    const request = encodeStatement({
      tag: 'join',
      channel: this.id,
      roster: this.roster.number,
      rosterHash: this.roster.hash,
      user: user.user,
      name: 'newcomer',
      sealing: sealingOf(user),
      invite: invitation.user,
      seq: 0,
      hash: HEAD,
    });
    return {
      id: this.id,
      from: user.user,
      request,
      invite_sig: crypto.ed25519Sign(invitation.seed, request),
      sig: crypto.ed25519Sign(user.seed, request),
    };
  }
}
