/** How the demo talks to people: a line with the time for what happens, a table now and then. */

import type { DemoNode } from './node.js';
import type { Side, Stage } from './stage.js';
import type { Traffic } from './traffic.js';

const TABLE_EVERY_MS = 3_500;
const INDENT = ' '.repeat(9);

export interface Show {
  /** What begins now. */
  act(text: string): void;
  say(text: string): void;
  /** How every node is, side by side when the network is split; only now and then, unless `now`. */
  table(stage: Stage, traffic: Traffic, now?: boolean): void;
  readonly seconds: number;
}

export function createShow(write: (line: string) => void): Show {
  const start = performance.now();
  let lastTable = start;
  let shown = '';
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
      const lines = [
        `  ${traffic.posted} of ${stage.lines} lines posted`,
        ...stage.sides.flatMap((side) => [
          `${INDENT}${sideLine(stage, side)}`,
          ...side.nodes.map((node) => `${INDENT}  ${nodeLine(node)}`),
        ]),
      ];
      const text = lines.join('\n');
      if (text === shown) return;
      lastTable = performance.now();
      shown = text;
      say(lines[0]!);
      for (const line of lines.slice(1)) write(line);
    },
    get seconds() {
      return seconds();
    },
  };
}

/** Who leads, by the word of more than half of these nodes. */
export function leaderOf(stage: Stage, nodes = stage.nodes): DemoNode | undefined {
  return stage.nodes.find(
    ({ user }) => 2 * nodes.filter(({ status }) => status?.leader === user).length > nodes.length,
  );
}

function sideLine(stage: Stage, { title, nodes }: Side): string {
  const leader = leaderOf(stage, nodes);
  const epoch = leader && nodes.find(({ status }) => status?.leader === leader.user)?.status?.epoch;
  const leads = epoch
    ? `${leader.name} leads, ${epoch.kind} epoch, term ${epoch.term}`
    : 'no leader';
  return `${title}: ${leads}`;
}

function nodeLine({ name, status, reader }: DemoNode): string {
  const head = `${name.padEnd(5)} ${String(reader.messages).padStart(5)} final`;
  if (!status) return `${head}   not running`;
  const { queued, sent, committed, state, waiting } = status;
  const open =
    `${String(committed).padStart(4)} committed ` +
    `${String(sent).padStart(3)} sent ${String(queued).padStart(4)} queued`;
  return `${head} ${open}   ${state}${waiting ? `: ${waiting.reason}` : ''}`;
}
