/**
 * How fast a relay fans out: deliveries a second to 10 and to 100 receivers,
 * against a bare node:net server that writes the same bytes to the same
 * sockets. `npx tsx bench/relay-fanout.ts`
 *
 * The server under test is a process of its own; sender and receivers share
 * this one. Receivers count bytes and look at nothing, so that the load costs
 * as little as it can and the same for both. The sender stays at most a window
 * ahead of the slowest receiver. Rounds alternate, the first ones are thrown
 * away, and only the ratio of a pair of rounds means anything.
 */

import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { encodeFrame, FrameParser } from '../src/core/frame.js';
import { ClientLink, type LinkIdentity } from '../src/core/link.js';
import { nativeCrypto as crypto } from '../src/native/crypto-native.js';
import { RELAY_LIMITS, startRelay } from '../src/relay/index.js';
import { identity, TestChannel } from '../test/unit/relay-channel.js';

const HOST = '127.0.0.1';
const RECEIVERS = [10, 100];
const WARM_UP_ROUNDS = 2;
const ROUNDS = 7;
const CERT_BYTES = 128;
const WINDOW_BYTES = 1_048_576;
const STEPS_PER_COMMAND = 40;
/** So that a round of either server takes a good part of a second. */
const deliveriesPerRound = (receivers: number): number => (receivers <= 10 ? 300_000 : 1_500_000);

const random = (bytes: number): Uint8Array => new Uint8Array(randomBytes(bytes));
const nowS = (): number => Date.now() / 1_000;

// ---------------------------------------------------------------- servers

async function serveRelay(): Promise<number> {
  const isRate = (name: string): boolean => /_(per_s|burst)$/.test(name);
  const rates = Object.keys(RELAY_LIMITS).filter(isRate);
  const limits = Object.fromEntries(rates.map((name) => [name, 1e12]));
  return (await startRelay({ host: HOST, port: 0, key: random(32), crypto, limits })).port;
}

