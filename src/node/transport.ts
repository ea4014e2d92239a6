/**
 * The transport port: a byte stream to a relay (docs/ARCHITECTURE.md,
 * "Transports"), over TCP or TLS. What is written within one turn of the event
 * loop goes to the socket as one write. Any certificate is taken here: whether
 * it is the relay's own is for the link to say (docs/PROTOCOL.md, section "TLS").
 */

import { createHash } from 'node:crypto';
import { createConnection, isIP, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import type { TlsSeen } from '../core/link.js';
import type { RelayAddress } from '../core/relay-url.js';

/** Never called before `Connect` returned. */
export interface TransportEvents {
  /** With what TLS showed, where the stream runs in it. */
  open(tls?: TlsSeen): void;
  data(chunk: Uint8Array): void;
  /** Once, whatever the reason; nothing comes after it. */
  close(reason: string): void;
}

export interface Transport {
  write(bytes: Uint8Array): void;
  /** Bytes that are written and not sent yet. */
  readonly pending: number;
  /** Sends what is written, for a short time at most, and ends the stream. */
  close(): void;
}

export type Connect = (
  address: Pick<RelayAddress, 'host' | 'port' | 'via'>,
  events: TransportEvents,
) => Transport;

const CONNECT_TIMEOUT_MS = 5_000;
/** How long a stream that is being closed may take to send what is written. */
const CLOSE_TIMEOUT_MS = 1_000;

type Open = (onOpen: (tls?: TlsSeen) => void) => Socket;

const overTcp =
  (host: string, port: number): Open =>
  (onOpen) =>
    createConnection({ host, port, noDelay: true }).on('connect', () => onOpen());

const overTls =
  (host: string, port: number): Open =>
  (onOpen) => {
    const socket = tlsConnect({
      host,
      port,
      minVersion: 'TLSv1.3',
      rejectUnauthorized: false,
      // No name is asked for where the address is a number.
      ...(isIP(host) === 0 && { servername: host }),
    });
    socket.setNoDelay(true);
    return socket.on('secureConnect', () => {
      const certificate = createHash('sha256').update(socket.getPeerCertificate().raw).digest();
      onOpen({ certificate: new Uint8Array(certificate), isVouchedFor: socket.authorized });
    });
  };

/** Over what the address says. */
export const connectRelay: Connect = ({ host, port, via }, events) =>
  stream(via === 'tls' ? overTls(host, port) : overTcp(host, port), events);

function stream(connect: Open, events: TransportEvents): Transport {
  let isOpen = false;
  const socket = connect((tls) => {
    clearTimeout(timer);
    isOpen = true;
    events.open(tls);
  });
  let reason = 'the relay closed the connection';
  let corked = false;
  let timer = setTimeout(() => {
    reason = `no answer within ${CONNECT_TIMEOUT_MS / 1_000} s`;
    socket.destroy();
  }, CONNECT_TIMEOUT_MS);
  socket.on('data', (chunk) => events.data(chunk));
  socket.on('error', (error: NodeJS.ErrnoException) => {
    // The error of several addresses that all failed has no message of its own.
    reason = error.message || (error.code ?? 'no connection');
  });
  socket.on('close', () => {
    clearTimeout(timer);
    events.close(reason);
  });
  return {
    write(bytes) {
      if (socket.destroyed) return;
      if (!corked) {
        corked = true;
        socket.cork();
        setImmediate(() => {
          corked = false;
          socket.uncork();
        });
      }
      socket.write(bytes);
    },
    get pending() {
      return socket.writableLength;
    },
    close() {
      reason = 'closed by this node';
      clearTimeout(timer);
      if (!isOpen) {
        socket.destroy();
        return;
      }
      socket.destroySoon();
      timer = setTimeout(() => socket.destroy(), CLOSE_TIMEOUT_MS);
    },
  };
}
