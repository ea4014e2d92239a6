/**
 * `conclave/relay`: a relay in this process. It authenticates links, keeps
 * presence, forwards and limits, and keeps nothing on disk (docs/PROTOCOL.md,
 * section "Relay"). Clients trust it with nothing but delivery.
 */

import { randomBytes } from 'node:crypto';
import { type Logger, pino } from 'pino';
import type { Crypto } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import type { UserId } from '../core/ids.js';
import { linkIdentity } from '../core/link.js';
import { text } from '../core/schema.js';
import { nativeCrypto } from '../native/crypto-native.js';
import { Audit, type AuditFile, openAuditFile } from './audit.js';
import type { Now } from './effects.js';
import { Files } from './files.js';
import {
  PAYLOAD_BYTES_MAX_LEAST,
  RELAY_LIMITS,
  RELAY_TIMING,
  type RelayLimits,
  type RelayTiming,
} from './limits.js';
import { Links } from './links.js';
import { serveMetrics } from './metrics.js';
import { TcpServer } from './server.js';
import type { TlsFiles } from './tls-credentials.js';

export { loadOrCreateKey } from './key.js';
export {
  RELAY_LIMITS,
  RELAY_TIMING,
  type RelayLimits,
  type RelayTiming,
  splitLimits,
} from './limits.js';
export type { TlsFiles } from './tls-credentials.js';

export interface Address {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
}

export interface RelayOptions extends Address {
  /** The relay's Ed25519 seed, 32 bytes; `loadOrCreateKey` keeps one on disk. */
  readonly key: Uint8Array;
  /** What it calls itself, at most 64 bytes. */
  readonly name?: string;
  readonly crypto?: Crypto;
  readonly log?: Logger;
  /** Serves `/metrics` and `/healthz` there. */
  readonly metrics?: Address;
  readonly limits?: Partial<RelayLimits>;
  readonly timing?: Partial<RelayTiming>;
  /** Lets only these users in; without it, and without `allowFile` and `tokenFile`, everyone. */
  readonly allow?: readonly UserId[];
  /** More of them, an id a line. Who registers is written there. */
  readonly allowFile?: string;
  /** Holds a secret: who proves that it knows it is put on the allow-list. */
  readonly tokenFile?: string;
  /** Serves TLS instead of plain TCP. */
  readonly tls?: TlsFiles;
  /** Appends what happens to connections there, as JSON lines. */
  readonly auditFile?: string;
  readonly clock?: () => Now;
  /** A source of cryptographic quality. */
  readonly random?: (bytes: number) => Uint8Array;
}

export interface Relay {
  /** `conclave://KEY@HOST:PORT`, with `?via=tls` for TLS; the key is the relay's public one, in hex. */
  readonly url: string;
  readonly port: number;
  readonly metricsPort?: number;
  /** Changes the allow-list, and tells everyone connected. Throws `no_allow_list` and `full`. */
  allow(user: UserId): void;
  disallow(user: UserId): void;
  /**
   * Reads certificate, key, allow-list and token again, and opens the audit log
   * again. Links stay up, but those of users who are not on the list any more.
   * Throws `bad_tls`, `bad_access` or `audit_failed`, and goes on as before.
   */
  reload(): Promise<void>;
  /** Drains: tells everyone, and is done within `timing.drain_ms`. */
  close(): Promise<void>;
}

const VERSION = '0.1.0';
const SERVER_NAME_BYTES_MAX = 64;

const systemRandom = (bytes: number): Uint8Array => new Uint8Array(randomBytes(bytes));
const systemClock = (): Now => ({ ms: performance.now(), wallMs: Date.now() });

/** Without this, what is missing would show as an error of something deep inside. */
function checkOptions({ host, port, key }: Partial<RelayOptions> = {}): void {
  const wrong =
    (typeof host !== 'string' && '"host" must be a text, as "127.0.0.1"') ||
    (!Number.isInteger(port) && '"port" must be a number, 0 for a free one') ||
    (!(key instanceof Uint8Array) &&
      '"key" must be 32 bytes, which "loadOrCreateKey(dir, randomBytes)" keeps on disk');
  if (wrong) throw new ConclaveError('bad_options', `startRelay({ host, port, key }): ${wrong}`);
}

/**
 * Throws `bad_options`, `listen_failed`, `bad_limit`, `bad_key`, `bad_payload`
 * (the name), `bad_tls`, `bad_access` or `audit_failed`.
 */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  checkOptions(options);
  const { crypto = nativeCrypto, clock = systemClock, random = systemRandom } = options;
  const { host, metrics: metricsAddress, auditFile } = options;
  const limits = checked({ ...RELAY_LIMITS, ...options.limits });
  const timing = { ...RELAY_TIMING, ...options.timing };
  const log = options.log ?? pino({ level: 'silent' });
  const identity = linkIdentity(crypto, options.key);
  const info = {
    server_name: text(SERVER_NAME_BYTES_MAX).decode(options.name ?? 'conclave relay', 'name'),
    version: VERSION,
    timeout_s: timing.timeout_s,
    cnn_s: Math.ceil(timing.cnn_ms / 1_000),
    payload_bytes_max: limits.payload_bytes_max,
  };
  const files = await Files.load(options, log);
  const auditLines = auditFile === undefined ? undefined : await openAudit(auditFile, log);
  const link = {
    ...{ crypto, identity, random, info, limits, timing, log },
    allow: files.allowed,
    token: () => files.token,
    audit: auditLines && new Audit(auditLines.write, limits, clock()),
    onRegistered: (user: UserId) => files.registered(user),
  };
  const server = new TcpServer({
    tls: () => files.tls,
    host,
    port: options.port,
    limits,
    timing,
    log,
    now: clock,
    links: (wire) => new Links({ ...link, wire, now: clock() }),
  });
  const { links } = server;
  const port = await server.listen().catch(async (error) => {
    await auditLines?.close();
    throw error;
  });
  const metrics =
    metricsAddress &&
    (await serveMetrics(links, metricsAddress).catch(async (error) => {
      await server.close();
      await auditLines?.close();
      throw error;
    }));
  const at = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const url = `conclave://${identity.user}@${at}${files.tls ? '?via=tls' : ''}`;
  log.info({ url, metricsPort: metrics?.port }, 'relay is listening');
  return {
    url,
    port,
    ...(metrics && { metricsPort: metrics.port }),
    allow: (user) => links.allow(user, clock()),
    disallow: (user) => links.disallow(user, clock()),
    async reload() {
      const { allowed, disallowed } = await files.reload();
      for (const user of disallowed) links.disallow(user, clock());
      for (const user of allowed) links.allow(user, clock());
      await auditLines?.reopen();
      log.info(
        { allowed: allowed.length, disallowed: disallowed.length },
        'relay reloaded its files',
      );
    },
    async close() {
      log.info({ users: links.hub.userCount }, 'relay is draining');
      metrics?.drain();
      await server.close();
      await metrics?.close();
      await files.settled();
      await auditLines?.close();
      log.info('relay is closed');
    },
  };
}

const openAudit = (path: string, log: Logger): Promise<AuditFile> =>
  openAuditFile(path, (error) => log.error({ err: error }, 'the audit log failed'));

function checked(limits: RelayLimits): RelayLimits {
  if (limits.payload_bytes_max >= PAYLOAD_BYTES_MAX_LEAST) return limits;
  throw new ConclaveError(
    'bad_limit',
    `payload_bytes_max is ${limits.payload_bytes_max}; a relay must take at least ${PAYLOAD_BYTES_MAX_LEAST} bytes`,
  );
}
