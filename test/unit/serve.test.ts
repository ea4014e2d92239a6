/** Pages of final entries: where they begin and end (docs/PROTOCOL.md, section "Catching up"). */

import { beforeAll, describe, expect, it } from 'vitest';
import { decodeCertificate, encodeCertificate } from '../../src/core/certificate.js';
import { chainStart, type Point } from '../../src/core/chain.js';
import type { Payload } from '../../src/core/commands.js';
import { encodeEntry, encodeFinal } from '../../src/core/layout.js';
import { type Reader, serve } from '../../src/core/serve.js';
import { digestOf, hash, person } from './fixtures/channel.js';
import { CoreState, messages, PlacedChain, users } from './fixtures/core-state.js';

const FINAL = 1_300;
const APART = 128;
let state: CoreState;
let chain: PlacedChain;

/** A member with a log of `FINAL` entries, and a certificate every `APART`. */
beforeAll(() => {
  state = new CoreState(4);
  const { st, store } = state;
  const records = messages(person(2), FINAL, state.rootOf(2));
  chain = new PlacedChain(state.election('roster', 5, person(2), users(1, 2, 3)), records);
  const certified = (seq: number): Uint8Array =>
    encodeCertificate({ ...chain.certificate(seq - 1), kind: 'final' });
  records.forEach((record, i) => {
    const { seq, hash: at } = chain.points[i + 1]!;
    const entry = { seq, header: chain.headers[i]!, hash: at, record, proof: new Uint8Array(64) };
    store.set(st.keys.log(seq), encodeEntry(entry));
    if (seq % APART === 0) store.set(st.keys.cert(seq), certified(seq));
  });
  const last = { ...chain.points[FINAL]!, keptSeq: FINAL - (FINAL % APART), bytesSince: 0 };
  store.set(st.keys.final, encodeFinal({ ...last, cert: certified(FINAL) }));
  Object.defineProperty(st.log, 'final', { value: chain.points[FINAL]! });
});

const reader: Reader = {
  getMany: (keys, done) => done(keys.map((key) => state.store.get(key))),
  range: ({ gte, lt, limit }, done) =>
    done(
      [...state.store]
        .filter(([key]) => key >= gte && key < lt)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .slice(0, limit),
    ),
};

/** For each page that answers who is final up to `final`, with a tail up to `tip`: first and last seq of its entries, the certified seq, how many follow. */
function pages(final: number, tip = final): unknown[] {
  return answers([...(tip > final ? [chain.points[tip]!] : []), chain.points[final]!]);
}

function answers(anchor: readonly Point[]): unknown[] {
  const got: unknown[] = [];
  const asked = { channel: state.st.id, to: person(3).user, anchor, want: [], withGenesis: false };
  serve(state.st, state.self.user, { type: 'page', ...asked }, reader, ({ name, payload }) => {
    expect(name).toBe('CH_APPEND');
    const page = payload as Payload<'CH_APPEND'>;
    const first = page.anchor.seq + 1;
    const last = page.anchor.seq + page.records.length;
    got.push([first, last, decodeCertificate(page.cert!).seq, page.more ?? 0]);
  });
  return got;
}

describe('pages', () => {
  it('end at the furthest certificate that fits, up to four for one question', () => {
    expect(pages(0)).toEqual([
      [1, 512, 512, 3],
      [513, 1_024, 1_024, 2],
      [1_025, 1_300, 1_300, 0],
    ]);
    expect(pages(10)).toEqual([
      [11, 512, 512, 3],
      [513, 1_024, 1_024, 2],
      [1_025, 1_300, 1_300, 0],
    ]);
    expect(pages(1_280)).toEqual([[1_281, 1_300, 1_300, 0]]);
    expect(pages(1_300)).toEqual([]);
  });

  it("bring certificates within the asker's tail alone, before what follows it", () => {
    expect(pages(10, 1_000)).toEqual([
      [1_001, 1_000, 512, 3],
      [1_001, 1_000, 896, 2],
      [1_001, 1_300, 1_300, 0],
    ]);
    expect(pages(1_280, 1_300)).toEqual([[1_301, 1_300, 1_300, 0]]);
    expect(pages(1_024, 1_100)).toEqual([[1_101, 1_300, 1_300, 0]]);
  });

  it('do not come to who names a final point that is not here', () => {
    const start = { seq: 0, hash: chainStart(hash, state.st.id) };
    const unknown = { seq: FINAL - 1, hash: digestOf('nothing') };
    expect(answers([start, unknown])).toEqual([]);
    expect(answers([unknown])).toEqual([]);
    expect(answers([unknown, start])).toHaveLength(3);
  });
});
