/** What scenarios may expect or wait for: `expect leads 0`, `run until final 1 hello`. */

import {
  logOf,
  type PlaceState,
  placeOf,
  showPage,
  showPromises,
  showStatus,
} from './scenario-show.js';
import { applies, badScenario, parseRule, type Stage } from './scenario-stage.js';

/** Why it is not so; undefined when it is. */
export type Condition = () => string | undefined;

type Make = (stage: Stage, args: readonly string[]) => Condition;

const CONDITIONS: { readonly [name: string]: Make } = {
  /** `leads 0 3`: these lead, and no others. */
  leads(stage, args) {
    const wanted = args.map((arg) => stage.node(arg).index).join(' ');
    return () => {
      const { nodes, app } = stage.cluster;
      const leading = nodes.filter((node) => node.state(app.channel)?.leading);
      const are = leading.map((node) => node.index).join(' ');
      return are === wanted ? undefined : `${are || 'nobody'} leads, not ${wanted || 'nobody'}`;
    };
  },
  /** `follows 1 0`: node 1 follows node 0. */
  follows(stage, [follower, leader]) {
    const node = stage.node(follower);
    const wanted = stage.node(leader);
    return () => {
      const lead = node.state(stage.cluster.app.channel)?.leadership;
      if (lead?.live && lead.epoch.leader === wanted.user) return undefined;
      return `node ${node.index} does not follow node ${wanted.index}`;
    };
  },
  /** `under online 0 1`: each leads or follows in a live epoch of this kind. */
  under(stage, [kind, ...args]) {
    if (kind !== 'online' && kind !== 'roster') throw badScenario('say "online" or "roster"');
    const nodes = args.map((arg) => stage.node(arg));
    return () => {
      const not = nodes.find((node) => {
        const st = node.state(stage.cluster.app.channel);
        const lead = st?.leading || st?.leadership?.live ? st.leadership : null;
        return lead?.epoch.kind !== kind;
      });
      return not && `node ${not.index} is under no ${kind} leader`;
    };
  },
  /** `electorate 0 0 1 2`: of the leadership that node 0 leads or follows. */
  electorate(stage, [index, ...args]) {
    const node = stage.node(index);
    const wanted = args.map((arg) => stage.node(arg).index).join(' ');
    return () => {
      const of = node.state(stage.cluster.app.channel)?.leadership?.epoch.electorate ?? [];
      const is = stage.transcript.names.users([...of]);
      return is === wanted ? undefined : `the electorate is ${is || 'empty'}, not ${wanted}`;
    };
  },
  /** `promises 0 term 8, online term 9`: on its disk. */
  promises(stage, [index, ...words]) {
    const node = stage.node(index);
    return () => {
      const is = showPromises(stage, node);
      return is.endsWith(` ${words.join(' ')}`) ? undefined : is;
    };
  },
  /** `status 1 messages need`: what its status says has these words. */
  status(stage, [index, ...words]) {
    const node = stage.node(index);
    return () => {
      const is = showStatus(stage, node).join('; ');
      return is.includes(words.join(' ')) ? undefined : `the status is "${is}"`;
    };
  },
  /** `members 0 1 2`: each of these takes them, and no others, for the members. */
  members(stage, args) {
    const nodes = args.map((arg) => stage.node(arg));
    return () => {
      for (const node of nodes) {
        const members = node.state(stage.cluster.app.channel)?.roster.members.keys() ?? [];
        const are = stage.transcript.names.users([...members]);
        if (are !== args.join(' ')) return `to node ${node.index} the members are ${are}`;
      }
      return undefined;
    };
  },
  /** `none 3`: node 3 knows that it is no member. */
  none(stage, [index]) {
    const node = stage.node(index);
    return () => {
      const roster = node.state(stage.cluster.app.channel)?.roster;
      return roster?.members.has(node.user)
        ? `node ${node.index} takes itself for a member`
        : undefined;
    };
  },
  /** `pages 0 1`: their readers see the same. */
  pages(stage, args) {
    const nodes = args.map((arg) => stage.node(arg));
    return () => {
      const [first, ...others] = nodes.map((node) => showPage(stage, node, 1).join('; '));
      const other = others.find((page) => page !== first);
      if (other === undefined) return undefined;
      return `one shows ${first || 'nothing'}, another ${other || 'nothing'}`;
    };
  },
  /** `happened 1 → 0 ACK_CH_MSG`: a line of this block, hidden or not, has these words. */
  happened(stage, words) {
    return () =>
      lineWith(stage, words) === undefined ? `there is no "${words.join(' ')}"` : undefined;
  },
  /** `not final 1 hello`: any of the others does not hold. */
  not(stage, args) {
    const whyNot = conditionOf(stage, args);
    return () => (whyNot() === undefined ? `it is so: ${args.join(' ')}` : undefined);
  },
  /** `together 0 1 2`: under one leadership. */
  together(stage, args) {
    const nodes = args.map((arg) => stage.node(arg));
    return () => {
      const epochs = nodes.map((node) => {
        const lead = node.state(stage.cluster.app.channel)?.leadership;
        return lead?.live ? lead.id : undefined;
      });
      if (epochs.includes(undefined)) return 'one of them follows nobody';
      return new Set(epochs).size === 1 ? undefined : 'they are under different leaders';
    };
  },
  /** `over 2 relays 3 CH_MSG`: in this block node 3 sent such commands over so many relays. */
  over(stage, [count, , index, name]) {
    const { index: node } = stage.node(index);
    return () => {
      const { size } = stage.relaysUsed(node, name ?? '');
      return size === Number(count) ? undefined : `it went over ${size} relays`;
    };
  },
  /** `held CH_VOTE to 0`: such a command is held. */
  held(stage, args) {
    const wanted = parseRule(stage, args);
    return () =>
      stage.held.some((passing) => applies(wanted, passing)) ? undefined : 'nothing such is held';
  },
  /** `equal` or `equal 0 1 2`: the same log everywhere, all of it final. */
  equal(stage, args) {
    const nodes = args.length > 0 ? args.map((arg) => stage.node(arg)) : [...stage.cluster.nodes];
    return () => stage.cluster.unsettled(nodes);
  },
  /** `final 1 hello`: that is what node 1 knows of it. */
  final: (stage, args) => inState(stage, args, ['final']),
  committed: (stage, args) => inState(stage, args, ['committed', 'final']),
  /** In its log, or beside it, whether or not it will stay there. */
  placed: (stage, args) => inState(stage, args, ['placed', 'committed', 'final']),
  /** `absent 1 hello`: it has no place on node 1. */
  absent(stage, args) {
    const isPlaced = inState(stage, args, ['placed', 'committed', 'final']);
    return () => (isPlaced() === undefined ? `node ${args[0]} has a place for it` : undefined);
  },
  /** `logged 1 hello`: in its log, once, whether or not it will stay there. */
  logged(stage, [index, ...words]) {
    const node = stage.node(index);
    const text = words.join(' ');
    return () => {
      const id = stage.cluster.messageId(text);
      const times = logOf(stage, node).filter(({ record }) => record.id === id).length;
      return times === 1 ? undefined : `"${text}" is ${times} times in the log of node ${index}`;
    };
  },
  /** `told final hello`: what its author was last told. */
  told(stage, [state, ...words]) {
    const text = words.join(' ');
    return () => {
      const told = stage.cluster.told(stage.cluster.messageId(text)) ?? 'nothing';
      return told === state ? undefined : `its author was told ${told} of "${text}"`;
    };
  },
};

function lineWith(stage: Stage, words: readonly string[]): string | undefined {
  const wanted = words.join(' ');
  const lines = stage.happened.map(({ text }) => text.replace(/ +/g, ' '));
  return lines.find((line) => line.includes(wanted));
}

/** Throws `bad_scenario`. */
export function conditionOf(stage: Stage, [name = '', ...args]: readonly string[]): Condition {
  const make = Object.hasOwn(CONDITIONS, name) ? CONDITIONS[name] : undefined;
  if (!make) {
    const known = Object.keys(CONDITIONS).join(', ');
    throw badScenario(`"${name}" can't be expected: ${known} can`);
  }
  return make(stage, args);
}

function inState(
  stage: Stage,
  [index, ...words]: readonly string[],
  states: readonly PlaceState[],
): Condition {
  const node = stage.node(index);
  const text = words.join(' ');
  return () => {
    const state = placeOf(stage, node, stage.cluster.messageId(text));
    if (state && states.includes(state)) return undefined;
    return `"${text}" is ${state ?? 'not placed'} on node ${node.index}`;
  };
}
