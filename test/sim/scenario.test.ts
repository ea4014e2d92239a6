/** The scenario runner itself: its language, what it prints, and how it fails. */

import { describe, expect, it } from 'vitest';
import { runScenario } from '../../src/testing/scenario.js';

const THREE = 'nodes 3\n----\n0 leads term 5; log 9, final 9\n';
const run = (...blocks: string[]) => runScenario([THREE, ...blocks].join('\n'));
/** What the last block printed. */
const last = ({ text }: { text: string }): string[] =>
  text.trimEnd().split('\n\n').at(-1)!.split('----\n').at(-1)!.split('\n');

describe('a script', () => {
  it('keeps its comments and commands, and gets the output that it has now', async () => {
    const script = `# about\n\n${THREE}\n# why\nshow nodes\n----\nold output\nof two lines\n\nshow log 1 9\n`;
    const { text, problems } = await runScenario(script);
    expect(problems).toEqual([]);
    expect(text).toBe(
      `# about\n\n${THREE}\n# why\nshow nodes\n----\n0 leads term 5; log 9, final 9\n` +
        '1 follows 0 in term 5; log 9, final 9\n2 follows 0 in term 5; log 9, final 9\n\n' +
        'show log 1 9\n----\n9 epoch record of 0, term 5: final\n',
    );
    expect((await runScenario(text)).text).toBe(text);
  });

  it.each([
    ['nodes 0', 'line 1, "nodes 0": say how many nodes'],
    ['nodes 3 speed 4', 'line 1, "nodes 3 speed 4": "speed" is no property of a channel'],
    ['post 0 hello', 'line 1, "post 0 hello": the first command must be "nodes"'],
    [`${THREE}\njump 3`, 'line 5, "jump 3": there is no such command'],
    [`${THREE}\npost 7 hello`, 'line 5, "post 7 hello": "7" is no node'],
    [`${THREE}\nrun fast`, 'line 5, "run fast": a time is like 500ms or 2s'],
    [`${THREE}\nsplit 0 1`, 'line 5, "split 0 1": put "|" between the sides'],
    [`${THREE}\nexpect luck`, 'line 5, "expect luck": "luck" can\'t be expected'],
    [`${THREE}\nexpect final 1 hello`, 'nobody posted "hello"'],
    [`${THREE}\ncut 1 relay 4`, '"4" is no relay: name one from 0 to 0'],
    ['nodes 41', 'say how many nodes, from 1 to 40'],
    ['nodes 3 relays 9', '"relays" must be a number from 1 to 8'],
    ['nodes 3 joined 4', '"joined" must be a number from 1 to 3'],
    [`${THREE}\npost`, 'a node is missing: name one from 0 to 2'],
    [`${THREE}\ncrash`, 'say which nodes'],
    [`${THREE}\nhide`, 'say what to hide'],
    [`${THREE}\nshow log 0 x`, '"x" is no place in the log'],
    [`${THREE}\nshow luck 0`, 'say "show log NODE", "show page NODE"'],
    [`${THREE}\n${THREE}`, '"nodes" stands once'],
  ])('with %j says what is wrong, and where', async (script, message) => {
    await expect(runScenario(script)).rejects.toThrow(message);
  });

  it('goes on after an expectation that fails, and reports it', async () => {
    const result = await run('expect leads 2\nexpect leads 0\n');
    expect(last(result)).toEqual(['FAILED 0 leads, not 2', 'yes']);
    expect(result.problems).toEqual(['line 5: 0 leads, not 2']);
  });

  it('gives up waiting', async () => {
    const result = await run('split 0 | 1 | 2\nrun until leads 1\n');
    expect(result.problems).toEqual(['line 6: 60 s later: nobody leads, not 1']);
  });
});

describe('a command', () => {
  it('holds what it is told to hold until it is delivered', async () => {
    const result = await run(
      'hold ACK_CH_MSG to 0\npost 1 hello\nrun\nexpect placed 2 hello\nshow held\n',
      'expect committed 1 hello\n',
      'deliver ACK_CH_MSG from 2\nhold nothing\nrun\nexpect final 1 hello\n',
    );
    expect(result.problems).toEqual(['line 11: "hello" is placed on node 1']);
    expect(result.text).toContain('ACK_CH_MSG 1 → 0\nACK_CH_MSG 2 → 0\n');
    expect(last(result)).toContain('delivers ACK_CH_MSG 2 → 0');
    expect(last(result)).toContain('1 is told: "hello" is final at 10');
  });

  it('drops what it is told to drop', async () => {
    const result = await run('drop CH_MSG from 1 to 0\npost 1 hello\nrun 300ms\nshow log 0 10\n');
    expect(last(result).filter((line) => !line.startsWith('1 '))).toEqual([]);
  });

  it('crashes a node in its next write, which may lose it', async () => {
    const result = await run('crash 1 in write\npost 1 hello\nrun\nshow nodes\n');
    expect(last(result)).toContain('1 crashes');
    expect(last(result)).toContain('1 is down');
    expect(last(result)).not.toContain('1 → all   CH_MSG "hello"');
  });

  it('hides kinds of lines, and shows them again', async () => {
    const result = await run(
      'hide disk told CH_COMMIT\npost 1 hello\nrun\n',
      'unhide\npost 1 again\nrun\n',
    );
    const [, hidden, shown] = result.text.split(/\nrun\n/);
    expect(hidden).toContain('CH_PROPOSE');
    expect(hidden).not.toMatch(/has on disk|is told|CH_COMMIT/);
    expect(shown).toMatch(/has on disk.*CH_COMMIT.*is told/s);
  });

  it('cuts links to one relay while the other carries on', async () => {
    const result = await runScenario(
      'nodes 3 relays 2\n\ncut 1 2 relay 0\nrun 6s\n\npost 1 hello\nrun until final 1 hello\n\nshow status 0\n',
    );
    expect(result.problems).toEqual([]);
    expect(last(result)).toEqual([expect.stringMatching(/^0 is healthy, .*; online: 0 1 2$/)]);
  });

  it('shows what two sides hold beside the log', async () => {
    const result = await runScenario(
      'nodes 6\n\nsplit 0 1 2 | 3 4 5\nrun 6s\n\npost 1 here\npost 4 there\nrun\n\n' +
        'expect committed 0 here\nexpect absent 0 there\nshow set 0\nshow page 3 99\nshow set 3\n',
    );
    expect(result.problems).toEqual([]);
    expect(last(result)).toEqual([
      ...['yes', 'yes', 'online term 9 of 0: 1 "here"; committed 1', '"there" of 4: committed'],
      'online term 9 of 3: 1 "there"; committed 1',
    ]);
  });

  it('says that a node is down, or no member', async () => {
    const result = await runScenario(
      'nodes 3 joined 2 minOnline 1\n\ncrash 1\nshow status 1\nshow status 2\npost 1 hello\n',
    );
    expect(last(result)).toEqual(['1 crashes', '1 is down', '2 is down', '1 takes no messages']);
  });
});
