/**
 * Posts the excerpt while things happen: lines in the order of the excerpt,
 * each to its own node, at a steady rate, but never more of them than were
 * released, so that there are some left for every act. A node that is away
 * gets its lines when it is back. A batch that was under way when a node died
 * is simply posted again: import knows which lines it has.
 */

import { callNode } from './control.js';
import type { DemoNode } from './node.js';
import { isAway } from './reader.js';
import { demoFailed, pause } from './wait.js';

const LINES_PER_S = 110;
const TICK_MS = 40;
/** Lines that can go out until `keepFlowing` is called again. */
const AHEAD = 24;
/** Lines in one call. */
const BATCH_MAX = 64;

/** How far one node's lines are. */
export interface Feed {
  /** Given to the node; it may have them or not. */
  readonly handed: number;
  /** In the node's store, by its word. */
  readonly posted: number;
}

export class Traffic {
  readonly #channel: string;
  readonly #total: number;
  readonly #feeds = new Map<DemoNode, { handed: number; posted: number }>();
  /** Lines whose turn has come. */
  #due = 0;
  #released = 0;
  /** Lines that a node had stored before it died, and that were handed to it again. */
  known = 0;

  constructor(channel: string, nodes: readonly DemoNode[]) {
    this.#channel = channel;
    this.#total = nodes.reduce((sum, { share }) => sum + share.lines.length, 0);
    for (const node of nodes) this.#feeds.set(node, { handed: 0, posted: 0 });
  }

  /** Lets this part of all lines go out, from 0 to 1. */
  release(part: number): void {
    this.#released = Math.max(this.#released, Math.floor(part * this.#total));
  }

  /** Lets a few more out, even beyond what was released. */
  keepFlowing(): void {
    this.#released = Math.min(this.#total, Math.max(this.#released, this.#due + AHEAD));
  }

  /** Lets nothing more out until the next release. */
  hold(): void {
    this.#released = this.#due;
  }

  feed(node: DemoNode): Feed {
    return { ...this.#feeds.get(node)! };
  }

  get posted(): number {
    return [...this.#feeds.values()].reduce((sum, { posted }) => sum + posted, 0);
  }

  /** Until all is posted, or aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const nodes = [...this.#feeds.keys()];
    await Promise.all([this.#keepTime(signal), ...nodes.map((node) => this.#post(node, signal))]);
  }

  async #keepTime(signal: AbortSignal): Promise<void> {
    let last = performance.now();
    let allowed = 0;
    while (this.#due < this.#total) {
      await pause(TICK_MS, signal);
      const now = performance.now();
      allowed = Math.min(this.#released, allowed + ((now - last) / 1_000) * LINES_PER_S);
      last = now;
      this.#due = Math.floor(allowed);
    }
  }

  async #post(node: DemoNode, signal: AbortSignal): Promise<void> {
    const feed = this.#feeds.get(node)!;
    const { lines, source } = node.share;
    while (feed.posted < lines.length) {
      const due = lines
        .slice(feed.posted, feed.posted + BATCH_MAX)
        .filter(({ turn }) => turn < this.#due);
      if (due.length === 0 || !node.running) {
        await pause(TICK_MS, signal);
        continue;
      }
      feed.handed = Math.max(feed.handed, feed.posted + due.length);
      const args = { channel: this.#channel, source, until: 'stored' };
      const input = (async function* () {
        for (const { message } of due) yield message;
      })();
      try {
        const [result] = await callNode(node.dir, 'import', { args, input, signal });
        const { imported, skipped } = result as { imported: number; skipped: number };
        if (imported + skipped !== due.length) {
          throw demoFailed(`${node.name} took ${imported + skipped} of ${due.length} lines`);
        }
        this.known += skipped;
        feed.posted += due.length;
      } catch (error) {
        if (!isAway(error)) throw error;
        await pause(TICK_MS, signal);
      }
    }
  }
}
