/**
 * Portable proofs as anybody judges them, of what is final and of misbehaviour,
 * against a second judge (proof-twin.ts): a proof holds exactly where that says
 * so, and says the same.
 */

import type { RosterStep } from '../../../src/core/certificate.js';
import { chainOver, type Header, type Point } from '../../../src/core/chain.js';
import { checkPortableProof, type Verifier } from '../../../src/core/check-proof.js';
import { encodeGenesis } from '../../../src/core/genesis.js';
import type { Misbehaviour } from '../../../src/core/misbehaviour.js';
import { encodePortableProof } from '../../../src/core/portable-proof.js';
import type { RecordFields } from '../../../src/core/record.js';
import type { Roster } from '../../../src/core/roster.js';
import { encodeStatement, type Statement } from '../../../src/core/statements.js';
import {
  CHANNEL,
  digestOf,
  epochOf,
  FOUNDER,
  founded,
  genesis,
  hash,
  type Person,
  person,
  proofOf,
  recordBy,
  ulidOf,
} from '../../unit/fixtures/channel.js';
import { nativeCrypto } from '../../unit/fixtures/ports.js';
import { commitmentTo, messageKey, xchachaSeal } from '../cipher-twin.js';
import type { Dice } from '../dice.js';
import { parse, type Tree, write } from '../grammar.js';
import { someBytes } from '../mutations.js';
import { convictedIn, finalIn, hexOf, type IsSigned } from '../proof-twin.js';
import * as shapes from '../shapes.js';
import { must, mustEqual, type Target, typed } from '../target.js';
import { damagedCertificate } from './proofs.js';
import { channelSteps, stepOf } from './rosters.js';

const digestBytes = (name: string): Uint8Array => hash(Buffer.from(name));

/** Most signatures are in many cases. */
const judged = new Map<string, boolean>();
const JUDGED_MAX = 20_000;

const isSigned: IsSigned = (by, statement, sig) => {
  const name = `${by}${hexOf(sig)}${hexOf(nativeCrypto.sha256(statement))}`;
  let found = judged.get(name);
  if (found === undefined) {
    found = nativeCrypto.ed25519Verify(Buffer.from(by, 'hex'), statement, sig);
    if (judged.size >= JUDGED_MAX) judged.clear();
    judged.set(name, found);
  }
  return found;
};

/** What judging cost: bytes hashed, signatures verified. */
let [hashed, verified] = [0, 0];
const verifier: Verifier = {
  sha256(data) {
    hashed += data.length;
    return hash(data);
  },
  isValid({ by, statement, sig }) {
    verified += 1;
    return isSigned(by, statement, sig);
  },
};

const HASHED_PER_BYTE = 40;
const SIGNATURE_BYTES = 64;

function judge(input: Uint8Array) {
  [hashed, verified] = [0, 0];
  const proven = typed(
    () => checkPortableProof(verifier, input),
    ['bad_proof', 'proof_version', 'proof_too_large'],
  );
  const most = HASHED_PER_BYTE * input.length + 4_096;
  must(hashed <= most, `${input.length} bytes of a proof cost ${hashed} of hashing`);
  const asked = Math.ceil(input.length / SIGNATURE_BYTES) + 1;
  must(verified <= asked, `${input.length} bytes of a proof cost ${verified} signatures`);
  return proven?.value;
}

const BODY_KEY = digestBytes('a body key');

/** An encrypted body for a record of these fields, and the key of it alone, to which it commits, or not. */
function sealed(
  author: Person,
  fields: Partial<RecordFields>,
  commits: boolean,
): [Uint8Array, Uint8Array] {
  const nonce = digestBytes(`nonce of ${fields.n}`).subarray(0, 24);
  const header = recordBy(author, fields).bytes.slice(0, -4);
  const key = messageKey(BODY_KEY, nonce);
  const parts = [new Uint8Array(16), nonce, commitmentTo(commits ? key : nonce)];
  return [
    new Uint8Array(
      Buffer.concat([...parts, xchachaSeal(BODY_KEY, nonce, header, Buffer.from('hi'))]),
    ),
    key,
  ];
}

