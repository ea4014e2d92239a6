/**
 * Runs both to-do lists through the simulator and says what it found:
 *
 *     npx tsx examples/todo/main.ts                   both lists, seeds 1 to 20
 *     npx tsx examples/todo/main.ts 7 HastyTodoList    seed 7 alone, and what happens in it
 */

import { HastyTodoList } from './hasty-todo-list.js';
import { type List, simulateList } from './simulation.js';
import { type TodoChannel, TodoList } from './todo-list.js';

const LISTS: readonly (readonly [string, (channel: TodoChannel) => List])[] = [
  ['TodoList', (channel) => new TodoList(channel)],
  ['HastyTodoList', (channel) => new HastyTodoList(channel)],
];

/** What a reader wants to see of a run's log: faults, starts, and what the application logs. */
const show = (line: string): void => {
  if (/ (fault|end of|node \d+ (starts|application)|BROKEN)/.test(line)) console.log(line);
};

const USAGE = `Usage: npx tsx examples/todo/main.ts [SEED [${LISTS.map(([name]) => name).join(' | ')}]]`;

const [only, which, ...more] = process.argv.slice(2);
const isSeed = only === undefined || (/^\d+$/.test(only) && Number.isSafeInteger(Number(only)));
const isList = which === undefined || LISTS.some(([name]) => name === which);
if (!isSeed || !isList || more.length > 0) {
  console.error(`${USAGE}`);
  process.exit(2);
}
const seeds = only ? [Number(only)] : Array.from({ length: 20 }, (_, i) => i + 1);

for (const [name, makeList] of LISTS.filter(([name]) => !which || name === which)) {
  let messages = 0;
  let found = false;
  for (const seed of seeds) {
    const result = await simulateList(seed, makeList, only ? show : undefined);
    messages += result.messages;
    if (!result.violation) continue;
    const { invariant, at, message } = result.violation;
    console.log(
      `${name}, seed ${seed}: ${invariant}, ${Math.round(at)} ms after its start:\n${message}`,
    );
    console.log(`See it happen: npx tsx examples/todo/main.ts ${seed} ${name}\n`);
    found = true;
    break;
  }
  if (!found) console.log(`${name}: ${seeds.length} seeds, ${messages} messages, nothing wrong\n`);
}
