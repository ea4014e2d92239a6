/**
 * Whose bytes the relay's one thread looks at next (docs/PROTOCOL.md, section
 * "Relay limits"): start-time fair queueing by flow. Bytes are handled in
 * pieces; a piece's flow is charged for it, and the flow that was charged least
 * is next. A flow that begins, or comes after a pause, stands a little ahead of
 * those that go on, by `credit` at most, and who stands ahead does not wait: so
 * one that sends little is served when its bytes come, however many pour in
 * what they can, and a pause gives no more than that. All connections before a
 * valid `CNN` are one flow together.
 */

import type { PeerId } from './effects.js';

export interface TurnsOptions {
  readonly pieceBytes: number;
  /** How far one that paused may stand ahead. */
  readonly credit: number;
  /** Does the work, and says what it cost. */
  readonly handle: (peer: PeerId, piece: Uint8Array) => number;
  readonly flowOf: (peer: PeerId) => number;
}

interface Waiting {
  readonly peer: PeerId;
  chunk: Uint8Array;
}

interface Flow {
  /** What it was charged, on a scale that all flows share. */
  charged: number;
  readonly waiting: Waiting[];
}

export class Turns {
  readonly #o: TurnsOptions;
  readonly #flows = new Map<number, Flow>();
  /** Those with something waiting. */
  readonly #busy = new Set<Flow>();
  readonly #flowOf = new Map<PeerId, Flow>();
  /** How far those are that go on. */
  #level = 0;
  #waitingBytes = 0;

  constructor(options: TurnsOptions) {
    this.#o = options;
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  get isEmpty(): boolean {
    return this.#busy.size === 0;
  }

  /** Takes a chunk; true when it was handled at once, whole. A peer brings no other until `run` said it is done. */
  add(peer: PeerId, chunk: Uint8Array): boolean {
    const id = this.#o.flowOf(peer);
    let flow = this.#flows.get(id);
    if (!flow) {
      flow = { charged: this.#level - this.#o.credit, waiting: [] };
      this.#flows.set(id, flow);
    }
    if (flow.waiting.length === 0) {
      flow.charged = Math.max(flow.charged, this.#level - this.#o.credit);
    }
    const one = { peer, chunk };
    const isAhead = flow.waiting.length === 0 && flow.charged < this.#level;
    if (this.isEmpty || isAhead) {
      this.#serve(flow, one);
      if (one.chunk.length === 0) return true;
    }
    flow.waiting.push(one);
    this.#flowOf.set(peer, flow);
    this.#busy.add(flow);
    this.#waitingBytes += one.chunk.length;
    return false;
  }

  #serve(flow: Flow, one: Waiting): void {
    this.#level = Math.max(this.#level, flow.charged);
    const piece = one.chunk.subarray(0, this.#o.pieceBytes);
    one.chunk = one.chunk.subarray(piece.length);
    flow.charged += this.#o.handle(one.peer, piece);
  }

  /** Handles one piece; the peer whose chunk it completed. */
  run(): PeerId | undefined {
    let next: Flow | undefined;
    for (const flow of this.#busy) if (!next || flow.charged < next.charged) next = flow;
    if (!next) return undefined;
    const one = next.waiting[0]!;
    const before = one.chunk.length;
    this.#serve(next, one);
    // The piece may have ended its peer, which is not waiting any more then.
    if (next.waiting[0] !== one) return undefined;
    this.#waitingBytes -= before - one.chunk.length;
    if (one.chunk.length > 0) return undefined;
    this.#remove(next, 0);
    return one.peer;
  }

  #remove(flow: Flow, at: number): void {
    const [{ peer, chunk }] = flow.waiting.splice(at, 1) as [Waiting];
    this.#waitingBytes -= chunk.length;
    this.#flowOf.delete(peer);
    if (flow.waiting.length === 0) this.#busy.delete(flow);
  }

  /** Forgets what waits of a connection that ended, and the flow of that name. */
  drop(peer: PeerId): void {
    const flow = this.#flowOf.get(peer);
    const at = flow?.waiting.findIndex((one) => one.peer === peer) ?? -1;
    if (flow && at >= 0) this.#remove(flow, at);
    this.#flows.delete(peer);
  }
}
