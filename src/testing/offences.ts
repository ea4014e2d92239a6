/**
 * What members that misbehave (misdeeds.ts) have signed in a run, and so what
 * the invariants excuse: no more than what theory gives up, only from the
 * moment of the deed on, and only what rests on a statement of that member
 * (docs/simulation.md, "Members that misbehave").
 */

import type { ChannelId, Digest, EpochId, UserId } from '../core/ids.js';
import type { Deed } from './misdeeds.js';
import type { SimNode } from './sim-node.js';

export class Offences {
  readonly #deeds = new Map<UserId, ReadonlySet<Deed>>();
  /** The lowest roster term in which a member signed what contradicts what it signed or holds. */
  #since = Number.POSITIVE_INFINITY;
  #haveFalsePages = false;
  /** Second ballots, by user, kind and term. */
  readonly #votes = new Set<string>();
  /** Leaderships under which two things were proposed at one place. */
  readonly #placed = new Set<EpochId>();
  /** Second records that their authors made. */
  readonly twins = new Set<Digest>();
  /** Two histories became final, which a deed excused. */
  isForked = false;

  /** From now on `user` may do such things. */
  mayDo(user: UserId, deeds: Iterable<Deed>): void {
    const all = new Set([...(this.#deeds.get(user) ?? []), ...deeds]);
    this.#deeds.set(user, all);
    this.#haveFalsePages ||= all.has('false-pages') || all.has('forge');
  }

  /** Nobody misbehaves in this run so far. */
  get areNone(): boolean {
    return this.#deeds.size === 0;
  }

  /** Whether the user's node follows the protocol in all it says. */
  isHonest(user: UserId): boolean {
    return !this.#deeds.has(user);
  }

  /** Some member serves pages that it changed. */
  get haveFalsePages(): boolean {
    return this.#haveFalsePages;
  }

  may(user: UserId, deed: Deed): boolean {
    return this.#deeds.get(user)?.has(deed) ?? false;
  }

  votedTwice(user: UserId, kind: string, term: number): void {
    this.#votes.add(`${user}/${kind}/${term}`);
    if (kind === 'roster') this.spokeFalsely(term);
  }

  /** Acknowledged or reported in a roster term what it does not hold, or against its promise. */
  spokeFalsely(term: number): void {
    this.#since = Math.min(this.#since, term);
  }

  placedTwice(epoch: EpochId, kind: string, term: number): void {
    this.#placed.add(epoch);
    if (kind === 'roster') this.spokeFalsely(term);
  }

  /** No leader proposed two chains, of which the invariants know one. */
  get isOfOneChain(): boolean {
    return this.#placed.size === 0;
  }

  /** Whether a leadership's places may differ from one node to another. */
  hasTwoChains(epoch: EpochId): boolean {
    return this.#placed.has(epoch);
  }

  /** Two leaders of one term are excused by members that voted for both, if only such did. */
  excuseTwoLeaders(
    kind: string,
    term: number,
    ballots: readonly UserId[],
    others: readonly UserId[],
  ): boolean {
    const both = ballots.filter((user) => others.includes(user));
    return both.length > 0 && both.every((user) => this.#votes.has(`${user}/${kind}/${term}`));
  }

  /** Whether what is final in `term` may contradict what was final before. */
  mayFork(term: number): boolean {
    return this.#since <= term;
  }

  /** A leader that tells members different things may keep them from agreeing for as long as it leads. */
  stalling(nodes: readonly SimNode[], channel: ChannelId): string | undefined {
    const node = nodes.find((one) => {
      const lead = one.state(channel)?.leadership;
      return lead && this.hasTwoChains(lead.id);
    });
    return node && `node ${node.index} follows one who tells members different things`;
  }
}
