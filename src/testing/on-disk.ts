/**
 * Invariant 7 (docs/PROTOCOL.md, section "Invariants"): what a node
 * acknowledges and votes for is on its disk first. Looks at disks alone.
 */

import type { Digest, EpochId } from '../core/ids.js';
import {
  type ChannelKeys,
  decodeHardState,
  decodePoint,
  decodeRawEntry,
  decodeRun,
  type VotePromise,
} from '../core/layout.js';
import type { Ack, Ballot } from '../core/statements.js';
import type { Break } from './chains.js';
import type { SimNode } from './sim-node.js';

const isFor = ({ term, votedFor }: VotePromise, b: Ballot): boolean =>
  term === b.term && votedFor?.candidate === b.candidate && votedFor.electorate === b.electorate;

export class OnDisk {
  readonly #keys: ChannelKeys;
  readonly #broke: Break;

  constructor(keys: ChannelKeys, broke: Break) {
    this.#keys = keys;
    this.#broke = broke;
  }

  /** What is acknowledged is on the disk, and so is a promise of just that term. */
  checkAck(node: SimNode, ack: Ack): void {
    const hard = node.disk.durable(this.#keys.hard);
    const who = `node ${node.index} acknowledges`;
    if (!this.#holdsAcknowledged(node, ack)) {
      this.#broke('7 durable first', `${who} seq ${ack.seq} before it is durable`);
    }
    const promised = hard ? decodeHardState(hard)[ack.kind].term : 0;
    if (promised < ack.term) {
      this.#broke('7 durable first', `${who} in term ${ack.term} before its promise is durable`);
    }
    // What it helps to certify could be replaced by whom it promised the later term.
    if (promised > ack.term) {
      this.#broke('6 certificates', `${who} in term ${ack.term}, though it promised ${promised}`);
    }
  }

  /** Whether the node's core may give this acknowledgement. */
  mayAcknowledge(node: SimNode, ack: Ack): boolean {
    const hard = node.disk.durable(this.#keys.hard);
    const promised = hard ? decodeHardState(hard)[ack.kind].term : 0;
    return promised === ack.term && this.#holdsAcknowledged(node, ack);
  }

  /** Whether the disk holds the chain up to there: in the log, or in the branch of its epoch. */
  #holdsAcknowledged(node: SimNode, { kind, epoch, seq, hash }: Ack): boolean {
    if (kind === 'online' && seq === 0) return true;
    if (kind === 'online') {
      // Places at the front go once their records are final; the branch says where it begins since.
      const base = node.disk.durable(this.#keys.branch(epoch));
      if (base === undefined) return false;
      const from = decodePoint(base);
      return seq <= from.seq ? from.hash === hash : this.#placed(node, epoch, seq) === hash;
    }
    const stored = node.disk.durable(this.#keys.log(seq));
    return stored !== undefined && decodeRawEntry(stored).hash === hash;
  }

  /** The chain hash of a place in the run that holds it. */
  #placed(node: SimNode, epoch: EpochId, seq: number): Digest | undefined {
    const gte = this.#keys.place(epoch, 0);
    const run = node.disk.durableRange(gte, this.#keys.place(epoch, seq + 1)).at(-1);
    return run && decodeRun(run[1])[seq - Number.parseInt(run[0].slice(-14), 16)]?.hash;
  }

  /** A ballot leaves behind its promise. */
  checkBallot(node: SimNode, b: Ballot): void {
    const promised = this.#promised(node, b);
    if (!promised || (promised.term <= b.term && !isFor(promised, b))) {
      this.#broke('7 durable first', `node ${node.index} votes before its promise is durable`);
    }
  }

  #promised(node: SimNode, b: Ballot): VotePromise | undefined {
    const stored = node.disk.durable(this.#keys.hard);
    return stored && decodeHardState(stored)[b.kind];
  }

  /** Whether the node's core has given this very ballot. */
  isPromised(node: SimNode, b: Ballot): boolean {
    const promised = this.#promised(node, b);
    return promised !== undefined && isFor(promised, b);
  }
}
