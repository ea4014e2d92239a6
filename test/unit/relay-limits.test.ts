/** Every limit of a relay is in docs/PROTOCOL.md with its default, can be changed by name, and stands in the help. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { RELAY_LIMITS, RELAY_TIMING } from '../../src/relay/index.js';
import { splitLimits } from '../../src/relay/limits.js';
import { Harness } from './fixtures/cli-harness.js';

const protocol = readFileSync(new URL('../../docs/PROTOCOL.md', import.meta.url), 'utf8');
const section = protocol.slice(protocol.indexOf('## 19.'), protocol.indexOf('## 20.'));
const rows = section.split('\n').filter((line) => line.startsWith('| `'));
const all: Readonly<Record<string, number>> = { ...RELAY_LIMITS, ...RELAY_TIMING };
const names = Object.keys(all).filter((name) => !name.endsWith('_burst'));

const shown = (value: number): string => value.toLocaleString('en-US');
const defaultOf = (name: string): string => {
  if (!name.endsWith('_per_s')) return shown(all[name]!);
  return `${shown(all[name]!)} / ${shown(all[name.replace(/_per_s$/, '_burst')]!)}`;
};

describe('a limit', () => {
  it.each(names)('%s is documented with its default', (name) => {
    const row = rows.find((line) => line.startsWith(`| \`${name}\``));
    expect(row?.split('|')[2]?.replace('(no less)', '').trim()).toBe(defaultOf(name));
  });

  it('that is documented exists', () => {
    const limits = rows.slice(0, names.length).map((line) => /`([a-z_]+)`/.exec(line)![1]!);
    expect(limits.sort()).toEqual([...names].sort());
  });

  it('can be changed by its name, and no other can', () => {
    expect(splitLimits({ frames_per_s: 1, cnn_ms: 2 })).toEqual({
      limits: { frames_per_s: 1 },
      timing: { cnn_ms: 2 },
    });
    expect(() => splitLimits({ frames: 1 })).toThrow(/no limit "frames"/);
  });

  it('is in the help of the command', async () => {
    const { stdout } = await new Harness().run(['relay', '--help']);
    for (const name of names) expect(stdout).toContain(name);
  });
});
