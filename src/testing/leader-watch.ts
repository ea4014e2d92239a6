/**
 * What a step must not do with the leadership that a node holds or follows,
 * and that availability rests on (docs/PROTOCOL.md, section "Elections"):
 *
 *   - take an old beat, or no beat at all, for a sign of life: else a dead
 *     leader's words, said again by a relay, keep a channel without a leader
 *   - give up an online epoch for no more than who is online: else a side that
 *     can commit stops where nobody can win
 */

import type { ChannelState } from '../core/channel-state.js';
import type { Ready } from '../core/effects.js';
import type { EpochId, Ulid } from '../core/ids.js';
import type { Input } from '../core/input.js';
import type { Break } from './chains.js';

/** A node's part in a leadership, as a step left it. */
interface Part {
  readonly epoch: EpochId;
  readonly leadsOnline: boolean;
  /** Else it counts as no leader, however often it is followed. */
  readonly isLive: boolean;
  readonly beat: number;
  readonly heardAt: number;
  readonly promised: string;
  readonly roster: number;
  /** What it asks a leader to sign. */
  readonly question: Ulid | undefined;
}

export class LeaderWatch {
  readonly #break: Break;
  readonly #parts = new Map<number, Part>();

  constructor(onBreak: Break) {
    this.#break = onBreak;
  }

  started(index: number): void {
    this.#parts.delete(index);
  }

  stepped(index: number, st: ChannelState, inputs: readonly Input[], ready: Ready): void {
    const before = this.#parts.get(index);
    const now = partOf(st);
    if (now) this.#parts.set(index, now);
    else this.#parts.delete(index);
    if (!before) return;
    if (now?.epoch === before.epoch) {
      const isHeard = now.isLive && now.heardAt > before.heardAt && now.beat <= before.beat;
      if (isHeard && !st.leading && !inputs.some((input) => isAnswer(input, before))) {
        this.#break('liveness', `node ${index} takes an old beat for a sign of life`);
      }
    } else if (before.leadsOnline && !now && !isOver(before, st, inputs, ready)) {
      this.#break('liveness', `node ${index} gives up its online epoch and nobody else leads`);
    }
  }
}

function partOf({ leadership, leading, hard, roster, challenge }: ChannelState): Part | undefined {
  if (!leadership) return undefined;
  return {
    epoch: leadership.id,
    leadsOnline: leading !== null && leadership.branch !== null,
    isLive: leadership.live,
    beat: leadership.lastBeat,
    heardAt: leadership.lastHeardAt,
    promised: promisesOf(hard),
    roster: roster.number,
    question: challenge?.id,
  };
}

const promisesOf = ({ roster, online }: ChannelState['hard']): string =>
  `${roster.term}/${online.term}`;

/** An election that answers what a node asked and nobody answered before. */
const isAnswer = (input: Input, { question }: Part): boolean =>
  input.type === 'message' &&
  input.inspection.what.type === 'elected' &&
  input.inspection.what.beat.echo === question;

const isRefusal = (input: Input): boolean =>
  input.type === 'message' &&
  input.inspection.what.type === 'grant' &&
  input.inspection.what.payload.refused === 'term';

/** Whether something ended the epoch: a newer promise or roster, a silent electorate, a voter that is past it, a stop. */
const isOver = (
  before: Part,
  st: ChannelState,
  inputs: readonly Input[],
  { events }: Ready,
): boolean =>
  promisesOf(st.hard) !== before.promised ||
  st.roster.number !== before.roster ||
  events.some((event) => event.type === 'note') ||
  inputs.some(isRefusal);
