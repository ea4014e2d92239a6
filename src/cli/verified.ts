/** What a verification found, as `verify` tells it: a line for each channel, and how it ends. */

import { ConclaveError } from '../core/errors.js';
import { ZERO_DIGEST } from '../core/ids.js';
import type { VerifyReport } from '../node/api.js';
import type { Json } from './output.js';

/** Throws `verify_failed` when something does not verify. */
export async function tellVerified(
  reports: readonly VerifyReport[],
  emit: (result: Json) => Promise<void>,
): Promise<void> {
  for (const { channel, name, ok, entries, final, head, problems, misbehaved } of reports) {
    const named = name === undefined ? {} : { name };
    const told = misbehaved ? { misbehaved } : {};
    await emit({ ok, channel, ...named, entries, final, head, problems, ...told });
  }
  if (reports.length === 0) {
    await emit({ ok: true, entries: 0, final: 0, head: ZERO_DIGEST, problems: [] });
  }
  const broken = reports.find(({ ok }) => !ok);
  if (!broken) return;
  const { channel, name, problems } = broken;
  const first = problems[0] ? `: ${problems[0].where}: ${problems[0].what}` : '';
  const which = name === undefined ? channel : `${name} (${channel})`;
  throw verifyFailed(`the store does not verify, in channel ${which}${first}`);
}

/** What is wrong, and what to do about it, unless that was said. */
export function verifyFailed(what: string): ConclaveError {
  const advice = /restore a backup/i.test(what) ? '' : '. Restore a backup, or begin anew';
  return new ConclaveError('verify_failed', `${what}${advice}`);
}
