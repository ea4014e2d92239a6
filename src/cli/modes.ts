/**
 * Who may read a node's directory: its owner alone. What the commands make is
 * made so (0700, 0600); copies and archives often are not.
 */

import type { Stats } from 'node:fs';
import { chmod, lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { IDENTITY } from './identity.js';

export interface LooseMode {
  readonly path: string;
  readonly mode: number;
  readonly wanted: number;
}

const FILES = [IDENTITY, 'control.sock', 'control.path'];
const DIRECTORIES = ['.', 'store'];
const OTHERS = 0o077;

/** What of a node's directory others may read or change. Empty where a system has no such modes. */
export async function looseModes(dir: string): Promise<LooseMode[]> {
  if (process.platform === 'win32') return [];
  const wanted = [
    ...DIRECTORIES.map((name) => [name, 0o700] as const),
    ...FILES.map((name) => [name, 0o600] as const),
  ];
  const loose: LooseMode[] = [];
  for (const [name, mode] of wanted) {
    const path = join(dir, name);
    const found: Stats | undefined = await lstat(path).catch(() => undefined);
    if (!found || found.isSymbolicLink() || (found.mode & OTHERS) === 0) continue;
    loose.push({ path, mode: found.mode & 0o777, wanted: mode });
  }
  return loose;
}

export const tighten = ({ path, wanted }: LooseMode): Promise<void> => chmod(path, wanted);

export const describeMode = ({ path, mode, wanted }: LooseMode): string =>
  `${path} is open to others (mode ${octal(mode)}): chmod ${octal(wanted)} ${path}`;

const octal = (mode: number): string => mode.toString(8).padStart(3, '0');

/** What to warn of whenever the identity is used: the key itself, and a directory that lets others in to an open store. */
export async function dangerousModes(dir: string): Promise<LooseMode[]> {
  const loose = await looseModes(dir);
  const isOpen = loose.some(({ path }) => path === join(dir, '.'));
  return loose.filter(
    ({ path }) => path === join(dir, IDENTITY) || (isOpen && path === join(dir, 'store')),
  );
}
