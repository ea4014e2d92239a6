/**
 * What readers are shown of what is not final:
 *
 *   9   each record once
 *   11  nodes with equal final logs, records and places show equal pages
 *   17  what was shown as committed is never shown as less
 *
 * Looked at now and then, since a page is made anew each time.
 */

import { decodeCertificate } from '../core/certificate.js';
import type { ChannelState } from '../core/channel-state.js';
import type { Digest } from '../core/ids.js';
import { isMessageLane } from '../core/log.js';
import { provisional } from '../core/view.js';
import type { Break } from './chains.js';
import { type Disk, hasFinal } from './disk-model.js';

/** Changes of a node between two looks at its page. */
const EVERY_CHANGES = 8;
/** Larger ones are left out: they say the same, slowly. */
const ENTRIES_MAX = 400;
/** Pages remembered, to compare with. */
const REMEMBERED_MAX = 64;

interface Shown {
  changes: number;
  readonly committed: Set<Digest>;
}

export class Pages {
  readonly #finalAt: ReadonlyMap<Digest, number>;
  readonly #mayBeWithheld: (digest: Digest) => boolean;
  readonly #break: Break;
  readonly #byContent = new Map<string, { readonly node: number; readonly page: string }>();
  readonly #shown = new Map<number, Shown>();

  constructor(
    finalAt: ReadonlyMap<Digest, number>,
    mayBeWithheld: (digest: Digest) => boolean,
    onBreak: Break,
  ) {
    this.#finalAt = finalAt;
    this.#mayBeWithheld = mayBeWithheld;
    this.#break = onBreak;
  }

  /** Node `index` lost its disk. */
  forget(index: number): void {
    this.#shown.delete(index);
  }

  /** Something changed at node `index`, which is on its disk and is shown now. */
  look(index: number, st: ChannelState, disk: Disk): void {
    const shown = this.#shown.get(index) ?? { changes: 0, committed: new Set<Digest>() };
    this.#shown.set(index, shown);
    shown.changes += 1;
    const size = disk.places.size + st.log.tail.length;
    if (shown.changes % EVERY_CHANGES !== 0 || size > ENTRIES_MAX) return;
    if (size === 0 && shown.committed.size === 0) return;
    const all = provisional(st);
    if (new Set(all.map((entry) => entry.record.digest)).size < all.length) {
      this.#break('9 order', `node ${index} shows a record twice`);
    }
    // What only this node has, which it may show as sent before what others placed behind it, what of its own is
    // withheld, and changes of membership are not compared: no reader elsewhere is shown them.
    const placed = new Set([
      ...st.log.tail.map(({ record }) => record.digest),
      ...placedBeside(st),
    ]);
    const page = all.filter(
      ({ record, state }) =>
        placed.has(record.digest) && isMessageLane(record) && state !== 'withheld',
    );
    this.#checkCommitted(
      index,
      disk,
      shown,
      page.filter((e) => e.state === 'committed').map((e) => e.record.digest),
    );
    const text = page.map(({ record, state }) => `${record.digest.slice(0, 12)} ${state}`).join();
    this.#checkEqual(index, contentOf(st, disk), text);
  }

  #checkCommitted(index: number, disk: Disk, shown: Shown, now: readonly Digest[]): void {
    const committed = new Set(now);
    for (const digest of shown.committed) {
      if (committed.has(digest) || this.#mayBeWithheld(digest)) continue;
      const seq = this.#finalAt.get(digest);
      if ((seq === undefined || seq > disk.final) && !hasFinal(disk, digest)) {
        const name = digest.slice(0, 8);
        this.#break('17 pages', `node ${index} showed ${name} as committed and does so no more`);
      }
      shown.committed.delete(digest);
    }
    for (const digest of committed) shown.committed.add(digest);
  }

  #checkEqual(index: number, content: string, page: string): void {
    const known = this.#byContent.get(content);
    if (known && known.page !== page) {
      const { node } = known;
      this.#break(
        '11 equal pages',
        `nodes ${node} and ${index} hold the same and show it otherwise`,
      );
    }
    if (known) return;
    this.#byContent.set(content, { node: index, page });
    if (this.#byContent.size > REMEMBERED_MAX) {
      this.#byContent.delete(this.#byContent.keys().next().value!);
    }
  }
}

const placedBeside = ({ branches }: ChannelState): Digest[] =>
  [...branches.values()].flatMap((branch) => branch.digests());

/** All that a page may depend on, in an order of its own. */
function contentOf(st: ChannelState, disk: Disk): string {
  const parts = [...disk.places].map(([name, { hash, header }]) => {
    const held = disk.held.has(header.digest) ? '+' : '-';
    return `${name} ${hash.slice(0, 12)}${held}`;
  });
  // Who signed one says whether it warrants what one wrote who is none any more.
  const mayWarrant = st.roster.departed.size > 0;
  for (const [name, bytes] of disk.commits) {
    parts.push(mayWarrant ? `${name} ${signersOf(bytes)}` : name);
  }
  parts.sort();
  const tail = st.log.tail.map((entry) => entry.hash.slice(0, 12));
  const committed = disk.committed ? (st.logCert?.seq ?? 0) : 0;
  return `${st.log.final.hash} ${tail.join()} ${committed} ${parts.join()}`;
}

const signersOf = (certificate: Uint8Array): string =>
  decodeCertificate(certificate)
    .acks.map(({ user }) => user.slice(0, 12))
    .sort()
    .join(' ');
