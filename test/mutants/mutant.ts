/**
 * What a mutant is: a small, named sabotage of the product, made by replacing
 * text in its sources while they are bundled, so that the product has no hooks
 * for it (docs/mutants.md). A text must occur exactly once in its file: whoever
 * rewrites that code carries its mutants along.
 */

import type { SimulateOptions } from '../../src/testing/index.js';

export interface Edit {
  /** Below the root of the tree. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** What a seed runs: a channel in the simulator, the same one twice, or private messages. */
export type RunKind = 'channel' | 'twice' | 'private';

export type RunOptions = Omit<SimulateOptions, 'seed' | 'log'>;

/** A number of docs/PROTOCOL.md, section "Invariants", or what its section "Liveness" promises. */
export type InvariantName = number | 'liveness';

export interface Mutant {
  readonly name: string;
  /** The invariant that must report it. */
  readonly invariant: InvariantName;
  /** What it does, for the table. */
  readonly what: string;
  readonly edits: readonly Edit[];
  readonly run?: RunKind;
  /** What makes its rare path likely; the clean core runs with the same. */
  readonly options?: RunOptions | ((seed: number) => RunOptions);
  /** Edits that the clean core gets too, such as a smaller limit. */
  readonly tuning?: readonly Edit[];
}

/** The leading number of what a run reports, or its words where it has none. */
function invariantOf(reported: string): InvariantName | string {
  const number = /^(\d+) /.exec(reported)?.[1];
  return number === undefined ? reported : Number(number);
}

/** What invariant 13 says holds under a relay that lies, and 14 whatever an author does. */
const WHATEVER_OTHERS_DO = 12;

/** Whether a report is one of the invariant that the mutant was made for. */
export function isReportOf(invariant: InvariantName, reported: string): boolean {
  const name = invariantOf(reported);
  if (invariant === 13 || invariant === 14) {
    return name === invariant || (typeof name === 'number' && name <= WHATEVER_OTHERS_DO);
  }
  return name === invariant;
}
