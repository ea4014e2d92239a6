/**
 * Every script in this folder prints what it says it prints. To take over a
 * change: `UPDATE_SCENARIOS=1 npx vitest run test/scenarios`, then review the diff.
 */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runScenario } from '../../src/testing/scenario.js';

const here = new URL('.', import.meta.url);
const scripts = readdirSync(here).filter((name) => name.endsWith('.txt'));
const isUpdate = process.env.UPDATE_SCENARIOS === '1';

describe('the scenario', () => {
  it.each(scripts)('%s', async (name) => {
    const file = new URL(name, here);
    const script = readFileSync(file, 'utf8');
    const { text, problems } = await runScenario(script);
    if (isUpdate) writeFileSync(file, text);
    else expect(text).toBe(script);
    expect(problems).toEqual([]);
  });
});
