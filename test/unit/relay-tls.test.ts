/**
 * A relay on TLS (docs/PROTOCOL.md, section "TLS"): nodes reach it with a
 * certificate that nobody vouches for, since its key does; who ends the TLS in
 * between is found out; files are changed while links stay up.
 */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, writeFile } from 'node:fs/promises';
import { connect as connectTcp, createServer } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Channel, ChannelStatus } from '../../src/node/index.js';
import { type Relay, startRelay } from '../../src/relay/index.js';
import { temporaryDir } from './fixtures/cli-harness.js';
import { FIRST, SECOND } from './fixtures/tls-certificates.js';
import { Cluster, patience, seed, statusWhen } from './node-cluster.js';

const HOST = '127.0.0.1';

let cluster: Cluster;
let certFile: string;
let keyFile: string;

async function put({ cert, key }: { cert: string; key: string }): Promise<void> {
  await writeFile(certFile, cert);
  await writeFile(keyFile, key);
}

const startTls = (): Promise<Relay> => cluster.relay({ tls: { certFile, keyFile } });

/** The certificate that a new connection is shown. */
async function shown({ port }: Relay): Promise<string> {
  const socket = connectTls({ port, host: HOST, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { raw } = socket.getPeerCertificate();
  socket.destroy();
  return createHash('sha256').update(raw).digest('hex');
}

const isConnected = ({ relays }: ChannelStatus): boolean => relays[0]!.connected;

async function said(channel: Channel, text: string): Promise<void> {
  await channel.send(text).until('committed', patience());
}

beforeEach(async () => {
  cluster = new Cluster();
  const dir = temporaryDir();
  certFile = join(dir, 'relay.crt');
  keyFile = join(dir, 'relay.key');
  await put(FIRST);
});

afterEach(() => cluster.stop());

describe('a relay on TLS', () => {
  it('says so in its address, and nodes meet there', async () => {
    const relay = await startTls();
    expect(relay.url).toMatch(/^conclave:\/\/[0-9a-f]{64}@127\.0\.0\.1:\d+\?via=tls$/);
    const [ann, bob] = [await cluster.node('ann'), await cluster.node('bob')];
    const channel = await ann.create({
      name: 'team',
      relays: [relay.url],
      minOnline: 2,
      few: 'always',
    });
    const joined = await bob.join(await channel.members.invite(patience()), patience());
    await said(joined, 'hello');
  });

  it('shows the path nothing of the link', async () => {
    const relay = await startTls();
    const seen: Buffer[] = [];
    const wire = createServer((socket) => {
      const on = connectTcp({ port: relay.port, host: HOST });
      for (const [from, to] of [
        [socket, on],
        [on, socket],
      ] as const) {
        from.on('data', (chunk) => seen.push(chunk));
        from.on('error', () => {});
        from.pipe(to);
      }
    });
    await new Promise<void>((resolve) => wire.listen(0, HOST, resolve));
    const { port } = wire.address() as { port: number };
    const own = seed();
    const url = relay.url.replace(/:\d+\?/, `:${port}?`);
    const ann = await cluster.node('ann', { seed: own });
    const channel = await ann.create({ name: 'team', relays: [url], minOnline: 1, few: 'always' });
    await statusWhen(channel, isConnected);
    wire.close();
    const bytes = Buffer.concat(seen);
    expect(bytes.length).toBeGreaterThan(500);
    for (const name of ['INFO\n', 'CNN\n', 'CH_ROSTER']) expect(bytes.indexOf(name)).toBe(-1);
    expect(bytes.indexOf(Buffer.from(ann.user, 'hex'))).toBe(-1);
  });

  it('is not confused with somebody who ends its TLS and passes everything on', async () => {
    const relay = await startTls();
    const middle = createTlsServer({ ...SECOND }, (socket) => {
      const on = connectTls({ port: relay.port, host: HOST, rejectUnauthorized: false });
      socket.on('error', () => {});
      on.on('error', () => {});
      socket.pipe(on).pipe(socket);
    });
    await new Promise<void>((resolve) => middle.listen(0, HOST, resolve));
    const { port } = middle.address() as { port: number };
    const ann = await cluster.node('ann');
    const url = relay.url.replace(/:\d+\?/, `:${port}?`);
    const channel = await ann.create({ name: 'team', relays: [url], minOnline: 1, few: 'always' });
    const { relays } = await statusWhen(
      channel,
      (status) => isConnected(status) || status.relays[0]!.problem?.code === 'tls_certificate',
    );
    expect(relays[0]).toMatchObject({ connected: false });
    middle.close();
  });

  it('says what it is to who comes without TLS, or talks nonsense, by ending the connection', async () => {
    const relay = await startTls();
    for (const bytes of ['INFO\n20\n', '\x16\x03\x01\x00\x05hello']) {
      const socket = connectTcp({ port: relay.port, host: HOST });
      socket.on('error', () => {});
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.resume();
      socket.write(bytes);
      await closed;
    }
    await shown(relay);
  });
});

describe('reloading', () => {
  it('serves new connections with the new certificate, and links stay up', async () => {
    const relay = await startTls();
    const ann = await cluster.node('ann');
    const channel = await ann.create({
      name: 'team',
      relays: [relay.url],
      minOnline: 1,
      few: 'always',
    });
    await statusWhen(channel, isConnected);
    const before = await shown(relay);
    let wasDown = false;
    const watching = new AbortController();
    const watched = (async () => {
      for await (const { relays } of channel.status({ signal: watching.signal })) {
        wasDown ||= !relays[0]!.connected;
      }
    })().catch(() => {});
    await put(SECOND);
    await relay.reload();
    expect(await shown(relay)).not.toBe(before);
    await said(channel, 'after');
    const bob = await cluster.node('bob');
    await bob.join(await channel.members.invite(patience()), patience());
    watching.abort();
    await watched;
    expect(wasDown).toBe(false);
  });

  it('of files that do not fit each other changes nothing', async () => {
    const relay = await startTls();
    const before = await shown(relay);
    await writeFile(keyFile, SECOND.key);
    await expect(relay.reload()).rejects.toMatchObject({ code: 'bad_tls' });
    expect(await shown(relay)).toBe(before);
  });
});

describe('files that are wrong', () => {
  const refusal = (message: RegExp) =>
    expect(
      startRelay({ host: HOST, port: 0, key: seed(), tls: { certFile, keyFile } }),
    ).rejects.toMatchObject({ code: 'bad_tls', message: expect.stringMatching(message) });

  it('are named, with what is wrong', async () => {
    await writeFile(keyFile, SECOND.key);
    await refusal(/the key in .*relay\.key is not the one of the certificate in .*relay\.crt/);
    await writeFile(keyFile, 'nonsense');
    await refusal(/relay\.key holds no private key/);
    await put({ cert: FIRST.key, key: FIRST.key });
    await refusal(/relay\.crt holds no certificate/);
    certFile = join(temporaryDir(), 'absent.crt');
    await refusal(/certificate can't be read: ENOENT.*absent\.crt/);
  });

  it('that can not be read are', async () => {
    if (process.getuid?.() === 0) return;
    await chmod(keyFile, 0);
    await refusal(/key can't be read: EACCES/);
  });
});
