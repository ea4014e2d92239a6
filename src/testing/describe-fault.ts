/** Faults in words, for transcripts and pictures. */

import type { Fault, Victim } from './faults.js';
import type { Misdeed } from './misdeeds.js';

const nodesOf = (nodes: readonly number[]): string =>
  `${nodes.length === 1 ? 'node' : 'nodes'} ${nodes.join(' ')}`;
const linkOf = ({ node, relay }: { node: Victim; relay: number }): string =>
  `the link of node ${node} to relay ${relay}`;

/** How many faults of each kind, by the names that one asks for them: `5 crash`, `halves (3 block)`. */
export function countFaults(faults: readonly Pick<Fault, 'kind' | 'drawnFrom'>[]): string[] {
  const families = new Map<string, Map<string, number>>();
  for (const { kind, drawnFrom = kind } of faults) {
    const family = families.get(drawnFrom) ?? new Map<string, number>();
    families.set(drawnFrom, family.set(kind, (family.get(kind) ?? 0) + 1));
  }
  return [...families].map(([family, kinds]) => {
    const counted = [...kinds].map(([kind, n]) => `${n} ${kind}`).join(', ');
    return kinds.size === 1 && kinds.has(family) ? counted : `${family} (${counted})`;
  });
}

/** What is broken. With `nodes`, how many there are, those that nothing keeps apart are named too. */
export function describeFault(fault: Fault, nodes = 0): string {
  switch (fault.kind) {
    case 'crash':
      return `node ${fault.node} loses power${fault.inWrite ? ' in its next write' : ''}`;
    case 'pause':
      return `node ${fault.node} pauses`;
    case 'slow':
      return `node ${fault.node} takes up to ${fault.ms} ms for everything`;
    case 'clock':
      return `the clock of node ${fault.node} jumps by ${fault.ms} ms`;
    case 'disk-full':
      return `the disk of node ${fault.node} is full`;
    case 'disk-sync':
      return `the disk of node ${fault.node} fails to sync`;
    case 'slow-disk':
      return `the disk of node ${fault.node} takes ${fault.ms} ms`;
    case 'damage':
      return `a value on the disk of node ${fault.node} is damaged`;
    case 'old-disk':
      return `${nodesOf(fault.nodes)} lose power and come back with ${
        fault.copiedAt === null ? 'empty disks' : `their disks of ${fault.copiedAt} ms`
      }`;
    case 'cut':
      return `${linkOf(fault)} is cut${oneWay(fault.directions)}`;
    case 'clog':
      return `${linkOf(fault)} is clogged${oneWay(fault.directions)}`;
    case 'narrow':
      return `${linkOf(fault)} carries ${fault.bytesPerMs.toFixed(1)} bytes a millisecond`;
    case 'half-open':
      return `${linkOf(fault)} is half open: the ${fault.gone} is gone`;
    case 'dead':
      return `${linkOf(fault)} connects and carries nothing`;
    case 'reset':
      return `${linkOf(fault)} is reset`;
    case 'isolate':
      return `node ${fault.node} is cut off${oneWay(fault.directions)}`;
    case 'block':
      return describePairs(fault.pairs, nodes);
    case 'relay-split':
      return [
        ...fault.sides.map((side, relay) => `${nodesOf(side)} reach relay ${relay} alone`),
        ...others(fault.sides.flat(), nodes).map((rest) => `${rest} reach all relays`),
      ].join(', ');
    case 'relay-restart':
      return `relay ${fault.relay} restarts and knows nothing`;
    case 'relay-forgets':
      return `relay ${fault.relay} forgets its channels`;
    case 'lying-relay':
      return `relay ${fault.relay} lies`;
    case 'misbehaves':
      return `node ${fault.node} misbehaves: ${fault.misdeeds.map(describeMisdeed).join(', ')}`;
    case 'gone':
      return `node ${fault.node} is gone for good`;
    case 'weather':
      return fault.node === undefined
        ? 'the weather changes'
        : `the weather of node ${fault.node} changes`;
  }
}

