/**
 * Changes of the roster, and the steps that a relay takes from one roster to
 * the next, against the table of section "Roster" read a second time: no
 * change but one that the members signed.
 */

import { encodeCertificate, encodeStep, type RosterStep } from '../../../src/core/certificate.js';
import { chainNext } from '../../../src/core/chain.js';
import type { Digest, UserId } from '../../../src/core/ids.js';
import { encodeRecord } from '../../../src/core/record.js';
import {
  applyMembership,
  MEMBERSHIP_KINDS,
  type MembershipBody,
  membershipPrev,
  type Roster,
  voters,
} from '../../../src/core/roster.js';
import { growRoster } from '../../../src/relay/roster-chain.js';
import {
  CHANNEL,
  certificateOf,
  digestOf,
  FOUNDER,
  founded,
  hash,
  inviteBody,
  joinBody,
  membershipBy,
  NOW,
  person,
  proofOf,
  recordBy,
} from '../../unit/fixtures/channel.js';
import { nativeCrypto } from '../../unit/fixtures/ports.js';
import type { Dice } from '../dice.js';
import { generate, parse, type Tree, textOf, write } from '../grammar.js';
import { someBytes } from '../mutations.js';
import * as shapes from '../shapes.js';
import { must, type Target, typed } from '../target.js';
import { headerOf, hexOf, MEMBERS_MAX, ROSTERS, sha256 } from './proofs.js';

const INVITER = person(500);

/** Rosters of every size, with an open invitation that ends, and one that is used up by one join. */
const OPEN_ROSTERS = ROSTERS.map((roster) => {
  const add = (to: Roster, body: MembershipBody): Roster =>
    applyMembership(hash, to, membershipBy(to, FOUNDER, body));
  const first = add(roster, inviteBody(roster, INVITER, { uses: 2, expires: NOW + 1_000 }));
  return add(first, inviteBody(first, person(501)));
});

const membership: Target = {
  name: 'membership',
  what: 'changes of the roster, signatures aside: bodies of every kind by any author',
  share: 40,
  make(d) {
    const size = d.int(MEMBERS_MAX);
    const roster = OPEN_ROSTERS[size]!;
    const kind = d.int(MEMBERSHIP_KINDS.length);
    const body = someMembership(d, roster, MEMBERSHIP_KINDS[kind]!);
    const author = d.oneIn(3) ? d.int(10) : 0;
    const time = NOW + d.pick([0, 1_000, 1_001]);
    const out = Buffer.alloc(11);
    out.set([size, kind, author]);
    out.writeBigUInt64BE(BigInt(time), 3);
    return new Uint8Array(Buffer.concat([out, body]));
  },
  check(input) {
    if (input.length < 11) return false;
    const roster = OPEN_ROSTERS[input[0]! % MEMBERS_MAX]!;
    const kind = MEMBERSHIP_KINDS[input[1]! % MEMBERSHIP_KINDS.length]!;
    const author = person(1 + (input[2]! % 10));
    const time = Number(Buffer.from(input).readBigUInt64BE(3) % 2n ** 52n);
    const body = input.subarray(11);
    const prev = membershipPrev(roster, author.user) ?? digestOf('nothing');
    const encoded = typed(
      () => encodeRecord(hash, { ...recordBy(author), kind, time, prev, body }),
      ['record_too_large'],
    );
    if (!encoded) return false;
    const record = encoded.value;
    const next = typed(
      () => applyMembership(hash, roster, record),
      ['bad_encoding', 'bad_membership'],
    );
    const expected = isValidChange(roster, author.user, kind, time, body);
    must((next !== undefined) === expected, `a ${kind} is ${next ? 'taken' : 'refused'}`);
    if (next) checkNext(roster, next.value, record.digest, kind);
    return next !== undefined;
  },
};

