/** A scenario on the command line: its script with what came of each command, or rewritten in its file. */

import { readFile } from 'node:fs/promises';
import { ConclaveError } from '../../core/errors.js';
import { runScenario } from '../../testing/scenario.js';
import { atomicFile } from '../atomic-file.js';
import type { Cli } from '../cli.js';
import { EXIT } from '../errors.js';

export async function showScenario(cli: Cli, path: string, update: boolean): Promise<void> {
  const { out } = cli;
  const script = await readText(path);
  const { text, problems } = await runScenario(script);
  const differs = text !== script;
  if (update && differs) await rewrite(path, text);
  await out.result(
    { scenario: path, ok: problems.length === 0, differs, problems, text },
    text.trimEnd(),
  );
  for (const problem of problems) out.note(problem);
  if (differs) {
    out.note(
      update ? `${path} rewritten` : `${path} shows something else: --update takes this over`,
    );
  }
  if (problems.length > 0 || (differs && !update)) cli.exitCode = EXIT.failed;
}

/** Throws `cannot_read`. */
export async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: Error) => {
    throw new ConclaveError('cannot_read', `${path} can't be read: ${cause.message}`, { cause });
  });
}

async function rewrite(path: string, text: string): Promise<void> {
  const file = await atomicFile(path);
  try {
    await file.write(text);
    await file.commit();
  } finally {
    await file.close();
  }
}
