/**
 * Runs both to-do lists through the simulator and says what it found:
 *
 *     npx tsx examples/todo/main.ts              seeds 1 to 20
 *     npx tsx examples/todo/main.ts 7            seed 7 alone, with all that happens
 */

import { HastyTodoList } from './hasty-todo-list.js';
import { type List, simulateList } from './simulation.js';
import { type TodoChannel, TodoList } from './todo-list.js';

const LISTS: readonly (readonly [string, (channel: TodoChannel) => List])[] = [
  ['TodoList', (channel) => new TodoList(channel)],
  ['HastyTodoList', (channel) => new HastyTodoList(channel)],
];

const [only] = process.argv.slice(2);
const seeds = only ? [Number(only)] : Array.from({ length: 20 }, (_, i) => i + 1);

for (const [name, makeList] of LISTS) {
  let messages = 0;
  let found = false;
  for (const seed of seeds) {
    const result = await simulateList(seed, makeList, only ? console.log : undefined);
    messages += result.messages;
    if (!result.violation) continue;
    const { invariant, at, message } = result.violation;
    console.log(
      `${name}, seed ${seed}: ${invariant}, ${Math.round(at)} ms after its start:\n${message}`,
    );
    console.log(`See it happen: npx tsx examples/todo/main.ts ${seed}\n`);
    found = true;
    break;
  }
  if (!found) console.log(`${name}: ${seeds.length} seeds, ${messages} messages, nothing wrong\n`);
}
