/**
 * Which answers that need the store are made when (docs/PROTOCOL.md, section
 * "Catching up"): a few at once, each asker's a few, the rest in turn. What is
 * beyond that is dropped: who asked asks again. So questions, which are small,
 * can't make a member read and hold what it likes.
 */

import { SERVES_AT_ONCE_MAX, SERVES_WAITING_MAX } from './limits.js';
import type { Reader } from './serve.js';

interface Waiting {
  readonly asker: string;
  readonly answer: (reader: Reader) => void;
}

export class Serving {
  readonly #reader: Reader;
  readonly #waiting: Waiting[] = [];
  /** Answers that wait or are under way, by asker. */
  readonly #open = new Map<string, number>();
  #underWay = 0;
  #begins = false;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  /** Lets `answer` read, now or in its turn, unless `asker` has `most` answers to come already. */
  add(asker: string, most: number, answer: (reader: Reader) => void): void {
    const open = this.#open.get(asker) ?? 0;
    if (open >= most || this.#waiting.length >= SERVES_WAITING_MAX) return;
    this.#open.set(asker, open + 1);
    this.#waiting.push({ asker, answer });
    this.#begin();
  }

  #begin(): void {
    if (this.#begins) return;
    this.#begins = true;
    try {
      while (this.#underWay < SERVES_AT_ONCE_MAX) {
        const next = this.#waiting.shift();
        if (!next) break;
        this.#underWay += 1;
        this.#run(next);
      }
    } finally {
      this.#begins = false;
    }
  }

  /** It is done once nothing of what it reads is to come any more. */
  #run({ asker, answer }: Waiting): void {
    let toCome = 0;
    const reading = <T>(done: (found: T) => void): ((found: T) => void) => {
      toCome += 1;
      return (found) => step(() => done(found));
    };
    const step = (act: () => void): void => {
      try {
        act();
      } finally {
        toCome -= 1;
        if (toCome === 0) this.#done(asker);
      }
    };
    toCome += 1;
    step(() =>
      answer({
        getMany: (keys, done) => this.#reader.getMany(keys, reading(done)),
        range: (options, done) => this.#reader.range(options, reading(done)),
      }),
    );
  }

  #done(asker: string): void {
    const open = this.#open.get(asker)! - 1;
    if (open === 0) this.#open.delete(asker);
    else this.#open.set(asker, open);
    this.#underWay -= 1;
    this.#begin();
  }
}
