/** All mutants, in the order of the table. */

import { readFileSync } from 'node:fs';
import { ARCHIVES } from './archives.js';
import { CONVICTIONS } from './convictions.js';
import { DURABILITY } from './durability.js';
import { ELECTIONS } from './elections.js';
import { ENVIRONMENT } from './environment.js';
import { FINALITY } from './finality.js';
import { LIVENESS } from './liveness.js';
import { MEMBERSHIP } from './membership.js';
import { MEMORY } from './memory.js';
import type { Mutant } from './mutant.js';
import { ONLINE } from './online.js';
import { PLACING } from './placing.js';
import { PRIVATE } from './private.js';
import { RELAYS } from './relays.js';
import { RIVALS } from './rivals.js';

export const MUTANTS: readonly Mutant[] = [
  ...ELECTIONS,
  ...MEMORY,
  ...PLACING,
  ...FINALITY,
  ...DURABILITY,
  ...MEMBERSHIP,
  ...ARCHIVES,
  ...ONLINE,
  ...RELAYS,
  ...PRIVATE,
  ...LIVENESS,
  ...RIVALS,
  ...CONVICTIONS,
  ...ENVIRONMENT,
];

/** The seed that caught a mutant when the table was written, and how many it took then. */
export interface Recorded {
  readonly seed: number;
  readonly seeds: number;
}

export const RECORDED_FILE = new URL('./recorded.json', import.meta.url);

export const readRecorded = (): { [mutant: string]: Recorded } =>
  JSON.parse(readFileSync(RECORDED_FILE, 'utf8'));
