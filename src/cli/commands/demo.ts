/** `demo`: the demonstration that `npm start` runs. */

import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { example } from './shared.js';

export function addDemo(program: Command, cli: () => Cli): void {
  const command = program
    .command('demo')
    .summary('show what conclave does')
    .description(
      'Runs two relays and seven nodes on this machine, with real chat, a split network and crashes, ' +
        'and shows that all nodes end with the same log. The last line of its output is JSON.',
    )
    .action(async () => {
      const { host, out, signal } = cli();
      const { stdout, stderr } = host;
      cli().exitCode = await host.runDemo({ json: out.json, stdout, stderr, signal });
    });
  example(command, 'conclave demo');
}
