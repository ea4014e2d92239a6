/**
 * Everything the command line says. With `--json`, stdout carries one object a
 * line and nothing else; without, text for people, coloured only on a terminal
 * that wants it (NO_COLOR, TERM=dumb). Progress and logs go to stderr.
 */

import { styleText } from 'node:util';
import type { ConclaveError } from '../core/errors.js';
import type { Host } from './host.js';
import { printable } from './printable.js';
import { type Progress, progressLine } from './progress.js';
import { Writer } from './writer.js';

export type Json = { readonly [key: string]: unknown };
type Format = Parameters<typeof styleText>[0];
/** Colours `text` where colours are wanted; `text` must be printable already. */
export type Paint = (format: Format, text: string) => string;

export interface Output {
  readonly json: boolean;
  readonly paint: Paint;
  /** One result: the object under `--json`, else `human` (nothing when undefined). */
  result(object: Json, human: string | undefined): Promise<void>;
  /** Text as it is, for a command whose output is a file. */
  raw(text: string): Promise<void>;
  /** A remark for people, on stderr. */
  note(text: string): void;
  progress(progress: Progress): void;
  error(error: ConclaveError): Promise<void>;
  flush(): Promise<void>;
}

export function createOutput(host: Host, json: boolean, whenClosed: () => void): Output {
  const stdout = new Writer(host.stdout, whenClosed);
  const stderr = new Writer(host.stderr);
  const say = (text: string): void => {
    stderr.write(text).catch(() => {});
  };
  const progress = progressLine({
    terminal: host.stderr.isTTY === true && host.env.TERM !== 'dumb',
    write: say,
    now: host.now,
  });
  const colours = wantsColours(host);
  const paint: Paint = (format, text) =>
    colours ? styleText(format, text, { validateStream: false }) : text;

  const write = async (text: string): Promise<void> => {
    progress.clear();
    await stdout.write(text);
  };
  return {
    json,
    paint,
    async result(object, human) {
      if (json) await write(`${JSON.stringify(object)}\n`);
      else if (human !== undefined) await write(`${human}\n`);
    },
    raw: write,
    note(text) {
      progress.clear();
      say(`${printable(text)}\n`);
    },
    progress: progress.show,
    async error({ code, message }) {
      progress.clear();
      if (json) await stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
      else say(`conclave: ${message.split('\n').map(printable).join('\n')}\n`);
    },
    async flush() {
      progress.clear();
      await stdout.flush();
      await stderr.flush();
    },
  };
}

function wantsColours({ stdout, env }: Host): boolean {
  return stdout.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
}
