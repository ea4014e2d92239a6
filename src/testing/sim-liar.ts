/**
 * What a relay does that lies (docs/PROTOCOL.md, section "What relays can do"):
 * it drops, delays and reorders what it forwards, shows some members what it
 * keeps from others, replays what it heard before, also on connections that
 * are gone, puts words of its own into what nobody signed, and speaks untruth
 * of who is there.
 */

import { decodeCommand, encodePayload, type Outgoing } from '../core/commands.js';
import { ConclaveError } from '../core/errors.js';
import type { ChannelId, Millis, UserId } from '../core/ids.js';
import { pack, unpack } from '../core/msgpack.js';
import { below, chance, type Draw, pick } from './prng.js';
import type { Timeline } from './timeline.js';

/** What is never forwarded: all that fits every field which is there. Nodes by index. */
export interface Censored {
  readonly from?: number;
  readonly to?: number;
  readonly name?: string;
}

/** Probabilities are for each command and receiver. Plain data. */
export interface Lies {
  readonly drop: number;
  /** How probably a command is late, and by how much at most. */
  readonly late: number;
  readonly lateMs: Millis;
  /** An old command is delivered to anyone beside what is forwarded. */
  readonly replay: number;
  /** So is one with something in it changed: its sender, its receiver, a field, a byte. */
  readonly forge: number;
  /** So are false presence, statuses, errors and limits. */
  readonly rumour: number;
  readonly censored: readonly Censored[];
  /** What is replayed and forged is one of the newest few of these commands alone. */
  readonly only?: readonly string[];
}

/** Commands that a relay keeps to replay them. */
const REMEMBERED_MAX = 512;
/** Of the commands that a liar is after, so many are the newest. */
const NEWEST = 8;
const ERRORS = ['no_channel', 'not_member', 'not_connected', 'invite_refused', 'internal'];

export interface LiarPorts {
  readonly draw: Draw;
  readonly timeline: Timeline;
  readonly users: readonly UserId[];
  /** Forwards what came in. */
  readonly forward: (to: UserId, command: Outgoing) => void;
  /** Says something of its own. */
  readonly say: (to: UserId, command: Outgoing) => void;
  readonly withheld: (to: UserId) => void;
}

export class Liar {
  readonly #o: LiarPorts;
  readonly #remembered: Outgoing[] = [];
  #next = 0;
  #channel: ChannelId | undefined;
  /** How it lies now; it remembers either way. */
  lies: Lies | null = null;

  constructor(options: LiarPorts) {
    this.#o = options;
  }

