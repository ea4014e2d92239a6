/** What scenarios may expect or wait for: `expect leads 0`, `run until final 1 hello`. */

import { type PlaceState, placeOf } from './scenario-show.js';
import { badScenario, type Stage } from './scenario-stage.js';

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
  /** `told final hello`: what its author was last told. */
  told(stage, [state, ...words]) {
    const text = words.join(' ');
    return () => {
      const told = stage.cluster.told(stage.cluster.messageId(text)) ?? 'nothing';
      return told === state ? undefined : `its author was told ${told} of "${text}"`;
    };
  },
};

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
