/**
 * `relay-tokens` in a node's directory: the registration tokens of relays that
 * let nobody in without one. A line is the relay's address, or its key, and the
 * token behind it; `#` begins a comment. Only proofs of a token are ever sent.
 */

import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ConclaveError } from '../core/errors.js';

const LINE = /^(?:conclave:\/\/)?([0-9a-f]{64})(?:@\S*)?\s+(\S.*)$/;
const FOR_OTHERS = 0o077;

/** By the relay's key. Throws `bad_relay_tokens`. */
export async function readRelayTokens(dir: string): Promise<Record<string, string>> {
  const path = join(dir, 'relay-tokens');
  const bad = (message: string, cause?: unknown): ConclaveError =>
    new ConclaveError('bad_relay_tokens', message, { cause });
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined;
    throw bad(`${path} can't be read: ${cause.message}`, cause);
  });
  if (text === undefined) return {};
  if (process.platform !== 'win32' && ((await stat(path)).mode & FOR_OTHERS) !== 0) {
    throw bad(`${path} can be read by others: run "chmod 600 ${path}"`);
  }
  const tokens: Record<string, string> = {};
  for (const [i, line] of text.split('\n').entries()) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const [, key, token] = LINE.exec(trimmed) ?? [];
    if (key === undefined || token === undefined) {
      throw bad(`line ${i + 1} of ${path} is not a relay's address and a token behind it`);
    }
    tokens[key] = token;
  }
  return tokens;
}
