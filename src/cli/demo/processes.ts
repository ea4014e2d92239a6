/**
 * The `conclave` processes that the demo, or a test, starts: their first line,
 * their ends, and their output in files. None outlives whoever started it, but
 * by a kill -9.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, createWriteStream, openSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Json } from '../output.js';
import { demoFailed } from './wait.js';

/** How long a process may take to start, or to stop once it was told to. */
const START_MS = 20_000;
const STOP_MS = 8_000;
const COMMAND_MS = 30_000;

const CONCLAVE = fileURLToPath(new URL('../main.js', import.meta.url));

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Running {
  readonly name: string;
  /** Its first line, which says that it is ready. */
  readonly first: Json;
  /** kill -9; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM. Throws when it does not end in time with exit code 0. */
  stop(): Promise<void>;
}

/** How `conclave` is called. */
export interface Launch {
  /** The script to run, this program's own by default. */
  readonly conclave?: string;
  /** A command that starts another, its arguments included, and becomes it, as `nsenter … --` does. */
  readonly through?: readonly string[];
}

export interface Ended {
  readonly lines: readonly Json[];
  readonly code: number | null;
}

export class Processes {
  readonly #logs: string;
  readonly #alive = new Set<ChildProcess>();
  readonly #killNow = (): void => {
    for (const child of this.#alive) child.kill('SIGKILL');
  };
  #closed = false;

  constructor(logs: string) {
    this.#logs = logs;
    process.on('exit', this.#killNow);
  }

  /** Starts `conclave …args --json` and waits for its first line. */
  async start(name: string, args: readonly string[], launch?: Launch): Promise<Running> {
    const child = this.#spawn(name, args, launch);
    const exited = exitOf(child);
    const keep = createWriteStream(join(this.#logs, `${name}.out`), { flags: 'a' });
    const first = new Promise<string>((resolve, reject) => {
      const lines = createInterface({ input: child.stdout! });
      lines.once('line', resolve);
      lines.on('line', (line) => keep.write(`${line}\n`));
      lines.on('close', () => {
        keep.end();
        reject(demoFailed(`${name} ended before it was ready`));
      });
    });
    const ready: Json = JSON.parse(await inTime(first, START_MS, `the start of ${name}`));
    return {
      name,
      first: ready,
      async kill() {
        child.kill('SIGKILL');
        await exited;
      },
      async stop() {
        child.kill('SIGTERM');
        const { code, signal } = await inTime(exited, STOP_MS, `the end of ${name}`);
        if (code !== 0) throw demoFailed(`${name} did not stop well: ${signal ?? `exit ${code}`}`);
      },
    };
  }

  /** Runs `conclave …args --json` to its end: its lines and its exit code. */
  async run(name: string, args: readonly string[], launch?: Launch): Promise<Ended> {
    const child = this.#spawn(name, args, launch);
    const exited = exitOf(child);
    const work = async (): Promise<Ended> => {
      const lines: Json[] = [];
      const stdout = createInterface({ input: child.stdout! });
      for await (const line of stdout) lines.push(JSON.parse(line));
      const { code } = await exited;
      return { lines, code };
    };
    return inTime(work(), COMMAND_MS, `conclave ${args[0]}`);
  }

  /** As `run`, for what must succeed: its last line. Throws with the command's own error. */
  async result(name: string, args: readonly string[], launch?: Launch): Promise<Json> {
    const { lines, code } = await this.run(name, args, launch);
    const last = lines.at(-1);
    if (code === 0 && last) return last;
    const { message } = (last?.error ?? {}) as { message?: string };
    throw demoFailed(`conclave ${args[0]} on ${name} failed: ${message ?? `exit ${code}`}`);
  }

  /** kill -9 for whatever runs; resolves when all is gone. */
  async killAll(): Promise<void> {
    const ends = [...this.#alive].map(exitOf);
    this.#killNow();
    await Promise.all(ends);
  }

  /** Also lets nothing start from now on. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.killAll();
    process.off('exit', this.#killNow);
  }

  #spawn(
    name: string,
    args: readonly string[],
    { conclave = CONCLAVE, through = [] }: Launch = {},
  ): ChildProcess {
    if (this.#closed) throw demoFailed('all processes are ended, and no more are started');
    const err = openSync(join(this.#logs, `${name}.err`), 'a');
    const [command, ...rest] = [...through, process.execPath, conclave, ...args, '--json'];
    const child = spawn(command!, rest, { stdio: ['ignore', 'pipe', err] });
    closeSync(err);
    this.#alive.add(child);
    exitOf(child).then(() => this.#alive.delete(child));
    return child;
  }
}

/** Also of one that could not be started. */
function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    child.once('error', () => resolve({ code: null, signal: null }));
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
}

async function inTime<T>(work: Promise<T>, limit_ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const message = `waited ${limit_ms / 1_000} s for ${what}, in vain`;
    timer = setTimeout(() => reject(demoFailed(message)), limit_ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
