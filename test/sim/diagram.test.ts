/** Pictures of runs: the data behind them, what is left out of long ones, and the page itself. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { describeCommand } from '../../src/testing/describe.js';
import { describeEnd, describeFault } from '../../src/testing/describe-fault.js';
import {
  type Arrow,
  bounded,
  type Diagram,
  DiagramRecorder,
  type Moment,
  outcomeOf,
} from '../../src/testing/diagram.js';
import { diagramPage, picture } from '../../src/testing/diagram-page.js';
import type { Fault } from '../../src/testing/faults.js';
import { simulate as simulateApplication } from '../../src/testing/index.js';
import { Names } from '../../src/testing/names.js';
import type { SimEvent } from '../../src/testing/observer.js';
import { parsePlanFile } from '../../src/testing/plan.js';
import { type SimulateOptions, simulate } from '../../src/testing/simulate.js';
import { Harness, temporaryDir } from '../unit/fixtures/cli-harness.js';

async function pictured(options: SimulateOptions) {
  const recorder = new DiagramRecorder();
  const events: SimEvent[] = [];
  const result = await simulate({
    ...options,
    observe(event) {
      events.push(event);
      recorder.event(event);
    },
  });
  return { result, events, diagram: recorder.finish(outcomeOf(result)) };
}

const CRASH: SimulateOptions = {
  seed: 12,
  nodes: 5,
  relays: 2,
  minOnline: 3,
  early: false,
  loadMs: 8_000,
  faults: [
    { kind: 'crash', node: 2, inWrite: false, at: 3_000, until: 6_000 },
    { kind: 'isolate', node: 'leader', directions: ['up', 'down'], at: 7_000, until: 9_000 },
  ],
};

describe('observing a run', () => {
  it.each<SimulateOptions>([
    CRASH,
    { seed: 1, nodes: 5, faults: ['lying-relay', 'halves'] },
    { seed: 2, nodes: 6, faults: ['lying-relay', 'damage', 'half-open'] },
    { seed: 3, nodes: 4, faults: ['lying-relay', 'relay', 'disk'] },
  ])('changes nothing about it: $faults', async (options) => {
    const { result } = await pictured(options);
    expect(result).toEqual(await simulate(options));
  });

  it('puts up with commands that nobody can read', () => {
    const names = new Names();
    const broken = { id: '', from: '', s: new Uint8Array(3), headers: new Uint8Array(9) };
    const words = (name: string): string =>
      describeCommand(names, { name, payload: { ...broken, cert: broken.s } } as never);
    for (const name of [
      'BEACON',
      'CH_PROPOSE',
      'ACK_CH_MSG',
      'CH_COMMIT',
      'CH_APPEND',
      'CH_MERGE',
    ]) {
      expect(words(name)).toMatch(/^unreadable: ./);
    }
    const command = { name: 'CH_MERGE', payload: { ...broken, proof: broken.s } } as never;
    expect(() => names.learn({ type: 'says', at: 0, node: 0, command })).not.toThrow();
  });

  it('sees each frame sent, and what became of it', async () => {
    const { events } = await pictured(CRASH);
    const sent = new Set<number>();
    for (const event of events) {
      if (event.type === 'sent') sent.add(event.frame);
      else if ('frame' in event) expect(sent.has(event.frame)).toBe(true);
    }
    expect(events[0]!.type).toBe('begins');
    expect(events.map(({ at }) => at)).toEqual(
      events.map(({ at }) => at).toSorted((a, b) => a - b),
    );
  });
});

describe('a picture', () => {
  it('shows each node in one state at a time, from the beginning to the end', async () => {
    const { diagram } = await pictured(CRASH);
    for (let node = 0; node < 5; node++) {
      const periods = diagram.periods.filter((period) => period.node === node);
      expect(periods[0]!.from).toBe(0);
      expect(periods.at(-1)!.until).toBe(diagram.until);
      periods.slice(1).forEach((period, i) => {
        expect(period.from).toBe(periods[i]!.until);
      });
    }
    const down = diagram.periods.find(
      ({ node, what, from }) => node === 2 && what === 'down' && from > 0,
    );
    expect(down).toMatchObject({ from: 3_000, until: 6_000 });
  });

  it('shows faults with their victims resolved', async () => {
    const { diagram, result } = await pictured(CRASH);
    expect(diagram.faults).toMatchObject([
      { from: 3_000, until: 6_000, nodes: [2], text: 'node 2 loses power' },
      { from: 7_000, until: Math.min(9_000, result.loadAt + 8_000), nodes: [expect.any(Number)] },
    ]);
    const [, isolated] = diagram.faults;
    const lost = diagram.arrows.filter(({ lost, sentAt }) => lost === 'cut' && sentAt < 9_000);
    expect(lost.length).toBeGreaterThan(0);
    for (const { from, to } of lost) expect([from, to]).toContain(isolated!.nodes[0]);
  });

  it('tells the story', async () => {
    const { diagram } = await pictured(CRASH);
    expect(diagram.summary).toMatch(
      /^5 nodes over 2 relays, .* At 3\.0 s node 2 loses power, until 6\.0 s\. .* all nodes hold the same log of \d+ entries\.$/s,
    );
    expect(diagram.story).toEqual(
      expect.arrayContaining([
        { at: 3_000, text: 'node 2 loses power' },
        { at: 6_000, text: 'node 2 starts again' },
      ]),
    );
  });

  it.each([8, 11, 21])('counts leaderships as the result does, seed %i', async (seed) => {
    const { diagram, result } = await pictured({ seed, nodes: 7, faults: ['halves'] });
    expect(diagram.summary).toContain(`${result.terms} leaderships by a majority of all members`);
  });

  it('tells what became of messages, and on which side', async () => {
    const { plan } = parsePlanFile(readFileSync('examples/split.json', 'utf8'));
    const { diagram } = await pictured(plan);
    const told = diagram.story.map(({ text }) => text);
    const inOrder = [
      /^\d leaderships while the members join; node \d leads term \d+ at the end$/,
      /^nodes 0 1 2 reach relay 0 alone, nodes 3 4 5 6 reach relay 1 alone$/,
      /^node 1 posts "from the three"$/,
      /^committed in online term \d+ of \d: "from the three", stored by .* of its electorate 0 1 2$/,
      /^node \d merges 1 message into the log: 1 of online term \d+ of \d$/,
      /^final: "from the three"$/,
    ].map((line) => told.findIndex((text) => line.test(text)));
    expect(inOrder).toEqual(inOrder.toSorted((a, b) => a - b));
    expect(inOrder).not.toContain(-1);
    expect(told.filter((text) => text.includes('leads term'))).toHaveLength(1);
  });

  it('says of what was committed after a second split who stored it', async () => {
    const { diagram } = await pictured({ seed: 8, nodes: 7, faults: ['halves'] });
    const [, by, electorate] = diagram.story
      .map(({ text }) =>
        /^committed in online .*, stored by ([\d ]+) of its electorate (.*)$/.exec(text),
      )
      .find((found) => found !== null)!;
    const [holders, all] = [by!.split(' '), electorate!.split(' ')];
    expect(all).toEqual(expect.arrayContaining(holders));
    expect(holders.length).toBeGreaterThan(all.length / 2);
    expect(holders.length).toBeLessThan(all.length);
    expect(diagram.summary).toMatch(
      / leaderships by a majority of all members \(.*\), \d+ of them while the members join/,
    );
  });

  it('says why somebody leads anew, and what begins and ends without faults', async () => {
    const { diagram } = await pictured({
      ...{ seed: 1, nodes: 3, relays: 1, minOnline: 2, early: false, faults: [], loadMs: 3_000 },
      workload: {
        posts: [{ at: 3_000, node: 1, count: 1, bytes: 0, text: 'one' }],
        invites: [3_500],
      },
    });
    expect(diagram.summary).toContain('1 message is posted, and ends in the log. ');
    expect(diagram.summary).not.toMatch(/fault|nothing is broken/);
    const told = diagram.story.map(({ text }) => text);
    expect(told).toContainEqual(
      expect.stringMatching(/^node 0 leads term \d+: the roster changed$/),
    );
    expect(told).toEqual(expect.arrayContaining(['load begins', 'the load is over']));
  });

  it('and the log name messages of an application by what they say', async () => {
    const drawing = picture();
    const lines: string[] = [];
    const result = await simulateApplication({
      ...{ seed: 1, nodes: 3, minOnline: 2, early: false, faults: [], loadMs: 3_000 },
      app: ({ channel }) => channel,
      workload: { act: (channel) => void channel.send('hi there') },
      observe: drawing.observe,
      log: (line) => lines.push(line),
    });
    expect(result.messages).toBeGreaterThan(0);
    const html = drawing.page(result);
    expect(html).toContain('posts \\"hi there\\"');
    expect(html).not.toContain('\ufffd');
    expect(lines.join('\n')).toMatch(/\n {10}node \d sends CH_MSG "hi there"(, "hi there")*\n/);
    expect(lines.join('\n')).toMatch(/\n {10}node \d is told: "hi there" is final at \d+\n/);
    expect(lines.join('\n')).not.toContain('{"');
  });

  it('says what splits that overlap amount to', async () => {
    const split = (side: readonly number[], at: number, until: number): Fault => ({
      ...{ kind: 'block', at, until },
      pairs: [0, 1, 2, 3].flatMap((a) =>
        [0, 1, 2, 3].flatMap((b): [number, number][] =>
          side.includes(a) === side.includes(b) ? [] : [[a, b]],
        ),
      ),
    });
    const faults = [split([0, 1], 4_000, 6_000), split([0], 5_000, 6_000)];
    const { diagram } = await pictured({ seed: 4, nodes: 5, faults });
    const rest = '; nothing keeps node 4 from anybody';
    expect(diagram.faults).toMatchObject([
      { text: `the network is split: 0 1 | 2 3${rest}` },
      { text: `the network is split: 0 | 1 2 3${rest}` },
    ]);
    expect(diagram.faults[0]!.together).toBeUndefined();
    expect(diagram.faults[1]!.together).toBe(`with the splits before it: 0 | 1 | 2 3${rest}`);
  });

  it('shows what is broken', async () => {
    const { diagram, result } = await pictured({ seed: 5, nodes: 3, sabotage: 'lose-promises' });
    expect(diagram).toMatchObject({ ok: false, violation: { at: result.violation!.at } });
    expect(diagram.story.at(-1)!.text).toMatch(/^broken: 7 durable first/);
  });
});

describe('a long run', () => {
  const arrow = (group: string, sentAt: number): Arrow => ({
    ...{ group, sentAt, relayedAt: sentAt, endsAt: sentAt, from: 0, to: 1, relay: 0, text: '' },
  });
  const every = (group: string): Arrow[] => Array.from({ length: 100 }, (_, i) => arrow(group, i));
  const moments = (count: number): Moment[] =>
    Array.from({ length: count }, (_, at) => ({ at, node: 0, kind: 'state', text: '' }));
  const run = { begin: 0, end: 100, at: 50 };

  it('is drawn whole while it fits', () => {
    const all = [...every('CH_MSG'), ...every('BEACON')];
    const picture = bounded(all, moments(9), run, { frames: 200, moments: 9 });
    expect(picture).toMatchObject({ from: 0, until: 100, note: '', arrows: all });
  });

  it('loses its signs of life first', () => {
    const all = [...every('CH_MSG'), ...every('BEACON'), ...every('ACK_CH_MSG (again)')];
    const picture = bounded(all, moments(9), run, { frames: 199, moments: 9 });
    expect(picture.arrows).toEqual(every('CH_MSG'));
    expect(picture.note).toContain('200 frames');
  });

  it('is cut to what is around its failure then', () => {
    const picture = bounded(every('CH_MSG'), moments(9), run, { frames: 11, moments: 9 });
    expect(picture.arrows.length).toBeLessThanOrEqual(11);
    expect(picture.arrows.map(({ sentAt }) => sentAt)).toContain(50);
    expect(picture.note).toMatch(/^only 0\.0 s to 0\.1 s/);
    const few = bounded([], moments(90), run, { frames: 1, moments: 5 });
    expect(few.moments.length).toBeLessThanOrEqual(5);
  });
});

describe('a page', () => {
  interface Data {
    readonly arrows: unknown[];
    readonly texts: string[];
    readonly titles: { readonly [group: string]: string };
    readonly violation: { readonly at: number; readonly text: string } | null;
  }
  const partsOf = (html: string) => {
    const [, data, script] =
      /<script type="application\/json" id="data">(.*)<\/script>\n<script>(.*)<\/script>/s.exec(
        html,
      )!;
    return { data: JSON.parse(data!) as Data, script: script! };
  };

  it('needs nothing but itself', async () => {
    const { diagram } = await pictured(CRASH);
    const html = diagramPage(diagram, 'conclave 1.2.3');
    expect(html).not.toMatch(/https?:|<link|<img|\bsrc=|@import|url\(/);
    expect(html.match(/<script/g)).toHaveLength(2);
    const { data, script } = partsOf(html);
    expect(() => new Script(script)).not.toThrow();
    expect(data.arrows).toHaveLength(diagram.arrows.length);
    const groups = new Set(diagram.arrows.map(({ group }) => group));
    expect(Object.keys(data.titles).sort()).toEqual([...groups].sort());
    for (const title of Object.values(data.titles)) expect(title).toMatch(/^.{20}/);
    expect(html.length).toBeLessThan(4_000_000);
  });

  it('explains its words, and has red for what is broken alone', async () => {
    const { diagram } = await pictured(CRASH);
    const html = diagramPage(diagram, '');
    for (const word of ['Term', 'Epoch', 'Committed', 'Final'])
      expect(html).toContain(`<dt>${word}</dt>`);
    const hues = /const HUES = (\{[^}]*\})/.exec(html)![1]!;
    const epochHue = /const epochHue = (.*);/.exec(html)![1]!;
    const script = `[...Object.values(${hues}), ...Array.from({ length: 200 }, (_, n) => (${epochHue})(n))]`;
    for (const hue of new Script(script).runInNewContext() as number[]) {
      expect(hue).toBeGreaterThan(30);
      expect(hue).toBeLessThan(330);
    }
  });

  it('has no table of facts where there are none', async () => {
    const { diagram } = await pictured(CRASH);
    expect(diagramPage(diagram, '')).toContain('id="facts"');
    expect(diagramPage({ ...diagram, facts: [] }, '')).not.toContain('id="facts"');
  });

  it('can not be broken by what it shows', () => {
    const evil = '</script><script>alert(1)</script><b>';
    const diagram: Diagram = {
      ...{ title: evil, ok: false, summary: evil, note: evil, facts: [[evil, evil]] },
      ...{ story: [{ at: 0, text: evil }], nodes: 1, relays: 1, from: 0, until: 1 },
      ...{ moments: [], periods: [], faults: [], violation: { at: 0, text: evil } },
      arrows: [
        { group: evil, from: 0, relay: 0, to: 0, sentAt: 0, relayedAt: 0, endsAt: 0, text: evil },
      ],
    };
    const html = diagramPage(diagram, evil);
    expect(html.match(/<script/g)).toHaveLength(2);
    expect(html).not.toContain('<b>');
    expect(partsOf(html).data.texts).toContain(evil);
  });

  it('is written by the command, for seeds and for scenarios', async () => {
    const dir = temporaryDir();
    const [seed, scenario] = [join(dir, 'seed.html'), join(dir, 'scenario.html')];
    await new Harness().run(['sim', '--seed', '3', '--html', seed]);
    expect(readFileSync(seed, 'utf8')).toContain('<h1>conclave sim, seed 3: ');
    const script = new URL('../scenarios/leader-crash.txt', import.meta.url).pathname;
    await new Harness().run(['sim', '--scenario', script, '--html', scenario]);
    const html = readFileSync(scenario, 'utf8');
    expect(html).toContain('<h1>conclave sim, leader-crash.txt');
    expect(partsOf(html).data.texts.join('\n')).toContain('CH_PREVOTE');
  });
  it('of a script that fails opens there', async () => {
    const dir = temporaryDir();
    const [script, html] = [join(dir, 'wrong.txt'), join(dir, 'wrong.html')];
    writeFileSync(
      script,
      'nodes 1 minOnline 1\n----\n\nrun 500ms\n----\n\nexpect not leads 0\n----\n',
    );
    await new Harness().run(['sim', '--scenario', script, '--html', html]);
    const { data } = partsOf(readFileSync(html, 'utf8'));
    expect(data.violation).toMatchObject({
      at: expect.any(Number),
      text: expect.stringContaining('line 7'),
    });
    expect(data.violation!.at).toBeGreaterThanOrEqual(500);
  });
});

it('the end of a fault is said so that nobody takes it for the fault', () => {
  expect(describeEnd('the network is split: 0 | 1 2')).toBe('healed: 0 | 1 2');
  expect(describeEnd('node 3 is cut off')).toBe('ended: node 3 is cut off');
});

describe('a fault in words', () => {
  const block = (...pairs: [number, number][]): Fault => ({
    kind: 'block',
    pairs,
    at: 0,
    until: 1,
  });
  const ways = (a: number, b: number): [number, number][] => [
    [a, b],
    [b, a],
  ];

  it.each<[Fault, string]>([
    [block(...ways(0, 1), ...ways(0, 2)), 'the network is split: 0 | 1 2'],
    [block(...ways(0, 1), ...ways(0, 2), ...ways(1, 2)), 'the network is split: 0 | 1 | 2'],
    [block([0, 1]), '1 hears nothing of 0'],
    [block([0, 1], [2, 1], [1, 2]), '1 hears nothing of 0 2, 2 hears nothing of 1'],
    [block([0, 1], [1, 2], [2, 3], [3, 0]), '4 ways between nodes are blocked'],
    [
      block([1, 0], [2, 0], [3, 0], [0, 1], [3, 2], [1, 3]),
      '6 ways between nodes are blocked; node 0 hears nobody',
    ],
    [
      { kind: 'isolate', node: 3, directions: ['down'], at: 0, until: 1 },
      'node 3 is cut off, it hears nothing',
    ],
  ])('%j', (fault, text) => {
    expect(describeFault(fault, 4).replace(/; nothing keeps .*/, '')).toBe(text);
  });
});
