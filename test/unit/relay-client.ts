/**
 * A client for the relay's tests: a real socket and the real client link. It
 * keeps what came, in order, and lets a test wait for it; nothing is timed.
 */

import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { CommandName, Outgoing, Payload } from '../../src/core/commands.js';
import { ConclaveError } from '../../src/core/errors.js';
import type { UserId } from '../../src/core/ids.js';
import { ClientLink, type LinkIdentity } from '../../src/core/link.js';
import { nativeCrypto as crypto } from '../../src/native/crypto-native.js';

const nowS = () => Date.now() / 1_000;
export const random = (bytes: number): Uint8Array => new Uint8Array(randomBytes(bytes));

interface Came {
  readonly name: CommandName;
  readonly payload: unknown;
}

export class TestClient {
  readonly identity: LinkIdentity;
  readonly user: UserId;
  readonly socket: Socket;
  /** Commands that came and were not taken with `next`. */
  readonly came: Came[] = [];
  info!: Payload<'SINFO'>;
  isClosed = false;
  readonly #link: ClientLink;
  #changed: () => void = () => {};
  #failed: unknown;
  #isConnected = false;

  private constructor(port: number, who: LinkIdentity, name: string, relayKey?: UserId) {
    this.identity = who;
    this.user = who.user;
    this.#link = new ClientLink({ crypto, identity: who, name, random, relayKey });
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.socket.on('data', (chunk) => this.#receive(chunk));
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.isClosed = true;
      this.#changed();
    });
    this.socket.write(this.#link.start(nowS()));
  }

  /** Connected: CNN_OK came. Throws what the link says when the relay refuses. */
  static async connect(port: number, who: LinkIdentity, name = 'nick'): Promise<TestClient> {
    const client = new TestClient(port, who, name);
    await client.#until(() => client.#isConnected);
    return client;
  }

  #receive(chunk: Uint8Array): void {
    for (const event of this.#link.receive(chunk, nowS())) {
      if (event.type === 'send') this.socket.write(event.bytes);
      else if (event.type === 'connected') {
        this.info = event.info;
        this.#isConnected = true;
      } else if (event.type === 'command') this.came.push(event.command);
      else this.#failed ??= event.error;
    }
    this.#changed();
  }

  /** Waits for `done` to hold; throws when it can't any more. */
  async #until(done: () => boolean): Promise<void> {
    while (!done()) {
      if (this.#failed !== undefined) throw this.#failed;
      if (this.isClosed) throw new ConclaveError('closed', 'the connection ended first');
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  send(command: Outgoing): void {
    this.socket.write(this.#link.send(command, nowS()));
  }

  /** The frame that `send` would write. */
  frame(command: Outgoing): Uint8Array {
    return this.#link.send(command, nowS());
  }

  /** Takes the first `name` that came or comes. */
  async next<N extends CommandName>(name: N): Promise<Payload<N>> {
    const at = () => this.came.findIndex((command) => command.name === name);
    await this.#until(() => at() >= 0);
    return this.came.splice(at(), 1)[0]!.payload as Payload<N>;
  }

  /** What came of one kind, once everything the relay has sent so far is here. */
  async all<N extends CommandName>(name: N): Promise<Payload<N>[]> {
    await this.fence();
    return this.came.filter((c) => c.name === name).map((c) => c.payload as Payload<N>);
  }

  /** Everything sent before was handled by the relay, and what it wrote before has come. */
  async fence(): Promise<void> {
    this.send({ name: 'KALIVE', payload: {} });
    await this.next('KALIVE');
  }

  async closed(): Promise<void> {
    if (this.isClosed) return;
    await new Promise<void>((resolve) => this.socket.once('close', () => resolve()));
  }

  destroy(): void {
    this.socket.destroy();
  }
}
