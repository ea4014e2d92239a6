/** Where every frame takes long, and the rounds of elections with it (docs/PROTOCOL.md, section "Elections"). */

import { expect, it } from 'vitest';
import { Cluster } from '../../src/testing/cluster.js';

it.each([100, 200, 250])(
  'with %d ms from node to relay and as much from there a leader is elected, and another when it dies',
  async (ms) => {
    for (const seed of [1, 2, 3]) {
      const cluster = new Cluster({
        seed,
        nodes: 5,
        relays: 1,
        minOnline: 3,
        few: 'archive',
        archives: 0,
        quorum: 'online',
        observe: () => {},
      });
      for (const [i, node] of cluster.nodes.entries()) {
        await node.start();
        const joined = cluster.nodes.slice(0, i + 1);
        expect(await cluster.until(() => cluster.unsettled(joined) === undefined, 60_000)).toBe(
          true,
        );
      }
      const { network } = cluster;
      network.weather = { ...network.weather, delay: { kind: 'fixed', ms } };
      const leader = () => cluster.nodes.find((n) => n.state(cluster.app.channel)?.leading);
      const first = leader()!;
      first.crash();
      const isLed = (): boolean => {
        const next = leader();
        return (
          next !== undefined &&
          next !== first &&
          cluster.nodes
            .filter((n) => n !== first)
            .every((n) => n.state(cluster.app.channel)?.leadership?.epoch.leader === next.user)
        );
      };
      expect(await cluster.until(isLed, 60_000), `seed ${seed}: ${cluster.problem}`).toBe(true);
    }
  },
);
