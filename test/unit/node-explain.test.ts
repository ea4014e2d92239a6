/**
 * `explain` on stores as simulated nodes wrote them, at any moment of a
 * partition and the merge behind it: it says the same as `read`, and its steps
 * tell how that came about.
 */

import { beforeAll, describe, expect, test } from 'vitest';
import { memoryStore } from '../../src/core/memory-store.js';
import { type ChannelEntry, type Explanation, openNode } from '../../src/node/index.js';
import { apart, branchesOf, disksOf, type SimDisk, secretOf } from './fixtures/sim-disks.js';

/** What a node that is opened on a disk, and not up, shows and explains. */
async function look(disk: SimDisk) {
  const seed = secretOf(disk.seed, disk.user);
  const store = memoryStore(disk.pairs);
  const node = await openNode({ store, identity: { seed, name: 'n' }, offline: true });
  const entries: ChannelEntry[] = [];
  const explained: Explanation[][] = [];
  const channel = node.channels()[0]!;
  for await (const event of channel.read()) if (event.type === 'entry') entries.push(event.entry);
  for (const { id } of entries) explained.push(await channel.explain(id));
  await node.close();
  return { entries, explained };
}

const kindsOf = ({ steps }: Explanation): string[] => steps.map(({ step }) => step);
/** The steps from the first of these on, told as one text. */
const story = (explanation: Explanation): string => kindsOf(explanation).join(' ');

const looks: { disk: SimDisk; entries: ChannelEntry[]; explained: Explanation[][] }[] = [];

const LOOKS_AT_FORMER_TAILS = 6;

/** Now and then over runs, and closely where something fell out of the log; until something was merged too. */
beforeAll(async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const disks = await disksOf(apart(seed));
    const displaced = disks.filter((disk) => branchesOf(disk, 'roster').length > 0);
    if (displaced.length === 0) continue;
    const chosen = disks.filter(({ at }) => at % 500 === 0);
    for (const disk of [...chosen, ...displaced.slice(0, LOOKS_AT_FORMER_TAILS)]) {
      looks.push({ disk, ...(await look(disk)) });
    }
    if (all().some((one) => story(one).endsWith('merged final'))) return;
  }
  throw new Error('in no run anything fell out of the log and was merged');
}, 120_000);

const all = (): Explanation[] => looks.flatMap(({ explained }) => explained.flat());

describe('explain', () => {
  test('says of every entry what reading says', () => {
    for (const { entries, explained } of looks) {
      for (const [i, entry] of entries.entries()) {
        expect(explained[i]).toHaveLength(1);
        const { name: _, time: _time, epoch: _epoch, merge: _merge, ...shown } = entry;
        expect(explained[i]![0]).toMatchObject(shown);
      }
    }
    expect(all().length).toBeGreaterThan(500);
  });

  test('tells a story that ends in the state', () => {
    for (const explanation of all()) {
      const { state, steps, waits } = explanation;
      const [first, second] = steps;
      expect([first!.step, second!.step]).toEqual(['made', 'signed']);
      expect(waits === null).toBe(state === 'final');
      const committed = steps.some((s) => s.step === 'placed' && s.committed !== null);
      if (state === 'final') {
        expect(story(explanation)).toMatch(/^made signed (placed displaced )?(merged )?final$/);
      } else if (state === 'queued') expect(story(explanation)).toBe('made signed queued');
      else {
        expect(story(explanation)).toMatch(
          /^made signed (queued )?(placed ?(displaced ?)?)+( merged placed)?$/,
        );
        if (state === 'committed') expect(committed).toBe(true);
        expect(waits).toMatch(/: no process is up on this store/);
      }
    }
  });

  test('meets all that can happen to a message', () => {
    const stories = new Set(all().map(story));
    for (const expected of [/queued$/, /placed$/, /placed displaced/, /merged final/]) {
      expect(
        [...stories].some((s) => expected.test(s)),
        `${expected}`,
      ).toBe(true);
    }
    const places = all().flatMap(({ steps }) => steps.filter((s) => s.step === 'placed'));
    expect(new Set(places.map((s) => `${s.in} ${s.under.kind}`))).toEqual(
      new Set(['log roster', 'branch online']),
    );
  });

  test('names who acknowledged: more than half of those that count', () => {
    for (const { steps } of all()) {
      for (const step of steps) {
        const cert =
          step.step === 'final' ? step.certificate : step.step === 'placed' ? step.committed : null;
        if (step.step === 'final') expect(cert).not.toBeNull();
        if (!cert) continue;
        expect(cert.by.length * 2).toBeGreaterThan(cert.of);
        expect(new Set(cert.by.map(({ user }) => user)).size).toBe(cert.by.length);
      }
    }
  });

  test('tells of an own message that it is queued here until it is final', () => {
    for (const { disk, explained } of looks) {
      for (const [explanation] of explained) {
        const isOwn = explanation!.from === disk.user && explanation!.kind === 'message';
        const isQueued = kindsOf(explanation!).includes('queued');
        expect(isQueued).toBe(isOwn && explanation!.state !== 'final');
      }
    }
  });
});
