/**
 * The process that memory.ts measures: a node as a user runs it, from dist/.
 *
 *   fill DIR COUNT   makes a channel and imports COUNT messages of real chat, until all are final
 *   start DIR        opens the node again and reads the end of its log
 *
 * Prints one line of JSON.
 */

import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { levelStore, openNode } from '../dist/node/index.js';

const [mode, dir, count] = process.argv.slice(2);
const EXCERPT = new URL('../demo/ubuntu-irc-2013-08-29.log.gz', import.meta.url);
/** No relay is there: a founder alone needs none. */
const RELAY = `conclave://${'ab'.repeat(32)}@127.0.0.1:1`;
const MIB = 1_048_576;

/** The excerpt's messages, again and again, each with a number so that no two are alike. */
async function* messages(total) {
  const lines = gunzipSync(readFileSync(EXCERPT)).toString('utf8').split('\n');
  const said = lines.flatMap((line) => {
    const match = /^\[\d\d:\d\d\] <([^>]+)> (.*)$/.exec(line);
    return match ? [{ name: match[1], text: match[2] }] : [];
  });
  for (let index = 0; index < total; index++) {
    const { name, text } = said[index % said.length];
    yield { index, name, text: `${text} #${index}`, time: 1_377_734_400_000 + index * 1_000 };
  }
}

async function fill(node) {
  const channel = await node.create({
    name: 'bench',
    relays: [RELAY],
    minOnline: 1,
    few: 'always',
  });
  const { imported } = await channel.importFrom('excerpt', messages(Number(count)));
  for await (const { queued, sent } of channel.status()) if (queued + sent === 0) break;
  return imported;
}

async function readEnd(node) {
  const [channel] = node.channels();
  const { final } = channel.currentStatus();
  let read = 0;
  for await (const _ of channel.read({ from: final - 100 })) read += 1;
  return read;
}

const node = await openNode({
  store: levelStore(dir),
  identity: { seed: new Uint8Array(32).fill(1), name: 'bench' },
});
const ready_ms = performance.now();
const entries = mode === 'fill' ? await fill(node) : await readEnd(node);
const seconds = (performance.now() - ready_ms) / 1_000;
const rss_mib = process.memoryUsage.rss() / MIB;
const rss_most_mib = process.resourceUsage().maxRSS / 1_024;
console.log(JSON.stringify({ entries, ready_ms, seconds, rss_mib, rss_most_mib }));
await node.close();
