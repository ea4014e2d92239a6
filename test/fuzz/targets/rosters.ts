/**
 * Changes of the roster, and the steps that a relay takes from one roster to
 * the next, against the table of section "Roster" read a second time: no
 * change but one that the members signed.
 */

import { encodeCertificate, encodeStep, type RosterStep } from '../../../src/core/certificate.js';
import { chainNext } from '../../../src/core/chain.js';
import type { UserId } from '../../../src/core/ids.js';
import { type ChannelRecord, encodeRecord } from '../../../src/core/record.js';
import {
  applyMembership,
  type MembershipBody,
  membershipPrev,
  type Roster,
  voters,
} from '../../../src/core/roster.js';
import { growRoster } from '../../../src/relay/roster-chain.js';
import {
  apply,
  certificateOf,
  digestOf,
  FOUNDER,
  founded,
  grown,
  hash,
  inviteBody,
  joinBody,
  membershipBy,
  NOW,
  type Person,
  person,
  proofOf,
  recordBy,
  relayOf,
} from '../../unit/fixtures/channel.js';
import { nativeCrypto } from '../../unit/fixtures/ports.js';
import {
  recoveryBody,
  replaceBody,
  roleBody,
  withRecovery,
} from '../../unit/fixtures/replacements.js';
import type { Dice } from '../dice.js';
import { generate, intBytes, type Tree, write } from '../grammar.js';
import { someBytes } from '../mutations.js';
import { KINDS, type Kind, nextRoster } from '../roster-twin.js';
import * as shapes from '../shapes.js';
import { must, mustEqual, type Target, typed } from '../target.js';
import { headerOf, MEMBERS_MAX, ROSTERS } from './proofs.js';

const INVITE_KEYS = [500, 501, 502].map(person) as [Person, Person, Person];
const RECOVERY_KEYS = [300, 301].map(person) as [Person, Person];

/** With an open invitation that ends, and one that is used up by one join. */
function withInvites(roster: Roster): Roster {
  const first = apply(
    roster,
    FOUNDER,
    inviteBody(roster, INVITE_KEYS[0], { uses: 2, expires: NOW + 1_000 }),
  );
  return apply(first, FOUNDER, inviteBody(first, INVITE_KEYS[1]));
}

const removal = (roster: Roster, n: number): MembershipBody => ({
  ...{ kind: 'remove', base: roster.number, user: person(n).user },
});

/** Two admins of seven members, two recovery keys; 4 left, 5 was removed, 6 was replaced. */
function changedRoster(): Roster {
  let roster = grown(MEMBERS_MAX);
  for (const n of [2, 3]) roster = apply(roster, FOUNDER, roleBody(roster, person(n), 'admin'));
  roster = withRecovery(roster, person(2), RECOVERY_KEYS[0]);
  roster = withRecovery(roster, FOUNDER, RECOVERY_KEYS[1]);
  roster = apply(roster, person(4), { kind: 'leave', base: roster.number });
  roster = apply(roster, person(2), removal(roster, 5));
  return apply(roster, FOUNDER, replaceBody(roster, person(6), null));
}

const CHANGED = changedRoster();

/** An archive, 8, with a recovery key, and an invitation for another, and for one who reads. */
function withArchive(roster: Roster): Roster {
  const [first, second, third] = INVITE_KEYS;
  const open = apply(roster, FOUNDER, inviteBody(roster, first, { isArchive: true }));
  const joined = apply(open, FOUNDER, joinBody(open, person(8), first, { sealing: null }));
  const kept = withRecovery(joined, person(8), RECOVERY_KEYS[1]);
  const more = apply(kept, FOUNDER, inviteBody(kept, second, { isArchive: true }));
  return apply(more, FOUNDER, inviteBody(more, third));
}

/** Two, 7 and 8, came by one invitation that is still open; 8 left. */
function byOneInvitation(roster: Roster): Roster {
  const [key] = INVITE_KEYS;
  let next = apply(roster, FOUNDER, inviteBody(roster, key, { uses: 5 }));
  for (const n of [7, 8]) next = apply(next, FOUNDER, joinBody(next, person(n), key));
  return apply(next, person(8), { kind: 'leave', base: next.number });
}

const founderLeft = apply(CHANGED, FOUNDER, { kind: 'leave', base: CHANGED.number });
/** Someone whom only an invitation for it brings back. */
const forRemoved = (roster: Roster): Roster =>
  apply(
    roster,
    person(2),
    inviteBody(roster, INVITE_KEYS[2], { invitee: person(5).user, expires: NOW + 1_000 }),
  );

