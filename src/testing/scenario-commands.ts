/** The commands of scenarios (scenario.ts): what each does, and what it prints. */

import type { Millis } from '../core/ids.js';
import { MEMBERS_PER_CHANNEL_MAX } from '../core/limits.js';
import type { MembershipBody, Roster } from '../core/roster.js';
import { SIM_NODES_MAX, SIM_RELAYS_MAX } from './check-options.js';
import { Cluster } from './cluster.js';
import { replaceBody } from './replacing.js';
import { conditionOf } from './scenario-conditions.js';
import { showLog, showNode, showPage, showPromises, showSet, showStatus } from './scenario-show.js';
import {
  applies,
  badScenario as bad,
  expectationFailed as failed,
  parseRule,
  type Rule,
  type Stage,
} from './scenario-stage.js';
import type { Direction, Passing } from './sim-network.js';
import type { SimNode } from './sim-node.js';
import type { Line } from './transcript.js';

const SEED = 1;
const SETUP_MS_MAX = 60_000;
const UNTIL_MS_MAX = 60_000;
/** `run` ends once nothing but heartbeats was seen for so long. */
const QUIET_MS = 100;
/** After the last join, for everyone to see everyone online. */
const CALM_MS = 2_000;

/** Lines of a transcript may still be completed until the block ends. */
type Lines = readonly (string | Line)[];
type Run = (stage: Stage, args: readonly string[], rest: string) => Lines | Promise<Lines>;

const DONE: Lines = [];

const COMMANDS: { readonly [name: string]: Run } = {
  nodes: setUp,
  run: runFor,
  post(stage, [index], rest) {
    const node = stage.node(index);
    const text = rest.slice(rest.indexOf(' ') + 1);
    return stage.cluster.post(node.index, text) ? DONE : [`${node.index} takes no messages`];
  },
  /** `remove 2 by 0` */
  remove(stage, [index, , by]) {
    const { user } = stage.node(index);
    return change(stage, by, ({ number }) => ({ kind: 'remove', base: number, user }));
  },
  /** `replace 2 by 0`: another key takes the place of node 2's, on a device that is never on; `… as 3`: on that node. */
  replace(stage, [index, , by, , as]) {
    if (as !== undefined) {
      const [node, asks, device] = [index, by, as].map((name) => stage.node(name).index);
      const what = { what: 'replace', node: node!, by: asks!, as: device! } as const;
      stage.cluster.app.change({ at: 0, ...what });
      return DONE;
    }
    const { crypto } = stage.cluster;
    const { user: old, index: gone } = stage.node(index);
    stage.cluster.app.mayGo(gone);
    const user = crypto.userOf(`the new key of ${index}`);
    const sealing = stage.cluster.app.sealingOf(user, old);
    const asked = { old, user, name: `${index} anew`, sealing, by: null };
    return change(stage, by, (roster) => replaceBody(crypto, roster, asked));
  },
  leave(stage, [index]) {
    return change(stage, index, ({ number }) => ({ kind: 'leave', base: number }));
  },
  /** `role 2 admin by 0` */
  role(stage, [index, role, , by]) {
    const { user } = stage.node(index);
    if (role !== 'admin' && role !== 'member') throw bad('a role is "admin" or "member"');
    return change(stage, by, ({ number }) => ({ kind: 'role', base: number, user, role }));
  },
  async start(stage, args) {
    for (const arg of some(args)) await stage.node(arg).start();
    return stage.news();
  },
  crash(stage, args) {
    const inWrite = args.slice(-2).join(' ') === 'in write';
    for (const arg of some(inWrite ? args.slice(0, -2) : args)) {
      const node = stage.node(arg);
      if (inWrite) node.disk.inNextWrite = () => node.crash();
      else node.crash();
    }
    return stage.news();
  },
  pause(stage, [index, time]) {
    stage.node(index).pause(stage.cluster.timeline.now + duration(time));
    return DONE;
  },
  split: split,
  cut: cut,
  isolate(stage, args) {
    return cut(stage, [...args, 'relay', ...stage.cluster.network.relays.map((_, i) => `${i}`)]);
  },
  heal(stage) {
    for (const mend of stage.mends.splice(0)) mend();
    return DONE;
  },
  save(stage, args) {
    for (const arg of some(args))
      stage.copies.set(stage.node(arg).index, stage.node(arg).disk.image());
    return DONE;
  },
  restore(stage, args) {
    for (const arg of some(args)) restore(stage, stage.node(arg));
    return stage.news();
  },
  stop(stage, [what, index]) {
    if (what !== 'relay') throw bad('say "stop relay N"');
    stage.stopRelay(stage.relay(index));
    return stage.news();
  },
  restart(stage, [what, index]) {
    if (what !== 'relay') throw bad('say "restart relay N"');
    stage.restartRelay(stage.relay(index));
    return stage.news();
  },
  hold: (stage, args) => addRule(stage, 'hold', args),
  drop: (stage, args) => addRule(stage, 'drop', args),
  deliver: deliver,
  hide(stage, args) {
    if (args.length === 0)
      throw bad('say what to hide: names of commands, disk, state, told, refused, all');
    for (const kind of args) stage.hidden.add(kind);
    return DONE;
  },
  unhide(stage, args) {
    for (const kind of args.length > 0 ? args : [...stage.hidden]) stage.hidden.delete(kind);
    return DONE;
  },
  expect(stage, args) {
    const why = conditionOf(stage, args)();
    if (why !== undefined) throw failed(why);
    return ['yes'];
  },
  show(stage, [what, ...args]) {
    if (what === 'log') return showLog(stage, stage.node(args[0]), firstSeq(args[1]));
    if (what === 'page') return showPage(stage, stage.node(args[0]), firstSeq(args[1]));
    if (what === 'set') return showSet(stage, stage.node(args[0]));
    if (what === 'status') return showStatus(stage, stage.node(args[0]));
    if (what === 'promises') return stage.cluster.nodes.map((node) => showPromises(stage, node));
    if (what === 'nodes') return stage.cluster.nodes.map((node) => showNode(stage, node));
    if (what === 'held') return stage.held.map(describePassing);
    throw bad(
      'say "show log NODE", "show page NODE", "show set NODE", "show status NODE", "show nodes", "show promises" or "show held"',
    );
  },
};