/** The first connection is the sender; what it sends goes to all the others. Each is greeted with a byte. */
async function serveBare(): Promise<number> {
  const receivers: Socket[] = [];
  let sender: Socket | undefined;
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {});
    socket.write('.');
    if (sender) {
      receivers.push(socket);
      return;
    }
    sender = socket;
    socket.on('data', (chunk) => {
      for (const receiver of receivers) receiver.write(chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  return (server.address() as { port: number }).port;
}

// ---------------------------------------------------------------- load

interface Group {
  readonly sender: Socket;
  readonly receivers: readonly Socket[];
  /** Frames to send, and how long each is when it is delivered. */
  frames(count: number): { frames: readonly Uint8Array[]; deliveredBytes: number };
  close(): void;
}

async function open(port: number): Promise<Socket> {
  const socket = connectTcp({ port, host: HOST, noDelay: true });
  await once(socket, 'connect');
  return socket;
}

class Client {
  readonly socket: Socket;
  readonly link: ClientLink;
  /** Events of the link, and commands by their names, that nobody waited for yet. */
  readonly #came: string[] = [];
  #look: () => void = () => {};

  private constructor(socket: Socket, who: LinkIdentity) {
    this.socket = socket;
    this.link = new ClientLink({ crypto, identity: who, name: '', random, relayKey: undefined });
    socket.on('data', (chunk) => {
      for (const event of this.link.receive(chunk, nowS())) {
        if (event.type === 'send') socket.write(event.bytes);
        else if (event.type === 'error' || event.type === 'refused') throw event.error;
        else this.#came.push(event.type === 'command' ? event.command.name : event.type);
      }
      this.#look();
    });
  }

  static async connect(port: number, who: LinkIdentity): Promise<Client> {
    const client = new Client(await open(port), who);
    client.socket.write(client.link.start(nowS()));
    await client.until('connected');
    return client;
  }

  async until(wanted: string): Promise<void> {
    while (!this.#came.includes(wanted)) {
      await new Promise<void>((resolve) => {
        this.#look = resolve;
      });
    }
    this.#came.splice(this.#came.indexOf(wanted), 1);
  }
}

/** A channel of `count` receivers and a sender, all connected, known to the relay. */
async function relayGroup(port: number, count: number, channel: TestChannel): Promise<Group> {
  const sender = await Client.connect(port, identity(0));
  for (let first = 0; first < channel.steps.length; first += STEPS_PER_COMMAND) {
    const announced = channel.announcement(first);
    const steps = announced.steps.slice(0, STEPS_PER_COMMAND);
    sender.socket.write(
      sender.link.send({ name: 'CH_ROSTER', payload: { ...announced, steps } }, nowS()),
    );
    await sender.until('CH_STATUS');
  }
  const clients: Client[] = [];
  for (let i = 1; i <= count; i++) clients.push(await Client.connect(port, identity(i)));
  // Behind its answer nothing is on its way any more, and bytes may be counted.
  for (const client of clients) {
    client.socket.write(client.link.send({ name: 'KALIVE', payload: {} }, nowS()));
    await client.until('KALIVE');
  }
  const receivers = clients.map((client) => client.socket);
  const cert = new Uint8Array(CERT_BYTES);
  const payload = { id: channel.id, from: identity(0).user, cert };
  return {
    sender: sender.socket,
    receivers,
    frames(wanted) {
      const frames = Array.from({ length: wanted }, () =>
        sender.link.send({ name: 'CH_COMMIT', payload }, nowS()),
      );
      const [frame] = new FrameParser({ payloadBytesMax: 65_536 }).push(frames[0]!);
      const delivered = encodeFrame('CH_MSG_COMMIT', frame!.payload, frame!.sig);
      return { frames, deliveredBytes: delivered.length };
    },
    close: () => {
      for (const socket of [sender.socket, ...receivers]) socket.destroy();
    },
  };
}

/** The same number of sockets, and frames of the length in which the relay delivers them. */
async function bareGroup(port: number, count: number, frameBytes: number): Promise<Group> {
  const greeted = async (): Promise<Socket> => {
    const socket = await open(port);
    await once(socket, 'data');
    return socket;
  };
  const sender = await greeted();
  const receivers: Socket[] = [];
  for (let i = 0; i < count; i++) receivers.push(await greeted());
  const frame = random(frameBytes);
  return {
    sender,
    receivers,
    frames: (wanted) => ({ frames: Array(wanted).fill(frame), deliveredBytes: frameBytes }),
    close: () => {
      for (const socket of [sender, ...receivers]) socket.destroy();
    },
  };
}

/** Deliveries a second over one round. */
async function round(group: Group, count: number): Promise<number> {
  const { frames, deliveredBytes } = group.frames(count);
  const totalBytes = count * deliveredBytes;
  const windowFrames = Math.floor(WINDOW_BYTES / deliveredBytes);
  const batchFrames = Math.floor(windowFrames / 8);
  const received = new Array<number>(group.receivers.length).fill(0);
  let sent = 0;
  let done = 0;
  const sendMore = (): void => {
    const slowest = Math.floor(Math.min(...received) / deliveredBytes);
    while (sent < count && sent + batchFrames <= slowest + windowFrames) {
      group.sender.write(Buffer.concat(frames.slice(sent, sent + batchFrames)));
      sent = Math.min(count, sent + batchFrames);
    }
  };
  const startedMs = performance.now();
  const finished = new Promise<void>((resolve, reject) => {
    for (const [i, receiver] of group.receivers.entries()) {
      receiver.removeAllListeners();
      receiver.on('data', (chunk) => {
        received[i]! += chunk.length;
        if (received[i] === totalBytes && ++done === received.length) resolve();
        else if (sent < count && i === received.length - 1) sendMore();
      });
      receiver.on('close', () => reject(new Error(`receiver ${i} was disconnected`)));
    }
  });
  // The last receiver's bytes may come before another's: look again each turn.
  const ticker = setInterval(sendMore, 1);
  sendMore();
  await finished;
  clearInterval(ticker);
  for (const receiver of group.receivers) receiver.removeAllListeners();
  return (count * group.receivers.length) / ((performance.now() - startedMs) / 1_000);
}

// ---------------------------------------------------------------- rounds

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const millions = (perS: number): string => `${(perS / 1e6).toFixed(2)} M/s`;

async function spawn(role: 'relay' | 'bare'): Promise<{ port: number; child: ChildProcess }> {
  const child = fork(fileURLToPath(import.meta.url), [role]);
  const [port] = (await once(child, 'message')) as [number];
  return { port, child };
}

async function measure(receivers: number): Promise<void> {
  const others = Array.from({ length: receivers }, (_, i) => identity(i + 1));
  const channel = TestChannel.of(identity(0), others);
  const servers = [await spawn('relay'), await spawn('bare')] as const;
  const relay = await relayGroup(servers[0].port, receivers, channel);
  const frameBytes = relay.frames(1).deliveredBytes;
  const bare = await bareGroup(servers[1].port, receivers, frameBytes);
  const count = Math.round(deliveriesPerRound(receivers) / receivers);
  const rates = { relay: [] as number[], bare: [] as number[], ratio: [] as number[] };
  for (let i = 0; i < WARM_UP_ROUNDS + ROUNDS; i++) {
    const bareRate = await round(bare, count);
    const relayRate = await round(relay, count);
    if (i < WARM_UP_ROUNDS) continue;
    rates.bare.push(bareRate);
    rates.relay.push(relayRate);
    rates.ratio.push(relayRate / bareRate);
  }
  const spread = `${Math.min(...rates.ratio).toFixed(2)}–${Math.max(...rates.ratio).toFixed(2)}`;
  console.log(
    `relay fan-out to ${receivers} receivers, frames of ${frameBytes} bytes: ` +
      `${millions(median(rates.relay))}, bare node:net ${millions(median(rates.bare))}, ` +
      `ratio ${median(rates.ratio).toFixed(2)} (${spread} in ${ROUNDS} rounds)`,
  );
  relay.close();
  bare.close();
  for (const { child } of servers) child.kill();
}

const [role] = process.argv.slice(2);
if (role === 'relay') process.send!(await serveRelay());
else if (role === 'bare') process.send!(await serveBare());
else for (const receivers of RECEIVERS) await measure(receivers);
