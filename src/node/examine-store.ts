/**
 * What is wrong with a store, class by class, and what a repair can do about
 * it: `verifyDirectory` finds it, mend-store.ts repairs it.
 */

import { ConclaveError } from '../core/errors.js';
import type { UserId } from '../core/ids.js';
import type { VerifyReport } from './api.js';
import type { Finding } from './finding.js';
import { type VerifyDirectoryOptions, verifyDirectory } from './verify-directory.js';

export interface ExamineOptions {
  /** Whose store it is; without it the node's own acknowledgements are not verified. */
  readonly user?: UserId;
  readonly onProgress?: NonNullable<VerifyDirectoryOptions['onProgress']>;
}

export interface Examination {
  readonly findings: readonly Finding[];
  /** Whether the files are damaged: batches may be missing. */
  readonly filesDamaged: boolean;
}

/** Errors of opening that no repair helps against, and what does. */
const HOPELESS: Readonly<Record<string, string>> = {
  store_missing: 'restore a backup, or "conclave init" makes an empty store for the same identity',
  store_foreign: 'move the files that are no store away',
  store_newer: 'update conclave',
  store_locked: 'stop what has the store open, and try again',
  store_failed: 'see to space and permissions, and try again',
};

/** By the kind of the key, what a value of a channel is. */
const CLASSES: Readonly<Record<string, string>> = {
  genesis: 'genesis_damaged',
  log: 'entry_damaged',
  step: 'roster_damaged',
  cert: 'certificate_damaged',
  final: 'certificate_damaged',
  hard: 'promises_damaged',
  at: 'index_damaged',
  tip: 'index_damaged',
  out: 'outbox_damaged',
};

/** Rejects only for what is no state of a store (a bug, an abort). */
export async function examineStore(dir: string, o: ExamineOptions = {}): Promise<Examination> {
  try {
    const report = await verifyDirectory(dir, o);
    const ofChannels = report.channels.flatMap(({ problems }) => problems);
    const filesDamaged = report.problems.some(({ code }) => code !== undefined);
    const findings = [
      ...report.problems.map(({ code, where, what }) =>
        finding(code ?? 'node_value', where === code ? dir : where, what),
      ),
      ...ofChannels.map(findingOf),
    ];
    return { findings, filesDamaged };
  } catch (error) {
    const advice = error instanceof ConclaveError ? HOPELESS[error.code] : undefined;
    if (!(error instanceof ConclaveError) || advice === undefined) throw error;
    const { code, message } = error;
    const what = `${message}. What helps: ${advice}`;
    return { findings: [{ code, where: dir, what, repair: 'no' }], filesDamaged: false };
  }
}

/** Of a problem in a channel. */
export const findingOf = ({ where, what }: VerifyReport['problems'][number]): Finding =>
  finding(classOf(where), where, what);

const finding = (code: string, where: string, what: string): Finding => ({
  ...{ code, where, what },
  // Members voted twice; nothing here is damaged.
  repair: code === 'conflict' ? 'no' : 'possible',
});

/** `c/<channel>/<kind>/…` */
function classOf(where: string): string {
  const kind = where.split('/')[2] ?? '';
  return kind === 'conflict' ? kind : (CLASSES[kind] ?? 'provisional_damaged');
}