function someMembership(
  d: Dice,
  roster: Roster,
  kind: (typeof MEMBERSHIP_KINDS)[number],
): Uint8Array {
  const shape = shapes.MEMBERSHIP[kind];
  const tree = generate(d, shape);
  const numberBytes = Buffer.alloc(8);
  numberBytes.writeBigUInt64BE(BigInt(roster.number + (d.oneIn(12) ? 1 : 0)));
  tree.parts[0]!.bytes = new Uint8Array(numberBytes);
  const u = (n: number): Uint8Array => new Uint8Array(Buffer.from(person(n).user, 'hex'));
  const someone = (): Uint8Array => u(d.pick([1, 2, 3, 8, 500, 501, 502]));
  if (kind === 'join') {
    const invite = person(d.pick([500, 501, 502]));
    const joiner = person(d.pick([20, 21, 2]));
    const change = d.oneIn(6)
      ? { roster: roster.number + d.int(2), rosterHash: digestOf('x') }
      : {};
    const { request } = joinBody(roster, joiner, invite, change);
    tree.parts[1]!.bytes = d.oneIn(5) ? someBytes(d, shapes.STATEMENTS.join, [request]) : request;
  } else if (kind !== 'relays') tree.parts[1]!.bytes = someone();
  const body = write(tree);
  return d.oneIn(5) ? someBytes(d, shape, [body]) : body;
}

/** The table of section "Roster". */
function isValidChange(
  roster: Roster,
  author: UserId,
  kind: (typeof MEMBERSHIP_KINDS)[number],
  time: number,
  body: Uint8Array,
): boolean {
  const by = roster.members.get(author);
  const tree = parse(shapes.MEMBERSHIP[kind], body);
  if (!by || !tree) return false;
  const [base, a, b] = tree.parts as [Tree, Tree, Tree];
  const number = (t: Tree): bigint => BigInt(`0x${hexOf(t.bytes)}`);
  const id = hexOf(a.bytes) as UserId;
  const manages = by.role === 'founder' || by.role === 'admin';
  if (number(base) !== BigInt(roster.number)) return false;
  switch (kind) {
    case 'invite': {
      const isUsed = roster.members.has(id) || roster.invites.has(id);
      return (
        manages && !isUsed && number(b) >= 1n && number(b) <= 1_000n && roster.invites.size < 64
      );
    }
    case 'revoke': {
      const open = roster.invites.get(id);
      return open !== undefined && (manages || open.author === author);
    }
    case 'vote':
      return manages && roster.members.get(id)?.votes === false;
    case 'relays':
      return manages && shapes.areRelays(a.parts.map(textOf));
    case 'join': {
      const request = parse(shapes.STATEMENTS.join, a.bytes);
      if (!request) return false;
      const [, , channel, rosterNumber, rosterHash, user, , invite] = request.parts as Tree[];
      const open = roster.invites.get(hexOf(invite!.bytes) as UserId);
      return (
        hexOf(channel!.bytes) === CHANNEL &&
        number(rosterNumber!) === BigInt(roster.number) &&
        hexOf(rosterHash!.bytes) === roster.hash &&
        open !== undefined &&
        (open.expires === 0 || time <= open.expires) &&
        !roster.members.has(hexOf(user!.bytes) as UserId) &&
        [...roster.members.values()].every((m) => m.votes) &&
        roster.members.size < 128
      );
    }
  }
}

function checkNext(before: Roster, next: Roster, record: Digest, kind: string): void {
  const tag = Buffer.from('conclave/roster');
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(next.number));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(tag.length);
  const [old, digest] = [before.hash, record].map((h) => Buffer.from(h, 'hex')) as [Buffer, Buffer];
  must(next.number === before.number + 1, 'a roster has not the next number');
  must(hexOf(sha256(length, tag, old, number, digest)) === next.hash, 'a roster has another hash');
  const gained = next.members.size - before.members.size;
  must(gained === (kind === 'join' ? 1 : 0), 'a change of one member changed more');
  for (const [user, { role, votes }] of before.members) {
    const now = next.members.get(user);
    must(now && now.role === role && (now.votes || !votes), 'a member lost its role or its vote');
  }
}

