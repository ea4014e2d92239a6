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
  for (const { channel, ok, entries, final, head, problems } of reports) {
    await emit({ ok, channel, entries, final, head, problems });
  }
  if (reports.length === 0) {
    await emit({ ok: true, entries: 0, final: 0, head: ZERO_DIGEST, problems: [] });
  }
  const broken = reports.find(({ ok }) => !ok);
  if (!broken) return;
  const { channel, problems } = broken;
  const first = problems[0] ? `: ${problems[0].where}: ${problems[0].what}` : '';
  throw new ConclaveError(
    'verify_failed',
    `the store does not verify, in channel ${channel}${first}. Restore a backup, or begin anew`,
  );
}
