/**
 * One simulated run of a to-do list: what its users do, and what its author
 * promises them. Both lists go through the same run; one keeps the promises.
 */

import type { Sending } from 'conclave';
import { type SimulateResult, simulate } from 'conclave/testing';
import type { Item, TodoChannel } from './todo-list.js';

/** What the checks need to know of a list. */
export interface List {
  run(): Promise<void>;
  add(title: string): Sending;
  rename(item: string, title: string): Sending;
  check(item: string, done?: boolean): Sending;
  readonly items: readonly Item[];
}

const show = ({ id, title, done }: Item): string => `${done ? '[x]' : '[ ]'} ${title} (${id})`;

/** Where two lists differ first, in words. */
function difference(one: readonly Item[], other: readonly Item[]): string | undefined {
  for (let i = 0; i < Math.max(one.length, other.length); i++) {
    const [a, b] = [one[i], other[i]].map((item) => (item ? show(item) : 'nothing'));
    if (a !== b) return `item ${i + 1} is\n  ${a} on one\n  ${b} on the other`;
  }
  return undefined;
}

export function simulateList(
  seed: number,
  makeList: (channel: TodoChannel) => List,
  log?: (line: string) => void,
): Promise<SimulateResult> {
  // Made anew for each run: a check may remember what it was promised.
  const stored = new Set<string>();
  return simulate<List>({
    seed,
    nodes: 5,
    faults: ['partition', 'crash', 'link', 'relay'],
    ...(log && { log }),
    app: ({ channel }) => makeList(channel),
    workload: {
      everyMs: 200,
      async act(list, { random, log: say }) {
        const item = list.items[Math.floor(random() * list.items.length)];
        const dice = random();
        if (!item || dice < 0.4) {
          const title = `task ${Math.floor(random() * 1_000)}`;
          say(`adds ${title}`);
          const adding = list.add(title);
          await adding.stored;
          stored.add(adding.id);
        } else if (dice < 0.7) {
          const title = `${item.title}, ${Math.floor(random() * 10)}`;
          say(`renames ${item.title} to ${title}`);
          list.rename(item.id, title);
        } else {
          const done = random() < 0.8;
          say(`${done ? 'checks' : 'unchecks'} ${item.title}`);
          list.check(item.id, done);
        }
      },
    },
    checks: {
      always(running) {
        for (const { app, node } of running) {
          const ids = app.items.map(({ id }) => id);
          if (new Set(ids).size < ids.length)
            throw new Error(`node ${node.index} shows an item twice`);
        }
      },
      eventually([one, ...others]) {
        for (const { app, node } of others) {
          const what = difference(one!.app.items, app.items);
          if (what) throw new Error(`nodes ${one!.node.index} and ${node.index} differ: ${what}`);
        }
        for (const id of stored) {
          if (!one!.app.items.some((item) => item.id === id)) {
            throw new Error(`item ${id} was stored, and it is lost`);
          }
        }
      },
    },
  });
}