/** A channel's first rosters with the steps to them, all signed. */
function stepsOfChannel(): { rosters: Roster[]; steps: RosterStep[] } {
  const rosters = [founded()];
  const steps: RosterStep[] = [];
  const add = (body: (roster: Roster) => MembershipBody): void => {
    const roster = rosters.at(-1)!;
    const record = membershipBy(roster, FOUNDER, body(roster));
    const seq = 2 * steps.length + 1;
    const prevHash = digestOf(`before ${seq}`);
    const head = { ...headerOf(0), digest: record.digest };
    const isFar = steps.length % 2 === 1;
    const headers = isFar ? [headerOf(9), head] : [head];
    const first = { ...headers[0]!, digest: record.digest };
    const led = isFar ? [first] : [];
    const certified = isFar ? chainNext(hash, prevHash, seq, first) : prevHash;
    const cert = certificateOf(roster, {
      seq: seq + led.length,
      prevHash: certified,
      headers: [isFar ? headerOf(7) : head],
      acks: voters(roster).map((user) => ({
        by: [1, 2, 3, 4].map(person).find((p) => p.user === user)!,
        ahead: 0,
      })),
    });
    const proof = proofOf(FOUNDER, record, roster);
    steps.push({
      seq,
      prevHash,
      headers: led,
      record: record.bytes,
      proof,
      cert: encodeCertificate(cert),
    });
    rosters.push(applyMembership(hash, roster, record));
  };
  for (const n of [2, 3, 4]) {
    const key = person(700 + n);
    add((roster) => inviteBody(roster, key));
    add((roster) => joinBody(roster, person(n), key));
    if (n === 2) add((roster) => ({ kind: 'vote', base: roster.number, user: person(2).user }));
  }
  return { rosters, steps };
}

let known: { rosters: Roster[]; steps: Uint8Array[] } | undefined;

function channelSteps(): { rosters: Roster[]; steps: Uint8Array[] } {
  if (known) return known;
  const { rosters, steps } = stepsOfChannel();
  known = { rosters, steps: steps.map(encodeStep) };
  return known;
}

/** A change that the members never made, right in all but its signatures: a stranger's. */
function forgedStep(d: Dice, n: number): Uint8Array {
  const roster = channelSteps().rosters[n]!;
  const record = membershipBy(roster, FOUNDER, inviteBody(roster, person(900 + d.int(4))));
  const head = { ...headerOf(0), digest: record.digest };
  const { acks, ...cert } = certificateOf(roster, {
    ...{ seq: 9, prevHash: digestOf('before'), headers: [head] },
    acks: Array.from({ length: 4 }, (_, i) => ({ by: person(800 + i), ahead: 0 })),
  });
  const claimed = voters(roster).map((user, i) => ({ ...acks[i % acks.length]!, user }));
  return encodeStep({
    ...{ seq: 9, prevHash: digestOf('before'), headers: [], record: record.bytes },
    proof: proofOf(d.oneIn(2) ? FOUNDER : person(800), record, roster),
    cert: encodeCertificate({ ...cert, acks: claimed }),
  });
}

const WORK_UNITS = 1_000_000;

const steps: Target = {
  name: 'steps',
  what: "steps of a roster as a relay takes them, signatures and all: none but the members' own",
  share: 8,
  make(d) {
    const { steps: good } = channelSteps();
    const n = d.int(good.length);
    if (d.oneIn(8)) return new Uint8Array(Buffer.concat([Uint8Array.of(n), forgedStep(d, n)]));
    const step = d.oneIn(8) ? good[n]! : someBytes(d, shapes.step, d.oneIn(3) ? good : [good[n]!]);
    return new Uint8Array(Buffer.concat([Uint8Array.of(n), step]));
  },
  check(input) {
    const { rosters, steps: good } = channelSteps();
    const n = (input[0] ?? 0) % good.length;
    let units = 0;
    const spend = (some: number): boolean => {
      units += some;
      return units < WORK_UNITS;
    };
    const grown = growRoster(
      nativeCrypto,
      rosters[n]!,
      { first: n, steps: [input.subarray(1)] },
      spend,
    );
    const { stopped, roster } = grown;
    must(stopped !== 'budget', `a step of ${input.length} bytes costs ${units} units`);
    if (stopped) {
      const codes = [
        'bad_encoding',
        'bad_record',
        'bad_membership',
        'bad_certificate',
        'bad_signature',
      ];
      must(codes.includes(stopped.code), `${stopped.code}: ${stopped.message}`);
      must(roster === rosters[n], 'a refused step changed the roster');
      return false;
    }
    must(roster.hash === rosters[n + 1]!.hash, 'a change was taken that the members never signed');
    return true;
  },
};

export const ROSTER_TARGETS: readonly Target[] = [membership, steps];
