/**
 * Compares what was put in with what a log holds. Real logs repeat themselves,
 * so lines are counted, not looked up: a line that was put in twice must be
 * there twice. Each node's lines must also stand in the order in which it
 * posted them, which shows a line that was lost while its twin was doubled.
 */

export interface Line {
  /** Who posted it. */
  readonly user: string;
  readonly name: string;
  readonly text: string;
  /** ms since 1970. */
  readonly time: number;
}

export interface Account {
  readonly lost: number;
  /** Copies beyond those that were put in. */
  readonly duplicates: number;
  /** Lines that nobody put in. */
  readonly foreign: number;
  /** Users whose lines are all there, but not in their order. */
  readonly disordered: readonly string[];
}

const identity = ({ user, name, text, time }: Line): string =>
  JSON.stringify([user, name, time, text]);

export function account(input: readonly Line[], log: readonly Line[]): Account {
  const posted = countOf(input);
  const found = countOf(log);
  let lost = 0;
  let duplicates = 0;
  let foreign = 0;
  for (const [line, count] of posted) lost += Math.max(0, count - (found.get(line) ?? 0));
  for (const [line, count] of found) {
    const expected = posted.get(line) ?? 0;
    if (expected === 0) foreign += count;
    else duplicates += Math.max(0, count - expected);
  }
  const whole = lost + duplicates + foreign === 0;
  return { lost, duplicates, foreign, disordered: whole ? disordered(input, log) : [] };
}

function countOf(lines: readonly Line[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of lines) {
    const key = identity(line);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

function disordered(input: readonly Line[], log: readonly Line[]): string[] {
  const posted = byUser(input);
  const found = byUser(log);
  return [...posted.keys()].filter((user) => posted.get(user)!.join() !== found.get(user)!.join());
}

function byUser(lines: readonly Line[]): Map<string, string[]> {
  const all = new Map<string, string[]>();
  for (const line of lines) {
    const of = all.get(line.user) ?? [];
    all.set(line.user, of);
    of.push(identity(line));
  }
  return all;
}
