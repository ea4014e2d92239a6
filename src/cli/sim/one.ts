/** One run: its verdict, on request as text or as a picture too. */

import type { SimulateOptions } from '../../testing/index.js';
import { simulate } from '../../testing/index.js';
import { Transcript } from '../../testing/transcript.js';
import type { Cli } from '../cli.js';
import { EXIT } from '../errors.js';
import type { SimCommandOptions } from '../sim.js';
import { failureJson, failureText, reportFailure } from './failure.js';
import { verdictJson, verdictText } from './report.js';

export async function runOne(
  cli: Cli,
  options: SimulateOptions,
  command: SimCommandOptions,
): Promise<void> {
  const { out } = cli;
  const transcript = command.log ? new Transcript({ pulses: true }) : undefined;
  const result = await simulate({
    ...options,
    ...(transcript && { observe: (event) => transcript.event(event) }),
  });
  for (const { at, text } of transcript?.take() ?? []) {
    await out.result({ at, text }, `${at.toFixed(1).padStart(9)} ${text}`);
  }
  if (result.ok) return out.result(verdictJson(result), verdictText(result, out.paint));
  cli.exitCode = EXIT.failed;
  const failure = await reportFailure(cli, {
    options,
    result,
    shrink: command.shrink === true,
    save: command.save,
  });
  await out.result(
    { ...verdictJson(result), ...failureJson(failure) },
    `${verdictText(result, out.paint)}\n${failureText(failure)}`,
  );
}
