/**
 * What the stores hold once everything is stopped, read from each with the
 * commands `verify` and `log`, which need nothing but the directory.
 */

import type { Json } from '../output.js';
import { account, type Account, type Line } from './accounting.js';
import type { DemoNode } from './node.js';
import type { Stage } from './stage.js';

/** One node's store. */
export interface Measured {
  readonly node: DemoNode;
  readonly verified: boolean;
  /** What is wrong, if it did not verify. */
  readonly problem: string;
  /** Messages, and how many of them are final. */
  readonly entries: number;
  readonly final: number;
  readonly merged: number;
  readonly head: string;
  readonly account: Account;
  /** The whole log, to compare it with the others'. */
  readonly log: string;
}

export async function measure(stage: Stage): Promise<Measured[]> {
  const input = stage.nodes.flatMap(({ user, share }) =>
    share.lines.map(({ message: { name, text, time } }): Line => ({ user, name, text, time })),
  );
  const measured: Measured[] = [];
  for (const node of stage.nodes) measured.push(await measureNode(stage, node, input));
  return measured;
}

async function measureNode(
  { processes, channel }: Stage,
  node: DemoNode,
  input: readonly Line[],
): Promise<Measured> {
  const { name, dir } = node;
  const [verify, log] = await Promise.all([
    processes.run(name, ['verify', '--dir', dir, channel]),
    processes.run(name, ['log', '--dir', dir, channel]),
  ]);
}
