/**
 * The same list with a mistake that is easy to make: it folds each message the
 * first time it is shown, as if its place were final then. It works in every
 * demo. In a partition two sides see the same messages in different orders, and
 * their lists differ for ever after.
 */

import type { Sending } from 'conclave';
import { fold, type Item, type Items, type TodoChannel } from './todo-list.js';

export class HastyTodoList {
  readonly #channel: TodoChannel;
  readonly #items: Items = new Map();
  readonly #seen = new Set<string>();

  constructor(channel: TodoChannel) {
    this.#channel = channel;
  }

  async run(): Promise<void> {
    for await (const event of this.#channel.read({ live: true })) {
      if (event.type !== 'entry' || event.entry.kind !== 'message') continue;
      if (this.#seen.has(event.entry.digest)) continue;
      this.#seen.add(event.entry.digest);
      fold(this.#items, event.entry);
    }
  }

  add(title: string): Sending {
    return this.#channel.send(JSON.stringify({ op: 'add', title }));
  }

  rename(item: string, title: string): Sending {
    return this.#channel.send(JSON.stringify({ op: 'rename', item, title }));
  }

  check(item: string, done = true): Sending {
    return this.#channel.send(JSON.stringify({ op: 'check', item, done }));
  }

  get items(): readonly Item[] {
    return [...this.#items.values()];
  }
}
