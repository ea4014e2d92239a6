/**
 * The transport port: a byte stream to a relay (docs/ARCHITECTURE.md,
 * "Transports"), and its TCP implementation. What is written within one turn
 * of the event loop goes to the socket as one write.
 */

import { createConnection } from 'node:net';

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
  close(): void;
}

export type Connect = (address: { host: string; port: number }, events: TransportEvents) => Transport;

const CONNECT_TIMEOUT_MS = 5_000;

export const tcpConnect: Connect = ({ host, port }, events) => {
  const socket = createConnection({ host, port, noDelay: true });
  let reason = 'closed by the relay';
  let corked = false;
  const timer = setTimeout(() => {
    reason = 'no answer';
    socket.destroy();
  }, CONNECT_TIMEOUT_MS);
  socket.on('connect', () => {
    clearTimeout(timer);
    events.open();
  });
  socket.on('data', (chunk) => events.data(chunk));
  socket.on('error', (error) => {
    reason = error.message;
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
      socket.destroySoon();
    },
  };
};
