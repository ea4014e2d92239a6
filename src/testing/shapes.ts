/**
 * What plain data from outside may look like, and what is wrong with it in words, by the
 * path to it: `fault 0: "node" must be …, not 7`. A field that means nothing is wrong: whoever wrote it
 * meant something. Used for the options of a run (check-options.ts).
 */

export interface Problem {
  /** Names of what holds it, the outermost first. */
  readonly path: readonly string[];
  readonly what: string;
}

/** Finds the first thing that is wrong with a value. */
export type Shape = (value: unknown) => Problem | undefined;

export interface Fields {
  readonly [name: string]: Shape | { readonly optional: Shape };
}

export const problem = (what: string): Problem => ({ path: [], what });

/** A sentence whose subject, without a path, is `it`. */
export const problemText = ({ path, what }: Problem): string =>
  `${path.join(': ') || 'it'} ${what}`;

const shown = (value: unknown): string =>
  typeof value === 'object' && value !== null ? (JSON.stringify(value) ?? '{}') : String(value);

export const must =
  (be: string, holds: (value: unknown) => boolean): Shape =>
  (value) =>
    holds(value) ? undefined : problem(`must be ${be}, not ${shown(value)}`);

export const whole = (least: number, most: number): Shape =>
  must(
    `a whole number from ${least} to ${most === Number.MAX_SAFE_INTEGER ? '2^53-1' : most}`,
    (value) => Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most,
  );

/** A number from `least` on, up to `most`. */
export const number = (be: string, least: number, most = Number.POSITIVE_INFINITY): Shape =>
  must(be, (value) => Number.isFinite(value) && Number(value) >= least && Number(value) <= most);

export const isMs = (value: unknown): value is number =>
  Number.isFinite(value) && (value as number) >= 0;
export const ms = must('ms', isMs);
export const share = number('a number from 0 to 1', 0, 1);
export const flag = must('true or false', (value) => typeof value === 'boolean');
export const text = must('text', (value) => typeof value === 'string');
export const callable = must('a function', (value) => typeof value === 'function');

export const oneOf = (...values: readonly unknown[]): Shape =>
  must(values.map((value) => JSON.stringify(value)).join(' or '), (value) =>
    values.includes(value),
  );

export const optional = (shape: Shape): { readonly optional: Shape } => ({ optional: shape });

/** A list; `item` names its items: `fault 0`. */
export const list =
  (shape: Shape, item = 'item'): Shape =>
  (value) => {
    if (!Array.isArray(value)) return problem(`must be a list, not ${shown(value)}`);
    for (const [i, one] of value.entries()) {
      const found = shape(one);
      if (found) return { ...found, path: [`${item} ${i}`, ...found.path] };
    }
    return undefined;
  };

export const isObject = (value: unknown): value is { readonly [name: string]: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** An object with these fields, and no others. What is undefined is left out. */
export const object =
  (fields: Fields): Shape =>
  (value) => {
    if (!isObject(value)) return problem(`must be an object, not ${shown(value)}`);
    const stranger = Object.keys(value).find((name) => !Object.hasOwn(fields, name));
    if (stranger !== undefined) {
      const names = Object.keys(fields).join(', ');
      return problem(`has "${stranger}", which means nothing; it may have ${names}`);
    }
    for (const [name, field] of Object.entries(fields)) {
      const mayLack = typeof field !== 'function';
      const shape = mayLack ? field.optional : field;
      if (value[name] === undefined) {
        if (mayLack) continue;
        return problem(`lacks "${name}"`);
      }
      const found = shape(value[name]);
      if (found) return { ...found, path: [`"${name}"`, ...found.path] };
    }
    return undefined;
  };

/** Objects of several kinds, told apart by what their field `by` says. */
export const kinds =
  (by: string, all: { readonly [kind: string]: Fields }): Shape =>
  (value) => {
    if (!isObject(value)) return problem(`must be an object, not ${shown(value)}`);
    const kind = value[by];
    if (typeof kind !== 'string' || !Object.hasOwn(all, kind)) {
      return problem(`has no "${by}" that is known: ${Object.keys(all).sort().join(', ')}`);
    }
    return object({ [by]: text, ...all[kind] })(value);
  };
