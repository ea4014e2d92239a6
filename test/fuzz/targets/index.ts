/** All targets of the fuzzer. */

import type { Type } from '../documented-schema.js';
import type { Target } from '../target.js';
import { CONTROL_TARGETS } from './control.js';
import { FILE_TARGETS } from './files.js';
import { LINK_TARGETS } from './links.js';
import { PORTABLE_TARGETS } from './portable.js';
import { PROOF_TARGETS } from './proofs.js';
import { ROSTER_TARGETS } from './rosters.js';
import { SEALED_TARGETS } from './sealed.js';
import { STORED_TARGETS } from './stored.js';
import { TEXT_TARGETS } from './texts.js';
import { commandTarget, WIRE_TARGETS } from './wire.js';

/** `schemas` are those of docs/PROTOCOL.md. */
export const targetsFor = (schemas: { readonly [command: string]: Type }): readonly Target[] => [
  ...WIRE_TARGETS,
  commandTarget(schemas),
  ...LINK_TARGETS,
  ...STORED_TARGETS,
  ...PROOF_TARGETS,
  ...ROSTER_TARGETS,
  ...PORTABLE_TARGETS,
  ...SEALED_TARGETS,
  ...TEXT_TARGETS,
  ...FILE_TARGETS,
  ...CONTROL_TARGETS,
];
