/** What a node acknowledged, and what of it a store no longer holds. */

import type { Channel } from '../../src/node/index.js';
import { entriesOf } from './node-cluster.js';

export type Reached = 'stored' | 'committed' | 'final';

export interface Acknowledged {
  readonly id: string;
  readonly text: string;
  readonly reached: Reached;
}

/** Says which acknowledged messages are gone, are there twice, or are less than they were. */
export async function broken(
  channel: Channel | undefined,
  acknowledged: readonly Acknowledged[],
): Promise<string[]> {
  const entries = channel ? await entriesOf(channel) : [];
  const places = new Map<string, string[]>();
  for (const { id, text, state } of entries) {
    const place = `${state} ${text}`;
    places.set(id, [...(places.get(id) ?? []), place]);
  }
  return acknowledged.flatMap(({ id, text, reached }) => {
    const [place, ...more] = places.get(id) ?? [];
    if (place === undefined) return [`${id} was ${reached} and is gone`];
    if (more.length > 0) return [`${id} is there ${more.length + 1} times`];
    if (!place.endsWith(` ${text}`)) return [`${id} says something else: ${place}`];
    if (reached === 'final' && place !== `final ${text}`) return [`${id} was final, is ${place}`];
    return [];
  });
}
