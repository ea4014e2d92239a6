/**
 * test/vectors/certificates.json: final certificates, and those that must not
 * hold; see committed.ts for those of commitment, growth.ts, departures.ts and replacements.ts for roster steps.
 */

import { type CertOptions, certOf, headerAt, ROSTERS, SEQ, SPREAD, THREE } from './certify.js';
import { committedVectors } from './committed.js';
import { alice, bob, carol, dave, ENCODING, erin, frank, id, KEYS } from './common.js';
import { departures } from './departures.js';
import { type Fields, type Hex, u8 } from './encoding.js';
import { CHANNEL_ID, FOUNDED, GENESIS, GrowingChannel } from './growing-channel.js';
import { growth } from './growth.js';
import { replacements } from './replacements.js';

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
    raw('a fourth kind', `03${bytes.slice(2)}`),
    made('a committed one', 'kind', { acks: THREE, kind: 'committed' }),
    made('a committed one of an online epoch', 'kind', {
      acks: THREE,
      kind: 'committed',
      epochKind: 'online',
    }),
    made('acknowledgements in an online epoch', 'signature', {
      acks: THREE,
      said: { kind: 'online' },
    }),
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
  const channel = new GrowingChannel();
  const steps = [...growth(channel), ...departures(channel), ...replacements(channel)];
  const { refused } = channel;
  return {
    description: [
      'Certificates and roster steps (docs/PROTOCOL.md, sections "Certificates" and "Roster").',
      'An implementation passes when, for each of `valid`, it encodes `fields` as `bytes` and decodes',
      '`bytes` into them, gets the certified `point` and `statements`, which the users in `acks` signed,',
      'and accepts the certificate for the roster of `rosters` that `roster` names; and when it refuses',
      'each of `refused` for that roster. `breaks` is the rule that is broken: `encoding`; `kind` (it is',
      'not final); `channel`; `roster` (number or hash are not those of the roster); `majority`; `twice`',
      '(a member is counted twice); `vote` (who acknowledged has none); `leadership` (the certified entry',
      'is not of the leadership that was acknowledged); `links` (an acknowledgement lies outside them);',
      '`signature`. The same for `committed`, with the certificates of commitment for the election of',
      '`elections` that `election` names; there `kind` means that it is not one of commitment, `epoch`',
      'that it is of another epoch, term or kind of epoch than the election, and `electorate` that who',
      'acknowledged is not of the electorate. `channel` is a channel that starts with `genesis`; each of its `steps` leads to',
      '`roster`, and each of `refused_steps` is refused after the first `after` steps, for what it',
      '`breaks`: `encoding`, `certificate` (it does not certify this record on this chain under this',
      'roster), `membership` (the record is not valid on this roster) or `signature`.',
      ENCODING,
    ].join(' '),
    keys: KEYS,
    rosters: ROSTERS,
    valid: validCertificates(),
    refused: refusedCertificates(),
    ...committedVectors(),
    channel: { id: CHANNEL_ID, genesis: GENESIS, roster: FOUNDED, steps },
    refused_steps: refused,
  };
}
