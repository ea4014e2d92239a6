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

interface Split {
  readonly play: Play;
  readonly many: Side;
  readonly few: Side;
  /** Lines that each node had been given when the network split. */
  readonly handed: ReadonlyMap<DemoNode, number>;
}

/** Returns how many messages the smaller side had committed when the network was healed. */
export async function splitAndHeal(play: Play): Promise<number> {
  play.show.act('Act 2: the network splits, and both sides talk on');
  const split = await cutInTwo(play);
  await noticeTheSplit(split);
  const committed = await bothTalk(split);
  play.show.act('Act 3: the network is healed');
  await healed(play);
  return committed;
}

/** The leader is on the smaller side: so both sides have to elect. */
async function cutInTwo(play: Play): Promise<Split> {
  const { stage, traffic, show } = play;
  const { nodes, relays } = stage;
  const leader = await aLeader(play);
  const others = nodes.filter((node) => node !== leader);
  const few = [leader, ...others.slice(1 - FEW)];
  const many = nodes.filter((node) => !few.includes(node));
  const sides = [many, few].map((some, i): Side => {
    const title = `only ${relays[i]!.name}, ${some.length} of ${nodes.length}`;
    show.say(`${title}: ${names(some)}`);
    return { title, nodes: some };
  }) as [Side, Side];
  const handed = new Map(nodes.map((node) => [node, traffic.feed(node).handed]));
  sides.forEach((side, i) => {
    for (const node of side.nodes) cut(node, 1 - i);
  });
  stage.sides = sides;
  return { play, many: sides[0], few: sides[1], handed };
}

/** Waits until each node sees its own side, and nobody else. */
async function noticeTheSplit({ play, many, few }: Split): Promise<void> {
  const began = performance.now();
  await until(play, 'both sides to notice the split', () =>
    [many, few].every(({ nodes }) => {
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

/** Returns how many messages only the few know, who committed them. */
async function bothTalk(split: Split): Promise<number> {
  const { play, few } = split;
  const { stage, show } = play;
  const [manyNames, fewNames] = [names(split.many.nodes), names(few.nodes)];
  const finalThen = Math.max(...few.nodes.map(({ reader }) => reader.messages));
  await goOn(play, split.many.nodes);
  const theirs = await talkAmongFew(split);
  await fallSilent(split);
  show.table(stage, play.traffic, true);
  const leader = leaderOf(stage, split.many.nodes);
  show.say(`${manyNames} are most of the members: ${leader?.name} leads, all becomes final`);
  for (const node of few.nodes) await checkIsolation(split, node, finalThen);
  const { apart, shared } = await committedAmongFew(split);
  show.say(`${fewNames} elected ${theirs.name} among themselves`);
  show.say(`they committed ${apart} messages that ${manyNames} know nothing of`);
  if (shared > 0) show.say(`(and ${shared} that had reached the others before the split)`);
  return apart;
}

/** Holds the traffic until both sides are done with what they were given. */
function fallSilent({ play }: Split): Promise<true> {
  const { stage, traffic } = play;
  traffic.hold();
  return until(play, 'both sides to be done with what they were given', () =>
    stage.nodes.every((node) => {
      const { handed, posted } = traffic.feed(node);
      return handed === posted && node.status?.queued === 0 && node.status.sent === 0;
    }),
  );
}

/** How many messages are committed among the few: unknown to the others, and known to them from before. */
async function committedAmongFew({
  play: { stage, signal },
  many,
  few,
}: Split): Promise<{ apart: number; shared: number }> {
  const logs = [few, many].map(({ nodes }) =>
    callNode(nodes[0]!.dir, 'log', { args: { channel: stage.channel }, signal }),
  );
  const [theirs, others] = await Promise.all(logs);
  const known = new Set(others!.map(({ id }) => id));
  const committed = theirs!.filter(
    ({ kind, state }) => kind === 'message' && state === 'committed',
  );
  const apart = committed.filter(({ id }) => !known.has(id)).length;
  return { apart, shared: committed.length - apart };
}

/** Waits until the few have a leader of their own and each committed something since the split. */
function talkAmongFew({ play, few: { nodes }, handed }: Split): Promise<DemoNode> {
  const commits = ({ status, reader, user }: DemoNode, before: number): boolean =>
    status?.epoch?.kind === 'online' && reader.committedOf(user) >= before + ENOUGH / 3;
  return until(play, `${names(nodes)} to talk on`, () => {
    play.traffic.keepFlowing();
    return nodes.every((node) => commits(node, handed.get(node)!)) && leaderOf(play.stage, nodes);
  });
}

/** Checks that what the node wrote since the split is there, and nowhere else. */
async function checkIsolation(
  { play: { stage, traffic, signal }, many, handed }: Split,
  node: DemoNode,
  finalThen: number,
): Promise<void> {
  const { name, user, dir, reader } = node;
  const { posted } = traffic.feed(node);
  const log = await callNode(dir, 'log', { args: { channel: stage.channel }, signal });
  const problem = isolation({
    user,
    log,
    handed: handed.get(node)!,
    posted,
    finalThen,
    finalNow: reader.messages,
    knownElsewhere: Math.max(...many.nodes.map(({ reader }) => reader.messagesOf(user))),
  });
  if (problem !== undefined) throw demoFailed(`${name}, while it was cut off, ${problem}`);
}

async function healed(play: Play): Promise<void> {
  const { stage, traffic, show } = play;
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
