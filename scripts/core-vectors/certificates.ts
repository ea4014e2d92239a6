/** test/vectors/certificates.json: final certificates, and those that must not hold; see growth.ts for roster steps. */

import {
  alice,
  bob,
  type Context,
  carol,
  dave,
  ENCODING,
  erin,
  frank,
  id,
  KEYS,
  leadership,
} from './common.js';
import {
  type Actor,
  certificate,
  chainNext,
  type Fields,
  type Hex,
  signed,
  statement,
  u8,
} from './encoding.js';
import { CHANNEL_ID, FOUNDED, GENESIS, growth } from './growth.js';

/** A roster as far as certificates need it. */
const rosterOf = (number: number, voting: readonly Actor[], others: readonly Actor[] = []) => ({
  channel: id('channel'),
  number,
  hash: id(`roster ${number}`),
  members: [...voting, ...others].map((a) => ({ user: a.user, votes: voting.includes(a) })),
});
const ROSTERS = {
  one: rosterOf(0, [alice]),
  two: rosterOf(3, [alice, bob]),
  waiting: rosterOf(2, [alice], [bob]),
  five: rosterOf(7, [alice, bob, carol, dave, erin], []),
};
type RosterName = keyof typeof ROSTERS;

const contextOf = (name: RosterName): Context => ({
  channel: ROSTERS[name].channel,
  roster: ROSTERS[name].number,
  rosterHash: ROSTERS[name].hash,
});

const SEQ = 10;
const headerAt = (seq: number, roster: number, change: Fields = {}): Fields => ({
  ...leadership,
  roster,
  digest: id(`record ${seq}`),
  ...change,
});

interface CertOptions {
  /** Who acknowledged, and up to where. */
  readonly acks: readonly (readonly [Actor, number])[];
  readonly roster?: RosterName;
  /** What its statements say instead. */
  readonly said?: Fields;
  /** What it says itself, after it was signed. */
  readonly change?: Fields;
  readonly head?: Fields;
  readonly links?: number;
}

/** A final certificate over the entry at seq 10, with the chain hash at each position after it. */
function certOf({
  acks,
  roster = 'five',
  said = {},
  change = {},
  head = {},
  links = 0,
}: CertOptions) {
  const context = contextOf(roster);
  const headers = Array.from({ length: links + 1 }, (_, i) =>
    headerAt(SEQ + i, context.roster, i === 0 ? head : {}),
  );
  const hashes: Hex[] = [];
  for (const [i, header] of headers.entries()) {
    hashes.push(chainNext(hashes.at(-1) ?? id('chain 9'), SEQ + i, header));
  }
  const statementAt = (seq: number): Hex =>
    statement('ack', {
      ...context,
      kind: 'roster',
      ...leadership,
      seq,
      hash: hashes[seq - SEQ] ?? id('nothing'),
      ...said,
    });
  const fields: Fields = {
    kind: 'final',
    ...context,
    ...leadership,
    seq: SEQ,
    prevHash: id('chain 9'),
    head: headers[0],
    links: headers.slice(1),
    acks: acks.map(([by, seq]) => ({ user: by.user, seq, sig: signed(by, statementAt(seq)) })),
    ...change,
  };
  return {
    roster,
    fields,
    bytes: certificate(fields),
    point: { seq: SEQ, hash: hashes[0]! },
    statements: acks.map(([, seq]) => statementAt(seq)),
  };
}

const THREE = [
  [alice, SEQ],
  [bob, SEQ],
  [carol, SEQ],
] as const;
const SPREAD = [
  [alice, SEQ],
  [bob, SEQ + 1],
  [carol, SEQ + 3],
] as const;

const validCertificates = () => [
  { what: 'one of one', ...certOf({ roster: 'one', acks: [[alice, SEQ]] }) },
  { what: 'the one that votes, of two', ...certOf({ roster: 'waiting', acks: [[alice, SEQ]] }) },
  { what: 'two of two', ...certOf({ roster: 'two', acks: THREE.slice(0, 2) }) },
  { what: 'three of five', ...certOf({ acks: THREE }) },
  { what: 'three of five, in another order', ...certOf({ acks: [...THREE].reverse() }) },
  {
    what: 'all five',
    ...certOf({ acks: [alice, bob, carol, dave, erin].map((a) => [a, SEQ] as const) }),
  },
  {
    what: 'three of five that acknowledged up to different entries',
    ...certOf({ acks: SPREAD, links: 3 }),
  },
];

