/** How the demo talks to people: a line with the time for what happens, a table now and then. */

import type { DemoNode } from './node.js';
import type { Stage } from './stage.js';
import type { Traffic } from './traffic.js';

const TABLE_EVERY_MS = 2_500;

export interface Show {
  /** What begins now. */
  act(text: string): void;
  say(text: string): void;
  /** How every node is; only now and then, unless `now`. */
  table(stage: Stage, traffic: Traffic, now?: boolean): void;
  readonly seconds: number;
}

export function createShow(write: (line: string) => void): Show {
  const start = performance.now();
  let lastTable = start;
  const seconds = (): number => (performance.now() - start) / 1_000;
  const say = (text: string): void => write(`${seconds().toFixed(1).padStart(5)} s  ${text}`);
  return {
    act(text) {
      write('');
      say(text);
    },
    say,
    table(stage, traffic, now = false) {
      if (!now && performance.now() - lastTable < TABLE_EVERY_MS) return;
      lastTable = performance.now();
      const leader = leaderOf(stage)?.name ?? 'nobody';
      say(`  ${traffic.posted} of ${stage.lines} lines posted, ${leader} leads`);
      for (const node of stage.nodes) write(`${' '.repeat(11)}${nodeLine(node)}`);
    },
    get seconds() {
      return seconds();
    },
  };
}

/** Who leads, by the word of more than half of the nodes. */
export function leaderOf({ nodes }: Stage): DemoNode | undefined {
  return nodes.find(
    ({ user }) => 2 * nodes.filter(({ status }) => status?.leader === user).length > nodes.length,
  );
}

function nodeLine({ name, status, reader }: DemoNode): string {
  const head = `${name.padEnd(5)} ${String(reader.messages).padStart(5)} final`;
  if (!status) return `${head}   not running`;
  const { queued, sent, state, waiting } = status;
  const pending = `${String(queued).padStart(4)} queued ${String(sent).padStart(3)} sent`;
  const why = waiting ? `: ${waiting.reason}` : '';
  return `${head} ${pending}   ${state}${why}`;
}
