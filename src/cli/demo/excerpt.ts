/**
 * The chat that the demo posts (`demo/` in the package), spread over the
 * nodes: each nick lives on one node. A node's share is an IRC log of its own,
 * as `conclave import` takes it, and its lines know when their turn is.
 */

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { IrcMessage } from '../irc.js';
import { openIrcFile } from '../irc-file.js';
import { demoFailed } from './wait.js';

const DIRECTORY = fileURLToPath(new URL('../../../demo/', import.meta.url));
const NICK = /^\[\d\d:\d\d\] (?:<([^>]+)>| \* (\S+))/;

export interface Excerpt {
  readonly name: string;
  /** Latin-1, so that every byte comes through. */
  readonly lines: readonly string[];
}

export async function readExcerpt(): Promise<Excerpt> {
  const name = (await readdir(DIRECTORY)).find((file) => file.endsWith('.log.gz'));
  if (!name) throw demoFailed(`there is no chat to post in ${DIRECTORY}`);
  const content = await promisify(gunzip)(await readFile(join(DIRECTORY, name)));
  const lines = content
    .toString('latin1')
    .split('\n')
    .filter((line) => line !== '');
  return { name: name.replace(/\.gz$/, ''), lines };
}

/** For each line its share, 0 to `shares` - 1; the busiest nicks are dealt out first. */
export function assignNicks(lines: readonly string[], shares: number): number[] {
  const nicks = lines.map((line) => {
    const [, nick, actor = ''] = NICK.exec(line) ?? [];
    return nick ?? actor;
  });
  const counts = new Map<string, number>();
  for (const nick of nicks) counts.set(nick, (counts.get(nick) ?? 0) + 1);
  const loads = new Array<number>(shares).fill(0);
  const shareOf = new Map<string, number>();
  for (const [nick, count] of [...counts].sort(([, a], [, b]) => b - a)) {
    const share = loads.indexOf(Math.min(...loads));
    loads[share]! += count;
    shareOf.set(nick, share);
  }
  return nicks.map((nick) => shareOf.get(nick)!);
}

export interface ShareLine {
  readonly message: IrcMessage;
  /** Its place in the whole excerpt, from 0. */
  readonly turn: number;
}

export interface Share {
  readonly path: string;
  /** What `conclave import` calls this file. */
  readonly source: string;
  readonly lines: readonly ShareLine[];
}

/** Writes one IRC log a directory. */
export async function writeShares(
  { name, lines }: Excerpt,
  directories: readonly string[],
  signal: AbortSignal,
): Promise<Share[]> {
  const shareOf = assignNicks(lines, directories.length);
  const write = async (directory: string, share: number): Promise<Share> => {
    const turns = [...lines.keys()].filter((turn) => shareOf[turn] === share);
    const path = join(directory, name);
    await writeFile(path, turns.map((turn) => `${lines[turn]}\n`).join(''), 'latin1');
    const file = await openIrcFile(path, signal);
    const messages: IrcMessage[] = [];
    for await (const message of file.messages(signal)) messages.push(message);
    if (messages.length !== turns.length) {
      throw demoFailed(`${path} has ${turns.length} lines, but ${messages.length} messages`);
    }
    return {
      path,
      source: `sha256:${file.hash}`,
      lines: messages.map((message, i) => ({ message, turn: turns[i]! })),
    };
  };
  return Promise.all(directories.map(write));
}
