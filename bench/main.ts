/** `npm run bench`: every figure of the project alone, as ratios against something run beside it. */

import { benchCommit } from './commit.js';

const only = process.argv[2];

const rows: string[][] = [];
const figure = (n: number, digits = 2): string => n.toFixed(digits);

for (const nodes of [3, 5]) {
  if (only && only !== 'commit') continue;
  console.error(`commit, ${nodes} nodes …`);
  const r = await benchCommit(nodes);
  rows.push(
    [`committed records/s, ${nodes} nodes, pipelined`, figure(r.perSecond, 0), `${figure(r.ofBare, 3)} × bare LevelDB, synced batches of 100`],
    [`send to committed, ${nodes} nodes, p50`, `${figure(r.p50)} ms`, `${figure(r.p50OfBare, 1)} × one bare synced LevelDB write`],
    [`send to committed, ${nodes} nodes, p99`, `${figure(r.p99)} ms`, ''],
  );
}
for (const row of rows) console.log(`| ${row.join(' | ')} |`);
