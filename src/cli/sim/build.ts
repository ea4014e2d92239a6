/** Which code ran: the package's version, and the commit when it runs in a clone. */

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { version } from '../version.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const GIT_MS_MAX = 5_000;

export interface Build {
  readonly version: string;
  /** With a `+` when the tree has changes. */
  readonly commit?: string;
}

export async function thisBuild(): Promise<Build> {
  if (!existsSync(`${root}.git`)) return { version };
  try {
    const head = await git('rev-parse', '--short=12', 'HEAD');
    const changes = await git('status', '--porcelain', '--untracked-files=no');
    return { version, commit: changes === '' ? head : `${head}+` };
  } catch {
    return { version };
  }
}

async function git(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('git', ['-C', root, ...args], {
    timeout: GIT_MS_MAX,
  });
  return stdout.trim();
}

export const buildName = ({ version, commit }: Build): string =>
  `conclave ${version}${commit === undefined ? '' : ` (commit ${commit})`}`;
