/** The demo's chat: what is in it, and how it is spread over the nodes. */

import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  assignNicks,
  type Excerpt,
  readExcerpt,
  type Share,
  writeShares,
} from '../../src/cli/demo/excerpt.js';

const NODES = 5;

let root: string;
let excerpt: Excerpt;
let shares: Share[];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'conclave-excerpt-'));
  const dirs = Array.from({ length: NODES }, (_, i) => join(root, `${i}`));
  for (const dir of dirs) await mkdir(dir);
  excerpt = await readExcerpt();
  shares = await writeShares(excerpt, dirs, new AbortController().signal);
});

afterAll(() => rm(root, { recursive: true }));

describe('the excerpt', () => {
  it('has at least 2,000 lines, all of them messages or actions', () => {
    expect(excerpt.lines.length).toBeGreaterThanOrEqual(2_000);
    for (const line of excerpt.lines) expect(line).toMatch(/^\[\d\d:\d\d\] (<[^>]+> | \* \S)/);
  });

  it('has no host masks and no other addresses', () => {
    for (const line of excerpt.lines) {
      expect(line).not.toMatch(/[\w.-]@[\w-]/);
      expect(line).not.toMatch(/\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}/);
    }
  });

  it('has lines that repeat themselves, and characters beyond ASCII', () => {
    expect(new Set(excerpt.lines).size).toBeLessThan(excerpt.lines.length);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII has them
    expect(excerpt.lines.join('\n')).toMatch(/[^\u0000-\u007f]/);
  });
});

describe('the shares', () => {
  it('hold every line of the excerpt once, byte by byte, in its order', async () => {
    const at = new Map<number, string>();
    for (const { path, lines } of shares) {
      const written = (await readFile(path, 'latin1')).split('\n').slice(0, -1);
      expect(written).toHaveLength(lines.length);
      for (const [i, { turn }] of lines.entries()) at.set(turn, written[i]!);
      expect(lines.map(({ turn }) => turn)).toEqual(
        lines.map(({ turn }) => turn).sort((a, b) => a - b),
      );
    }
    expect(excerpt.lines.map((_, turn) => at.get(turn))).toEqual(excerpt.lines);
  });

  it('have each nick on one node only', () => {
    const homes = new Map<string, Set<number>>();
    for (const [home, { lines }] of shares.entries()) {
      for (const { message } of lines) {
        homes.set(message.name, (homes.get(message.name) ?? new Set()).add(home));
      }
    }
    expect(homes.size).toBeGreaterThan(100);
    expect([...homes.values()].every((of) => of.size === 1)).toBe(true);
  });

  it('are about as large as each other', () => {
    const sizes = shares.map(({ lines }) => lines.length);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThan(10);
  });

  it('know the day, and that a new one began', () => {
    const times = shares.flatMap(({ lines }) => lines.map(({ message }) => message.time));
    expect(basename(shares[0]!.path)).toContain('2013-08-29');
    expect(new Date(Math.min(...times)).toISOString()).toMatch(/^2013-08-29T00:/);
    expect(new Date(Math.max(...times)).toISOString()).toMatch(/^2013-08-30T11:/);
  });
});

describe('assignNicks', () => {
  it('gives the busiest nicks out first, each to whoever has least', () => {
    const said = (nick: string): string => `[10:00] <${nick}> x`;
    const lines = ['c', 'a', 'a', 'b', 'a', 'b', 'd'].map(said);
    expect(assignNicks(lines, 2)).toEqual([1, 0, 0, 1, 0, 1, 0]);
  });

  it('counts an action as its nick’s', () => {
    expect(assignNicks(['[10:00] <a> x', '[10:00] <b> y', '[10:01]  * a waves'], 2)).toEqual([
      0, 1, 0,
    ]);
  });
});
