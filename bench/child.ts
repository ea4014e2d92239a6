/** One node or relay as a process of its own, driven over IPC by a benchmark. */

import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { cpuUsage, memoryUsage } from 'node:process';
import type { Channel, Node } from '../src/node/index.js';

/** What ships is measured: tsx makes another, slower program of the sources. */
const built = (path: string): Promise<unknown> =>
  import(new URL(`../dist/${path}`, import.meta.url).href);
const { nativeCrypto } = (await built(
  'native/crypto-native.js',
)) as typeof import('../src/native/crypto-native.js');
const { levelStore, openNode } = (await built(
  'node/index.js',
)) as typeof import('../src/node/index.js');
const { startRelay } = (await built('relay/index.js')) as typeof import('../src/relay/index.js');

type Request = { id: number; call: string; args: unknown[] };

let node: Node | undefined;
let channel: Channel | undefined;
let profiler: Session | undefined;
let chatting: { isOver: boolean; readonly samples: number[] } | undefined;

const WINDOW = 4_096;

const calls: { [name: string]: (...args: never[]) => Promise<unknown> } = {
  async relay() {
    const key = new Uint8Array(randomBytes(32));
    const relay = await startRelay({ host: '127.0.0.1', port: 0, key, crypto: nativeCrypto });
    return relay.url;
  },
  async open(dir: string, seed: string, name: string) {
    const started = performance.now();
    const identity = { seed: new Uint8Array(Buffer.from(seed, 'hex')), name };
    node = await openNode({ store: levelStore(dir), identity });
    channel = node.channels()[0];
    return performance.now() - started;
  },
  async create(relays: string[], minOnline: number) {
    channel = await node!.create({ name: 'bench', relays, minOnline, few: 'always' });
    return channel.members.invite({ uses: 100 });
  },
  async join(invite: string) {
    channel = await node!.join(invite);
  },
  /** Keeps up to WINDOW messages under way; resolves with the seconds from first send to last committed. */
  async send(count: number, bytes: number) {
    const text = 'x'.repeat(bytes);
    const started = performance.now();
    const waiting: Promise<unknown>[] = [];
    for (let i = 0; i < count; i++) {
      if (i >= WINDOW) await waiting[i - WINDOW];
      waiting.push(channel!.send(text).until('committed'));
    }
    await Promise.all(waiting);
    return (performance.now() - started) / 1000;
  },
  /** Milliseconds of each send, one after the other. */
  async sequential(count: number, bytes: number) {
    const text = 'x'.repeat(bytes);
    const samples: number[] = [];
    for (let i = 0; i < count; i++) {
      const started = performance.now();
      await channel!.send(text).until('committed');
      samples.push(performance.now() - started);
    }
    return samples;
  },
  /** Sends a message now and then, from the first call to the second, which gives how many milliseconds each took to be committed. */
  async chat(everyMs: number) {
    if (chatting) {
      chatting.isOver = true;
      return chatting.samples;
    }
    const chat = { isOver: false, samples: [] as number[] };
    chatting = chat;
    const say = async (): Promise<number> => {
      const started = performance.now();
      await channel!.send('still here').until('committed');
      return performance.now() - started;
    };
    void (async () => {
      while (!chat.isOver) {
        void say().then((ms) => chat.samples.push(ms));
        await new Promise((resolve) => setTimeout(resolve, everyMs));
      }
    })();
    return [];
  },
  async override(url: string) {
    await channel!.relays.override(url);
  },
  async status() {
    const { final, head, state, leader, epoch, committed } = channel!.currentStatus();
    const { rss } = memoryUsage();
    return { final, head, state, leader, committed, kind: epoch?.kind ?? null, rss };
  },
  /** Resident bytes of this process, after what can be freed is. */
  async rss() {
    globalThis.gc?.();
    return memoryUsage().rss;
  },
  /** Seconds of a core that this process has used. */
  async cpu() {
    const { user, system } = cpuUsage();
    return (user + system) / 1e6;
  },
  /** Starts a profile of this process, or ends it and writes it to `file`. */
  async profile(file: string | null) {
    if (file === null) {
      profiler = new Session();
      profiler.connect();
      await profiler.post('Profiler.enable');
      await profiler.post('Profiler.start');
    } else {
      const { profile } = await profiler!.post('Profiler.stop');
      writeFileSync(file, JSON.stringify(profile));
    }
  },
  async close() {
    await node?.close();
  },
};

process.on('message', ({ id, call, args }: Request) => {
  calls[call]!(...(args as never[])).then(
    (value) => process.send!({ id, value }),
    (error) => process.send!({ id, error: String(error?.stack ?? error) }),
  );
});
process.on('disconnect', () => process.exit(0));
