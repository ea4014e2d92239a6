/**
 * What an author tests under the simulator is what runs elsewhere: the same
 * to-do list on real nodes over a real relay; and the package as it is
 * installed has the entry point that the example imports.
 */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { TodoList } from '../../examples/todo/todo-list.js';
import { Cluster, patience, together } from '../unit/node-cluster.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const cluster = new Cluster();
afterEach(() => cluster.stop());

/** Resolves once a list is as it should be. */
const when = (list: TodoList, fits: () => boolean): Promise<void> =>
  new Promise((resolve) => {
    const look = (): void => {
      if (fits()) resolve();
    };
    list.onChange = look;
    look();
  });

it('runs the to-do list of the example on real nodes', async () => {
  const relay = await cluster.relay();
  const nodes = [];
  for (const name of ['ann', 'ben', 'cid']) nodes.push(await cluster.node(name));
  const channels = await together(nodes, [relay.url]);
  const { signal } = patience();
  const over = new AbortController();
  const lists = channels.map((channel) => new TodoList(channel));
  const running = lists.map((list) => list.run(AbortSignal.any([signal, over.signal])));
  const [ann, ben] = lists;
  const milk = ann!.add('milk');
  await milk.until('final', { signal });
  const bread = ben!.add('bread');
  ben!.rename(milk.id, 'oat milk');
  await ben!.check(bread.id).until('final', { signal });
  for (const list of lists) {
    await when(list, () => list.agreed.some(({ done }) => done));
    expect(list.agreed).toStrictEqual([
      { id: milk.id, title: 'oat milk', done: false },
      { id: bread.id, title: 'bread', done: true },
    ]);
    expect(list.items).toStrictEqual(list.agreed);
    expect(list.pending).toBe(0);
  }
  over.abort();
  await Promise.all(running);
});

it('simulates with the built package, imported by its name', async () => {
  const program = `
    import { simulate } from 'conclave/testing';
    const result = await simulate({
      seed: 1,
      nodes: 3,
      faults: [],
      app: ({ channel }) => ({ channel }),
      workload: { act: ({ channel }) => void channel.send('hello') },
    });
    console.log(JSON.stringify({ ok: result.ok, some: result.messages > 0 }));
  `;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', program],
    { cwd: ROOT },
  );
  expect(JSON.parse(stdout)).toStrictEqual({ ok: true, some: true });
});
