/**
 * Answers that need the store (docs/PROTOCOL.md, section "Catching up"): pages
 * of final entries for a member that is behind, single records, and a
 * channel's roster chain for a relay. Runs beside the core, on what is durable
 * already; the callback style lets one code run on a disk and in a simulator.
 */

import { decodeWhole } from './bytes.js';
import { type Certificate, decodeCertificate, decodeStep, encodeHeaders } from './certificate.js';
import { HEADER_BYTES, type Point } from './chain.js';
import type { ChannelState } from './channel-state.js';
import type { Outgoing } from './commands.js';
import type { Announce, Serve } from './effects.js';
import type { Digest, UserId } from './ids.js';
import { after, decodeFinal, decodeRawEntry, type RawEntry } from './layout.js';
import {
  PAGE_BYTES_MAX,
  PAGE_ENTRIES_MAX,
  PAGES_PER_ANSWER_MAX,
  RECORDS_BATCH_BYTES_MAX,
  RECORDS_PER_BATCH_MAX,
} from './limits.js';

export interface Reader {
  getMany(
    keys: readonly string[],
    done: (values: readonly (Uint8Array | undefined)[]) => void,
  ): void;
  range(
    options: { gte: string; lt: string; limit: number },
    done: (pairs: readonly (readonly [string, Uint8Array])[]) => void,
  ): void;
}

type Reply = (command: Outgoing) => void;

export function serve(
  st: ChannelState,
  self: UserId,
  s: Serve,
  reader: Reader,
  reply: Reply,
): void {
  if (s.want.length > 0) serveRecords(st, self, s, reader, reply);
  if (s.anchor.length > 0) {
    findAnchor(st, s.anchor, reader, (base) => {
      // An honest asker's final point is one of the positions that it names.
      if (base && base.seq >= s.anchor.at(-1)!.seq) servePages(st, self, s, base, reader, reply);
    });
  }
}

/** Records by digest: from the tail, the pool, or the log. */
function serveRecords(
  st: ChannelState,
  self: UserId,
  s: Serve,
  reader: Reader,
  reply: Reply,
): void {
  const here: { bytes: Uint8Array; proof: Uint8Array }[] = [];
  const elsewhere: Digest[] = [];
  for (const digest of s.want) {
    const seq = st.log.seqOf(digest);
    const found = seq !== undefined ? st.log.entryAt(seq) : st.pool.get(digest);
    if (found && found.proof.length > 0)
      here.push({ bytes: found.record.bytes, proof: found.proof });
    else elsewhere.push(digest);
  }
  const send = (records: readonly { bytes: Uint8Array; proof: Uint8Array }[]): void => {
    let some: typeof here = [];
    let bytes = 0;
    const flush = (): void => {
      if (some.length === 0) return;
      const each = { records: some.map((r) => r.bytes), proofs: some.map((r) => r.proof) };
      reply({ name: 'CH_MSG', payload: { id: st.id, from: self, to: s.to, each } });
      some = [];
      bytes = 0;
    };
    for (const record of records) {
      some.push(record);
      bytes += record.bytes.length;
      if (bytes >= RECORDS_BATCH_BYTES_MAX || some.length >= RECORDS_PER_BATCH_MAX) flush();
    }
    flush();
  };
  send(here);
  if (elsewhere.length === 0) return;
  reader.getMany(elsewhere.map(st.keys.placed), (seqs) => {
    const keys = seqs.flatMap((v) => (v ? [st.keys.log(decodeWhole(v, (r) => r.u64()))] : []));
    if (keys.length === 0) return;
    reader.getMany(keys, (values) => {
      send(
        values.flatMap((v) => {
          if (!v) return [];
          const raw = decodeRawEntry(v);
          return [{ bytes: raw.record, proof: raw.proof }];
        }),
      );
    });
  });
}

/** The furthest of the asker's positions that is final here and has the same hash. */
function findAnchor(
  st: ChannelState,
  anchor: readonly Point[],
  reader: Reader,
  done: (base: Point | undefined) => void,
): void {
  const genesis = anchor.find((p) => p.seq === 0);
  const final = anchor.filter((p) => p.seq > 0 && p.seq <= st.log.final.seq);
  if (final.length === 0) return done(genesis);
  reader.getMany(
    final.map((p) => st.keys.log(p.seq)),
    (values) => {
      const base = final.find((p, i) => {
        const value = values[i];
        return value !== undefined && decodeRawEntry(value).hash === p.hash;
      });
      done(base ?? genesis);
    },
  );
}

/** Pages from `base`, the last entry that both have, one read after the other. */
function servePages(
  st: ChannelState,
  self: UserId,
  s: Serve,
  base: Point,
  reader: Reader,
  reply: Reply,
): void {
  const { rostersBelow = Number.POSITIVE_INFINITY } = s;
  const serveFrom = (from: Point, askersFinal: number, left: number): void =>
    findPage(st, from, { askersFinal, rostersBelow }, reader, ({ entries, upTo, cert, final }) => {
      const more = upTo < final ? left : 0;
      reply({
        name: 'CH_APPEND',
        payload: {
          id: st.id,
          from: self,
          to: s.to,
          anchor: from,
          headers: encodeHeaders(entries.map((e) => e.header)),
          records: entries.map((e) => e.record),
          proofs: entries.map((e) => e.proof),
          cert,
          // Who is no member is not told how far the log goes, and so does not ask on.
          final: s.rostersBelow === undefined ? final : upTo,
          ...(more > 0 ? { more } : {}),
          ...(s.withGenesis && from === base
            ? { genesis: { bytes: st.stored.bytes, sig: st.stored.sig } }
            : {}),
        },
      });
      if (more > 0) serveFrom(entries.at(-1) ?? from, upTo, more - 1);
    });
  serveFrom(base, s.anchor.at(-1)!.seq, PAGES_PER_ANSWER_MAX - 1);
}