/** A message by a member, as it is placed behind the steps up to a roster; encrypted, if its key is kept. */
function messageUnder(
  roster: Roster,
  steps: number,
  under: number,
  keep?: (key: Uint8Array) => void,
  commits = true,
): RosterStep {
  const author = [FOUNDER, person(2), person(50)].findLast(({ user }) => roster.members.has(user))!;
  const plain = { n: steps + 1, id: ulidOf(steps + 1), keyEpoch: keep ? 1 : 0 };
  const [body, key] = keep ? sealed(author, plain, commits) : [new Uint8Array(0)];
  if (key) keep?.(key);
  const record = recordBy(author, { ...plain, body });
  return stepOf(roster, author, record, 2 * steps + 1, steps % 2 === 1, under);
}

const GENESIS = encodeGenesis(genesis);
const GENESIS_SIG = nativeCrypto.ed25519Sign(FOUNDER.seed, GENESIS);

/** Of a message under each roster, and of each change. */
function finalProofs(): Uint8Array[] {
  const { rosters, made } = channelSteps();
  return rosters.flatMap((roster, n) => {
    const at = [
      messageUnder(roster, n, n),
      messageUnder(roster, n, n >> 1),
      ...made.slice(n, n + 1),
    ];
    const keys: Uint8Array[] = [];
    const opened = messageUnder(roster, n, n, (key) => keys.push(key));
    const of = (inclusion: RosterStep, disclosure?: Uint8Array): Uint8Array =>
      encodePortableProof({
        ...{ kind: 'final', genesis: GENESIS, genesisSig: GENESIS_SIG },
        ...{ steps: made.slice(0, n), inclusion, ...(disclosure && { disclosure }) },
      });
    const lying = messageUnder(roster, n, n, (key) => keys.push(key), false);
    const [key, another] = keys;
    return [
      ...at.map((inclusion) => of(inclusion)),
      of(opened),
      of(opened, key),
      of(lying, another),
    ];
  });
}

let knownFinal: readonly Uint8Array[] | undefined;

/** One of the good proofs, most often changed: its steps, or what is inside of one. */
function someFinalProof(d: Dice): Uint8Array {
  knownFinal ??= finalProofs();
  const good = d.pick(knownFinal);
  if (d.oneIn(4)) return good;
  if (d.oneIn(3)) return someBytes(d, shapes.finalProof, [good, d.pick(knownFinal)]);
  const tree = parse(shapes.finalProof, good)!;
  const other = parse(shapes.finalProof, d.pick(knownFinal))!;
  const steps = (of: Tree): Tree[] => of.parts[5]!.parts;
  switch (d.int(6)) {
    case 0:
      tree.parts[6] = other.parts[6]!;
      break;
    case 1:
      tree.parts[5]!.parts = steps(other);
      break;
    case 2:
      steps(tree).splice(d.int(steps(tree).length + 1), 1);
      break;
    case 3:
      steps(tree).push(...steps(other).slice(-1));
      break;
    case 4:
      tree.parts[7] = other.parts[7]!;
      break;
    default:
      changeStep(d, d.pick([...steps(tree), tree.parts[6]!, tree.parts[6]!]).parts[0]!);
  }
  return write(tree);
}

/** The acknowledgements, the record, the proof or the place of a step. */
function changeStep(d: Dice, { parts }: Tree): void {
  const [, , , record, proof, cert] = parts as Tree[];
  const change = d.int(6);
  if (change < 3) cert!.bytes = damagedCertificate(d, cert!.bytes);
  else if (change === 3) record!.bytes = someBytes(d, shapes.record, [record!.bytes]);
  else if (change === 4) proof!.bytes = someBytes(d, shapes.proof, [proof!.bytes]);
  else parts[0]!.bytes = d.bytes(8).fill(0, 0, 7);
}

const final: Target = {
  name: 'proof-of-final',
  what: 'portable proofs that a record is final, signatures and all',
  share: 10,
  make: someFinalProof,
  check(input) {
    if (parse(shapes.misbehaviourProof, input)) return false;
    const proven = judge(input);
    const expected = finalIn(isSigned, input);
    must(
      (proven !== undefined) === (expected !== undefined),
      `a proof ${proven ? 'holds' : 'fails'}`,
    );
    if (proven?.proves !== 'final') return false;
    const { channel, founder, record, seq, author, authorIsMember, roster, certificate } = proven;
    const opened = proven.opened && hexOf(proven.opened);
    const by = certificate.by.map(({ user }) => user);
    const says = {
      ...{ channel, founder: founder.user, seq, digest: record.digest, author: author.user },
      ...{ opened, authorIsMember, roster: roster.hash, certificate: { ...certificate, by } },
    };
    mustEqual(says, expected, 'a proof says something else');
    return true;
  },
};