/** Of every size, with roles, recovery keys, departed ones and replaced ones. */
const OPEN_ROSTERS = [
  ...ROSTERS.map(withInvites),
  CHANGED,
  ...[withInvites(CHANGED), withInvites(withRecovery(grown(2), FOUNDER, RECOVERY_KEYS[1]))],
  forRemoved(withInvites(CHANGED)),
  ...[founderLeft, forRemoved(founderLeft)],
  ...[withArchive(grown(3)), withArchive(grown(5))],
  byOneInvitation(grown(3)),
];
/** Whoever may be named, and may be an author. */
const PEOPLE = [1, 2, 3, 4, 5, 6, 7, 8, 20, 21, 50].map(person);

const membership: Target = {
  name: 'membership',
  what: 'changes of the roster, signatures aside: bodies of every kind by any author',
  share: 40,
  make(d) {
    const size = d.int(OPEN_ROSTERS.length);
    const roster = OPEN_ROSTERS[size]!;
    const kind = d.int(KINDS.length);
    const author = d.oneIn(2) ? d.int(PEOPLE.length) : d.int(3);
    const body = someMembership(d, roster, KINDS[kind]!, PEOPLE[author]!);
    const time = NOW + d.pick([0, 1_000, 1_001]);
    const out = Buffer.alloc(11);
    out.set([size, kind, author]);
    out.writeBigUInt64BE(BigInt(time), 3);
    return new Uint8Array(Buffer.concat([out, body]));
  },
  check(input) {
    if (input.length < 11) return false;
    const roster = OPEN_ROSTERS[input[0]! % OPEN_ROSTERS.length]!;
    const kind = KINDS[input[1]! % KINDS.length]!;
    const author = PEOPLE[input[2]! % PEOPLE.length]!;
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
    const { digest } = record;
    const expected = nextRoster(roster, { author: author.user, kind, time, prev, body, digest });
    must(
      (next !== undefined) === (expected !== undefined),
      `a ${kind} is ${next ? 'taken' : 'refused'}`,
    );
    mustEqual(next?.value, expected, `a ${kind} makes another roster`);
    return next !== undefined;
  },
};

const keyBytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

/** A body whose ids are those of people and keys that are known, most often a good one. */
function someMembership(d: Dice, roster: Roster, kind: Kind, author: Person): Uint8Array {
  const shape = shapes.MEMBERSHIP[kind];
  const tree = generate(d, shape);
  tree.parts[0]!.bytes = intBytes(BigInt(roster.number + (d.oneIn(12) ? 1 : 0)), 8);
  const anyone = (): UserId =>
    d.pick(d.oneIn(6) ? [...INVITE_KEYS, ...RECOVERY_KEYS] : PEOPLE).user;
  const known = d.pick([...roster.members.keys(), ...roster.departed.keys()]);
  const named = keyBytes(d.oneIn(3) ? anyone() : known);
  const [, first, second, , fourth] = tree.parts;
  switch (kind) {
    case 'invite': {
      const isForOne = d.oneIn(3);
      first!.bytes = keyBytes(d.oneIn(4) ? anyone() : person(510 + d.int(3)).user);
      second!.bytes = intBytes(
        BigInt(isForOne ? d.pick([1, 1, 2]) : d.pick([0, 1, 1_000, 1_001])),
        2,
      );
      fourth!.bytes = isForOne ? keyBytes(anyone()) : new Uint8Array(32);
      break;
    }
    case 'revoke':
      first!.bytes = keyBytes(d.oneIn(3) ? anyone() : d.pick(INVITE_KEYS).user);
      break;
    case 'vote':
    case 'remove':
    case 'role':
      first!.bytes = named;
      break;
    case 'join':
    case 'replace':
    case 'recovery':
      askFor(d, roster, kind, author, tree);
      break;
    case 'relays':
    case 'leave':
  }
  const body = write(tree);
  return d.oneIn(5) ? someBytes(d, shape, [body]) : body;
}

/** Puts a request, and where it is good its signatures, into a body. */
function askFor(
  d: Dice,
  roster: Roster,
  kind: 'join' | 'replace' | 'recovery',
  author: Person,
  tree: Tree,
): void {
  const made = someRequest(d, roster, kind, author);
  const request = d.oneIn(5) ? someBytes(d, shapes.STATEMENTS[kind], [made.request]) : made.request;
  tree.parts[1]!.bytes = request;
  const by = tree.parts.at(-1)!;
  if (kind !== 'join' && !d.oneIn(8)) by.bytes = made.kind === 'join' ? by.bytes : made.bySig;
}