  forward(from: UserId, to: UserId, command: Outgoing): void {
    this.#remember(command);
    const { lies } = this;
    const { draw, timeline, forward, say, withheld } = this.#o;
    if (!lies) return forward(to, command);
    if (this.#remembered.length === 0) this.#remembered.push(command);
    const said = lies.only ? this.#newest(lies.only) : this.#remembered;
    if (said.length > 0) {
      if (chance(draw, lies.replay)) say(this.#anyone(), pick(draw, said));
      if (chance(draw, lies.forge)) this.#forge(pick(draw, said));
    }
    if (chance(draw, lies.rumour)) this.#rumour();
    if (this.#isCensored(lies, from, to, command) || chance(draw, lies.drop)) return withheld(to);
    if (!chance(draw, lies.late)) return forward(to, command);
    timeline.in(draw() * lies.lateMs, () => say(to, command));
  }

  #remember(command: Outgoing): void {
    const { id } = command.payload as { id?: ChannelId };
    // Beacons are many, and old ones say little.
    if (command.name === 'BEACON' && !chance(this.#o.draw, 0.1)) return;
    if (command.name !== 'BEACON' && id) this.#channel = id;
    this.#remembered[this.#next] = command;
    this.#next = (this.#next + 1) % REMEMBERED_MAX;
  }

  /** The newest commands of these names, as long as they are remembered. */
  #newest(names: readonly string[]): Outgoing[] {
    const found: Outgoing[] = [];
    const { length } = this.#remembered;
    for (let back = 1; back <= length && found.length < NEWEST; back++) {
      const command = this.#remembered[(this.#next - back + length) % length]!;
      if (names.includes(command.name)) found.push(command);
    }
    return found;
  }

  #anyone(): UserId {
    return pick(this.#o.draw, this.#o.users);
  }

  #isCensored(lies: Lies, from: UserId, to: UserId, { name }: Outgoing): boolean {
    const { users } = this.#o;
    return lies.censored.some(
      (c) =>
        (c.from === undefined || users[c.from] === from) &&
        (c.to === undefined || users[c.to] === to) &&
        (c.name === undefined || c.name === name),
    );
  }

  /** An old command, changed where nothing may protect it, if it can be sent so at all. */
  #forge({ name, payload }: Outgoing): void {
    const { draw, say } = this.#o;
    const to = this.#anyone();
    const whom = {
      ...(chance(draw, 0.3) ? { from: this.#anyone() } : {}),
      ...('to' in payload ? { to } : {}),
    };
    const changed = chance(draw, 0.6) ? changedSomewhere(draw, payload) : payload;
    try {
      say(to, asSent({ name, payload: { ...changed, ...whom } } as Outgoing));
    } catch (error) {
      if (!(error instanceof ConclaveError)) throw error;
    }
  }

  #rumour(): void {
    const { draw, users, say } = this.#o;
    const id = this.#channel;
    const to = this.#anyone();
    const kind = pick(draw, ['here', 'status', 'error', 'busy'] as const);
    if (kind === 'here')
      return say(to, { name: 'UCNN', payload: { id: this.#anyone(), name: '' } });
    if (kind === 'busy') {
      const payload = { about: 'CH_ROSTER', retry_ms: below(draw, 3_000) };
      return say(to, { name: 'RATE', payload });
    }
    if (!id) return;
    if (kind === 'error') {
      const payload = { code: pick(draw, ERRORS), about: 'CH_MSG', message: 'so it says', id };
      return say(to, { name: 'ERR', payload });
    }
    const online = users.filter(() => chance(draw, 0.5));
    const roster = pick(draw, [0, 1, below(draw, 20), Number.MAX_SAFE_INTEGER]);
    say(to, { name: 'CH_STATUS', payload: { id, name: new Uint8Array(0), roster, online } });
  }
}

/** As it would come off a wire. Throws for what no frame can hold. */
export function asSent({ name, payload }: Outgoing): Outgoing {
  const whole = { ...payload, timestamp: 0, nonce: new Uint8Array(8) };
  return decodeCommand(name, unpack(pack(encodePayload(name, whole)))) as Outgoing;
}

/** A copy with one thing in it another one: a field, an item of a list, a byte. */
export function changedSomewhere<T>(draw: Draw, value: T): T;
export function changedSomewhere(draw: Draw, value: unknown): unknown {
  if (typeof value === 'number') return pick(draw, [0, 1, value + 1, value * 2, 2 ** 53 - 1]);
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)) {
    const at = below(draw, value.length);
    return `${value.slice(0, at)}${below(draw, 16).toString(16)}${value.slice(at + 1)}`;
  }
  if (value instanceof Uint8Array) {
    if (value.length === 0) return Uint8Array.of(1);
    const bytes = value.slice();
    bytes[below(draw, bytes.length)]! ^= 1 << below(draw, 8);
    return chance(draw, 0.2) ? bytes.subarray(0, below(draw, bytes.length)) : bytes;
  }
  if (Array.isArray(value)) {
    if (value.length === 0) return value;
    const at = below(draw, value.length);
    if (chance(draw, 0.3)) return value.filter((_, i) => i !== at);
    if (chance(draw, 0.3)) return [...value, value[at]];
    return value.map((item, i) => (i === at ? changedSomewhere(draw, item) : item));
  }
  if (typeof value !== 'object' || value === null) return value;
  const key = pick(draw, Object.keys(value)) as keyof typeof value;
  return { ...value, [key]: changedSomewhere(draw, value[key]) };
}