const OFFENDER = person(2);
const context = { channel: CHANNEL, roster: 0, rosterHash: founded().hash };
const LEADERSHIP = epochOf('leadership');
const BASE: Point = { seq: 20, hash: digestOf('base') };

function signed(statement: Statement, by: Person) {
  const bytes = encodeStatement(statement);
  return { statement: bytes, sig: nativeCrypto.ed25519Sign(by.seed, bytes) };
}

function someRecordSide(d: Dice, by: Person) {
  const change: Partial<RecordFields> = {
    ...{ boot: ulidOf(d.oneIn(12) ? 0 : 7), n: d.oneIn(12) ? 6 : 5, body: d.bytes(d.int(3)) },
    ...(d.oneIn(12) ? { channel: digestOf('other') as string as typeof CHANNEL } : {}),
  };
  const record = recordBy(by, change);
  return { record: record.bytes, proof: proofOf(by, record, founded()) };
}

const someBallot = (d: Dice, by: Person) =>
  signed(
    {
      ...{ tag: 'ballot', ...context, kind: d.oneIn(8) ? 'online' : 'roster' },
      ...{ candidate: person(d.int(2) + 1).user, term: d.oneIn(8) ? 8 : 9 },
      electorate: digestOf(d.pick(['these', 'those'])),
    },
    by,
  );

/** A point some entries behind the place, as a proposal or an acknowledgement names it. */
function somePlaceSide(d: Dice, by: Person, offence: 'proposals' | 'acknowledgements') {
  const header = (n: number): Header => ({
    ...{ epoch: LEADERSHIP, term: 9, roster: 0, digest: digestOf(`entry ${n}`) },
  });
  const at = { seq: BASE.seq, hash: digestOf(d.pick(['base', 'other'])) };
  const headers = Array.from({ length: d.int(3) }, () => header(d.int(9)));
  const tip = chainOver(hash, d.oneIn(12) ? BASE : at, headers);
  const epoch = d.oneIn(12) ? epochOf('x') : LEADERSHIP;
  const about = { ...context, kind: 'roster', epoch, term: 9 } as const;
  const far = { seq: 30, hash: digestOf('far') };
  const [base, end] = d.oneIn(2) ? [tip, far] : [far, tip];
  const said: Statement =
    offence === 'acknowledgements'
      ? { tag: 'ack', ...about, ...tip }
      : {
          ...{ ...about, beat: d.int(3), finalSeq: 3, quiet: false },
          tag: 'propose',
          ...{ baseSeq: base.seq, baseHash: base.hash, tipSeq: end.seq, tipHash: end.hash },
        };
  return { hash: at.hash, headers, ...signed(said, by) };
}

function someMisbehaviour(d: Dice): Misbehaviour {
  const convicted = { channel: CHANNEL, offender: OFFENDER.user };
  const by = (): Person => (d.oneIn(16) ? person(3) : OFFENDER);
  const offence = d.pick(['records', 'ballots', 'proposals', 'acknowledgements'] as const);
  if (offence === 'records') {
    return { ...convicted, offence, sides: [someRecordSide(d, by()), someRecordSide(d, by())] };
  }
  if (offence === 'ballots') {
    return { ...convicted, offence, sides: [someBallot(d, by()), someBallot(d, by())] };
  }
  const side = () => somePlaceSide(d, by(), offence);
  return { ...convicted, offence, seq: BASE.seq, sides: [side(), side()] };
}

/** A proof of misbehaviour, most often a good one. */
export const someConviction = (d: Dice): Uint8Array =>
  encodePortableProof({ kind: 'misbehaviour', misbehaviour: someMisbehaviour(d) });

const misbehaviour: Target = {
  name: 'proof-of-misbehaviour',
  what: 'portable proofs that a member contradicted itself, signatures and all',
  share: 20,
  make(d) {
    const good = someConviction(d);
    return d.oneIn(3) ? someBytes(d, shapes.misbehaviourProof, [good]) : good;
  },
  check(input) {
    if (parse(shapes.finalProof, input)) return false;
    const proven = judge(input);
    const expected = convictedIn(isSigned, input);
    must(
      (proven !== undefined) === (expected !== undefined),
      `a proof ${proven ? 'holds' : 'fails'}`,
    );
    if (proven?.proves !== 'misbehaviour') return false;
    const { channel, offence, offender } = proven.misbehaviour;
    mustEqual({ channel, offence, offender }, expected, 'a proof convicts another');
    return true;
  },
};

export const PORTABLE_TARGETS: readonly Target[] = [final, misbehaviour];
