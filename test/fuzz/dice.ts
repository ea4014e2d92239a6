/**
 * Chance for one fuzz case: all that a case draws follows from seed, target and
 * number, so that it can be made again alone. sfc32 (PractRand), which takes
 * all three as its state.
 */

import { createHash } from 'node:crypto';
import type { Dice } from '../unit/mutate.js';

export type { Dice };

const WARM_UP = 12;

function sfc32(a: number, b: number, c: number): () => number {
  let d = 1;
  const next = (): number => {
    const t = (a + b + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    c |= 0;
    return t >>> 0;
  };
  for (let i = 0; i < WARM_UP; i++) next();
  return next;
}

function diceOf(next: () => number): Dice {
  const int = (below: number): number => Math.floor((next() / 2 ** 32) * below);
  return {
    int,
    pick: (items) => items[int(items.length)]!,
    bytes(length) {
      const bytes = new Uint8Array(length);
      for (let i = 0; i < length; i++) bytes[i] = next();
      return bytes;
    },
    oneIn: (n) => int(n) === 0,
  };
}

const words = new Map<string, number>();

/** 32 bits that a text stands for. */
function wordOf(text: string): number {
  let word = words.get(text);
  if (word === undefined) {
    word = createHash('sha256').update(text).digest().readUInt32LE();
    words.set(text, word);
  }
  return word;
}

export const caseDice = (seed: number, target: string, number: number): Dice =>
  diceOf(sfc32(seed, wordOf(target), number));

/** Chance that follows from an input: how to cut it up, for instance. */
export function inputDice(input: Uint8Array): Dice {
  let word = input.length;
  for (const byte of input) word = Math.imul(word ^ byte, 0x0100_0193);
  return diceOf(sfc32(word, input.length, 0));
}