/** Runs one command and returns what it prints. Throws `bad_scenario`, `expectation`. */
export async function runCommand(stage: Stage, line: string): Promise<Lines> {
  const [name = '', ...args] = line.split(/\s+/);
  const run = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!run) throw bad(`there is no such command: ${Object.keys(COMMANDS).join(', ')}`);
  return run(stage, args, line.slice(name.length).trim());
}

function change(
  stage: Stage,
  by: string | undefined,
  make: (roster: Roster) => MembershipBody,
): Lines {
  stage.cluster.app.wish(stage.node(by), make);
  return DONE;
}

/** Nodes that are named: one at least. */
function some(args: readonly string[]): readonly string[] {
  if (args.length === 0) throw bad('say which nodes');
  return args;
}

function firstSeq(text = '1'): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw bad(`"${text}" is no place in the log: give a number`);
}

/** `5 relays 2 archives 1 minOnline 3 quorum roster joined 4`. */
async function setUp(stage: Stage, [count, ...rest]: readonly string[]): Promise<Lines> {
  const given = new Map<string, string>();
  for (let i = 0; i < rest.length; i += 2) given.set(rest[i]!, rest[i + 1] ?? '');
  const number = (name: string, otherwise: number, most: number): number => {
    const text = given.get(name);
    given.delete(name);
    if (text === undefined) return otherwise;
    const value = /^[1-9]\d*$/.test(text) ? Number(text) : Number.NaN;
    if (!(value <= most)) throw bad(`"${name}" must be a number from 1 to ${most}`);
    return value;
  };
  const nodes = /^[1-9]\d*$/.test(count ?? '') ? Number(count) : Number.NaN;
  if (!(nodes <= SIM_NODES_MAX)) throw bad(`say how many nodes, from 1 to ${SIM_NODES_MAX}`);
  const relays = number('relays', 1, SIM_RELAYS_MAX);
  const minOnline = number('minOnline', 3, MEMBERS_PER_CHANNEL_MAX);
  const joined = number('joined', nodes, nodes);
  const archives = number('archives', 0, nodes - 1);
  const few = archives > 0 ? 'archive' : 'always';
  const quorum = given.get('quorum') === 'roster' ? 'roster' : 'online';
  given.delete('quorum');
  if (given.size > 0)
    throw bad(
      `"${[...given.keys()][0]}" is no property of a channel: relays, archives, minOnline, quorum and joined are`,
    );
  const observe = stage.observer;
  const policy = { minOnline, few, archives, quorum } as const;
  stage.cluster = new Cluster({ seed: SEED, nodes, relays, ...policy, observe });
  await joinAll(stage, joined);
  stage.cluster.ready();
  stage.transcript.take();
  const leader = stage.cluster.nodes.find((node) => node.state(stage.cluster.app.channel)?.leading);
  return leader ? [showNode(stage, leader)] : ['nobody leads'];
}

