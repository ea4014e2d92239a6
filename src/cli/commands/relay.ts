/** `conclave relay`: runs a relay until it is stopped, then drains it. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Cli } from '../cli.js';
import { usageError } from '../errors.js';
import type { HostAddress, RunningRelay } from '../host.js';
import { hasIdentity } from '../identity.js';
import { untilAborted } from '../until-aborted.js';
import { addressOption, example } from './shared.js';

const DEFAULT_ADDRESS: HostAddress = { host: '127.0.0.1', port: 7_420 };

interface RelayCommandOptions {
  readonly listen: HostAddress;
  readonly dir?: string;
  readonly name?: string;
  readonly metrics?: HostAddress;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly allow?: string;
  readonly tokenFile?: string;
  readonly audit?: string;
  readonly limit: Readonly<Record<string, number>>;
}

export function addRelay(program: Command, cli: () => Cli): void {
  const command = program
    .command('relay')
    .summary('run a relay')
    .description(
      'Runs a relay: it passes signed messages on between the members of channels and keeps none. ' +
        'It prints the URL that nodes need. Without --dir its key, and so its URL, is new each time. ' +
        'With one of --tls-cert, --allow, --token-file and --audit, SIGHUP makes it read those files ' +
        'again, and open the audit log again; links stay up.',
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
    .option(
      '--tls-cert <file>',
      'serves TLS with this certificate (PEM, with those above it behind it; a self-signed one will ' +
        'do, since nodes know the relay by its key); the URL then ends with ?via=tls',
    )
    .option('--tls-key <file>', 'the key of that certificate (PEM, no passphrase)')
    .option(
      '--allow <file>',
      'lets in only the users in this file, an id a line, and those who register (default: everyone)',
    )
    .option(
      '--token-file <file>',
      'lets users register who prove that they know the secret in this file, of 16 to 256 bytes; ' +
        'they are added to the file of --allow, if there is one. A user puts a line "URL TOKEN" ' +
        'into the file relay-tokens, mode 600, in the directory of the node',
    )
    .option(
      '--audit <file>',
      'appends who connected, was let in, refused or limited, and how it ended, as JSON lines; ' +
        'no payloads and no secrets',
    )
    .addOption(limitOption())
    .action((options: RelayCommandOptions) => runRelay(cli(), options));
  command.addHelpText('after', () => `\n${LIMITS}`);
  example(
    command,
    'conclave relay --listen 0.0.0.0:7420 --dir ./relay --metrics 127.0.0.1:9420\n' +
      'conclave relay --listen 0.0.0.0:7420 --dir ./relay --tls-cert relay.crt --tls-key relay.key \\\n' +
      '  --allow users --token-file token --audit audit.log --limit address_connections_max=64',
  );
}

const LIMITS = `Limits that --limit changes (what each does is in docs/PROTOCOL.md, "Relay limits"):
  of all       connections_max unauthenticated_max handshakes_per_s channels_max allowed_max work_total_per_s
  connection   frames_per_s bytes_per_s channels_announced_max joins_per_s watched_max
  user         user_handshakes_per_s user_frames_per_s user_bytes_per_s user_channels_per_s user_work_per_s
  address      address_connections_max address_unauthenticated_max address_handshakes_per_s address_refusals_per_s
               address_prompt_per_s address_frames_per_s address_bytes_per_s address_channels_per_s address_work_per_s
               (an IPv4 address, or the /64 of an IPv6 one; raise them for a relay behind a proxy)
  memory       send_buffer_bytes_max send_buffer_total_bytes_max receive_buffer_total_bytes_max
               turn_ms_per_s turn_total_bytes_max lingering_max idle_accounts_max guests_per_channel_max payload_bytes_max
  times        cnn_ms timeout_s frame_ms write_ms guest_ms linger_ms drain_ms sweep_ms
  audit        audit_lines_per_s
Each _per_s has a _burst beside it: how much may come at once.`;

const limitOption = (): Option =>
  new Option('--limit <name=value>', 'changes a limit; may be given several times')
    .default({}, 'those of the protocol')
    .argParser((text: string, limits: Readonly<Record<string, number>>) => {
      const [, name, digits] = /^([a-z_]+)=(\d{1,15})$/.exec(text) ?? [];
      if (name !== undefined) return { ...limits, [name]: Number(digits) };
      throw new InvalidArgumentError('give NAME=NUMBER, as address_connections_max=64');
    });

async function runRelay(cli: Cli, options: RelayCommandOptions): Promise<void> {
  const { listen, dir, name, metrics, tlsCert, tlsKey, allow, tokenFile, audit, limit } = options;
  if (dir !== undefined && (await hasIdentity(dir))) {
    throw usageError(
      `${dir} is the directory of a node, since it has an identity: name another one for the relay`,
    );
  }
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw usageError('TLS takes both: --tls-cert FILE and --tls-key FILE');
  }
  const { host, out, signal, log } = cli;
  const relay = await host.startRelay({
    ...listen,
    log,
    ...(dir !== undefined && { dir }),
    ...(name !== undefined && { name }),
    ...(metrics && { metrics }),
    ...(tlsCert !== undefined &&
      tlsKey !== undefined && { tls: { certFile: tlsCert, keyFile: tlsKey } }),
    ...(allow !== undefined && { allowFile: allow }),
    ...(tokenFile !== undefined && { tokenFile }),
    ...(audit !== undefined && { auditFile: audit }),
    ...(Object.keys(limit).length > 0 && { limits: limit }),
  });
  const hasFiles = [tlsCert, allow, tokenFile, audit].some((file) => file !== undefined);
  const stopListening = hasFiles ? host.onHangup(() => reload(cli, relay)) : () => {};
  try {
    const { url, metricsPort } = relay;
    const served = metrics && metricsPort ? { host: metrics.host, port: metricsPort } : undefined;
    const metricsUrl = served && `http://${served.host}:${served.port}/metrics`;
    const more = metricsUrl ? `\nmetrics on ${metricsUrl}` : '';
    const text = `listening on ${out.paint('bold', url)}${more}\nStop with Ctrl-C.`;
    await out.result({ event: 'listening', url, ...(metricsUrl && { metrics: metricsUrl }) }, text);
    await untilAborted(signal);
  } finally {
    stopListening();
    await relay.close();
  }
}

/** What is wrong goes to the log: the relay runs on with what it had. */
function reload({ log }: Cli, relay: RunningRelay): void {
  relay.reload().catch((error) => {
    log.error({ err: error }, 'the relay goes on with the files that it had');
  });
}
