/** One run: its verdict, on request as text or as a picture too. */

import { DiagramRecorder, outcomeOf } from '../../testing/diagram.js';
import { diagramPage } from '../../testing/diagram-page.js';
import { type SimulateOptions, type SimulateResult, simulate } from '../../testing/simulate.js';
import { Transcript } from '../../testing/transcript.js';
import { writeWhole } from '../atomic-file.js';
import type { Cli } from '../cli.js';
import { EXIT } from '../errors.js';
import type { SimCommandOptions } from '../sim.js';
import { buildName, thisBuild } from './build.js';
import { failureJson, failureText, reportFailure } from './failure.js';
import { verdictJson, verdictText } from './report.js';

export async function runOne(
  cli: Cli,
  options: SimulateOptions,
  replay: string,
  command: SimCommandOptions,
): Promise<void> {
  const { out } = cli;
  const result = await observed(cli, options, command);
  if (result.ok) return out.result(verdictJson(result), verdictText(result, out.paint));
  cli.exitCode = EXIT.failed;
  const { shrink = false, save } = command;
  const failure = await reportFailure(cli, { options, result, replay, shrink, save });
  await out.result(
    { ...verdictJson(result), ...failureJson(failure) },
    `${verdictText(result, out.paint)}\n${failureText(failure, out.paint)}`,
  );
}

/** Runs it, and shows what was asked for of how it went. */
async function observed(
  { out, signal }: Cli,
  run: SimulateOptions,
  { log, html }: SimCommandOptions,
): Promise<SimulateResult> {
  const what = `seed ${run.seed}, seconds of virtual time`;
  const onProgress = (at: number): void => out.progress({ what, done: Math.floor(at / 1_000) });
  const options = { ...run, signal, onProgress };
  if (!log && html === undefined) return simulate(options);
  const transcript = log ? new Transcript({ pulses: true }) : undefined;
  const picture = html === undefined ? undefined : new DiagramRecorder();
  const result = await simulate({
    ...options,
    observe(event) {
      transcript?.event(event);
      picture?.event(event);
    },
  });
  for (const { at, text } of transcript?.take() ?? []) {
    await out.result({ at, text }, `${at.toFixed(1).padStart(9)} ${text}`);
  }
  if (picture && html !== undefined) {
    const build = buildName(await thisBuild());
    await writeWhole(html, diagramPage(picture.finish(outcomeOf(result)), build));
    out.note(`drawn in ${html}`);
  }
  return result;
}
