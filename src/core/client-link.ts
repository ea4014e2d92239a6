/**
 * The client's end of a link to a relay (docs/PROTOCOL.md, section "Links"),
 * without I/O: bytes in, events out.
 *
 *     start → INFO →          greeting
 *     greeting → SINFO →      check version, relay key, binding; make keys; CNN → proving
 *     proving → CNN_OK →      connected
 *     any → what breaks a rule → error; the link is dead, close the connection
 *
 * Before CNN_OK nothing else may come, but an ERR (under the open key). After
 * it a command's name decides which key its frame must be under. A forwarded
 * payload that breaks its schema is refused alone: a member's rubbish must not
 * cut this client off from the others.
 */

import {
  COMMANDS,
  type Command,
  type CommandName,
  decodeCommand,
  encodePayload,
  isCommandName,
  type Outgoing,
  type Payload,
} from './commands.js';
import type { Crypto } from './crypto.js';
import { ConclaveError, invariant } from './errors.js';
import { encodeFrame, type Frame, FrameParser } from './frame.js';
import type { UserId } from './ids.js';
import {
  agreeAsClient,
  checkBinding,
  hideBroadcastKey,
  keyInfo,
  type LinkIdentity,
  type LinkKeys,
  linkKeys,
  tokenProof,
} from './keys.js';
import { HANDSHAKE_PAYLOAD_BYTES_MAX, NICKNAME_BYTES_MAX, PROTOCOL_VERSION } from './limits.js';
import { checkVersion, frameError, type RandomBytes, unexpected, unknown } from './link-common.js';
import { pack, unpack } from './msgpack.js';
import { ForwardedCopies, NONCE_BYTES, NonceGuard, NonceSource } from './nonce.js';
import { text } from './schema.js';
import {
  broadcastKey,
  checkFrame,
  type MacKey,
  OPEN_TO_CLIENT,
  OPEN_TO_RELAY,
  sealFrame,
} from './seal.js';

export type LinkEvent =
  /** Handshake bytes to write. */
  | { readonly type: 'send'; readonly bytes: Uint8Array }
  /** Both ends are proven; `send` works from here on. */
  | { readonly type: 'connected'; readonly relay: UserId; readonly info: Payload<'SINFO'> }
  | { readonly type: 'command'; readonly command: Command }
  /** One frame was skipped. */
  | { readonly type: 'refused'; readonly name: string; readonly error: ConclaveError }
  /** The link is dead: close the connection. */
  | { readonly type: 'error'; readonly error: ConclaveError };

export interface ClientLinkOptions {
  readonly crypto: Crypto;
  readonly identity: LinkIdentity;
  /** Nickname shown to others. */
  readonly name: string;
  readonly random: RandomBytes;
  /** The key that the relay's address pins, or that was seen there first. */
  readonly relayKey: UserId | undefined;
  /** With it this user may register at the relay. It never travels, only a proof of it. */
  readonly token?: Uint8Array | undefined;
}

/** What the client saw of the TLS that a link runs in. */
export interface TlsSeen {
  /** SHA-256 of the relay's certificate. */
  readonly certificate: Uint8Array;
  /** An authority that this system trusts gave it to the host. */
  readonly isVouchedFor: boolean;
}

type Phase =
  | { readonly at: 'new' }
  | { readonly at: 'greeting'; readonly infoFrame: Uint8Array; readonly nonce: Uint8Array }
  | { readonly at: 'proving'; readonly info: Payload<'SINFO'>; readonly keys: LinkKeys }
  | { readonly at: 'connected'; readonly info: Payload<'SINFO'>; readonly keys: LinkKeys }
  | { readonly at: 'dead' };

export class ClientLink {
  readonly #o: ClientLinkOptions;
  readonly #parser = new FrameParser({ payloadBytesMax: HANDSHAKE_PAYLOAD_BYTES_MAX });
  readonly #nonces: NonceSource;
  readonly #relayNonces = new NonceGuard();
  readonly #copies = new ForwardedCopies();
  #phase: Phase = { at: 'new' };
  #tls: TlsSeen | undefined;
  #broadcast: { readonly number: number; readonly key: MacKey } | undefined;

  /** Throws `bad_payload` when the nickname is too long. */
  constructor(options: ClientLinkOptions) {
    text(NICKNAME_BYTES_MAX).decode(options.name, 'name');
    this.#o = options;
    this.#nonces = new NonceSource(options.random(NONCE_BYTES));
  }

