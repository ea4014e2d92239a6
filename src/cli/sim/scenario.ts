/** A scenario on the command line: its script with what came of each command, or rewritten in its file, or drawn. */

import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { ConclaveError } from '../../core/errors.js';
import { DiagramRecorder, type Outcome } from '../../testing/diagram.js';
import { diagramPage } from '../../testing/diagram-page.js';
import { runScenario, type ScenarioResult } from '../../testing/scenario.js';
import { writeWhole } from '../atomic-file.js';
import type { Cli } from '../cli.js';
import { EXIT } from '../errors.js';
import type { SimCommandOptions } from '../sim.js';
import { buildName, thisBuild } from './build.js';

/** A line of output, below the rule. */
const SHOWS_OUTPUT = /^----\n[^\n]/m;

export async function showScenario(
  cli: Cli,
  path: string,
  { update = false, html }: SimCommandOptions,
): Promise<void> {
  const { out } = cli;
  const script = await readText(path);
  const picture = html === undefined ? undefined : new DiagramRecorder();
  const result = await runScenario(script, picture && ((event) => picture.event(event)));
  const { text, problems } = result;
  const differs = text !== script;
  if (update && differs) await writeWhole(path, text);
  await out.result(
    { scenario: path, ok: problems.length === 0, differs, problems, text },
    text.trimEnd(),
  );
  for (const problem of problems) out.note(problem);
  const isNew = !SHOWS_OUTPUT.test(script);
  if (update && differs) out.note(`${path} rewritten`);
  else if (isNew) out.note(`${path} shows no output yet: --update writes what is printed into it`);
  else if (differs) {
    out.note(`${path} shows another output: --update writes what is printed into it`);
    for (const line of firstDifference(script, text)) out.note(line);
  }
  if (picture && html !== undefined) {
    const begin = picture.phases.find(({ phase }) => phase === 'load')?.at ?? 0;
    const diagram = picture.finish(outcomeOf(basename(path), result), begin);
    await writeWhole(html, diagramPage(diagram, buildName(await thisBuild())));
    out.note(`drawn in ${html}`);
  }
  if (problems.length > 0 || (differs && !update && !isNew)) cli.exitCode = EXIT.failed;
}

function firstDifference(file: string, now: string): string[] {
  const [shown, printed] = [file.split('\n'), now.split('\n')];
  const i = shown.findIndex((line, n) => line !== printed[n]);
  const at = i === -1 ? shown.length : i;
  const quoted = (line: string | undefined): string =>
    line === undefined ? 'nothing' : `"${line}"`;
  return [`line ${at + 1} is    ${quoted(shown[at])}`, `and it prints ${quoted(printed[at])}`];
}

function outcomeOf(title: string, { problems, failedAt, stage }: ScenarioResult): Outcome {
  const [message] = problems;
  const { options, timeline, invariants } = stage.cluster;
  const { final } = invariants;
  return {
    ...{ title, ok: problems.length === 0, early: false, loadAt: 0, virtualMs: timeline.now },
    ...{ nodes: options.nodes, relays: options.relays, minOnline: options.minOnline },
    ...{ few: options.few, archives: options.archives },
    final: final.length,
    messages: final.filter(({ entry }) => entry.kind === 'message').length,
    ...(message !== undefined &&
      failedAt !== undefined && { violation: { at: failedAt, invariant: 'the script', message } }),
    facts: problems.map((problem) => ['problem', problem] as const),
  };
}

/** Throws `cannot_read`. */
export async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: Error) => {
    throw new ConclaveError('cannot_read', `${path} can't be read: ${cause.message}`, { cause });
  });
}
