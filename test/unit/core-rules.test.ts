/** Rules of the core that one member's behaviour shows, driven by hand with real signatures. */

import { describe, expect, it } from 'vitest';
import { decodeHeaders, encodeCertificate } from '../../src/core/certificate.js';
import type { Header } from '../../src/core/chain.js';
import type { Digest } from '../../src/core/ids.js';
import { encodeEntry } from '../../src/core/layout.js';
import {
  type CertificateParts,
  certificateOf,
  digestOf,
  epochOf,
  FOUNDER,
  grown,
  person,
  recordBy,
  ulidOf,
} from './fixtures/channel.js';
import { HandPump } from './fixtures/hand-pump.js';

const ROSTER = grown(3);
const SELF = person(2);
const EPOCH = epochOf('some leadership');

/** A member whose log's tail holds `count` messages of the founder, none of them final. */
function memberWith(count: number): { member: HandPump; headers: Header[]; prevs: Digest[] } {
  const member = new HandPump(SELF, ROSTER);
  const headers: Header[] = [];
  const prevs: Digest[] = [];
  let prev: Digest = ROSTER.members.get(FOUNDER.user)!.root;
  for (let n = 1; n <= count; n++) {
    prevs.push(member.st.log.tip.hash);
    const record = recordBy(FOUNDER, { n, prev, id: ulidOf(n) });
    prev = record.digest;
    const entry = member.st.log.append(record, new Uint8Array(0), {
      epoch: EPOCH,
      term: 1,
      roster: ROSTER.number,
    });
    member.store.set(member.st.keys.log(n), encodeEntry(entry));
    headers.push(entry.header);
  }
  return { member, headers, prevs };
}

function commit(member: HandPump, parts: CertificateParts, roster = ROSTER, damage = false): void {
  const cert = encodeCertificate(certificateOf(roster, parts));
  if (damage) cert[cert.length - 1]! ^= 1;
  member.receive('CH_MSG_COMMIT', { id: member.st.id, from: FOUNDER.user, cert });
}

const by = (...people: number[]) => people.map((n) => ({ by: person(n), ahead: 0 }));

describe('a CH_COMMIT, whoever sends it,', () => {
  it('makes its prefix final when more than half of the voters signed', () => {
    const { member, headers, prevs } = memberWith(2);
    commit(member, { seq: 2, prevHash: prevs[1]!, headers: headers.slice(1), acks: by(1, 3) });
    expect(member.st.log.final.seq).toBe(2);
  });

  it.each([
    ['half of the voters signed', by(1), ROSTER, false],
    ['one voter is counted twice', by(1, 1), ROSTER, false],
    ['a stranger signed', by(1, 9), ROSTER, false],
    ['it is of another roster', by(1, 3), { ...ROSTER, hash: digestOf('another roster') }, false],
    ['a signature is damaged', by(1, 3), ROSTER, true],
  ])('changes nothing when %s', (_, acks, roster, damage) => {
    const { member, headers, prevs } = memberWith(2);
    commit(
      member,
      { seq: 2, prevHash: prevs[1]!, headers: headers.slice(1), acks },
      roster,
      damage,
    );
    expect(member.st.log.final.seq).toBe(0);
    expect(member.store.has(member.st.keys.final)).toBe(false);
    expect(member.refused.map((e) => e.code)).toEqual(damage ? ['bad_signature'] : []);
  });

  it('changes nothing when it is for another entry than the log holds', () => {
    const { member, prevs } = memberWith(2);
    const other = {
      epoch: EPOCH,
      term: 1,
      roster: ROSTER.number,
      digest: digestOf('another record'),
    };
    commit(member, { seq: 2, prevHash: prevs[1]!, headers: [other], acks: by(1, 3) });
    expect(member.st.log.final.seq).toBe(0);
    expect(member.sentAs('CH_PULL')).toHaveLength(1);
  });
});

describe('the answer to a CH_PULL', () => {
  function answer(wrong: readonly number[], asked: readonly number[]) {
    const { member, headers, prevs } = memberWith(4);
    commit(member, { seq: 4, prevHash: prevs[3]!, headers: headers.slice(3), acks: by(1, 3) });
    const hashes = [...prevs, member.st.log.final.hash];
    const anchor = asked.map((seq) => ({
      seq,
      hash: wrong.includes(seq) ? digestOf(`not the hash at ${seq}`) : hashes[seq]!,
    }));
    member.receive('CH_PULL', {
      id: member.st.id,
      from: FOUNDER.user,
      to: SELF.user,
      anchor,
      want: [],
    });
    const pages = member.sentAs('CH_APPEND');
    return pages.map((p) => ({
      anchor: p.anchor.seq,
      entries: decodeHeaders(p.headers, 10).length,
    }));
  }

  it('starts at the furthest position that both have', () => {
    expect(answer([], [3, 2, 1, 0])).toEqual([{ anchor: 3, entries: 1 }]);
    expect(answer([3], [3, 2, 1, 0])).toEqual([{ anchor: 2, entries: 2 }]);
    expect(answer([3, 2, 1], [3, 2, 1, 0])).toEqual([{ anchor: 0, entries: 4 }]);
  });

  it('is none when they have no position in common', () => {
    expect(answer([3, 2], [3, 2])).toEqual([]);
  });

  it('is none when the asker has all of it', () => {
    expect(answer([], [4])).toEqual([]);
  });
});
