/**
 * Certificates and statements as a member without scruples may make them of
 * what it has heard: none of them proves what it says (misbehaviour.ts).
 */

import { type Certificate, decodeCertificate, encodeCertificate } from '../core/certificate.js';
import type { ChannelId, Digest } from '../core/ids.js';
import { decodeStatement, encodeStatement, type Statement } from '../core/statements.js';
import { below, chance, type Draw, pick } from './prng.js';
import { changedSomewhere } from './sim-liar.js';

const anyHash = <T>(draw: Draw): T =>
  Array.from({ length: 64 }, () => below(draw, 16).toString(16)).join('') as T;

type Forge = (draw: Draw, cert: Certificate, other: Certificate) => Certificate;

const FORGERIES: readonly Forge[] = [
  /** Too few. */
  (draw, c) => ({ ...c, acks: c.acks.slice(0, below(draw, c.acks.length)) }),
  /** A member twice. */
  (draw, c) => ({ ...c, acks: [...c.acks.slice(1), pick(draw, c.acks.slice(1))].filter(Boolean) }),
  (draw, c) => ({ ...c, acks: [...c.acks, pick(draw, c.acks)] }),
  /** Another roster, another channel. */
  (_, c) => ({ ...c, roster: c.roster + 1 }),
  (draw, c) => ({ ...c, rosterHash: anyHash<Digest>(draw) }),
  (draw, c) => ({ ...c, channel: anyHash<ChannelId>(draw) }),
  /** Of one leadership, signed under another. */
  (draw, c, other) => ({
    ...c,
    acks: [...c.acks.slice(1), pick(draw, other.acks)].filter(Boolean),
  }),
  (_, c, other) => ({ ...c, epoch: other.epoch, term: other.term }),
  (_, c, other) => ({ ...other, acks: c.acks }),
  /** More than it says, or of another place. */
  (_, c) => ({ ...c, kind: c.kind === 'final' ? 'committed' : 'final' }),
  (_, c) => ({ ...c, epochKind: c.epochKind === 'online' ? 'roster' : 'online' }),
  (_, c) => ({ ...c, kind: 'final', epochKind: 'online' }),
  (_, c) => ({ ...c, seq: c.seq + 1 }),
  (draw, c) => ({ ...c, prevHash: anyHash<Digest>(draw) }),
  (draw, c) => ({ ...c, head: { ...c.head, digest: anyHash<Digest>(draw) } }),
  (_, c) => ({ ...c, links: c.links.slice(1) }),
  (draw, c) => changedSomewhere(draw, c),
];

/** One of these certificates as it never was; undefined where no bytes say such a thing. */
export function forgedCertificate(
  draw: Draw,
  heard: readonly Uint8Array[],
): Uint8Array | undefined {
  if (heard.length === 0) return undefined;
  try {
    const [cert, other] = [pick(draw, heard), pick(draw, heard)].map(decodeCertificate);
    return encodeCertificate(pick(draw, FORGERIES)(draw, cert!, other!));
  } catch {
    return undefined;
  }
}

/** What binds nobody: signed with something else in it, it is odd, and no equivocation. */
const UNBINDING: ReadonlySet<Statement['tag']> = new Set([
  'beacon',
  'prevote',
  'lead',
  'beat',
  'recall',
]);

/** An own statement with something else in it; undefined if it would bind its signer, or has no bytes. */
export function oddStatement(draw: Draw, bytes: Uint8Array): Uint8Array | undefined {
  const statement = decodeStatement(bytes);
  if (!UNBINDING.has(statement.tag)) return undefined;
  const { tag, ...fields } = statement;
  try {
    const odd = { tag, ...changedSomewhere(draw, fields) } as Statement;
    return encodeStatement(odd);
  } catch {
    return undefined;
  }
}

/** A list with something of it left out, twice, or in another place. */
export function shuffledSomewhere<T>(draw: Draw, list: readonly T[]): readonly T[] {
  if (list.length === 0) return list;
  const at = below(draw, list.length);
  if (chance(draw, 0.4)) return list.filter((_, i) => i !== at);
  if (chance(draw, 0.4)) return [...list, list[at]!];
  return [...list.slice(at), ...list.slice(0, at)];
}
