/**
 * For tests of the relay's links without a network, on a clock that the test
 * moves. A client here is the real client link; what the relay writes to it is
 * delivered when the test pumps.
 */

import { pino } from 'pino';
import type { CommandName, Outgoing, Payload } from '../../src/core/commands.js';
import { FrameParser } from '../../src/core/frame.js';
import type { Ulid } from '../../src/core/ids.js';
import { ClientLink, type LinkIdentity, linkIdentity } from '../../src/core/link.js';
import { unpack } from '../../src/core/msgpack.js';
import { nativeCrypto as crypto } from '../../src/native/crypto-native.js';
import { Audit } from '../../src/relay/audit.js';
import type { PeerId } from '../../src/relay/effects.js';
import { RELAY_LIMITS, RELAY_TIMING, type RelayLimits } from '../../src/relay/limits.js';
import { Links, type LinksOptions } from '../../src/relay/links.js';
import { identity } from './relay-channel.js';
import { random } from './relay-client.js';

export const ALICE = identity(1);
export const BOB = identity(2);
export const NOW_S = 1_700_000_000;
const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV' as Ulid;

interface Lab {
  ms: number;
  links: Links;
  /** What the relay wrote to each peer and nobody took yet. */
  written: Map<PeerId, Uint8Array[]>;
  ended: Set<PeerId>;
  audited: AuditLine[];
}

/** A line of the audit log. */
export interface AuditLine {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** Set by `newRelay`. */
export const lab = {} as Lab;
let clients: Client[];

export const now = () => ({ ms: lab.ms, wallMs: NOW_S * 1_000 });

export function newRelay(
  limits: Partial<RelayLimits> = {},
  options: Partial<Pick<LinksOptions, 'allow' | 'token'>> = {},
): void {
  lab.ms = 0;
  lab.written = new Map();
  lab.ended = new Set();
  lab.audited = [];
  clients = [];
  const all = { ...RELAY_LIMITS, payload_bytes_max: 65_536, ...limits };
  lab.links = new Links({
    ...options,
    audit: new Audit((line) => lab.audited.push(JSON.parse(line)), all, now()),
    crypto,
    identity: linkIdentity(crypto, new Uint8Array(32).fill(9)),
    random,
    info: {
      server_name: 'test',
      version: '0',
      timeout_s: 180,
      cnn_s: 10,
      payload_bytes_max: 65_536,
    },
    limits: all,
    timing: RELAY_TIMING,
    log: pino({ level: 'silent' }),
    wire: {
      write: (to, frame) => {
        for (const peer of to) {
          const frames = lab.written.get(peer);
          if (frames) frames.push(frame);
          else lab.written.set(peer, [frame]);
        }
      },
      end: (peer) => lab.ended.add(peer),
    },
    now: now(),
  });
}

/** A connection without a client: bytes in, and the codes of the ERRs that came. */
export function open(address?: string): PeerId {
  const peer = lab.links.open(now(), { address })!;
  // One that is refused was written to already.
  if (!lab.written.has(peer)) lab.written.set(peer, []);
  return peer;
}

export const feed = (peer: PeerId, bytes: Uint8Array): void =>
  lab.links.receive(peer, bytes, now());

export function errorsTo(peer: PeerId): unknown[] {
  const parser = new FrameParser({ payloadBytesMax: 65_536 });
  return lab.written
    .get(peer)!
    .flatMap((bytes) => parser.push(bytes))
    .filter((frame) => frame.name === 'ERR')
    .map((frame) => unpack(frame.payload).code);
}

export class Client {
  readonly peer: PeerId;
  readonly came: { name: CommandName; payload: unknown }[] = [];
  readonly link: ClientLink;
  isConnected = false;
  error: unknown;

  constructor(who: LinkIdentity, address?: string) {
    this.peer = open(address);
    this.link = new ClientLink({
      crypto,
      identity: who,
      name: 'nick',
      random,
      relayKey: undefined,
    });
    clients.push(this);
  }

  send(command: Outgoing): void {
    feed(this.peer, this.link.send(command, NOW_S));
  }

  take(): void {
    const bytes = lab.written.get(this.peer)!.splice(0);
    for (const event of bytes.flatMap((b) => this.link.receive(b, NOW_S))) {
      if (event.type === 'send') feed(this.peer, event.bytes);
      else if (event.type === 'connected') this.isConnected = true;
      else if (event.type === 'command') this.came.push(event.command);
      else this.error ??= event.error;
    }
  }

  all<N extends CommandName>(name: N): Payload<N>[] {
    return this.came.filter((c) => c.name === name).map((c) => c.payload as Payload<N>);
  }
}

/** Delivers until nothing is on its way. */
export function pump(): void {
  while (clients.some((client) => lab.written.get(client.peer)!.length > 0)) {
    for (const client of clients) client.take();
  }
}

export function connect(who = ALICE, address?: string): Client {
  const client = new Client(who, address);
  feed(client.peer, client.link.start(NOW_S));
  pump();
  return client;
}

export const codes = (client: Client) => client.all('ERR').map((err) => err.code);

export const message = (bytes: number): Outgoing => ({
  name: 'PV_MSG',
  payload: { from: ALICE.user, to: BOB.user, msg_id: ULID, msg: new Uint8Array(bytes) },
});
