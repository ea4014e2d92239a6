/**
 * Writes test/vectors/{records,statements,chain,genesis,ballots,certificates,merges,private,proofs}.json:
 * everything that is hashed or signed. It is deterministic, and a unit test
 * compares the files with what it makes. Run `npx tsx
 * scripts/make-core-vectors.ts`, then `npx biome check --write test/vectors`.
 *
 * It takes nothing from src/core: the encodings are those of
 * core-vectors/encoding.ts, made a second time, so that the vectors can judge
 * the core.
 */

import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { ballotVectors } from './core-vectors/ballots.js';
import { bodiesVectors } from './core-vectors/bodies.js';
import { certificateVectors } from './core-vectors/certificates.js';
import { chainVectors } from './core-vectors/chain.js';
import { genesisVectors } from './core-vectors/genesis.js';
import { mergeVectors } from './core-vectors/merges.js';
import { privateVectors } from './core-vectors/private.js';
import { proofVectors } from './core-vectors/proofs.js';
import { recordVectors } from './core-vectors/records.js';
import { statementVectors } from './core-vectors/statements.js';

export const coreVectors = () => ({
  records: recordVectors(),
  statements: statementVectors(),
  chain: chainVectors(),
  genesis: genesisVectors(),
  ballots: ballotVectors(),
  certificates: certificateVectors(),
  merges: mergeVectors(),
  private: privateVectors(),
  proofs: proofVectors(),
  bodies: bodiesVectors(),
});

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const [name, vectors] of Object.entries(coreVectors())) {
    const file = new URL(`../test/vectors/${name}.json`, import.meta.url);
    writeFileSync(file, `${JSON.stringify(vectors, null, 2)}\n`);
  }
}
