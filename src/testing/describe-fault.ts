/** Faults in words, for transcripts and pictures. */

import type { Fault } from './faults.js';

/** What is broken. */
export function describeFault(fault: Fault): string {
  switch (fault.kind) {
    case 'crash':
      return `node ${fault.node} loses power${fault.inWrite ? ' in its next write' : ''}`;
    case 'pause':
      return `node ${fault.node} pauses`;
    case 'disk-full':
      return `the disk of node ${fault.node} is full`;
    case 'slow-disk':
      return `the disk of node ${fault.node} takes ${fault.ms} ms`;
    case 'cut':
      return `the link of node ${fault.node} to relay ${fault.relay} is cut${oneWay(fault.directions)}`;
    case 'isolate':
      return `node ${fault.node} is cut off${oneWay(fault.directions)}`;
    case 'block':
      return describePairs(fault.pairs);
    case 'reset':
      return `the link of node ${fault.node} to relay ${fault.relay} is reset`;
    case 'relay-restart':
      return `relay ${fault.relay} restarts and knows nothing`;
    case 'weather':
      return 'the weather changes';
    default:
      return describeFields(fault);
  }
}

const oneWay = (directions: readonly string[]): string =>
  directions.length === 1
    ? `, ${directions[0] === 'up' ? 'it sends only into the void' : 'it hears nothing'}`
    : '';

type Pairs = readonly (readonly [number, number])[];

/** A partition by its sides where it has some, else by who does not hear whom. */
function describePairs(pairs: Pairs): string {
  const sides = sidesOf(pairs);
  if (sides) return `the network is split: ${sides.map((side) => side.join(' ')).join(' | ')}`;
  const deaf = new Map<number, number[]>();
  for (const [from, to] of pairs) deaf.set(to, [...(deaf.get(to) ?? []), from]);
  const told = [...deaf].map(([to, from]) => `${to} hears nothing of ${from.join(' ')}`);
  return told.length <= 3 ? told.join(', ') : `${pairs.length} ways between nodes are blocked`;
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

/** A kind without words of its own, by its fields. */
function describeFields(fault: object): string {
  const { kind, at: _at, until: _until, ...fields } = fault as { [field: string]: unknown };
  const told = Object.entries(fields).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  return `${kind}${told.length > 0 ? `: ${told.join(', ')}` : ''}`;
}
