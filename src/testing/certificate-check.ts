/**
 * Invariant 6: every certificate that a node writes or sends verifies, counts
 * each member once, and is a majority of what it claims; and nothing that can
 * be made of its signatures verifies as final for what can still be replaced.
 * And of invariant 12 that only voters of the roster in force are counted.
 */

import {
  type Certificate,
  certificateSignatures,
  certifiedPoint,
  committedFlaw,
  decodeCertificate,
  electorsOf,
  finalFlaw,
} from '../core/certificate.js';
import type { EpochDescriptor } from '../core/chain.js';
import type { Verifier } from '../core/check-proof.js';
import type { Hash } from '../core/crypto.js';
import type { Digest, EpochId, UserId } from '../core/ids.js';
import type { Roster } from '../core/roster.js';
import type { Break, Chains } from './chains.js';
import { isMore } from './counting.js';

/** A roster that some node was under, and who votes in it. */
export interface KnownRoster {
  readonly roster: Roster;
  readonly voters: readonly UserId[];
}

const NAME = '6 certificates';
const ROSTER = '12 roster';
/** Nobody's id. */
const STRANGER = 'e'.repeat(64) as UserId;

export class CertificateCheck {
  readonly #hash: Hash;
  readonly #isValid: Verifier['isValid'];
  readonly #chains: Chains;
  readonly #rosters: ReadonlyMap<Digest, KnownRoster>;
  readonly #epochs: ReadonlyMap<EpochId, EpochDescriptor>;
  readonly #break: Break;
  /** Those that were checked. */
  readonly #seen = new Set<string>();

  constructor(
    crypto: Verifier,
    chains: Chains,
    rosters: ReadonlyMap<Digest, KnownRoster>,
    epochs: ReadonlyMap<EpochId, EpochDescriptor>,
    onBreak: Break,
  ) {
    this.#hash = crypto.sha256;
    this.#isValid = crypto.isValid;
    this.#chains = chains;
    this.#rosters = rosters;
    this.#epochs = epochs;
    this.#break = onBreak;
  }

  /** Checks one that node `index` has, and returns it. */
  check(index: number, bytes: Uint8Array): Certificate {
    const cert = decodeCertificate(bytes);
    const acks = cert.acks.map((ack) => `${ack.user.slice(0, 8)}${ack.seq}`).join();
    const name = `${cert.kind}/${cert.epoch}/${cert.rosterHash}/${cert.seq}/${acks}`;
    if (this.#seen.has(name)) return cert;
    this.#seen.add(name);
    this.#checkSignatures(index, cert);
    this.#checkMajority(index, cert);
    if (cert.head.epoch !== cert.epoch || cert.head.term !== cert.term) {
      this.#break(NAME, `node ${index} certifies an older entry at seq ${cert.seq}`);
    }
    this.#checkForgeries(cert);
    return cert;
  }

  #checkSignatures(index: number, cert: Certificate): void {
    if (certificateSignatures(this.#hash, cert).every(this.#isValid)) return;
    this.#break(NAME, `node ${index} has a certificate at seq ${cert.seq} that does not verify`);
  }

  #checkMajority(index: number, cert: Certificate): void {
    const { kind, seq, acks } = cert;
    const voters = this.#rosters.get(cert.rosterHash)?.voters;
    const stranger = acks.find(({ user }) => voters && !voters.includes(user));
    if (stranger) {
      const who = stranger.user.slice(0, 8);
      this.#break(ROSTER, `node ${index} counts ${who}, who has no vote, at seq ${seq}`);
    }
    const among = kind === 'final' ? voters : this.#epochs.get(cert.epoch)?.electorate;
    if (!among) return;
    const counted = new Set(acks.map(({ user }) => user).filter((user) => among.includes(user)));
    if (counted.size !== acks.length || !isMore(counted.size, among.length)) {
      this.#break(
        NAME,
        `node ${index} calls seq ${seq} ${kind} by ${counted.size} of ${among.length}`,
      );
    }
  }

  /** What a member without scruples could make of it must not verify. */
  #checkForgeries(cert: Certificate): void {
    const verifies = this.#verifier(cert);
    if (!verifies) return;
    for (const [invariant, what, forged] of this.#forgeriesOf(cert)) {
      if (verifies(forged)) this.#break(invariant, `a ${cert.kind} certificate verifies ${what}`);
    }
  }

  /** The product's own check of such a certificate. */
  #verifier(cert: Certificate): ((forged: Certificate) => boolean) | undefined {
    const roster = this.#rosters.get(cert.rosterHash)?.roster;
    const epoch = this.#epochs.get(cert.epoch);
    if (cert.kind === 'final') {
      return roster && ((forged) => finalFlaw(forged, electorsOf(roster)) === undefined);
    }
    return epoch && ((forged) => committedFlaw(forged, cert.epoch, epoch) === undefined);
  }

  *#forgeriesOf(cert: Certificate): Iterable<readonly [string, string, Certificate]> {
    const [first, ...others] = cert.acks;
    const kind = cert.kind === 'final' ? 'committed' : 'final';
    yield [ROSTER, 'under an older roster', { ...cert, roster: cert.roster - 1 }];
    yield [ROSTER, 'under another roster', { ...cert, rosterHash: cert.prevHash }];
    yield [NAME, `that calls itself ${kind}`, { ...cert, kind }];
    yield [NAME, 'that counts nobody', { ...cert, acks: [] }];
    if (first) {
      const strangers = [...others, { ...first, user: STRANGER }];
      yield [ROSTER, 'that counts one who has no vote', { ...cert, acks: strangers }];
    }
    if (first && others[0]) {
      yield [NAME, 'that counts a member twice', { ...cert, acks: [...others, others[0]] }];
    }
    const older = this.#older(cert);
    if (older) yield [NAME, "over an older leadership's entry", older];
  }

  /** The same acknowledgements over the entry before, where that is of another leadership. */
  #older(cert: Certificate): Certificate | undefined {
    const head = this.#chains.get(certifiedPoint(this.#hash, cert).hash);
    const before = head?.previous;
    if (!before?.epoch || !before.previous || before.epoch === cert.epoch) return undefined;
    const { epoch, term, roster, digest } = before;
    return {
      ...cert,
      seq: before.seq,
      prevHash: before.previous.hash,
      head: { epoch, term, roster, digest },
      links: [cert.head, ...cert.links],
    };
  }
}