  /** The INFO frame that opens the link, which runs in `tls` if that is given. */
  start(nowS: number, tls?: TlsSeen): Uint8Array {
    invariant(this.#phase.at === 'new', 'a link starts once');
    this.#tls = tls;
    const nonce = this.#nonces.next();
    const payload = pack(encodePayload('INFO', { timestamp: Math.floor(nowS), nonce }));
    const infoFrame = sealFrame(this.#o.crypto, OPEN_TO_RELAY, 'INFO', payload);
    this.#phase = { at: 'greeting', infoFrame, nonce };
    return infoFrame;
  }

  /** Never throws for what the relay sent. After an `error` event it ignores everything. */
  receive(chunk: Uint8Array, nowS: number): LinkEvent[] {
    if (this.#phase.at === 'dead') return [];
    const events: LinkEvent[] = [];
    try {
      this.#parser.feed(chunk);
      for (let frame = this.#parser.next(); frame; frame = this.#parser.next()) {
        events.push(...this.#onFrame(frame, nowS));
      }
    } catch (cause) {
      this.#phase = { at: 'dead' };
      events.push({ type: 'error', error: frameError(cause) });
    }
    return events;
  }

  /** Frames a command. Throws `not_connected`, and `frame_too_large` over the relay's limit. */
  send(out: Outgoing, nowS: number): Uint8Array {
    if (this.#phase.at !== 'connected') {
      throw new ConclaveError('not_connected', `${out.name} can't be sent: the link is not up`, {
        retryable: true,
      });
    }
    const { info, keys } = this.#phase;
    const { from, key } = COMMANDS[out.name];
    invariant(from !== 'relay' && key !== 'open', `a client does not send ${out.name}`);
    const payload = this.#payload(out.name, out.payload, nowS);
    if (payload.length > info.payload_bytes_max) {
      throw new ConclaveError(
        'frame_too_large',
        `the payload of ${out.name} has ${payload.length} bytes, the relay takes ${info.payload_bytes_max}: send less at once`,
      );
    }
    return sealFrame(this.#o.crypto, keys.toRelay, out.name, payload);
  }

  #payload(name: CommandName, body: object, nowS: number): Uint8Array {
    const timestamp = Math.floor(nowS);
    return pack(encodePayload(name, { ...body, timestamp, nonce: this.#nonces.next() }));
  }

  #onFrame(frame: Frame, nowS: number): LinkEvent[] {
    switch (this.#phase.at) {
      case 'greeting':
        if (frame.name === 'SINFO') return this.#onSinfo(this.#phase, frame, nowS);
        break;
      case 'proving':
        if (frame.name === 'CNN_OK') {
          const { info, keys } = this.#phase;
          this.#onBroadcastKey(keys, frame);
          this.#phase = { at: 'connected', info, keys };
          return [{ type: 'connected', relay: info.id, info }];
        }
        break;
      case 'connected':
        return this.#onCommand(this.#phase.keys, frame);
    }
    if (frame.name === 'ERR') throw this.#refusal(frame);
    throw isCommandName(frame.name) ? unexpected(frame.name) : unknown(frame.name);
  }

  #onSinfo(
    phase: { readonly infoFrame: Uint8Array; readonly nonce: Uint8Array },
    frame: Frame,
    nowS: number,
  ): LinkEvent[] {
    const { crypto, identity, random } = this.#o;
    checkFrame(crypto, OPEN_TO_CLIENT, frame);
    const info = this.#checkRelay(frame);
    const freshSecret = random(32);
    const own = {
      id: identity.user,
      fixed: identity.fixed,
      fresh: crypto.x25519PublicKey(freshSecret),
    };
    const secrets = agreeAsClient(
      crypto,
      { fixed: identity.fixedSecret, fresh: freshSecret },
      info,
    );
    const { token } = this.#o;
    const ids = { client: own.id, relay: info.id };
    const nonce = this.#nonces.next();
    const cnnPayload = pack(
      encodePayload('CNN', {
        ...own,
        timestamp: Math.floor(nowS),
        nonce,
        protocol_version: PROTOCOL_VERSION,
        name: this.#o.name,
        binding: identity.binding,
        ...(token && { token: tokenProof(crypto, secrets, token, ids) }),
      }),
    );
    const transcript = {
      client: own,
      relay: info,
      nonces: { info: phase.nonce, sinfo: info.nonce, cnn: nonce },
      infoFrame: phase.infoFrame,
      sinfoFrame: encodeFrame(frame.name, frame.payload, frame.sig),
      cnnPayload,
    };
    const keys = linkKeys(crypto, secrets, keyInfo(crypto, transcript));
    this.#parser.payloadBytesMax = info.payload_bytes_max;
    this.#phase = { at: 'proving', info, keys };
    return [{ type: 'send', bytes: sealFrame(crypto, keys.toRelay, 'CNN', cnnPayload) }];
  }

  /** Throws unless the relay is one that this client can and wants to talk to. */
  #checkRelay(frame: Frame): Payload<'SINFO'> {
    // A copy: what SINFO says is kept as long as the link, the chunk it came in need not be.
    const payload = unpack(frame.payload.slice());
    checkVersion(payload, 'the relay');
    const info = decodeCommand('SINFO', payload).payload as Payload<'SINFO'>;
    const { relayKey } = this.#o;
    if (relayKey !== undefined && info.id !== relayKey) {
      throw new ConclaveError(
        'relay_key_changed',
        `the relay's key is ${info.id}, expected ${relayKey}: it is another relay, or somebody in between; ask its operator before you trust the new key`,
      );
    }
    this.#checkTls(info);
    checkBinding(this.#o.crypto, info);
    this.#relayNonces.check(info.nonce, 'SINFO');
    return info;
  }

  /**
   * Who ends the TLS must be the relay: it names the certificate, which CNN_OK
   * proves like all of SINFO. One that names none has its TLS ended by somebody
   * before it, whom an authority must vouch for.
   */
  #checkTls({ tls }: Payload<'SINFO'>): void {
    const seen = this.#tls;
    if (seen === undefined) return;
    if (tls === undefined ? seen.isVouchedFor : this.#o.crypto.equal(tls, seen.certificate)) return;
    throw new ConclaveError(
      'tls_certificate',
      tls === undefined
        ? 'no authority that this system trusts vouches for the TLS certificate, and the relay does not name it: somebody may be in between'
        : 'the TLS certificate is not the one that the relay names: somebody is in between, who would see who writes to whom',
    );
  }

  /** The first CNN_OK proves the relay and connects; later ones bring a new broadcast key. */
  #onBroadcastKey(keys: LinkKeys, frame: Frame): void {
    const { crypto } = this.#o;
    checkFrame(crypto, keys.toClient, frame);
    const { payload } = decodeCommand('CNN_OK', unpack(frame.payload)) as {
      payload: Payload<'CNN_OK'>;
    };
    this.#relayNonces.check(payload.nonce, 'CNN_OK');
    const { number } = payload;
    if (this.#broadcast !== undefined && number <= this.#broadcast.number) {
      throw new ConclaveError('replayed', `broadcast key ${number} was given out before`);
    }
    const key = hideBroadcastKey(crypto, keys, number, payload.broadcast);
    this.#broadcast = { number, key: broadcastKey(key) };
  }

  #onCommand(keys: LinkKeys, frame: Frame): LinkEvent[] {
    const { name } = frame;
    if (!isCommandName(name)) return [{ type: 'refused', name, error: unknown(name) }];
    const { from, key } = COMMANDS[name];
    if (from === 'client' || key === 'open') {
      return [{ type: 'refused', name, error: unexpected(name) }];
    }
    if (key === 'broadcast') return [this.#onForwarded(name, frame)];
    if (name === 'CNN_OK') {
      this.#onBroadcastKey(keys, frame);
      return [];
    }
    checkFrame(this.#o.crypto, keys.toClient, frame);
    const command = decodeCommand(name, unpack(frame.payload));
    this.#relayNonces.check(command.payload.nonce, name);
    return [{ type: 'command', command }];
  }

  #onForwarded(name: CommandName, frame: Frame): LinkEvent {
    invariant(this.#broadcast, 'CNN_OK brought a broadcast key');
    checkFrame(this.#o.crypto, this.#broadcast.key, frame);
    try {
      const command = decodeCommand(name, unpack(frame.payload));
      if ('from' in command.payload) {
        this.#copies.check(command.payload.from, command.payload.nonce, name);
      }
      return { type: 'command', command };
    } catch (cause) {
      return { type: 'refused', name, error: frameError(cause) };
    }
  }

  /** The relay's ERR before CNN_OK, which anybody on the path could have made. */
  #refusal(frame: Frame): ConclaveError {
    checkFrame(this.#o.crypto, OPEN_TO_CLIENT, frame);
    const { code, message } = decodeCommand('ERR', unpack(frame.payload)).payload as Payload<'ERR'>;
    return new ConclaveError('relay_refused', `the relay refused the link: ${message} (${code})`, {
      retryable: code !== 'protocol_version',
      cause: new ConclaveError(code, message),
    });
  }
}
