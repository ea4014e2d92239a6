/**
 * A shared to-do list over a conclave channel. Each change is a message; the
 * list is what folding the messages gives. What is final is folded in the log's
 * order, the same for everyone. What is not final yet lies on top of it as a
 * preview: it may still move, so it is folded anew whenever someone looks.
 */

import type { Channel, ChannelEntry, Sending } from 'conclave';

export interface Item {
  readonly id: string;
  readonly title: string;
  readonly done: boolean;
}

type Change =
  | { readonly op: 'add'; readonly title: string }
  | { readonly op: 'rename'; readonly item: string; readonly title: string }
  | { readonly op: 'check'; readonly item: string; readonly done: boolean };

export type Items = Map<string, Item>;

/** What the list needs of a channel; a real one has it, and a simulated one. */
export type TodoChannel = Pick<Channel, 'send' | 'read'>;

export function parseChange(text: string): Change | undefined {
  try {
    const { op, item, title, done } = JSON.parse(text);
    if (op === 'add' && typeof title === 'string') return { op, title };
    if (typeof item !== 'string') return undefined;
    if (op === 'rename' && typeof title === 'string') return { op, item, title };
    if (op === 'check' && typeof done === 'boolean') return { op, item, done };
    return undefined;
  } catch {
    return undefined;
  }
}

/** Applies one message to `items`. Whoever is in the channel can post anything: what makes no sense is passed over. */
export function fold(items: Items, { id, text = '' }: ChannelEntry): void {
  const change = parseChange(text);
  if (!change) return;
  if (change.op === 'add') {
    if (!items.has(id)) items.set(id, { id, title: change.title, done: false });
    return;
  }
  const item = items.get(change.item);
  if (!item) return;
  if (change.op === 'rename') items.set(item.id, { ...item, title: change.title });
  else items.set(item.id, { ...item, done: change.done });
}

export class TodoList {
  readonly #channel: TodoChannel;
  /** The fold of what is final. */
  readonly #agreed: Items = new Map();
  /** What is not, by digest, in the order in which it was shown. */
  readonly #preview = new Map<string, ChannelEntry>();
  /** Called whenever there is something else to show. */
  onChange: () => void = () => {};

  constructor(channel: TodoChannel) {
    this.#channel = channel;
  }

  /** Follows the channel until `signal` aborts. */
  async run(signal?: AbortSignal): Promise<void> {
    const options = signal ? { signal } : {};
    for await (const event of this.#channel.read({ live: true, ...options })) {
      if (event.type === 'entry' && event.entry.kind === 'message') this.#take(event.entry);
    }
  }

  #take(entry: ChannelEntry): void {
    if (entry.state === 'final') {
      this.#preview.delete(entry.digest);
      fold(this.#agreed, entry);
    } else {
      this.#preview.set(entry.digest, entry);
    }
    this.onChange();
  }

  /** Adds an item; the message's id is the item's. */
  add(title: string): Sending {
    return this.#send({ op: 'add', title });
  }

  rename(item: string, title: string): Sending {
    return this.#send({ op: 'rename', item, title });
  }

  check(item: string, done = true): Sending {
    return this.#send({ op: 'check', item, done });
  }

  #send(change: Change): Sending {
    return this.#channel.send(JSON.stringify(change));
  }

  /** What everyone agrees on: it never changes but by what comes behind it. */
  get agreed(): readonly Item[] {
    return [...this.#agreed.values()];
  }

  /** What to show: the agreed list, with all that is on its way. */
  get items(): readonly Item[] {
    const items = new Map(this.#agreed);
    for (const entry of this.#preview.values()) {
      if (entry.state !== 'withheld') fold(items, entry);
    }
    return [...items.values()];
  }

  /** How many changes are on their way. */
  get pending(): number {
    return [...this.#preview.values()].filter(({ state }) => state !== 'withheld').length;
  }
}
