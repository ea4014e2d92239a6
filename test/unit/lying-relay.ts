/**
 * A relay that does to private commands what its `lie` makes of them: it may
 * drop, alter, repeat and invent. It speaks the real links, keeps what came by,
 * and of channels it carries what `carries` lets pass, to all, without a look at
 * who is a member.
 */

import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import {
  COMMANDS,
  type Command,
  type CommandName,
  decodeCommand,
  encodePayload,
} from '../../src/core/commands.js';
import { hex32, type UserId } from '../../src/core/ids.js';
import { linkIdentity } from '../../src/core/keys.js';
import { pack } from '../../src/core/msgpack.js';
import { type RelayEvent, RelayLink } from '../../src/core/relay-link.js';
import { sealBroadcast } from '../../src/core/seal.js';
import { nativeCrypto as crypto } from '../../src/native/crypto-native.js';
import { random } from './relay-client.js';
import { INFO } from './wire-helpers.js';

const AS = { PV_MSG: 'MSG', ACK_MSG: 'MSG_ACK', CNN_USR: 'USR_HSK' } as const;
type Name = keyof typeof AS;
/** A command between two users, under the name it is sent with. */
export type Private = Extract<Command, { name: Name }>;

/** A command about a channel on its way from one user to another. */
interface Passing {
  readonly name: CommandName;
  readonly from: UserId;
  readonly to: UserId;
  /** It has records, or proposes places for some. */
  readonly says: boolean;
}

/** What is forwarded instead of what came. */
export type Lie = (command: Private) => readonly Private[];
export const honest: Lie = (command) => [command];

export class LyingRelay {
  readonly url: string;
  readonly came: Private[] = [];
  /** All bytes that clients wrote. */
  readonly bytes: Buffer[] = [];
  lie: Lie = honest;
  carries: (passing: Passing) => boolean = () => false;
  /** Told of what was carried, once it is written. */
  carried: (passing: Passing) => void = () => {};
  readonly #server = createServer((socket) => this.#accept(socket));
  readonly #key = random(64);
  readonly #identity = linkIdentity(crypto, random(32));
  readonly #online = new Map<UserId, { socket: Socket; link: RelayLink }>();
  #nonce = 1n;

  private constructor(port: number) {
    this.url = `conclave://${this.#identity.user}@127.0.0.1:${port}`;
  }

  static async start(): Promise<LyingRelay> {
    // The port is known once the server listens, the address is made of it.
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    const relay = new LyingRelay(port);
    relay.#server.listen(port, '127.0.0.1');
    await once(relay.#server, 'listening');
    return relay;
  }

  async stop(): Promise<void> {
    for (const { socket } of this.#online.values()) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Says this to whom it is for, if that one is there. */
  forward({ name, payload }: Private): void {
    const { to } = payload;
    const nonce = new Uint8Array(8);
    new DataView(nonce.buffer).setBigUint64(0, this.#nonce++);
    const raw = pack(encodePayload(AS[name], { ...payload, nonce }));
    this.#online.get(to)?.socket.write(sealBroadcast(crypto, this.#key, AS[name], raw));
  }

  #accept(socket: Socket): void {
    const broadcast = () => ({ number: 1, key: this.#key });
    const link = new RelayLink({ crypto, identity: this.#identity, random, info: INFO, broadcast });
    let user: UserId | undefined;
    socket.on('error', () => {});
    socket.on('close', () => {
      if (user && this.#online.get(user)?.socket === socket) this.#online.delete(user);
    });
    socket.on('data', (chunk: Buffer) => {
      this.bytes.push(chunk);
      for (const event of link.receive(chunk, Date.now() / 1_000)) {
        if (event.type === 'send') socket.write(event.bytes);
        if (event.type === 'connected') {
          user = event.user;
          this.#online.set(user, { socket, link });
          this.tellOthers(user);
        }
        if (event.type === 'command') {
          this.#onCommand(socket, link, event);
          this.#carry(user!, event);
        }
      }
    });
  }

  /** Tells all others that `user` came: a hint to send again at once. */
  tellOthers(user: UserId): void {
    for (const [other, { socket, link }] of this.#online) {
      if (other === user) continue;
      const came = { name: 'UCNN', payload: { id: user, name: '' } } as const;
      socket.write(link.send(came, Date.now() / 1_000));
    }
  }

  #carry(from: UserId, { name, payload, raw }: RelayEvent & { type: 'command' }): void {
    const spec: { readonly from: string; readonly key: string; readonly as?: string } =
      COMMANDS[name];
    if (spec.from === 'relay' || spec.key !== 'broadcast' || Object.hasOwn(AS, name)) return;
    const only = payload.to instanceof Uint8Array ? hex32<UserId>(payload.to) : undefined;
    const as = (spec.as ?? name) as CommandName;
    const { headers } = payload;
    const says = name === 'CH_MSG' || (headers instanceof Uint8Array && headers.length > 0);
    for (const [to, { socket }] of this.#online) {
      const passing = { name, from, to, says };
      if (to === from || (only ?? to) !== to || !this.carries(passing)) continue;
      socket.write(sealBroadcast(crypto, this.#key, as, raw));
      this.carried(passing);
    }
  }

  #onCommand(socket: Socket, link: RelayLink, event: { name: string; payload: object }): void {
    if (event.name === 'KALIVE') {
      socket.write(link.send({ name: 'KALIVE', payload: {} }, Date.now() / 1_000));
    }
    if (!Object.hasOwn(AS, event.name)) return;
    const command = decodeCommand(event.name as Name, event.payload) as Private;
    this.came.push(command);
    for (const told of this.lie(command)) this.forward(told);
  }
}