function someRequest(d: Dice, roster: Roster, kind: string, author: Person) {
  const other = d.oneIn(8) ? { rosterHash: digestOf('x') } : {};
  if (kind === 'join') {
    const joiner = d.pick([20, 21, 2, 4, 5, 6].map(person));
    const number = d.oneIn(12) ? { roster: roster.number + 1 } : {};
    const as = d.oneIn(4) ? { sealing: null } : {};
    return joinBody(roster, joiner, d.pick(INVITE_KEYS), { ...number, ...other, ...as });
  }
  const keys = d.oneIn(6) ? PEOPLE : [...RECOVERY_KEYS, person(302)];
  const by = d.oneIn(3) ? null : d.pick(keys);
  if (kind === 'recovery') {
    const owner = d.oneIn(6) ? d.pick(PEOPLE) : author;
    const own = roster.members.get(owner.user)?.recovery;
    const former = own ? (RECOVERY_KEYS.find(({ user }) => user === own) ?? null) : null;
    return recoveryBody(roster, owner, d.pick(keys), d.oneIn(4) ? by : former, other);
  }
  const old = d.pick(PEOPLE);
  const own = roster.members.get(old.user)?.recovery;
  const known = RECOVERY_KEYS.find(({ user }) => user === own) ?? null;
  const next = d.oneIn(4) ? d.pick(PEOPLE) : person(60 + d.int(2));
  const recovery = d.oneIn(3) ? d.pick([next, ...keys]).user : null;
  const isArchive = roster.members.get(old.user)?.sealing === null;
  const as = isArchive !== d.oneIn(8) ? { sealing: null } : {};
  return replaceBody(roster, old, d.oneIn(3) ? by : known, { next, recovery, ...as });
}

const SIGNERS = [1, 2, 3, 4, 5, 50].map(person);

/** A channel's first rosters with the steps to them, all signed: a change of every kind. */
function stepsOfChannel(): { rosters: Roster[]; steps: RosterStep[] } {
  const rosters = [founded()];
  const steps: RosterStep[] = [];
  const add = (of: (roster: Roster) => MembershipBody, author = FOUNDER): void => {
    const roster = rosters.at(-1)!;
    const record = membershipBy(roster, author, of(roster));
    steps.push(stepOf(roster, author, record, 2 * steps.length + 1, steps.length % 2 === 1));
    rosters.push(applyMembership(hash, roster, record));
  };
  for (const n of [2, 3, 4]) {
    const key = person(700 + n);
    add((roster) => inviteBody(roster, key));
    add((roster) => joinBody(roster, person(n), key));
    if (n === 2) add((roster) => ({ kind: 'vote', base: roster.number, user: person(2).user }));
  }
  const leaving = person(701);
  add((roster) => roleBody(roster, person(2), 'admin'));
  add((roster) => recoveryBody(roster, person(3), RECOVERY_KEYS[0]), person(3));
  add((roster) => ({ kind: 'relays', base: roster.number, relays: [relayOf(1), relayOf(2)] }));
  add((roster) => inviteBody(roster, leaving, { invitee: person(5).user }));
  add((roster) => inviteBody(roster, person(702)), person(2));
  add((roster) => joinBody(roster, person(5), leaving));
  add((roster) => ({ kind: 'revoke', base: roster.number, key: person(702).user }));
  add((roster) => replaceBody(roster, person(3), RECOVERY_KEYS[0]), person(4));
  add((roster) => ({ kind: 'leave', base: roster.number }), person(5));
  add((roster) => removal(roster, 4), person(2));
  return { rosters, steps };
}

/** A record at a place, and how all voters of a roster certified it, or the entry behind it. */
export function stepOf(
  roster: Roster,
  author: Person,
  record: ChannelRecord,
  seq: number,
  isFar: boolean,
  under = roster.number,
): RosterStep {
  const prevHash = digestOf(`before ${seq}`);
  const head = { ...headerOf(0), roster: under, digest: record.digest };
  const headers = isFar ? [head] : [];
  const certified = isFar ? chainNext(hash, prevHash, seq, head) : prevHash;
  const cert = certificateOf(roster, {
    seq: seq + headers.length,
    prevHash: certified,
    headers: [isFar ? headerOf(7) : head],
    acks: voters(roster).map((user) => ({
      by: SIGNERS.find((p) => p.user === user)!,
      ahead: 0,
    })),
  });
  const proof = proofOf(author, record, roster);
  return { seq, prevHash, headers, record: record.bytes, proof, cert: encodeCertificate(cert) };
}

interface ChannelSteps {
  readonly rosters: readonly Roster[];
  readonly made: readonly RosterStep[];
  readonly steps: readonly Uint8Array[];
}
let known: ChannelSteps | undefined;

export function channelSteps(): ChannelSteps {
  if (known) return known;
  const { rosters, steps } = stepsOfChannel();
  known = { rosters, made: steps, steps: steps.map(encodeStep) };
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
