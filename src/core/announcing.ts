/**
 * Telling relays who a channel's members are (docs/PROTOCOL.md, section
 * "Relay: rosters"). A relay forgets everything when it restarts and believes
 * only what is proven, so members send it the steps of the roster chain, a
 * page at a time: CH_ROSTER → CH_STATUS with the roster that it knows now →
 * the next CH_ROSTER. A relay that has no time says RATE; then it is asked
 * again, later, where it stands.
 */

import type { ChannelId, Millis } from './ids.js';
import type { LinkId } from './presence.js';

/** The same page is not sent again to a relay that did not move on within this. */
const REPEAT_MS = 5_000;
/** Questions where a relay stands are at least this far apart. */
const ASK_GAP_MS = 1_000;

const NONE: readonly LinkId[] = [];

export class Announcing {
  readonly #sent = new Map<LinkId, Map<ChannelId, { from: number; at: Millis }>>();
  readonly #again = new Map<LinkId, Millis>();

  linkDown(link: LinkId): void {
    this.#sent.delete(link);
    this.#again.delete(link);
  }

  /**
   * The relay says that it knows roster `known`, this node has `own`. Returns
   * the number of the first step to send, or undefined when there is none, or
   * when that one was sent already and did not help.
   */
  next(
    link: LinkId,
    channel: ChannelId,
    known: number,
    own: number,
    now: Millis,
  ): number | undefined {
    if (known >= own) return undefined;
    const last = this.#sent.get(link)?.get(channel);
    if (last && last.from === known + 1 && now - last.at < REPEAT_MS) return undefined;
    this.#note(link, channel, known + 1, now);
    return known + 1;
  }

  /** The relay says that it does not know a channel, or its members: whether to ask now where it stands. */
  lost(link: LinkId, channel: ChannelId, now: Millis): boolean {
    const last = this.#sent.get(link)?.get(channel);
    if (last && now - last.at < ASK_GAP_MS) return false;
    this.#note(link, channel, 0, now);
    return true;
  }

  #note(link: LinkId, channel: ChannelId, from: number, at: Millis): void {
    const sent = this.#sent.get(link) ?? new Map();
    this.#sent.set(link, sent.set(channel, { from, at }));
  }

  /** The relay did not do all of what it was told: ask it again at `at`. */
  busy(link: LinkId, at: Millis): void {
    this.#sent.delete(link);
    this.#again.set(link, at);
  }

  /** Links whose relay is to be asked now where it stands; each is returned once. */
  takeDue(now: Millis): readonly LinkId[] {
    if (this.#again.size === 0) return NONE;
    const due = [...this.#again].filter(([, at]) => at <= now).map(([link]) => link);
    for (const link of due) this.#again.delete(link);
    return due;
  }

  /** When `takeDue` has something to return. */
  get due(): Millis {
    if (this.#again.size === 0) return Number.POSITIVE_INFINITY;
    return Math.min(...this.#again.values());
  }
}
