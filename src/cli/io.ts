/**
 * What a handler works with. A handler is a command's part that needs the node:
 * it runs in the process that has the store open, be that the command's own or
 * `conclave up`, and knows nothing but the `Node` interface and this.
 */

import { ConclaveError } from '../core/errors.js';
import type { Node } from '../node/api.js';
import type { Json } from './output.js';
import type { Progress } from './progress.js';

export type Args = Readonly<Record<string, unknown>>;

export interface Io {
  /** Hands out one result; resolves when there is room for the next. */
  emit(result: Json): Promise<void>;
  progress(progress: Progress): void;
  /** What the command reads, one item at a time. */
  input(): AsyncIterable<unknown>;
  /** Aborted when nobody wants the result any more. */
  readonly signal: AbortSignal;
  /** Whether `conclave up` runs it. */
  readonly up: boolean;
}

/** What the side that shows the results gives to a call. */
export type CallIo = Pick<Io, 'emit' | 'progress' | 'signal'> & {
  readonly input?: AsyncIterable<unknown>;
};

export type Handler = (node: Node, args: Args, io: Io) => Promise<void>;

/** Arguments come from another process, maybe of another version: nothing is taken on trust. */
function badArgument(name: string, what: string): ConclaveError {
  return new ConclaveError(
    'bad_request',
    `the argument "${name}" must be ${what}: is "conclave up" of the same version as this command?`,
  );
}

export function text(args: Args, name: string): string {
  const value = args[name];
  if (typeof value !== 'string') throw badArgument(name, 'a text');
  return value;
}

export function integer(args: Args, name: string): number {
  const value = args[name];
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw badArgument(name, 'a count');
  return value as number;
}

export function seconds(args: Args, name: string): number {
  const value = args[name];
  if (typeof value !== 'number' || !(value > 0)) throw badArgument(name, 'a number of seconds');
  return value;
}

export function texts(args: Args, name: string): readonly string[] {
  const value = args[name];
  if (!Array.isArray(value) || value.some((one) => typeof one !== 'string')) {
    throw badArgument(name, 'a list of texts');
  }
  return value;
}

export function oneOf<const V extends string>(args: Args, name: string, ...values: V[]): V {
  const value = args[name];
  const found = values.find((one) => one === value);
  if (found === undefined) throw badArgument(name, `one of ${values.join(', ')}`);
  return found;
}

export const flag = (args: Args, name: string): boolean => args[name] === true;

/** `read(args, name)`, or undefined when the argument is absent. */
export function optional<T>(
  read: (args: Args, name: string) => T,
  args: Args,
  name: string,
): T | undefined {
  return args[name] === undefined || args[name] === null ? undefined : read(args, name);
}
