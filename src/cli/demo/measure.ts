/**
 * What the stores hold once everything is stopped, read from each with the
 * commands `verify` and `log`, which need nothing but the directory.
 */

import type { Json } from '../output.js';
import { type Account, account, type Line } from './accounting.js';
import { type Merge, mergeLines, mergesIn } from './merged.js';
import { type DemoNode, nameIn } from './node.js';
import type { Ended } from './processes.js';
import type { Stage } from './stage.js';

/** One node's store. */
export interface Measured {
  readonly name: string;
  /** What is wrong with it, if something is. */
  readonly problem: string | undefined;
  /** Messages, and how many of them are final. */
  readonly entries: number;
  readonly final: number;
  readonly merges: readonly Merge[];
  readonly head: string;
  readonly account: Account;
  /** The whole log, to compare it with the others'. */
  readonly log: string;
}

/** What the nodes were given to post. */
const inputOf = ({ nodes }: Stage): Line[] =>
  nodes.flatMap(({ user, share }) =>
    share.lines.map(({ message: { name, text, time } }) => ({ user, name, text, time })),
  );

export async function measure(stage: Stage, say: (text: string) => void): Promise<Measured[]> {
  const input = inputOf(stage);
  const all = await Promise.all(stage.nodes.map((node) => measureNode(stage, node, input)));
  for (const { name, problem, final, head } of all) {
    const state = problem === undefined ? 'every signature and certificate verifies' : problem;
    say(`${name.padEnd(5)} ${final} final messages, head ${head.slice(0, 16)}…, ${state}`);
  }
  for (const line of mergeLines(all[0]?.merges ?? [], nameIn(stage.nodes))) say(line);
  return all;
}

async function measureNode(
  { processes, channel }: Stage,
  node: DemoNode,
  input: readonly Line[],
): Promise<Measured> {
  const { name, dir } = node;
  const verify = await processes.run(name, ['verify', '--dir', dir, channel]);
  const log = await processes.run(name, ['log', '--dir', dir, channel]);
  const messages = log.lines.filter(({ kind }) => kind === 'message');
  const final = messages.filter(({ state }) => state === 'final');
  const report = verify.lines.find((line) => 'head' in line);
  return {
    name,
    problem: problemOf(verify, report, final.length) ?? problemOf(log, { ok: true }),
    entries: messages.length,
    final: final.length,
    merges: await mergesIn(dir, channel),
    head: String(report?.head ?? ''),
    account: account(input, final.map(lineOf)),
    log: log.lines.map((line) => JSON.stringify(line)).join('\n'),
  };
}

/** What a command complained about, or what its report says that can't be. */
function problemOf(
  { lines, code }: Ended,
  report: Json | undefined,
  final?: number,
): string | undefined {
  const { error } = (lines.at(-1) ?? {}) as { error?: { message?: string } };
  if (code !== 0 || error) return error?.message ?? `exit ${code}`;
  if (report?.ok !== true) return 'no report';
  if (final === undefined || report.final === final) return undefined;
  return `verify counts ${report.final} final messages, the log shows ${final}`;
}

const lineOf = ({ from, name, text, time }: Json): Line => ({
  user: String(from),
  name: String(name),
  text: String(text),
  time: Number(time),
});
