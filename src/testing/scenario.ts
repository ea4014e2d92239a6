/**
 * Scenarios: scripts of commands with what came of them below each, in the
 * manner of the data-driven tests of etcd's raft (docs/simulation.md,
 * "Scenarios"). A script is blocks with blank lines between:
 *
 *     # a comment
 *     post 1 hello
 *     run
 *     ----
 *     1 → all   CH_MSG "hello"
 *     …
 *
 * Running one gives its text anew, with the output that the commands have now.
 * So a test compares texts, a flag rewrites them, and the diff is reviewed.
 */

import { ConclaveError } from '../core/errors.js';
import type { Millis } from '../core/ids.js';
import type { Observer } from './observer.js';
import { runCommand } from './scenario-commands.js';
import { badScenario, Stage } from './scenario-stage.js';
import type { Line } from './transcript.js';

const RULE = '----';

interface Block {
  /** Line of the first command, from 1. */
  readonly line: number;
  /** Commands, with the comments between them. */
  readonly commands: readonly string[];
}

export interface ScenarioResult {
  /** The script with its output. */
  readonly text: string;
  /** Expectations that do not hold, and broken invariants. */
  readonly problems: readonly string[];
  /** When the first of them was seen, in virtual time. */
  readonly failedAt: Millis | undefined;
  /** As the script left it. */
  readonly stage: Stage;
}

/** Throws `bad_scenario` for a script that can't be run. */
export async function runScenario(script: string, observe?: Observer): Promise<ScenarioResult> {
  const stage = new Stage(observe);
  const out: string[] = [];
  const problems: string[] = [];
  let failedAt: Millis | undefined;
  for (const part of parse(script)) {
    if (typeof part === 'string') {
      out.push(part);
      continue;
    }
    out.push(...part.commands, RULE);
    stage.beginBlock();
    const printed: (string | Line)[] = [];
    for (const [i, command] of part.commands.entries()) {
      if (isComment(command)) continue;
      const { lines, problem } = await attempt(stage, command, part.line + i);
      printed.push(...lines);
      if (problem === undefined) continue;
      failedAt ??= stage.cluster.timeline.now;
      problems.push(`line ${part.line + i}: ${problem}`);
    }
    out.push(...printed.map((line) => (typeof line === 'string' ? line : line.text)));
  }
  return { text: `${out.join('\n').trimEnd()}\n`, problems, failedAt, stage };
}

const isComment = (line: string): boolean => line.startsWith('#');

/** Lines outside of blocks as they are, and blocks without their output. */
function* parse(script: string): Generator<string | Block> {
  const lines = script.split('\n');
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    if (line.trim() === '' || isComment(line)) {
      yield line;
      continue;
    }
    const first = i;
    while (i < lines.length && lines[i] !== RULE && lines[i]!.trim() !== '') i++;
    const commands = lines.slice(first, i).map((command) => command.trim());
    yield { line: first + 1, commands };
    if (lines[i] === RULE) while (i < lines.length && lines[i]!.trim() !== '') i++;
    if (i < lines.length) yield '';
  }
}

async function attempt(stage: Stage, command: string, line: number) {
  try {
    const lines = await runCommand(stage, command);
    const { problem } = stage.takeProblem();
    return problem === undefined ? { lines } : { lines: [...lines, `BROKEN ${problem}`], problem };
  } catch (error) {
    if (!(error instanceof ConclaveError)) throw error;
    if (error.code === 'expectation') {
      return { lines: [...stage.news(), `FAILED ${error.message}`], problem: error.message };
    }
    throw badScenario(`line ${line}, "${command}": ${error.message}`);
  }
}
