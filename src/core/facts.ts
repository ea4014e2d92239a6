/**
 * Which records are known to be final (docs/PROTOCOL.md, section "Offers"): a
 * record may follow one that is final, and what comes twice counts once. The
 * index in the store says it of all; here is what was looked up there for the
 * step, and what became final lately.
 */

import type { ChannelState } from './channel-state.js';
import type { Digest, UserId } from './ids.js';
import { isMessageLane } from './log.js';

const FACTS_MAX = 8_192;

/** Notes that a record is final, for records that name it as their predecessor. */
export function rememberFact(st: ChannelState, digest: Digest): void {
  st.facts.delete(digest);
  st.facts.add(digest);
}

/**
 * Notes authors' last final messages before later ones take their place: what
 * came for the same step may follow them, and was not looked up for that.
 */
export function rememberTips(st: ChannelState, upTo: number): void {
  const seen = new Set<UserId>();
  for (const { seq, record } of st.log.tail) {
    if (seq > upTo) return;
    if (!isMessageLane(record) || seen.has(record.author)) continue;
    seen.add(record.author);
    const tip = st.log.finalTipOf(record.author);
    if (tip !== undefined) rememberFact(st, tip);
  }
}

/** Forgets the oldest facts; between steps, so that no step lacks what was looked up for it. */
export function trimFacts(st: ChannelState): void {
  for (const digest of st.facts) {
    if (st.facts.size <= FACTS_MAX) return;
    st.facts.delete(digest);
  }
}
