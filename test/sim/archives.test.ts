/** Archives in simulated runs, and how many must be online beside them (docs/simulation.md, "Archives"). */

import { describe, expect, it } from 'vitest';
import type { FewPolicy } from '../../src/core/genesis.js';
import { minOnline } from '../../src/core/roster.js';
import { leastOnlineOf } from '../../src/testing/counting.js';
import { type SimulateOptions, simulate } from '../../src/testing/simulate.js';
import { CALM } from '../../src/testing/weather.js';
import { FOUNDER, grown, person } from '../unit/fixtures/channel.js';

/** A calm channel in which node 0 posts before and after `change`, most of the run after it. */
function channel(options: Partial<SimulateOptions>) {
  const posts = [5_000, 12_000].map((at) => ({ at, node: 0, count: 1, bytes: 10 }));
  return simulate({
    ...{ seed: 1, nodes: 3, relays: 1, minOnline: 2, early: false, loadMs: 13_000, faults: [] },
    conditions: { encoded: false, workMs: 0, diskMs: 1, skewMs: 0, weather: CALM },
    workload: { posts, invites: [] },
    ...options,
  });
}

const withoutOne: Partial<SimulateOptions> = {
  faults: [{ kind: 'gone', node: 1, at: 7_000, until: 12_000 }],
};

describe('two people and an archive', () => {
  it('go on when one is gone for good', async () => {
    const { violation, messages } = await channel({ archives: 1, ...withoutOne });
    expect([violation, messages]).toEqual([undefined, 2]);
  });

  it('wait when the archive has left, and when it was none', async () => {
    const posts = [5_000, 12_000].map((at) => ({ at, node: 0, count: 1, bytes: 10 }));
    const changes = [{ at: 7_000, what: 'leave', node: 2, by: 2 }] as const;
    const left = await channel({ archives: 1, workload: { posts, invites: [], changes } });
    const never = await channel({ few: 'archive', ...withoutOne });
    for (const { violation, messages } of [left, never]) {
      expect([violation, messages]).toEqual([undefined, 1]);
    }
  });

  it('have an archive that says nothing', async () => {
    const posts = [0, 1, 2].map((node) => ({ at: 6_000, node, count: 1, bytes: 10 }));
    const { violation, messages } = await channel({
      archives: 1,
      workload: { posts, invites: [] },
    });
    expect([violation, messages]).toEqual([undefined, 2]);
  });
});

it('what must be online is counted as the core counts it', () => {
  const { members } = grown(4);
  const archive = { ...members.get(person(4).user)!, sealing: null };
  const kept = new Map(members).set(archive.user, archive);
  for (const few of ['archive', 'always'] as const satisfies readonly FewPolicy[]) {
    for (const said of [1, 2, 3, 4]) {
      const policy = { minOnline: said, few };
      const least = leastOnlineOf(policy, new Set([archive.user]));
      expect(least(kept.keys())).toBe(minOnline({ policy, members: kept }));
      expect(least([FOUNDER.user])).toBe(minOnline({ policy, members: grown(1).members }));
    }
  }
});
