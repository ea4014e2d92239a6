/** `conclave relay`: runs a relay until it is stopped, then drains it. */

import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { usageError } from '../errors.js';
import type { HostAddress } from '../host.js';
import { hasIdentity } from '../identity.js';
import { untilAborted } from '../until-aborted.js';
import { addressOption, example } from './shared.js';

const DEFAULT_ADDRESS: HostAddress = { host: '127.0.0.1', port: 7_420 };

interface RelayCommandOptions {
  readonly listen: HostAddress;
  readonly dir?: string;
  readonly name?: string;
  readonly metrics?: HostAddress;
}

export function addRelay(program: Command, cli: () => Cli): void {
  const command = program
    .command('relay')
    .summary('run a relay')
    .description(
      'Runs a relay: it passes signed messages on between the members of channels and keeps none. ' +
        'It prints the URL that nodes need. Without --dir its key, and so its URL, is new each time.',
    )
    .addOption(
      addressOption('--listen <host:port>', 'where to listen; port 0 picks a free one').default(
        DEFAULT_ADDRESS,
        '127.0.0.1:7420',
      ),
    )
    .option('--dir <dir>', "keeps the relay's key there (default: a new key each time)")
    .option('--name <name>', 'what the relay calls itself (default: "conclave relay")')
    .addOption(
      addressOption(
        '--metrics <host:port>',
        'serves /metrics and /healthz there (default: nowhere)',
      ),
    )
    .action((options: RelayCommandOptions) => runRelay(cli(), options));
  example(command, 'conclave relay --listen 0.0.0.0:7420 --dir ./relay --metrics 127.0.0.1:9420');
}

async function runRelay(cli: Cli, { listen, ...rest }: RelayCommandOptions): Promise<void> {
  const { host, out, signal, log } = cli;
  if (rest.dir !== undefined && (await hasIdentity(rest.dir))) {
    throw usageError(
      `${rest.dir} is the directory of a node, since it has an identity: name another one for the relay`,
    );
  }
  const relay = await host.startRelay({ ...listen, ...rest, log });
  try {
    const { url, metricsPort } = relay;
    const served =
      rest.metrics && metricsPort ? { host: rest.metrics.host, port: metricsPort } : undefined;
    const metrics = served && `http://${served.host}:${served.port}/metrics`;
    const text = `listening on ${out.paint('bold', url)}${metrics ? `\nmetrics on ${metrics}` : ''}\nStop with Ctrl-C.`;
    await out.result({ event: 'listening', url, ...(metrics && { metrics }) }, text);
    await untilAborted(signal);
  } finally {
    await relay.close();
  }
}
