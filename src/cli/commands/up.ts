/**
 * `conclave up`: keeps a node running. Other commands on the same directory go
 * through its control socket while it does.
 */

import type { Command } from 'commander';
import type { Channel, Node } from '../../node/api.js';
import type { Cli } from '../cli.js';
import { type ControlServer, serveControl } from '../control-server.js';
import { handlers } from '../handlers/index.js';
import { printable } from '../printable.js';
import { openForUp } from '../session.js';
import { untilAborted } from '../until-aborted.js';
import { missedRelays, named, notFinal, stateWord, waitingFor } from '../waiting.js';
import { formatSeconds } from '../when.js';
import { dirOption, example, relayOption } from './shared.js';

/** Of the 5 s that a stop may take. */
const DRAIN_MS = 2_000;

interface UpOptions {
  readonly dir: string;
  readonly relay: readonly string[];
  readonly archive?: true;
  readonly removeMisbehaving?: true;
}

export function addUp(program: Command, cli: () => Cli): void {
  const command = program
    .command('up')
    .summary('run the node until stopped')
    .description(
      'Runs the node in the foreground: it keeps up with its channels, helps to order and keep their ' +
        'messages, and sends what is queued. While it runs, other commands on the same directory go ' +
        'through it. Stop it with Ctrl-C or SIGTERM.',
    )
    .addOption(dirOption())
    .addOption(relayOption('reach the relay with the key in <url> at its address, in this run'))
    .option(
      '--archive',
      'as an archive: it stores, acknowledges, votes and serves, joins channels only so, and reads none',
    )
    .option(
      '--remove-misbehaving',
      'remove each member that a proof of misbehaviour convicts, in channels that you manage',
    )
    .action((options: UpOptions) => runUp(cli(), options));
  example(command, 'conclave up --dir ./alice\nconclave up --dir ./archive --archive');
}

async function runUp(cli: Cli, options: UpOptions): Promise<void> {
  const { dir, relay, archive, removeMisbehaving } = options;
  const { host, out, signal, log, passphrase } = cli;
  const node = await openForUp(host, {
    ...{ dir, links: true, relays: relay, log, ...(archive && { archive }) },
    ...{ passphrase, warn: out.note },
    misbehaviour: removeMisbehaving ? 'remove' : 'show',
  });
  let server: ControlServer | undefined;
  try {
    const watch = channelWatch(cli, node);
    server = await serveControl({ dir, node, handlers, log, afterCall: watch });
    const name = out.paint('bold', printable(node.name));
    const as = archive ? ' as an archive' : '';
    await out.result(
      { event: 'up', user: node.user, ...(archive && { archive }) },
      `${name} is up${as}  ${node.user}`,
    );
    watch();
    await untilAborted(signal);
    const stopping = `${name} is stopping: what is under way is sent first`;
    // Nobody may read it any more: the node stops all the same.
    out.result({ event: 'stopping' }, stopping).catch(() => {});
  } finally {
    // The socket goes first: whoever finds none waits for the store, which is free after the drain.
    await server?.close();
    await node.close({ drainMs: DRAIN_MS });
  }
}

/** Says how each channel is, whenever that changes; called again, it takes up new channels. */
function channelWatch(cli: Cli, node: Node): () => void {
  const watched = new Set<string>();
  return () => {
    for (const channel of node.channels()) {
      if (watched.has(channel.id)) continue;
      watched.add(channel.id);
      watchChannel(cli, channel).catch((error) => {
        if (!cli.signal.aborted)
          cli.log.warn({ error, channel: channel.id }, 'status is not shown any more');
      });
    }
  };
}

async function watchChannel({ host, out, signal }: Cli, channel: Channel): Promise<void> {
  let last = '';
  for await (const status of channel.status({ signal })) {
    const { state, members, online, name } = status;
    const missed = missedRelays(status.relays);
    const reasons = [waitingFor(named(channel, status)), notFinal(status), missed];
    const reason = reasons.filter((one) => one !== undefined).join('; ') || null;
    const change = JSON.stringify([state, reason]);
    if (change === last) continue;
    last = change;
    const time = host.now();
    const at = out.paint('dim', formatSeconds(time).slice(-SECONDS_CHARS));
    const text = `${at} ${printable(name || channel.id.slice(0, SHORT_ID_CHARS))}: ${stateWord(status)}, ${online.length} of ${members} online`;
    const told = { state, members, online: online.length, reason };
    await out.result(
      { event: 'channel', time, channel: channel.id, name, ...told },
      reason === null ? text : `${text}: ${printable(reason)}`,
    );
  }
}

/** Of a channel whose name is not known here. */
const SHORT_ID_CHARS = 8;
const SECONDS_CHARS = '10:11:12'.length;
