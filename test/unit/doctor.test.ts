/** `doctor`: what it finds, what it repairs, and a member that fetches again what was damaged. */

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { cp } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeIdentity } from '../../src/cli/identity-file.js';
import { channelKeys } from '../../src/core/layout.js';
import { type Channel, levelStore, type Node } from '../../src/node/index.js';
import type { Relay } from '../../src/relay/index.js';
import { temporaryDir } from './fixtures/cli-harness.js';
import { realCli } from './fixtures/real-cli.js';
import { seededRandom } from './fixtures/seeded-random.js';
import {
  allEqual,
  Cluster,
  entriesOf,
  isHealthy,
  patience,
  statusWhen,
  together,
} from './node-cluster.js';

const cluster = new Cluster();
let whole: string;
let own: Uint8Array;
let channel: Channel['id'];
let bob: Node;
let relay: Relay;

/** Ann's directory, one of a channel of three whose other two stay up. */
beforeAll(async () => {
  whole = join(await cluster.dir(), 'ann');
  await realCli(['init', '--dir', whole, '--name', 'ann']);
  const file = decodeIdentity(readFileSync(join(whole, 'identity.json'), 'utf8'))!;
  own = (file as { seed: Uint8Array }).seed;
  relay = await cluster.relay();
  bob = await cluster.node('bob');
  const cat = await cluster.node('cat');
  const ann = await cluster.levelNode('ann', join(whole, 'store'), { seed: own });
  const channels = await together([ann, bob, cat], [relay.url]);
  channel = channels[0]!.id;
  for (let i = 0; i < 20; i++) {
    const all = channels.map((each, k) => each.send(`${k} says ${i}`));
    await Promise.all(all.map((sending) => sending.until('final', patience())));
  }
  await channels[0]!.members.invite(patience());
  await ann.dm(bob.user).send('psst').until('delivered', patience());
  await allEqual(channels);
  await ann.close();
});
afterAll(() => cluster.stop());

async function copy(): Promise<string> {
  const dir = join(temporaryDir(), 'ann');
  await cp(whole, dir, { recursive: true, preserveTimestamps: true });
  chmodSync(dir, 0o700);
  return dir;
}

async function doctor(dir: string, ...more: string[]) {
  const { code, json, stderr } = await realCli(['doctor', '--dir', dir, ...more]);
  const findings = json.filter(({ event }) => event === 'finding');
  const summary = json.find(({ event }) => event === 'summary');
  const error = json.at(-1)!.error as { code: string; message: string } | undefined;
  return { code, findings, codes: findings.map(({ code }) => code), summary, error, stderr };
}

/** Changes the content of the store behind its checksums. */
async function inStore(
  dir: string,
  change: (pairs: Map<string, Uint8Array>) => Map<string, Uint8Array | undefined>,
): Promise<void> {
  const store = await levelStore(join(dir, 'store'), { create: false })();
  const pairs = new Map<string, Uint8Array>();
  for await (const [key, value] of store.range({ gte: '', lt: '\uffff' })) pairs.set(key, value);
  const ops = [...change(pairs)].map(([key, value]) => (value ? { key, value } : { key }));
  await store.write(ops, { sync: true });
  await store.close();
}

function flipped(value: Uint8Array, at = value.length >> 1): Uint8Array {
  const changed = Uint8Array.from(value);
  changed[at]! ^= 0x10;
  return changed;
}

test('a whole directory has no findings', async () => {
  const dir = await copy();
  expect(await doctor(dir)).toMatchObject({
    code: 0,
    findings: [],
    summary: { ok: true, findings: 0, repaired: 0 },
  });
});

