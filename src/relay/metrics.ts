/**
 * Prometheus metrics and the health check of a relay, on an address of their
 * own (`conclave relay --metrics HOST:PORT`):
 *
 *     GET /metrics   text exposition, from a registry of this relay alone
 *     GET /healthz   200 {"status":"ok"}, or 503 {"status":"draining"}
 */

import { createServer, type Server, type ServerResponse } from 'node:http';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { ConclaveError } from '../core/errors.js';
import type { Links } from './links.js';

/** Metrics that read what `links` counts only when they are asked for. */
export function metricsOf(links: Links): Registry {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  const counter = (name: string, help: string, read: () => number): void => {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  };
  const labelled = (
    name: string,
    help: string,
    label: string,
    read: () => ReadonlyMap<string, number>,
  ): void => {
    new Counter({
      name,
      help,
      labelNames: [label],
      registers,
      collect() {
        this.reset();
        for (const [value, count] of read()) this.inc({ [label]: value }, count);
      },
    });
  };

  const { counters, hub } = links;
  gauge('conclave_relay_connections', 'Open connections.', () => links.connectionCount);
  gauge('conclave_relay_users', 'Connected users.', () => hub.userCount);
  gauge('conclave_relay_channels', 'Known channels.', () => hub.channelCount);
  counter('conclave_relay_received_bytes_total', 'Bytes received.', () => counters.bytesReceived);
  counter('conclave_relay_sent_bytes_total', 'Bytes sent.', () => counters.bytesSent);
  counter(
    'conclave_relay_received_frames_total',
    'Frames received from connected users.',
    () => counters.framesReceived,
  );
  counter(
    'conclave_relay_sent_frames_total',
    'Frames sent: one to ten receivers counts ten.',
    () => counters.framesSent,
  );
  counter('conclave_relay_rate_warnings_total', 'RATE sent.', () => counters.rateWarnings);
  labelled('conclave_relay_errors_total', 'ERR sent, by code.', 'code', () => counters.errors);
  labelled(
    'conclave_relay_disconnects_total',
    'Ended connections, by reason.',
    'reason',
    () => counters.endings,
  );
  return registry;
}

export interface MetricsServer {
  readonly port: number;
  /** From now on the health check says `draining`. */
  drain(): void;
  close(): Promise<void>;
}

/** Throws `listen_failed`. */
export async function serveMetrics(
  links: Links,
  at: { readonly host: string; readonly port: number },
): Promise<MetricsServer> {
  const registry = metricsOf(links);
  let status: 'ok' | 'draining' = 'ok';
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0];
    if (request.method !== 'GET') reply(response, 405, 'text/plain', 'only GET is served here\n');
    else if (path === '/healthz') {
      reply(response, status === 'ok' ? 200 : 503, 'application/json', JSON.stringify({ status }));
    } else if (path === '/metrics') {
      registry.metrics().then(
        (text) => reply(response, 200, registry.contentType, text),
        (error) => reply(response, 500, 'text/plain', `${error}\n`),
      );
    } else reply(response, 404, 'text/plain', 'try /metrics or /healthz\n');
  });
  return {
    port: await listen(server, at),
    drain: () => {
      status = 'draining';
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function reply(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type }).end(body);
}

async function listen(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  }).catch((cause: Error) => {
    throw new ConclaveError(
      'listen_failed',
      `can't serve metrics on ${host}:${port}: ${cause.message}. Choose another address.`,
      { cause },
    );
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}
