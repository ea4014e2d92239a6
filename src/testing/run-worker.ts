/** A process that makes one run after the other for `runSeeds` (runs.ts): options in, the result out. */

import { type SimulateOptions, simulate } from './simulate.js';

process.on('message', (options: SimulateOptions) => {
  void simulate(options).then((result) => process.send!(result));
});
// Whoever started it ends it: Ctrl-C reaches the whole group, and a parent that died lets go.
process.on('SIGINT', () => {});
process.once('disconnect', () => process.exit());
