/**
 * What a fuzz target is: a way to make inputs, and a check that throws when a
 * property does not hold. What a check finds depends on the bytes alone, so a
 * finding can be kept as bytes, whatever made them.
 */

import { isDeepStrictEqual } from 'node:util';
import { ConclaveError } from '../../src/core/errors.js';
import type { Dice } from './dice.js';

export interface Target {
  readonly name: string;
  /** What it is, for the table. */
  readonly what: string;
  /** Cases of it among 1,000 of a run over all targets. */
  readonly share: number;
  /** An input; `seen` are those that were seen elsewhere: vectors, traffic, stores. */
  make(d: Dice, seen: readonly Uint8Array[]): Uint8Array;
  /** Whether the input was accepted. Throws when it shows a defect. */
  check(input: Uint8Array): boolean | Promise<boolean>;
}

/** A property that does not hold. */
export class Finding extends Error {}

export function must(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Finding(message);
}

export const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

export const mustEqual = (a: unknown, b: unknown, message: string): void =>
  must(isDeepStrictEqual(a, b), message);

/** What `run` gives, or undefined where it refuses with one of these codes; any other error is a finding. */
export function typed<T>(
  run: () => T,
  codes: readonly string[],
): { readonly value: T } | undefined {
  try {
    return { value: run() };
  } catch (error) {
    refusal(error, codes);
    return undefined;
  }
}

/** Whatever was thrown is a typed error with one of these codes. */
export function refusal(error: unknown, codes: readonly string[]): void {
  if (error instanceof Finding) throw error;
  const isTyped = error instanceof ConclaveError && codes.includes(error.code);
  if (isTyped) return;
  throw new Finding(`neither accepted nor refused: ${describe(error)}`, { cause: error });
}

const describe = (error: unknown): string =>
  error instanceof ConclaveError ? `${error.code}: ${error.message}` : `${error}`;

/** Bytes of a value as it lies in memory, roughly: contents, and some for each object and field. */
export function bytesHeld(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 8;
  if (value instanceof Uint8Array) return 8 + value.length;
  let sum = 8;
  const inner = value instanceof Map ? [...value].flat() : Object.values(value);
  for (const part of inner) sum += bytesHeld(part);
  return sum;
}

/** What a decoder may hold of an input: ids take twice their bytes as texts, fields a few each. */
const HELD_PER_BYTE = 10;
const HELD_BASE = 2_048;

export function mustBeBounded(value: unknown, input: Uint8Array, perByte = HELD_PER_BYTE): void {
  const held = bytesHeld(value);
  must(
    held <= perByte * input.length + HELD_BASE,
    `${input.length} bytes were decoded into a value of some ${held}`,
  );
}
