/**
 * The acts in which the network is split, and healed: one side reaches only the
 * first relay, the other only the second. Four of seven go on and finalise;
 * three can't, and commit among themselves. Afterwards all seven have all of it.
 */

import { callNode } from './control.js';
import { isolation } from './isolation.js';
import { cut, type DemoNode, heal } from './node.js';
import { aLeader, allEqual, ENOUGH, goOn, names, type Play, postedNow, until } from './play.js';
import { leaderOf } from './show.js';
import type { Side } from './stage.js';
import { demoFailed } from './wait.js';

/** Members on the smaller side: fewer than half, and enough to commit. */
const FEW = 3;

/** Returns how many messages the smaller side had committed when the network was healed. */
export async function splitAndHeal(play: Play): Promise<number> {
  const { stage, show } = play;
  const sides = await twoSides(play);
  const [many, few] = sides;
  show.act('Act 2: the network splits, and both sides talk on');
  for (const { title, nodes } of sides) show.say(`${title}: ${names(nodes)}`);
  const handed = new Map(few.nodes.map((node) => [node, play.traffic.feed(node).handed]));
  for (const [i, { nodes }] of sides.entries()) {
    nodes.forEach((node, n) => {
      cut(node, 1 - i, n % 2 === 0 ? 'reset' : 'silence');
    });
  }
  show.say('every other connection across breaks; the rest fall silent');
  stage.sides = sides;
  await noticeTheSplit(play, sides);
  const finalThen = Math.max(...few.nodes.map(({ reader }) => reader.messages));
  await goOn(play, many.nodes);
  const doing = await talkAmongFew(play, few);
  show.table(stage, play.traffic, true);
  const leader = leaderOf(stage, many.nodes);
  show.say(
    `${names(many.nodes)} are most of the members: ${leader?.name} leads, all becomes final`,
  );
  let committed = 0;
  for (const node of few.nodes) {
    const found = await checkIsolation(play, node, many.nodes, {
      handed: handed.get(node)!,
      finalThen,
    });
    committed += found.committed;
  }
  show.say(`${names(few.nodes)} ${doing}; ${names(many.nodes)} know nothing of it`);
  await healed(play);
  return committed;
}

/** The leader is on the smaller side: so both sides have to elect. */
async function twoSides(play: Play): Promise<[Side, Side]> {
  const { nodes, relays } = play.stage;
  const leader = await aLeader(play);
  const others = nodes.filter((node) => node !== leader);
  const few = [leader, ...others.slice(1 - FEW)];
  const many = nodes.filter((node) => !few.includes(node));
  const side = (i: number, some: readonly DemoNode[]): Side => ({
    title: `only ${relays[i]!.name}, ${some.length} of ${nodes.length}`,
    nodes: some,
  });
  return [side(0, many), side(1, few)];
}

/** Waits until each node sees its own side, and nobody else. */
async function noticeTheSplit(play: Play, sides: readonly Side[]): Promise<void> {
  const began = performance.now();
  await until(play, 'both sides to notice the split', () =>
    sides.every(({ nodes }) => {
      const expected = new Set<string>(nodes.map(({ user }) => user));
      return nodes.every(
        ({ status }) =>
          status?.online.length === expected.size && status.online.every((u) => expected.has(u)),
      );
    }),
  );
  const took_s = ((performance.now() - began) / 1_000).toFixed(1);
  play.show.say(`after ${took_s} s each node sees its own side, and nobody else`);
}

/**
 * Waits until the few have said something, and says what becomes of it:
 * committed in an online epoch; queued, where nothing can be committed.
 */
function talkAmongFew(play: Play, { nodes }: Side): Promise<string> {
  return until(play, `${names(nodes)} to talk on`, () => {
    play.traffic.keepFlowing();
    const all = nodes.flatMap(({ status }) => status ?? []);
    const every = (fits: (status: (typeof all)[number]) => boolean): boolean =>
      all.length === nodes.length && all.every(fits);
    if (every(({ epoch, committed }) => epoch?.kind === 'online' && committed >= ENOUGH)) {
      const leader = leaderOf(play.stage, nodes);
      return `elected ${leader?.name} among themselves, and commit what they say`;
    }
    const [first] = all;
    if (every(({ waiting, queued }) => waiting?.have === FEW && queued >= ENOUGH)) {
      return `queue what they say ("${first?.waiting?.reason}")`;
    }
    return false;
  });
}

async function checkIsolation(
  { stage, traffic, signal }: Play,
  node: DemoNode,
  elsewhere: readonly DemoNode[],
  before: { readonly handed: number; readonly finalThen: number },
): Promise<{ committed: number }> {
  const { name, user, dir, reader } = node;
  const { posted } = traffic.feed(node);
  const log = await callNode(dir, 'log', { args: { channel: stage.channel }, signal });
  const found = isolation({
    user,
    log,
    ...before,
    posted,
    finalNow: reader.messages,
    knownElsewhere: Math.max(...elsewhere.map(({ reader }) => reader.messagesOf(user))),
  });
  if (found.problem === undefined) return found;
  throw demoFailed(`${name}, while it was cut off, ${found.problem}`);
}

async function healed(play: Play): Promise<void> {
  const { stage, traffic, show } = play;
  show.act('Act 3: the network is healed');
  stage.sides = [{ title: 'all', nodes: stage.nodes }];
  traffic.hold();
  const missed = postedNow(play, stage.nodes);
  const began = performance.now();
  stage.nodes.forEach(heal);
  await until(play, 'all heads to be equal', () => {
    const all = [...missed].every(([{ user }, count]) =>
      stage.nodes.every(({ reader }) => reader.messagesOf(user) >= count),
    );
    return all && allEqual(stage);
  });
  const took_s = ((performance.now() - began) / 1_000).toFixed(1);
  const { head, final } = stage.nodes[0]!.status!;
  show.table(stage, traffic, true);
  show.say(
    `all ${stage.nodes.length} hold the same after ${took_s} s: seq ${final}, head ${head.slice(0, 16)}…`,
  );
}
