/**
 * Members whose stores were put back to an older copy, and who do not know it
 * (docs/PROTOCOL.md, section "Lost memory"). Nobody can tell them what those
 * have forgotten whom they meet: such a member may sign what contradicts what
 * it signed, like one that votes twice, and agreement with it is lost. So:
 *
 *   - it is a fault of the product when it gives a ballot or an acknowledgement
 *     to somebody who remembers a more of its store;
 *   - when it gave one to somebody who does not, what depends on agreement is
 *     beyond what the protocol promises: the run ends there.
 */

import type { ChannelState } from '../core/channel-state.js';
import type { ChannelId, UserId } from '../core/ids.js';
import type { Machine } from '../core/machine.js';
import { majorityOf } from '../core/quorum.js';
import { type Roster, voters } from '../core/roster.js';
import { type BootBatches, lacks, mergeBoots } from '../core/store-boots.js';
import type { Break } from './chains.js';
import type { SimNode } from './sim-node.js';
import type { Reach } from './topology.js';

/** Invariants that one member who contradicts itself can break. */
const AGREEMENT = ['1 one leader', '3 log matching', '4 final', '5 leader completeness'];

/** What comes of what was seen. */
export interface Verdicts {
  readonly broke: Break;
  /** It went beyond what is promised. */
  readonly beyond: (why: string) => void;
}

export class PutBack {
  readonly #nodes: () => readonly SimNode[];
  /** Whose word is their own core's. */
  readonly #isHonest: (user: UserId) => boolean;
  readonly #broke: Break;
  /** For each node that does not know what it forgot: who could tell it. */
  readonly #unaware = new Map<SimNode, ReadonlySet<Machine>>();
  /** The boots of each, whatever its disk says now. */
  readonly #ever = new Map<SimNode, readonly BootBatches[]>();
  /** Who signed something while it did not know. */
  readonly #signed = new Set<SimNode>();

  constructor(nodes: () => readonly SimNode[], isHonest: (user: UserId) => boolean, broke: Break) {
    this.#nodes = nodes;
    this.#isHonest = isHonest;
    this.#broke = broke;
  }

  /** A node, which is down, has another disk; before, it was with these boots. */
  restored(node: SimNode, before: readonly BootBatches[]): void {
    const now = node.durableBoots;
    const ever = mergeBoots(this.#ever.get(node) ?? [], before);
    this.#ever.set(node, ever);
    this.#unaware.delete(node);
    if (!ever[0] || !lacks(now, { ...ever[0], before: ever.slice(1) })) return;
    const remembering = this.#nodes()
      .map(({ machine }) => machine)
      .filter((machine) => {
        const heard = machine?.storeOf(node.user);
        return heard && lacks(now, heard);
      });
    this.#unaware.set(node, new Set(remembering as Machine[]));
  }

  /** It knows: it signs nothing until it knows all; but who votes alone goes on without what nobody knows. */
  noticed(node: SimNode, { roster }: ChannelState): void {
    if (!this.#unaware.has(node)) return;
    const [alone, ...others] = voters(roster);
    if (alone === node.user && others.length === 0) this.#unaware.set(node, new Set());
    else this.#unaware.delete(node);
  }

  /** A ballot or an acknowledgement leaves for `to`, or is a node's own. */
  signed(node: SimNode, to: UserId): void {
    const remembering = this.#unaware.get(node);
    if (!remembering) return;
    this.#signed.add(node);
    if (!this.#isHonest(node.user)) return;
    const receiver = this.#nodes().find(({ user }) => user === to)?.machine;
    if (receiver && remembering.has(receiver) && this.#isHonest(to)) {
      const message = `node ${node.index}, whose store was put back, signs for one who knows that it was`;
      this.#broke('2 one ballot', message);
    }
  }

  mayContradict(node: SimNode): boolean {
    return this.#signed.has(node);
  }

  mayUserContradict(user: UserId): boolean {
    return [...this.#signed].some((node) => node.user === user);
  }

  /** Why a violation is beyond what is promised. */
  excuse(invariant: string): string | undefined {
    if (this.#signed.size === 0 || !AGREEMENT.includes(invariant)) return undefined;
    const nodes = [...this.#signed].map(({ index }) => index).join(' and ');
    return `${nodes} signed on a disk that was put back, which nobody who knew it could tell`;
  }

  /**
   * Why a channel can't come to rest: too many lost what they knew for the others to tell them, or
   * who alone knew that roster number `newest` is in force is gone for good, but for relays.
   */
  irreparable(channel: ChannelId, reach: Reach, newest: number): string | undefined {
    const nodes = this.#nodes().filter(({ isGone }) => !isGone);
    const states = nodes.map((node) => ({ node, st: node.state(channel) }));
    const known = Math.max(0, ...states.map(({ st }) => st?.roster.number ?? 0));
    if (nodes.length < this.#nodes().length && known < newest) {
      return 'who alone knew of the last change of membership is gone for good';
    }
    if (this.#ever.size === 0) return undefined;
    // Who is no member yet may know a newer one, but says nothing to members.
    const rosters = states.flatMap(({ node, st }) =>
      st?.roster.members.has(node.user) ? st.roster : [],
    );
    const roster = rosters.reduce<Roster | undefined>(
      (a, b) => (a && a.number >= b.number ? a : b),
      undefined,
    );
    if (!roster) return 'all that held the channel lost their disks';
    const all = voters(roster);
    const enough = Math.max(1, Math.min(majorityOf(all.length), all.length - 1));
    // Who was never put back has lost nothing, whatever it believes.
    const hasLost = ({ node, st }: (typeof states)[number]): boolean =>
      this.#ever.has(node) && (!st || st.memory !== null);
    const ofVoters = states.filter(({ node }) => all.includes(node.user));
    // Who knows that it was removed or replaced, when none of these knows, is heard by none.
    const isIn = ({ node, st }: (typeof states)[number]): boolean =>
      st?.roster.members.has(node.user) ?? false;
    const telling = ofVoters.filter(
      (one) => !hasLost(one) && isIn(one) && this.#isHonest(one.node.user),
    );
    for (const { node } of ofVoters.filter(hasLost)) {
      const told = telling.filter((other) => reach(node.index, other.node.index)).length;
      if (told < enough)
        return `node ${node.index} lost memory, and ${told} can tell it, not ${enough}`;
    }
    return undefined;
  }
}
