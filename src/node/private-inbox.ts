/**
 * Receiving private messages (docs/PROTOCOL.md, section "Private messages").
 * What comes is opened one at a time, whoever floods, checked against its
 * author's signature, put where it belongs, and stored before it is
 * acknowledged. Links, and users of one link, take turns; beyond a bound
 * messages are left to be sent again. Nothing of an author is held in memory.
 */

import type { Payload } from '../core/commands.js';
import { ConclaveError } from '../core/errors.js';
import { type Digest, type UserId, unhex, ZERO_DIGEST } from '../core/ids.js';
import {
  PRIVATE_ARRIVED_PER_LINK_MAX,
  PRIVATE_ARRIVED_PER_USER_MAX,
  SEALED_OVERHEAD_BYTES,
} from '../core/limits.js';
import type { LinkId } from '../core/presence.js';
import {
  gapStatement,
  isPadded,
  type PrivateRef,
  type PrivateStatement,
  privateDigest,
  receiptStatement,
  sealInfo,
  unpadPrivate,
} from '../core/private-statements.js';
import type { StoreOp } from '../core/store.js';
import { lastOf, loggedOps, type Place, placesOf } from './private-log.js';
import { isRewound, type Standing, standingOf } from './private-order.js';
import type { Numbers, PrivateParts } from './private-parts.js';
import type { RelayConnection } from './relay-link.js';

/** So many are stored, and acknowledged, together. */
const TOGETHER_MAX = 32;

interface Arrived {
  readonly link: RelayConnection;
  readonly message: Payload<'MSG'>;
}

/** One that its author signed for this node. */
interface Opened {
  readonly link: RelayConnection;
  readonly statement: PrivateStatement;
  readonly digest: Digest;
  readonly sig: Uint8Array;
}

export class PrivateInbox {
  readonly #node: PrivateParts;
  readonly #numbers: Numbers;
  readonly #stored: () => void;
  /** What waits to be opened, by link; the link whose turn it is stands first. */
  readonly #arrived = new Map<LinkId, Arrived[]>();
  #working: Promise<void> | undefined;

  /** @param stored called when messages were stored */
  constructor(node: PrivateParts, numbers: Numbers, stored: () => void) {
    this.#node = node;
    this.#numbers = numbers;
    this.#stored = stored;
  }

  /** Resolves once what came is in the store. */
  async idle(): Promise<void> {
    await this.#working;
  }

  /** Leaves it to be sent again where too much waits. */
  onMessage(link: RelayConnection, message: Payload<'MSG'>): void {
    const { user } = this.#node;
    if (message.to !== user || message.from === user) return;
    if (!isPadded(message.msg.length - SEALED_OVERHEAD_BYTES)) return;
    const queue = this.#arrived.get(link.id) ?? [];
    if (queue.length >= PRIVATE_ARRIVED_PER_LINK_MAX) return;
    const ofUser = queue.filter((arrived) => arrived.message.from === message.from);
    if (ofUser.length >= PRIVATE_ARRIVED_PER_USER_MAX) return;
    queue.push({ link, message });
    this.#arrived.set(link.id, queue);
    this.#working ??= this.#work()
      .catch((error) => this.#node.fail(error))
      .finally(() => {
        this.#working = undefined;
      });
  }

  /** The oldest of the link whose turn it is. */
  #take(): Arrived | undefined {
    for (const [id, queue] of this.#arrived) {
      const arrived = queue.shift();
      this.#arrived.delete(id);
      if (queue.length > 0) this.#arrived.set(id, queue);
      return arrived;
    }
    return undefined;
  }

