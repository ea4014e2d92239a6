/** How the to-do list's author tests it against partitions and crashes. */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { HastyTodoList } from './hasty-todo-list.js';
import { simulateList } from './simulation.js';
import { TodoList } from './todo-list.js';

const SEEDS = Array.from({ length: 10 }, (_, i) => i + 1);

describe('the to-do list', () => {
  it.each(SEEDS)('agrees with itself after the faults of seed %i', async (seed) => {
    const result = await simulateList(seed, (channel) => new TodoList(channel));
    expect(result.violation).toBeUndefined();
    expect(result.messages).toBeGreaterThan(0);
  });

  it('would not, if it took what is shown for what is final', async () => {
    const broken: string[] = [];
    for (const seed of SEEDS) {
      const { violation } = await simulateList(seed, (channel) => new HastyTodoList(channel));
      if (violation) broken.push(violation.invariant);
    }
    expect(broken).toContain('application: eventually');
  });

  it.each([['x'], ['x', 'y'], ['1', 'y'], ['1', 'TodoList', 'z']])(
    'has a program that says how it is called, and not by %s %s %s',
    async (...args) => {
      const main = fileURLToPath(new URL('./main.ts', import.meta.url));
      const call = promisify(execFile)(process.execPath, ['--import', 'tsx', main, ...args]);
      await expect(call).rejects.toMatchObject({
        code: 2,
        stderr: 'Usage: npx tsx examples/todo/main.ts [SEED [TodoList | HastyTodoList]]\n',
      });
    },
  );

  it('runs the same again with the same seed', async () => {
    const run = () => simulateList(3, (channel) => new TodoList(channel));
    expect(await run()).toEqual(await run());
  });
});