describe('of the directory', () => {
  test('open modes, a dead socket, drafts, a restore that was cut off', async () => {
    const dir = await copy();
    chmodSync(join(dir, 'identity.json'), 0o644);
    chmodSync(dir, 0o755);
    writeFileSync(join(dir, 'identity.json.99.tmp'), '{');
    writeFileSync(join(dir, 'notes.tmp'), 'not ours');
    // No process has this id.
    mkdirSync(`${dir}.restoring-4194305`);
    mkdirSync(`${dir}.restoring-${process.pid}`);
    const server = createServer().listen(join(dir, 'other.sock'));
    await new Promise((resolve) => server.once('listening', resolve));
    renameSync(join(dir, 'other.sock'), join(dir, 'control.sock'));
    await new Promise((resolve) => server.close(resolve));
    chmodSync(join(dir, 'control.sock'), 0o600);

    const before = await doctor(dir);
    expect(before.code).toBe(1);
    expect(before.error).toMatchObject({ code: 'unhealthy' });
    expect(before.codes.sort()).toEqual(['leftover', 'leftover', 'modes', 'modes', 'stale_socket']);
    expect(before.findings.every(({ repair }) => repair === 'possible')).toBe(true);
    // Dry: all of it is still there.
    expect((await doctor(dir)).codes.sort()).toEqual(before.codes);

    const after = await doctor(dir, '--repair');
    expect([after.code, after.summary]).toMatchObject([0, { ok: true, findings: 5, repaired: 5 }]);
    expect(after.findings.every(({ repair }) => repair === 'done')).toBe(true);
    expect((await doctor(dir)).findings).toEqual([]);
    expect(statSync(join(dir, 'identity.json')).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir).sort()).toEqual(['identity.json', 'notes.tmp', 'store']);
    expect(existsSync(`${dir}.restoring-${process.pid}`)).toBe(true);
  });

  test('an identity that is gone or damaged, a store that is, are for a person', async () => {
    const dir = await copy();
    const identity = join(dir, 'identity.json');
    writeFileSync(identity, readFileSync(identity, 'utf8').replace(/("seed": ").{4}/, '$10000'));
    const damaged = await doctor(dir, '--repair');
    expect(damaged.findings).toMatchObject([{ code: 'identity_damaged', repair: 'no' }]);
    rmSync(identity);
    const gone = await doctor(dir, '--repair');
    expect(gone.findings).toMatchObject([{ code: 'identity_missing', repair: 'no' }]);
    expect(gone.findings[0]!.what).toMatch(/restore a backup/);
    rmSync(join(dir, 'store'), { recursive: true });
    expect((await doctor(dir)).codes).toEqual(['identity_missing', 'store_missing']);
    rmSync(dir, { recursive: true });
    expect((await doctor(dir)).codes).toEqual(['dir_missing']);
  });

  test('a newer store is left alone, and so is one in use', async () => {
    const dir = await copy();
    const store = await levelStore(join(dir, 'store'))();
    const inUse = await doctor(dir, '--repair');
    expect(inUse.findings).toMatchObject([{ code: 'store_locked', repair: 'no' }]);
    await store.close();
    const mark = join(dir, 'store', 'mark');
    const { hash } = await import('node:crypto');
    const lines = readFileSync(mark, 'latin1')
      .replace(/^conclave-store 1/, 'conclave-store 2')
      .replace(/check .*\n/, '');
    writeFileSync(mark, `${lines}check ${hash('sha256', lines).slice(0, 16)}\n`);
    const newer = await doctor(dir, '--repair');
    expect(newer.findings).toMatchObject([{ code: 'store_newer', repair: 'no' }]);
    expect(newer.findings[0]!.what).toMatch(/update conclave/);
  });

  test('a repair that was cut off between two renames is taken back', async () => {
    const dir = await copy();
    renameSync(join(dir, 'store'), join(dir, 'store.damaged-1'));
    mkdirSync(join(dir, 'store.repair'));
    expect((await doctor(dir)).findings).toMatchObject([
      { code: 'half_repaired', repair: 'possible' },
    ]);
    await doctor(dir, '--repair');
    expect((await doctor(dir)).findings).toEqual([]);
    expect(readdirSync(dir).sort()).toEqual(['identity.json', 'store']);
  });
});

describe('of the store', () => {
  const keys = () => channelKeys(channel);
  const classes: [string, (pairs: Map<string, Uint8Array>) => string][] = [
    ['entry_damaged', () => keys().log(20)],
    ['roster_damaged', () => keys().step(2)],
    ['certificate_damaged', () => keys().final],
    ['promises_damaged', () => keys().hard],
    [
      'index_damaged',
      (pairs) => [...pairs.keys()].find((key) => key.startsWith(keys().placements))!,
    ],
    ['genesis_damaged', () => keys().genesis],
    ['node_value', () => 'node/boot'],
  ];
  test.each(classes)('%s', async (code, pick) => {
    const dir = await copy();
    await inStore(dir, (pairs) => {
      const key = pick(pairs);
      const value = pairs.get(key)!;
      // What nobody signed is seen where it can't be read.
      const isOwn = code === 'promises_damaged' || code === 'node_value';
      return new Map([[key, isOwn ? value.subarray(0, 3) : flipped(value)]]);
    });
    const before = await doctor(dir);
    expect(before.codes).toContain(code);
    const { findings, summary, error, ...after } = await doctor(dir, '--repair');
    if (code === 'genesis_damaged') {
      const lost = `channel ${channel}: the channel is gone from this node: join it again with an invitation`;
      expect([after.code, summary]).toMatchObject([1, { ok: false, lost: [lost] }]);
      expect(error).toEqual({
        code: 'repaired_with_loss',
        message: expect.stringMatching(
          /^\d findings? repaired, at a loss: channel .* join it again/,
        ),
      });
    } else {
      expect([after.code, summary]).toMatchObject([0, { ok: true }]);
      expect(summary).not.toHaveProperty('lost');
    }
    expect(findings[0]!.deeds).toContainEqual(expect.stringMatching(/^the store was made anew/));
    expect(readdirSync(dir).sort()).toEqual(['identity.json', 'store', 'store.damaged-1']);
    expect((await doctor(dir)).findings).toEqual([]);
  });

  test('any file that is damaged, cut or gone', { timeout: 300_000 }, async () => {
    const random = seededRandom(5);
    const names = readdirSync(join(whole, 'store'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !/LOCK|^LOG/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name).slice(whole.length));
    expect(names.length).toBeGreaterThanOrEqual(5);
    const outcomes = new Set<string>();
    for (const name of names) {
      for (const how of ['flip', 'cut', 'gone']) {
        const dir = await copy();
        const path = join(dir, name);
        const bytes = readFileSync(path);
        const at = Math.floor(random() * bytes.length);
        if (how === 'gone') rmSync(path);
        else writeFileSync(path, how === 'cut' ? bytes.subarray(0, at) : flipped(bytes, at));
        const about = `${name} ${how} at ${at}`;
        const before = await doctor(dir);
        if (before.codes.length === 0) continue;
        const after = await doctor(dir, '--repair');
        outcomes.add(`${before.codes[0]} ${after.error?.code ?? 'repaired'}`);
        if (after.error?.code === 'repair_failed') continue;
        expect(after.summary, about).toMatchObject({ ok: !after.summary!.lost });
        expect((await doctor(dir)).findings, about).toEqual([]);
        const status = (await realCli(['status', '--dir', dir])).json[0] as {
          channels: { waiting: { reason: string } | null }[];
        };
        // Whatever may have held a promise: the node must ask.
        for (const { waiting } of status.channels)
          expect(waiting?.reason, about).toMatch(/lost memory/);
      }
    }
    expect([...outcomes].filter((one) => one.endsWith('repair_failed'))).toEqual([]);
    expect([...outcomes].sort()).toContain('store_damaged repaired');
    expect([...outcomes].sort()).toContain('store_rolled_back repaired');
  });
});

test('damaged entries are fetched again from the other members', async () => {
  const dir = await copy();
  const keys = channelKeys(channel);
  const expected = await entriesOf(bob.channel(channel));
  await inStore(
    dir,
    () =>
      new Map([
        [keys.log(9), undefined],
        [keys.log(10), undefined],
      ]),
  );
  expect((await doctor(dir)).codes).toContain('entry_damaged');
  expect((await realCli(['verify', '--dir', dir])).code).toBe(1);
  const { findings } = await doctor(dir, '--repair');
  const told = (findings[0]!.deeds as string[]).join('\n');
  expect(told).toMatch(/final up to seq \d, \d+ before/);
  expect(told).toMatch(/lost memory/);
  expect((await realCli(['log', '--dir', dir, channel])).json.length).toBeLessThan(10);

  const ann = await cluster.levelNode('ann', join(dir, 'store'), { seed: own });
  const again = ann.channel(channel);
  await statusWhen(again, isHealthy);
  await again.send('back again').until('final', patience());
  await allEqual([again, bob.channel(channel)]);
  const entries = await entriesOf(again);
  expect(entries.slice(0, expected.length).map(({ digest }) => digest)).toEqual(
    expected.map(({ digest }) => digest),
  );
  await ann.close();
  expect((await realCli(['verify', '--dir', dir])).json).toMatchObject([{ ok: true }]);
});