  async #work(): Promise<void> {
    while (this.#arrived.size > 0) {
      const opened: Opened[] = [];
      for (let i = 0; i < TOGETHER_MAX; i++) {
        const arrived = this.#take();
        if (!arrived) break;
        const one = await this.#open(arrived);
        if (one) opened.push(one);
      }
      if (opened.length > 0) await this.#keep(opened);
    }
  }

  /** Undefined for what is not sealed to this node, or not signed by whom it says. */
  async #open({ link, message }: Arrived): Promise<Opened | undefined> {
    const { crypto, sealing, log } = this.#node;
    const ref: PrivateRef = { from: message.from, to: message.to, id: message.msg_id };
    try {
      const plain = await sealing.open(sealInfo(ref), message.msg);
      const { statement, bytes, sig } = unpadPrivate(plain);
      const { from, to, id } = statement;
      const isFor = from === ref.from && to === ref.to && id === ref.id;
      if (!isFor || !crypto.ed25519Verify(unhex(from), bytes, sig)) {
        throw new ConclaveError('bad_signature', `${ref.from} did not sign what came in its name`);
      }
      return { link, statement, digest: privateDigest(crypto.sha256, statement), sig };
    } catch (error) {
      if (!(error instanceof ConclaveError)) throw error;
      log.debug(
        { from: ref.from, code: error.code },
        `a private message is no good: ${error.message}`,
      );
      return undefined;
    }
  }

  /** Stores what comes next of each author, then acknowledges it, and what was here before. */
  async #keep(opened: readonly Opened[]): Promise<void> {
    const known = await this.#lookUp(opened);
    // From here on nothing may come between: numbers are written in their order.
    const ops: StoreOp[] = [];
    const standings = opened.map((one) => {
      const standing = known.standing(one);
      if (standing === 'next') ops.push(...this.#place(one, known));
      return standing;
    });
    if (ops.length > 0) await this.#node.store.write(ops, { sync: true });
    for (const [i, one] of opened.entries()) this.#answer(one, standings[i]!, known.last);
    if (ops.length > 0) this.#stored();
  }

  #place(one: Opened, known: Known): StoreOp[] {
    const { statement, digest, sig } = one;
    const { from: peer, id, boot, n: count, prev, body } = statement;
    const rewound = isRewound(prev, known.last(peer));
    known.add(one);
    const n = this.#numbers.next++;
    const place = { n, out: false, rewound, peer, id, boot, count, prev };
    return loggedOps({ ...place, digest, body, sig });
  }

  async #lookUp(opened: readonly Opened[]): Promise<Known> {
    const { store } = this.#node;
    const authors = [...new Set(opened.map(({ statement }) => statement.from))];
    const wanted = opened.flatMap(({ statement: { from: peer, prev }, digest }) => [
      { peer, digest },
      { peer, digest: prev },
    ]);
    const [places, lasts] = await Promise.all([
      placesOf(store, false, wanted),
      lastOf(store, false, authors),
    ]);
    return new Known(
      wanted.map(({ peer, digest }, i) => [peer + digest, places[i]]),
      authors.map((author, i) => [author, lasts[i]?.digest]),
    );
  }

  #answer({ link, statement, digest }: Opened, standing: Standing, last: Known['last']): void {
    if (standing === 'wrong') return;
    const { from, to, id } = statement;
    const ref = { from, to, id };
    const have = standing === 'gap' ? (last(from) ?? ZERO_DIGEST) : undefined;
    const said =
      have === undefined ? receiptStatement(ref, digest) : gapStatement(ref, digest, have);
    const sig = this.#node.sign(said);
    const payload = { from: to, to: from, msg_id: id, sig, ...(have !== undefined && { have }) };
    link.send({ name: 'ACK_MSG', payload });
  }
}

/** What is here of the authors of some messages, and what of these messages has been added. */
class Known {
  readonly #places: Map<string, Place | undefined>;
  readonly #lasts: Map<UserId, Digest | undefined>;

  constructor(
    places: readonly (readonly [string, Place | undefined])[],
    lasts: readonly (readonly [UserId, Digest | undefined])[],
  ) {
    this.#places = new Map(places);
    this.#lasts = new Map(lasts);
  }

  standing({ statement, digest }: Opened): Standing {
    const { from, prev } = statement;
    const itself = this.#places.get(from + digest);
    return standingOf(statement, { itself, prev: this.#places.get(from + prev) });
  }

  add({ statement: { from, boot, n }, digest }: Opened): void {
    this.#places.set(from + digest, { boot, count: n });
    this.#lasts.set(from, digest);
  }

  readonly last = (author: UserId): Digest | undefined => this.#lasts.get(author);
}