/** One after the other, so that everyone's place in the log is known. */
async function joinAll({ cluster }: Stage, count: number): Promise<void> {
  const members = cluster.nodes.slice(0, count);
  for (const [i, node] of members.entries()) {
    await node.start();
    const joined = members.slice(0, i + 1);
    const isReady = () => cluster.unsettled(joined) === undefined;
    if (!(await cluster.until(isReady, SETUP_MS_MAX))) {
      throw bad(`node ${i} could not join: ${cluster.problem ?? cluster.unsettled(joined)}`);
    }
  }
  await cluster.run(CALM_MS);
}

async function runFor(stage: Stage, args: readonly string[]): Promise<Lines> {
  const { cluster, transcript } = stage;
  const [first, ...rest] = args;
  if (first === undefined) {
    const from = cluster.timeline.now;
    const isQuiet = () => cluster.timeline.now - Math.max(from, transcript.lastAt) >= QUIET_MS;
    await cluster.until(isQuiet, UNTIL_MS_MAX);
  } else if (first === 'until') {
    const whyNot = conditionOf(stage, rest);
    if (!(await cluster.until(() => whyNot() === undefined, UNTIL_MS_MAX))) {
      throw failed(`${UNTIL_MS_MAX / 1_000} s later: ${cluster.problem ?? whyNot()}`);
    }
  } else {
    await cluster.run(duration(first));
  }
  return stage.news();
}

function duration(text: string | undefined): Millis {
  const [, digits, unit] = /^(\d+)(ms|s)$/.exec(text ?? '') ?? [];
  if (digits === undefined) throw bad('a time is like 500ms or 2s');
  return Number(digits) * (unit === 's' ? 1_000 : 1);
}

/** Turns a node off and puts the copy of its disk in, that `save` made. */
function restore(stage: Stage, node: SimNode): void {
  const copy = stage.copies.get(node.index);
  if (!copy) throw bad(`the disk of node ${node.index} was not saved`);
  node.crash();
  node.disk.restore(copy);
}

/** `0 1 2 | 3 4`: no relay forwards between these sides. */
function split(stage: Stage, args: readonly string[]): Lines {
  const sides = args.join(' ').split('|');
  if (sides.length < 2) throw bad('put "|" between the sides, as 0 1 2 | 3 4');
  const members = sides.map((side) =>
    side
      .trim()
      .split(/\s+/)
      .map((n) => stage.node(n).index),
  );
  const { network } = stage.cluster;
  const pairs = members.flatMap((side, i) =>
    members
      .filter((_, j) => j !== i)
      .flat()
      .flatMap((other) => side.map((one): [number, number] => [one, other])),
  );
  for (const [one, other] of pairs) network.block(one, other, 1);
  const over = stage.cluster.broken({ kind: 'block', pairs, ...stage.lasting });
  stage.mends.push(() => {
    for (const [one, other] of pairs) network.block(one, other, -1);
    over();
  });
  return DONE;
}

/** `3 4 relay 0 1 up`: these nodes' links to these relays lose what goes this way. */
function cut(stage: Stage, args: readonly string[]): Lines {
  const at = args.indexOf('relay');
  if (at < 1) throw bad('say which nodes and which relays, as "3 relay 0"');
  const direction = args.find((arg): arg is Direction => arg === 'up' || arg === 'down');
  const nodes = args.slice(0, at).map((arg) => stage.node(arg).index);
  const relays = args.slice(at + 1).filter((arg) => arg !== direction);
  const { network } = stage.cluster;
  const directions = direction ? [direction] : (['up', 'down'] as const);
  for (const node of nodes) {
    for (const relay of relays.map((arg) => stage.relay(arg))) {
      for (const way of directions) network.cut(node, relay, way);
      const over = stage.cluster.broken({
        ...{ kind: 'cut', node, relay, directions, reset: false, ...stage.lasting },
      });
      stage.mends.push(() => {
        for (const way of directions) network.mend(node, relay, way);
        over();
      });
    }
  }
  return DONE;
}

function addRule(stage: Stage, action: Rule['action'], args: readonly string[]): Lines {
  if (args[0] === 'nothing') stage.rules = stage.rules.filter((rule) => rule.action !== action);
  else stage.rules.push({ action, ...parseRule(stage, args) });
  return DONE;
}

/** Lets held frames go that a `deliver` names, all without one; what comes after them is held still. */
function deliver(stage: Stage, args: readonly string[]): Lines {
  const wanted = parseRule(stage, args);
  const released = stage.held.filter((passing) => applies(wanted, passing));
  stage.held = stage.held.filter((passing) => !released.includes(passing));
  for (const passing of released) passing.pass();
  return released.map((passing) => `delivers ${describePassing(passing)}`);
}

const describePassing = ({ from, to, name }: Passing): string =>
  `${name} ${from === null ? 'of a relay' : `${from}`} → ${to}`;