function refusedCertificates() {
  const made = (what: string, breaks: string, options: CertOptions) => {
    const { roster, bytes } = certOf(options);
    return { what, breaks, roster, bytes };
  };
  const { fields, bytes } = certOf({ acks: THREE });
  const acks = fields.acks as readonly Fields[];
  const spread = certOf({ acks: SPREAD, links: 3 });
  const links = spread.fields.links as readonly Fields[];
  const raw = (what: string, bytes: Hex) => ({ what, breaks: 'encoding', roster: 'five', bytes });
  return [
    raw('no bytes at all', ''),
    raw('the last byte missing', bytes.slice(0, -2)),
    raw('a byte after its end', `${bytes}00`),
    raw('a third kind', `02${bytes.slice(2)}`),
    made('a committed one', 'kind', { acks: THREE, change: { kind: 'committed' } }),
    made('of another channel', 'channel', {
      acks: THREE,
      change: { channel: id('other channel') },
    }),
    made('of another roster number', 'roster', { acks: THREE, change: { roster: 8 } }),
    made('of another roster hash', 'roster', {
      acks: THREE,
      change: { rosterHash: id('roster 8') },
    }),
    made('three acknowledgements that are rightly signed, under an older roster', 'roster', {
      acks: THREE,
      said: { roster: 6, rosterHash: id('roster 6') },
      change: { roster: 6, rosterHash: id('roster 6') },
    }),
    made('nobody', 'majority', { acks: [] }),
    made('two of five', 'majority', { acks: THREE.slice(0, 2) }),
    made('one of two: half is no majority', 'majority', { roster: 'two', acks: [[alice, SEQ]] }),
    made('a member counted twice', 'twice', { acks: [THREE[0], THREE[1], THREE[1]] }),
    made('a member counted twice, at two entries', 'twice', {
      acks: [THREE[0], THREE[1], [bob, SEQ + 1]],
      links: 1,
    }),
    made('a member without a vote', 'vote', { roster: 'waiting', acks: [[bob, SEQ]] }),
    made('three of five and a stranger', 'vote', { acks: [...THREE, [frank, SEQ]] }),
    made(
      "an entry of another leadership, acknowledged under this one (Raft's figure 8)",
      'leadership',
      {
        acks: THREE,
        head: { epoch: id('older epoch'), term: 8 },
      },
    ),
    made('an entry of the same term and another epoch', 'leadership', {
      acks: THREE,
      head: { epoch: id('older epoch') },
    }),
    made('an entry of another term', 'leadership', { acks: THREE, head: { term: 8 } }),
    made('an acknowledgement behind the certified entry', 'links', {
      acks: [THREE[0], THREE[1], [carol, SEQ - 1]],
    }),
    made('an acknowledgement beyond the links', 'links', {
      acks: [THREE[0], THREE[1], [carol, SEQ + 2]],
      links: 1,
    }),
    made('a signature of another member', 'signature', {
      acks: THREE,
      change: { acks: [acks[0], acks[1], { ...acks[2], sig: acks[1]!.sig }] },
    }),
    made('a signature with a bit flipped', 'signature', {
      acks: THREE,
      change: { acks: [acks[0], acks[1], { ...acks[2], sig: flipped(acks[2]!.sig as Hex) }] },
    }),
    made('acknowledgements of another entry', 'signature', {
      acks: THREE,
      said: { hash: id('another entry') },
    }),
    made('acknowledgements under another leadership', 'signature', {
      acks: THREE,
      said: { epoch: id('older epoch') },
    }),
    made('acknowledgements under another term', 'signature', { acks: THREE, said: { term: 8 } }),
    made('acknowledgements in another channel', 'signature', {
      acks: THREE,
      said: { channel: id('other channel') },
    }),
    made('another entry before it', 'signature', {
      acks: THREE,
      change: { prevHash: id('another entry') },
    }),
    made('another record at its seq', 'signature', {
      acks: THREE,
      change: { head: headerAt(SEQ, 7, { digest: id('another record') }) },
    }),
    made('another record between the entry and an acknowledgement', 'signature', {
      acks: SPREAD,
      links: 3,
      change: { links: [{ ...links[0], digest: id('another record') }, ...links.slice(1)] },
    }),
    made('an acknowledgement moved to the next entry', 'signature', {
      acks: SPREAD,
      links: 3,
      change: {
        acks: (spread.fields.acks as readonly Fields[]).map((a, i) =>
          i === 1 ? { ...a, seq: SEQ + 2 } : a,
        ),
      },
    }),
  ];
}

const flipped = (sig: Hex): Hex => u8(Number.parseInt(sig.slice(0, 2), 16) ^ 1) + sig.slice(2);

export function certificateVectors() {
  const { steps, refused } = growth();
  return {
    description: [
      'Final certificates and roster steps (docs/PROTOCOL.md, sections "Certificates" and "Roster").',
      'An implementation passes when, for each of `valid`, it encodes `fields` as `bytes` and decodes',
      '`bytes` into them, gets the certified `point` and `statements`, which the users in `acks` signed,',
      'and accepts the certificate for the roster of `rosters` that `roster` names; and when it refuses',
      'each of `refused` for that roster. `breaks` is the rule that is broken: `encoding`; `kind` (it is',
      'not final); `channel`; `roster` (number or hash are not those of the roster); `majority`; `twice`',
      '(a member is counted twice); `vote` (who acknowledged has none); `leadership` (the certified entry',
      'is not of the leadership that was acknowledged); `links` (an acknowledgement lies outside them);',
      '`signature`. `channel` is a channel that starts with `genesis`; each of its `steps` leads to',
      '`roster`, and each of `refused_steps` is refused after the first `after` steps, for what it',
      '`breaks`: `encoding`, `certificate` (it does not certify this record on this chain under this',
      'roster), `membership` (the record is not valid on this roster) or `signature`.',
      ENCODING,
    ].join(' '),
    keys: KEYS,
    rosters: ROSTERS,
    valid: validCertificates(),
    refused: refusedCertificates(),
    channel: { id: CHANNEL_ID, genesis: GENESIS, roster: FOUNDED, steps },
    refused_steps: refused,
  };
}