function describeMisdeed(misdeed: Misdeed): string {
  switch (misdeed.do) {
    case 'withhold':
      return misdeed.names === 'all'
        ? 'it says nothing but that it is there'
        : `it never says ${misdeed.names.join(' ')}`;
    case 'censor':
      return `it places nothing of ${misdeed.author === 'all' ? 'others' : `node ${misdeed.author}`}`;
    case 'forge':
      return 'it changes what it says';
    case 'replay':
      return 'it repeats what was said before';
    case 'false-certificates':
      return 'it makes up certificates';
    case 'false-pages':
      return 'it serves false pages';
    case 'false-changes':
      return 'it asks for changes of membership that nobody signed';
    case 'two-votes':
      return 'it votes for everyone';
    case 'two-acks':
      return 'it acknowledges everything';
    case 'two-records':
      return 'it writes two messages in one place';
    case 'two-places':
      return 'it proposes one thing to some and another to others';
    case 'false-report':
      return 'it reports a log that it has not got';
  }
}

const oneWay = (directions: readonly string[]): string =>
  directions.length === 1
    ? `, ${directions[0] === 'up' ? 'it sends only into the void' : 'it hears nothing'}`
    : '';

type Pairs = readonly (readonly [number, number])[];

/** Those of `nodes` that are not among them, if there are any. */
function others(among: readonly number[], nodes: number): string[] {
  const rest = Array.from({ length: nodes }, (_, node) => node).filter((n) => !among.includes(n));
  return rest.length > 0 ? [nodesOf(rest)] : [];
}

/** What begins the words for a partition into sides. */
export const SPLIT = 'the network is split: ';

/** The end of a fault, by the words for it. */
export const describeEnd = (text: string): string =>
  text.startsWith(SPLIT) ? `healed: ${text.slice(SPLIT.length)}` : `ended: ${text}`;

/** A partition by its sides where it has some, else by who does not hear whom. */
export function describePairs(pairs: Pairs, nodes = 0): string {
  const rest = others(pairs.flat(), nodes).map((some) => `; nothing keeps ${some} from anybody`);
  const sides = sidesOf(pairs);
  if (sides) {
    return `${SPLIT}${sides.map((side) => side.join(' ')).join(' | ')}${rest.join('')}`;
  }
  const deaf = new Map<number, Set<number>>();
  for (const [from, to] of pairs) deaf.set(to, (deaf.get(to) ?? new Set()).add(from));
  const told = [...deaf].map(([to, from]) => `${to} hears nothing of ${[...from].join(' ')}`);
  if (told.length <= 3) return told.join(', ');
  const ways = [...deaf.values()].reduce((sum, from) => sum + from.size, 0);
  const alone = [...deaf].filter(([, from]) => from.size === nodes - 1).map(([node]) => node);
  const hear = alone.length === 1 ? 'hears' : 'hear';
  const named = alone.length > 0 ? `; ${nodesOf(alone.sort((a, b) => a - b))} ${hear} nobody` : '';
  return `${ways} ways between nodes are blocked${named}${rest.join('')}`;
}

/** The groups that can't reach each other, if blocking these pairs amounts to just that. */
function sidesOf(pairs: Pairs): number[][] | undefined {
  const isBlocked = new Set(pairs.map(([a, b]) => `${a} ${b}`));
  const sides: number[][] = [];
  for (const node of [...new Set(pairs.flat())].sort((a, b) => a - b)) {
    const side = sides.find(([first]) => !isBlocked.has(`${first} ${node}`));
    if (side) side.push(node);
    else sides.push([node]);
  }
  const crossing = sides.flatMap((side, i) =>
    sides.flatMap((other, j) =>
      i === j ? [] : side.flatMap((a) => other.map((b) => `${a} ${b}`)),
    ),
  );
  const isSplit =
    crossing.length === isBlocked.size && crossing.every((pair) => isBlocked.has(pair));
  return isSplit ? sides : undefined;
}
