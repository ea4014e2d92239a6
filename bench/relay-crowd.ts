/**
 * A crowd of the row relay-attack, a process of its own: idle users, or
 * hostile connections of four kinds that come back as fast as they are thrown
 * out. They come from loopback addresses of their own, as strangers would, and
 * with the lowest priority, since strangers do not use the relay's processor.
 */

import { randomBytes } from 'node:crypto';
import { connect as connectTcp, type Socket } from 'node:net';
import { setPriority } from 'node:os';
import { encodePayload } from '../src/core/commands.js';
import { encodeFrame } from '../src/core/frame.js';
import { ClientLink, type LinkIdentity, linkIdentity } from '../src/core/link.js';
import { pack } from '../src/core/msgpack.js';
import { nativeCrypto as crypto } from '../src/native/crypto-native.js';

const RELAY = '127.0.0.1';
const IDLE_ADDRESSES = 40;
const HOSTILE_ADDRESSES = 8;
/** As a conclave node does. */
const KEEPALIVE_MS = 4_000;
const DRIP_MS = 200;
const FLOOD_FRAMES = 256;

const random = (bytes: number): Uint8Array => new Uint8Array(randomBytes(bytes));
const nowS = (): number => Date.now() / 1_000;
const stranger = (): LinkIdentity => linkIdentity(crypto, random(32));

let port = 0;
let isAttacking = false;
const hostile = new Set<Socket>();
const counts = { connections: 0, handshakes: 0, frames: 0 };

function open(address: string): Socket {
  const socket = connectTcp({ port, host: RELAY, localAddress: address, noDelay: true });
  socket.on('error', () => {});
  return socket;
}

/** Shakes hands, and calls `onConnected` once that is done. */
function link(socket: Socket, who: LinkIdentity, onConnected: (link: ClientLink) => void): void {
  const own = new ClientLink({ crypto, identity: who, name: '', random, relayKey: undefined });
  socket.on('connect', () => socket.write(own.start(nowS())));
  socket.on('data', (chunk) => {
    for (const event of own.receive(chunk, nowS())) {
      if (event.type === 'send') socket.write(event.bytes);
      else if (event.type === 'connected') onConnected(own);
    }
  });
}

const keepalive = (own: ClientLink): Uint8Array =>
  own.send({ name: 'KALIVE', payload: {} }, nowS());

/** One idle user, from its connection on; tries again when it was refused. */
function beIdle(i: number, who: LinkIdentity, onConnected: () => void): void {
  const socket = open(`127.0.2.${1 + (i % IDLE_ADDRESSES)}`);
  let timer: NodeJS.Timeout | undefined;
  link(socket, who, (own) => {
    timer = setInterval(() => socket.write(keepalive(own)), KEEPALIVE_MS);
    onConnected();
  });
  socket.on('close', () => {
    clearInterval(timer);
    setTimeout(() => beIdle(i, who, onConnected), 1_000);
  });
}

async function idle(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await new Promise<void>((resolve) => beIdle(i, stranger(), resolve));
  }
}

// ---------------------------------------------------------------- the hostile

/** A `CNN` that costs the relay all of a handshake, and proves nothing. */
function falseCnn({ user: id, fixed, binding }: LinkIdentity): Uint8Array {
  const shown = { id, fixed, binding, fresh: crypto.x25519PublicKey(random(32)) };
  const first = { timestamp: 0, nonce: new Uint8Array(8).fill(255), protocol_version: 0, name: '' };
  return encodeFrame('CNN', pack(encodePayload('CNN', { ...first, ...shown })), random(64));
}

function floodHandshakes(socket: Socket, who: LinkIdentity): void {
  const own = new ClientLink({ crypto, identity: who, name: '', random, relayKey: undefined });
  socket.on('connect', () => socket.write(own.start(nowS())));
  socket.once('data', () => {
    counts.handshakes++;
    socket.write(falseCnn(who));
  });
}

function drip(socket: Socket, head: Uint8Array): void {
  let at = 0;
  const timer = setInterval(() => {
    socket.write(Uint8Array.of(head[at++] ?? 0x30));
  }, DRIP_MS);
  socket.on('close', () => clearInterval(timer));
}

const HEAD = new TextEncoder().encode(`CH_MSG\n900000\n${'0'.repeat(128)}\n`);

function dripSlowly(socket: Socket, who: LinkIdentity, i: number): void {
  if (i % 2 === 0) socket.on('connect', () => drip(socket, HEAD));
  else link(socket, who, () => drip(socket, HEAD));
}

function sendGarbage(socket: Socket, _: LinkIdentity, i: number): void {
  const garbage = [
    random(65_536),
    new TextEncoder().encode(`INFO\n1000\n${'0'.repeat(128)}\n${'x'.repeat(1_000)}`),
    new TextEncoder().encode(`CNN\n1024\n${'0'.repeat(128)}\n${'x'.repeat(1_024)}`),
  ];
  socket.on('connect', () => socket.write(garbage[i % garbage.length]!));
}

function floodFrames(socket: Socket, who: LinkIdentity): void {
  link(socket, who, (own) => {
    const more = (): void => {
      while (!socket.destroyed && isAttacking) {
        const frames = Array.from({ length: FLOOD_FRAMES }, () => keepalive(own));
        counts.frames += FLOOD_FRAMES;
        if (!socket.write(Buffer.concat(frames))) break;
      }
    };
    socket.on('drain', () => setImmediate(more));
    more();
  });
}

const KINDS = { floodHandshakes, dripSlowly, sendGarbage, floodFrames } as const;
type Kind = keyof typeof KINDS;

function attack(kind: Kind, i: number, who: LinkIdentity): void {
  if (!isAttacking) return;
  counts.connections++;
  const socket = open(`127.0.3.${1 + (i % HOSTILE_ADDRESSES)}`);
  hostile.add(socket);
  KINDS[kind](socket, who, i);
  socket.resume();
  socket.on('close', () => {
    hostile.delete(socket);
    setImmediate(() => attack(kind, i, who));
  });
}

const calls: { [name: string]: (...args: never[]) => unknown } = {
  connect: (to: number) => {
    setPriority(19);
    port = to;
  },
  idle,
  attack: (kinds: readonly Kind[], each: number) => {
    isAttacking = true;
    for (const kind of kinds) for (let i = 0; i < each; i++) attack(kind, i, stranger());
  },
  rest: () => {
    isAttacking = false;
    for (const socket of hostile) socket.destroy();
    return counts;
  },
};

process.on('message', async ({ id, call, args }: { id: number; call: string; args: never[] }) => {
  try {
    process.send!({ id, value: await calls[call]!(...args) });
  } catch (error) {
    process.send!({ id, error: String(error) });
  }
});
process.on('disconnect', () => process.exit(0));
