/**
 * Progress of long work, on stderr: on a terminal one line that is written
 * over, elsewhere a line every few seconds. What a command waits for is said
 * when it changes. It is for people; programs read stdout.
 */

import { printable } from './printable.js';

export type Progress =
  | { readonly waiting: string }
  | { readonly what: string; readonly done: number; readonly total?: number };

export interface ProgressLine {
  show(progress: Progress): void;
  /** Takes the line off the terminal, before something else is written there. */
  clear(): void;
}

export interface ProgressOptions {
  readonly terminal: boolean;
  readonly write: (text: string) => void;
  readonly now: () => number;
}

const TERMINAL_INTERVAL_MS = 100;
const PLAIN_INTERVAL_MS = 5_000;
const ERASE_LINE = '\r\u001b[K';

export function progressLine({ terminal, write, now }: ProgressOptions): ProgressLine {
  let waitingFor = '';
  let shown = false;
  let what = '';
  let nextAt = terminal ? 0 : now() + PLAIN_INTERVAL_MS;

  const clear = (): void => {
    if (shown) write(ERASE_LINE);
    shown = false;
  };
  return {
    show(progress) {
      if ('waiting' in progress) {
        if (progress.waiting === waitingFor) return;
        waitingFor = progress.waiting;
        clear();
        write(`waiting: ${printable(waitingFor)}\n`);
        return;
      }
      const another = terminal && progress.what !== what;
      if (now() < nextAt && !another) return;
      what = progress.what;
      nextAt = now() + (terminal ? TERMINAL_INTERVAL_MS : PLAIN_INTERVAL_MS);
      write(terminal ? `${ERASE_LINE}${describe(progress)}` : `${describe(progress)}\n`);
      shown = terminal;
    },
    clear,
  };
}

function describe({ what, done, total }: Exclude<Progress, { waiting: string }>): string {
  const count = done.toLocaleString('en');
  if (total === undefined || total <= 0) return `${what}: ${count}`;
  const percent = Math.min(100, Math.floor((done / total) * 100));
  return `${what}: ${count} of ${total.toLocaleString('en')} (${percent} %)`;
}
