/** Beacons of users that a node has nothing to do with (docs/PROTOCOL.md, section "Beacons"). */

import { describe, expect, it } from 'vitest';
import type { JoinAttempt } from '../../src/core/channel-state.js';
import type { UserId } from '../../src/core/ids.js';
import type { Input } from '../../src/core/input.js';
import { TIMING } from '../../src/core/limits.js';
import { Machine } from '../../src/core/machine.js';
import type { Beacon } from '../../src/core/statements.js';
import { person, ulidOf } from './fixtures/channel.js';
import { CoreState } from './fixtures/core-state.js';
import { nativeCrypto as crypto } from './fixtures/ports.js';

const SELF = person(1).user;
const MEMBER = person(2).user;
const STRANGER = person(9).user;

/** A member of a channel of three, with a link to its relay, and one without any channel. */
function node(hasChannel: boolean) {
  const { st } = new CoreState(3);
  const machine = new Machine({
    crypto,
    self: SELF,
    boot: ulidOf(1),
    boots: { before: [], wasPutBack: false },
    timing: TIMING,
    random: () => 0.5,
    ulid: () => ulidOf(50),
  });
  const relay = /([0-9a-f]{64})@/.exec(st.roster.relays[0]!)![1] as UserId;
  const step = (...inputs: Input[]) => machine.step({ now: 1_000, wall: 1_000 }, inputs);
  step({ type: 'link-up', link: 1, relay });
  if (hasChannel) step({ type: 'open', state: st });
  const hears = (user: UserId, shown?: Beacon) => {
    const what = { type: 'beacon' as const, beacon: beaconOf(user), sig: new Uint8Array(64) };
    const inspection = {
      from: user,
      channel: null,
      checks: [],
      what: { ...what, ...(shown ? { shown } : {}) },
    };
    return step({ type: 'message', link: 1, inspection });
  };
  return { st, machine, hears };
}

const beaconOf = (user: UserId, batches = 3): Beacon => ({
  tag: 'beacon',
  user,
  boot: ulidOf(7),
  counter: 1,
  batches,
  before: [],
  heard: [],
});

describe('a node remembers the beacon', () => {
  it('of a member and of who asks to join, of nobody else', () => {
    const { st, machine, hears } = node(true);
    for (const user of [MEMBER, STRANGER]) hears(user);
    expect([MEMBER, STRANGER].map((user) => machine.storeOf(user)?.batches)).toEqual([
      3,
      undefined,
    ]);
    st.joins.set(STRANGER, {} as JoinAttempt);
    hears(STRANGER);
    expect(machine.storeOf(STRANGER)?.batches).toBe(3);
  });

  it('of its own that anybody shows it, though it is in no channel', () => {
    const { machine, hears } = node(false);
    const { sync, ops } = hears(MEMBER, beaconOf(SELF, 9));
    expect([sync, ops.map(({ key }) => key)]).toEqual([true, ['node/boots', 'node/batches']]);
    expect(machine.storeOf(MEMBER)).toBeUndefined();
  });
});
