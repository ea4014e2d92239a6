/**
 * The transport port: a byte stream to a relay (docs/ARCHITECTURE.md,
 * "Transports"), and its TCP implementation. What is written within one turn
 * of the event loop goes to the socket as one write.
 */

import { createConnection } from 'node:net';

/** Never called before `Connect` returned. */
export interface TransportEvents {
  open(): void;
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
  address: { host: string; port: number },
  events: TransportEvents,
) => Transport;

const CONNECT_TIMEOUT_MS = 5_000;
/** How long a stream that is being closed may take to send what is written. */
const CLOSE_TIMEOUT_MS = 1_000;

export const tcpConnect: Connect = ({ host, port }, events) => {
  const socket = createConnection({ host, port, noDelay: true });
  let reason = 'the relay closed the connection';
  let corked = false;
  let timer = setTimeout(() => {
    reason = `no answer within ${CONNECT_TIMEOUT_MS / 1_000} s`;
    socket.destroy();
  }, CONNECT_TIMEOUT_MS);
  socket.on('connect', () => {
    clearTimeout(timer);
    events.open();
  });
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
      if (socket.connecting) {
        socket.destroy();
        return;
      }
      socket.destroySoon();
      timer = setTimeout(() => socket.destroy(), CLOSE_TIMEOUT_MS);
    },
  };
};