/** Up to where an asker is final; which rosters' pages it may have. */
interface Asker {
  readonly askersFinal: number;
  readonly rostersBelow: number;
}

interface FinalPage {
  readonly entries: readonly RawEntry[];
  readonly cert: Uint8Array;
  /** Which seq that certifies. */
  readonly upTo: number;
  /** This node's final point. */
  readonly final: number;
}

/**
 * One page: from `base` to the furthest certificate that fits and is of the
 * same roster as the first one behind the asker's final point. No entries,
 * where a certificate lies within the tail that the asker has already: were it
 * left out, too much would become final there at once, and be in no page that
 * the asker could serve.
 */
function findPage(
  st: ChannelState,
  base: Point,
  { askersFinal, rostersBelow }: Asker,
  reader: Reader,
  done: (page: FinalPage) => void,
): void {
  const { keys } = st;
  reader.range(
    { gte: keys.cert(askersFinal + 1), lt: after(keys.certs), limit: CERTS_LOOKED_AT },
    (certs) => {
      reader.getMany([keys.final], ([final]) => {
        if (!final) return;
        const all = certs.map(([, value]) => value);
        const newest = decodeFinal(final);
        if (all.length < CERTS_LOOKED_AT && newest.seq > askersFinal) all.push(newest.cert);
        checkable(st, all, { askersFinal, rostersBelow }, reader, (ends) => {
          if (ends.length === 0) return;
          readPage(st, { base, askersFinal, ends }, reader, (entries, { cert, bytes }) =>
            done({ entries, cert: bytes, upTo: cert.seq, final: newest.seq }),
          );
        });
      });
    },
  );
}

const CERTS_LOOKED_AT = 8;

interface PageEnd {
  readonly bytes: Uint8Array;
  readonly cert: Certificate;
}

/**
 * Those that a node which is final up to `final` takes (`isValidFinal`): of the
 * roster in force there, the one before it, or later ones. Two leaderships
 * under one roster may both certify a membership change, one of them with its
 * own first entry behind it.
 */
function checkable(
  st: ChannelState,
  certs: readonly Uint8Array[],
  { askersFinal, rostersBelow }: Asker,
  reader: Reader,
  done: (ends: readonly PageEnd[]) => void,
): void {
  const ends = certs
    .map((bytes) => ({ bytes, cert: decodeCertificate(bytes) }))
    .filter(({ cert }) => cert.roster < rostersBelow);
  const next = ends.map(({ cert }) => st.keys.step(cert.roster + 2));
  reader.getMany(next, (steps) => {
    done(ends.filter((_, i) => !steps[i] || decodeStep(steps[i]).seq > askersFinal));
  });
}

function readPage(
  st: ChannelState,
  { base, askersFinal, ends }: { base: Point; askersFinal: number; ends: readonly PageEnd[] },
  reader: Reader,
  done: (entries: readonly RawEntry[], end: PageEnd) => void,
): void {
  const { roster } = ends[0]!.cert;
  const usable = ends.filter(
    ({ cert }, i) =>
      cert.roster === roster && (i === 0 || cert.seq - askersFinal <= PAGE_ENTRIES_MAX),
  );
  const inTail = usable.findLast(({ cert }) => cert.seq <= base.seq);
  if (inTail) return done([], inTail);
  const limit = usable.at(-1)!.cert.seq - base.seq;
  const { keys } = st;
  reader.range({ gte: keys.log(base.seq + 1), lt: after(keys.logs), limit }, (pairs) => {
    const entries = pairs.map(([, value]) => decodeRawEntry(value));
    let end = usable[0]!;
    let bytes = 0;
    for (const entry of entries) {
      bytes += entry.record.length + entry.proof.length + HEADER_BYTES;
      const here = usable.find(({ cert }) => cert.seq === entry.seq);
      if (here && (bytes <= PAGE_BYTES_MAX || here === usable[0])) end = here;
    }
    const count = end.cert.seq - base.seq;
    if (entries.length >= count) done(entries.slice(0, count), end);
  });
}

/** Each of at most some 100 kB, so that a page fits a frame. */
const STEPS_PER_FRAME = 8;

/** Tells a relay the channel's members: the genesis, and one page of steps from roster `first` on. */
export function serveAnnounce(st: ChannelState, a: Announce, reader: Reader, reply: Reply): void {
  const { keys } = st;
  const frame = (first: number, steps: readonly Uint8Array[]): Outgoing => ({
    name: 'CH_ROSTER',
    payload: {
      id: st.id,
      genesis: st.stored.bytes,
      genesis_sig: st.stored.sig,
      number: st.roster.number,
      first: first - 1,
      steps: [...steps],
      name: st.sealedName,
    },
  });
  reader.range(
    { gte: keys.step(a.first), lt: after(keys.steps), limit: STEPS_PER_FRAME },
    (pairs) => {
      reply(
        frame(
          a.first,
          pairs.map(([, value]) => value),
        ),
      );
    },
  );
}
