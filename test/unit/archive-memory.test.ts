/**
 * An archive in a process of its own holds no text and no channel's name: not in
 * its memory, not on its disk (docs/SECURITY.md, section "Who can read what").
 */

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { levelStore } from '../../src/node/index.js';
import { Collected, temporaryDir } from './fixtures/cli-harness.js';
import { filesIn, formsOf, inMemory } from './fixtures/leaks.js';
import { allEqual, Cluster, patience } from './node-cluster.js';

const CHILD = fileURLToPath(new URL('./fixtures/archive-child.ts', import.meta.url));
/** Put together here alone: a process that was told the whole of one has it. */
const TEXT = ['TEXT', 'that', 'only', 'members', 'read'].join('-');
const NAME = ['NAME', 'that', 'only', 'members', 'know'].join('-');

let cluster = new Cluster();
afterEach(async () => {
  await cluster.stop();
  cluster = new Cluster();
});

test.runIf(process.platform === 'linux')(
  'an archive that stored it all has neither text nor name in its memory, nor on its disk',
  async () => {
    const relay = await cluster.relay();
    const [a, b] = [await cluster.node('ann-in-clear'), await cluster.node('bob')];
    const ann = await a.create({ name: NAME, relays: [relay.url], minOnline: 2 });
    const bob = await b.join(await ann.members.invite(patience()), patience());

    const dir = join(temporaryDir(), 'archive');
    const child = spawn(process.execPath, ['--import', 'tsx', CHILD, dir]);
    onTestFinished(() => void child.kill('SIGKILL'));
    const [out, err] = [new Collected(), new Collected()];
    child.stdout.pipe(out);
    child.stderr.pipe(err);
    child.stdin.write(`${await ann.members.invite({ archive: true, ...patience() })}\n`);
    await out.shows('in\n');

    for (let i = 0; i < 50; i++) await ann.send(`${TEXT} ${i}`).until('final', patience());
    await ann.rotateKey(patience());
    await bob.send(`${TEXT} at last`).until('final', patience());
    await allEqual([ann, bob]);
    await out.shows(`final ${ann.currentStatus().final}\n`);

    // What an archive may know is found, so what is not found is not there.
    const found = inMemory(child.pid!, ['ann-in-clear', 'archive-in-clear', TEXT, NAME]);
    expect([...found].sort()).toEqual(['ann-in-clear', 'archive-in-clear']);

    child.kill('SIGTERM');
    await new Promise((resolve) => child.once('close', resolve));
    expect(err.text).toBe('');
    const marks = [TEXT, NAME].flatMap(formsOf);
    // Values may be compressed in the files.
    const store = await levelStore(dir)();
    for await (const [key, value] of store.range({ gte: '', lt: '\u{10ffff}' })) {
      for (const mark of marks) expect(Buffer.from(value).includes(mark), key).toBe(false);
    }
    await store.close();
    for (const [path, content] of filesIn(dir)) {
      for (const mark of marks) expect(content.includes(mark), path).toBe(false);
    }
  },
);
