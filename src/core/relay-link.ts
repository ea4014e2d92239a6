/**
 * The relay's end of a link to one client (docs/PROTOCOL.md, section "Links"),
 * without I/O: bytes in, events out.
 *
 *     new → INFO →         SINFO with a fresh key → greeted
 *     greeted → CNN →      check version, binding, and by the MAC that the client holds
 *                          its fixed secret; CNN_OK → connected
 *     any → what breaks a rule → error: answer ERR, close the connection
 *
 * Before CNN nothing else may come, so the keys cover every byte. After it
 * every frame is under the client's key, with a nonce larger than the last. A
 * payload is decoded here but its schema is the relay's to check where the
 * command is for the relay; for a forwarded one `routeOf` is enough.
 */

import {
  type Body,
  COMMANDS,
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
import type { ChannelId, UserId } from './ids.js';
import {
  agreeAsRelay,
  checkBinding,
  hideBroadcastKey,
  keyInfo,
  type LinkIdentity,
  type LinkKeys,
  linkKeys,
  tokenProof,
} from './keys.js';
import { HANDSHAKE_PAYLOAD_BYTES_MAX, PROTOCOL_VERSION } from './limits.js';
import { checkVersion, frameError, type RandomBytes, unexpected, unknown } from './link-common.js';
import { pack, unpack } from './msgpack.js';
import { NONCE_BYTES, NonceGuard, NonceSource } from './nonce.js';
import { bytes, channel, object, optional, user } from './schema.js';
import { checkFrame, OPEN_TO_CLIENT, OPEN_TO_RELAY, sealFrame } from './seal.js';

export type RelayEvent =
  /** Handshake bytes to write. */
  | { readonly type: 'send'; readonly bytes: Uint8Array }
  /** The client holds the secrets of `user`. */
  | {
      readonly type: 'connected';
      readonly user: UserId;
      readonly name: string;
      /** It knows the relay's registration token. */
      readonly hasToken: boolean;
    }
  /** `raw` is the payload as it came, to forward untouched. */
  | {
      readonly type: 'command';
      readonly name: CommandName;
      readonly payload: { readonly [field: string]: unknown };
      readonly raw: Uint8Array;
    }
  /** One frame was skipped: answer ERR, go on. */
  | { readonly type: 'refused'; readonly name: string; readonly error: ConclaveError }
  /** The link is dead: answer ERR, close. `about` is the frame's name, or empty. */
  | { readonly type: 'error'; readonly about: string; readonly error: ConclaveError };

/** What SINFO says of the relay. */
export type RelayInfo = Pick<
  Payload<'SINFO'>,
  'server_name' | 'version' | 'timeout_s' | 'cnn_s' | 'payload_bytes_max' | 'tls'
>;

export interface BroadcastKey {
  /** 1, 2, 3 …; a number never names two keys. */
  readonly number: number;
  /** 64 bytes. */
  readonly key: Uint8Array;
}

export interface RelayLinkOptions {
  readonly crypto: Crypto;
  readonly identity: LinkIdentity;
  readonly random: RandomBytes;
  readonly info: RelayInfo;
  /** The relay's current broadcast key. */
  readonly broadcast: () => BroadcastKey;
  /** The relay's registration token, if it has one. */
  readonly token?: (() => Uint8Array | undefined) | undefined;
}

interface Greeting {
  readonly infoFrame: Uint8Array;
  readonly infoNonce: Uint8Array;
  readonly sinfoFrame: Uint8Array;
  readonly sinfoNonce: Uint8Array;
  readonly fresh: Uint8Array;
  readonly freshSecret: Uint8Array;
}

type Phase =
  | { readonly at: 'new' }
  | ({ readonly at: 'greeted' } & Greeting)
  | { readonly at: 'connected' }
  | { readonly at: 'dead' };

const withNonce = object({ nonce: bytes(NONCE_BYTES, true) });

export class RelayLink {
  readonly #o: RelayLinkOptions;
  readonly #parser = new FrameParser({ payloadBytesMax: HANDSHAKE_PAYLOAD_BYTES_MAX });
  readonly #nonces: NonceSource;
  readonly #clientNonces = new NonceGuard();
  #phase: Phase = { at: 'new' };
  /** Set with CNN_OK; outlives a dead phase, so that an ERR can still be signed. */
  #keys: LinkKeys | undefined;
  #broadcastNumber = 0;

  constructor(options: RelayLinkOptions) {
    this.#o = options;
    this.#nonces = new NonceSource(options.random(NONCE_BYTES));
  }

  /** Bytes that are held for a frame whose end has not come yet. */
  get bufferedBytes(): number {
    return this.#parser.bufferedBytes;
  }

  /** Whether a frame has begun whose end has not come yet. */
  get isMidFrame(): boolean {
    return this.#parser.isMidFrame;
  }

  /** Never throws for what the client sent. After an `error` event it ignores everything. */
  receive(chunk: Uint8Array, nowS: number): RelayEvent[] {
    if (this.#phase.at === 'dead') return [];
    const events: RelayEvent[] = [];
    let about = '';
    try {
      this.#parser.feed(chunk);
      for (let frame = this.#parser.next(); frame; frame = this.#parser.next()) {
        about = frame.name;
        events.push(...this.#onFrame(frame, nowS));
        about = '';
      }
    } catch (cause) {
      this.#phase = { at: 'dead' };
      events.push({ type: 'error', about, error: frameError(cause) });
    }
    return events;
  }

  /**
   * Frames a command of the relay itself. Before CNN_OK that can only be an
   * ERR, under the open key. Works after an `error` event, for the last ERR.
   */
  send(out: Outgoing, nowS: number): Uint8Array {
    const { from, key } = COMMANDS[out.name];
    invariant(
      from !== 'client' && key === 'link' && out.name !== 'CNN_OK',
      `a relay does not send ${out.name} this way`,
    );
    if (this.#keys === undefined && out.name !== 'ERR') {
      throw new ConclaveError('not_connected', `${out.name} can't be sent before CNN_OK`);
    }
    return this.#seal(out.name, out.payload, nowS);
  }

  /** A CNN_OK with the current broadcast key. Seal with the new key only after writing this. */
  rekey(nowS: number): Uint8Array {
    invariant(this.#keys, 'only a connected client gets a broadcast key');
    const { number, key } = this.#o.broadcast();
    invariant(number > this.#broadcastNumber, 'numbers of broadcast keys increase');
    this.#broadcastNumber = number;
    const broadcast = hideBroadcastKey(this.#o.crypto, this.#keys, number, key);
    const body: Body<'CNN_OK'> = { number, broadcast };
    return this.#seal('CNN_OK', body, nowS);
  }

  #seal(name: CommandName, body: object, nowS: number): Uint8Array {
    const timestamp = Math.floor(nowS);
    const payload = pack(encodePayload(name, { ...body, timestamp, nonce: this.#nonces.next() }));
    return sealFrame(this.#o.crypto, this.#keys?.toClient ?? OPEN_TO_CLIENT, name, payload);
  }

  #onFrame(frame: Frame, nowS: number): RelayEvent[] {
    switch (this.#phase.at) {
      case 'new':
        if (frame.name === 'INFO') return [this.#onInfo(frame, nowS)];
        break;
      case 'greeted':
        if (frame.name === 'CNN') return this.#onCnn(this.#phase, frame, nowS);
        break;
      case 'connected':
        return [this.#onCommand(frame)];
    }
    throw isCommandName(frame.name) ? unexpected(frame.name) : unknown(frame.name);
  }

  #onInfo(frame: Frame, nowS: number): RelayEvent {
    const { crypto, identity, random, info } = this.#o;
    checkFrame(crypto, OPEN_TO_RELAY, frame);
    const { nonce } = decodeCommand('INFO', unpack(frame.payload)).payload;
    this.#clientNonces.check(nonce, 'INFO');
    const freshSecret = random(32);
    const fresh = crypto.x25519PublicKey(freshSecret);
    const sinfoNonce = this.#nonces.next();
    const sinfo = {
      ...info,
      timestamp: Math.floor(nowS),
      nonce: sinfoNonce,
      protocol_version: PROTOCOL_VERSION,
      id: identity.user,
      fixed: identity.fixed,
      binding: identity.binding,
      fresh,
    };
    const sinfoFrame = sealFrame(
      crypto,
      OPEN_TO_CLIENT,
      'SINFO',
      pack(encodePayload('SINFO', sinfo)),
    );
    this.#phase = {
      at: 'greeted',
      infoFrame: encodeFrame(frame.name, frame.payload, frame.sig),
      infoNonce: nonce.slice(),
      sinfoFrame,
      sinfoNonce,
      fresh,
      freshSecret,
    };
    return { type: 'send', bytes: sinfoFrame };
  }

  #onCnn(greeting: Greeting, frame: Frame, nowS: number): RelayEvent[] {
    const { crypto, identity, info } = this.#o;
    const payload = unpack(frame.payload);
    checkVersion(payload, 'the client');
    const cnn = decodeCommand('CNN', payload).payload as Payload<'CNN'>;
    checkBinding(crypto, cnn);
    const secrets = agreeAsRelay(
      crypto,
      { fixed: identity.fixedSecret, fresh: greeting.freshSecret },
      cnn,
    );
    const transcript = {
      client: cnn,
      relay: { id: identity.user, fixed: identity.fixed, fresh: greeting.fresh },
      nonces: { info: greeting.infoNonce, sinfo: greeting.sinfoNonce, cnn: cnn.nonce },
      infoFrame: greeting.infoFrame,
      sinfoFrame: greeting.sinfoFrame,
      cnnPayload: frame.payload,
    };
    const keys = linkKeys(crypto, secrets, keyInfo(crypto, transcript));
    checkFrame(crypto, keys.toRelay, frame);
    this.#clientNonces.check(cnn.nonce, 'CNN');
    const hasToken = this.#provesToken(secrets, cnn);
    this.#keys = keys;
    this.#phase = { at: 'connected' };
    this.#parser.payloadBytesMax = info.payload_bytes_max;
    return [
      { type: 'send', bytes: this.rekey(nowS) },
      { type: 'connected', user: cnn.id, name: cnn.name, hasToken },
    ];
  }

  #provesToken(secrets: Uint8Array, { id, token: proof }: Payload<'CNN'>): boolean {
    const { crypto, identity } = this.#o;
    const token = this.#o.token?.();
    if (token === undefined || proof === undefined) return false;
    const ids = { client: id, relay: identity.user };
    return crypto.equal(proof, tokenProof(crypto, secrets, token, ids));
  }

  #onCommand(frame: Frame): RelayEvent {
    invariant(this.#keys, 'a connected link has keys');
    const { name, payload: raw } = frame;
    checkFrame(this.#o.crypto, this.#keys.toRelay, frame);
    const payload = unpack(raw);
    this.#clientNonces.check(withNonce.decode(payload, '').nonce, name);
    if (!isCommandName(name)) return { type: 'refused', name, error: unknown(name) };
    const { from, key } = COMMANDS[name];
    if (from === 'relay' || key === 'open') {
      return { type: 'refused', name, error: unexpected(name) };
    }
    return { type: 'command', name, payload, raw };
  }
}

const route = object({ from: user, to: optional(user), id: optional(channel) });

/** What a relay needs of a forwarded payload: who says to have sent it, and whom it is for. */
export interface Route {
  readonly from: UserId;
  /** One receiver; without it, all online members of the channel. */
  readonly to?: UserId;
  readonly id?: ChannelId;
}

/** Throws `bad_payload`. */
export const routeOf = (payload: unknown): Route => route.decode(payload, '');
