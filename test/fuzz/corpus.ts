/**
 * Inputs that were seen elsewhere, for mutation: test/vectors, an example of
 * each command, and what nodes of the simulator sent and stored.
 */

import { readFileSync } from 'node:fs';
import { COMMANDS, type CommandName, encodePayload } from '../../src/core/commands.js';
import { pack } from '../../src/core/msgpack.js';
import { OPEN_TO_RELAY, sealFrame } from '../../src/core/seal.js';
import { nativeCrypto } from '../../src/native/crypto-native.js';
import type { Observer } from '../../src/testing/observer.js';
import { runScenario } from '../../src/testing/scenario.js';
import { simulate } from '../../src/testing/simulate.js';
import { EXAMPLES } from '../unit/command-examples.js';
import { commandInput } from './targets/wire.js';

/** By name of the target. */
export type Corpus = { readonly [target: string]: readonly Uint8Array[] };

const INPUTS_MAX = 120;
/** Of one command, whose number is an input's first byte. */
const OF_COMMAND_MAX = 12;
const INPUT_BYTES_MAX = 3_000;
/** Of one length and beginning. */
const LIKE_MAX = 4;
const SIMULATED_SEEDS = [6, 13];
/** Of test/scenarios: growth, branches and their merge, pages, lost memory. */
const SCENARIOS = ['newcomer', 'both-sides-merge', 'catch-up', 'forgotten-ballot', 'better-log'];

const COMMAND_TARGETS = ['command', 'inspect', 'link-relay', 'link-client'];

class Collector {
  readonly #inputs = new Map<string, Map<string, Uint8Array>>();
  readonly #count = new Map<string, number>();

  /** Counts what is like this, up to a limit; false from there on. */
  #counts(what: string, max: number): boolean {
    const count = (this.#count.get(what) ?? 0) + 1;
    this.#count.set(what, count);
    return count <= max;
  }

  /** Keeps the first few of each length: what differs in length mostly differs in form. */
  add(target: string, bytes: Uint8Array): void {
    if (bytes.length === 0 || bytes.length > INPUT_BYTES_MAX) return;
    const isCommand = COMMAND_TARGETS.includes(target);
    const group = isCommand ? `${target} ${bytes[0]}` : target;
    if (!this.#counts(`${target} ${bytes[0]} ${bytes.length}`, LIKE_MAX)) return;
    if (!this.#counts(group, isCommand ? OF_COMMAND_MAX : INPUTS_MAX)) return;
    const inputs = this.#inputs.get(target) ?? new Map<string, Uint8Array>();
    this.#inputs.set(target, inputs);
    inputs.set(Buffer.from(bytes).toString('hex'), bytes.slice());
  }

  /** Whether one more command of this name can be of use. */
  wants(name: CommandName): boolean {
    return this.#counts(`command ${name}`, LIKE_MAX * OF_COMMAND_MAX);
  }

  done(): Corpus {
    return Object.fromEntries(
      [...this.#inputs].map(([target, inputs]) => [target, [...inputs.values()]]),
    );
  }
}

/** Which target a field of a vector is for, by file and field; a field of any file stands alone. */
const FIELDS: { readonly [field: string]: readonly string[] } = {
  'records bytes': ['record'],
  'records proof': ['proof'],
  'statements bytes': ['statement'],
  'genesis bytes': ['genesis'],
  'certificates bytes': ['certificate'],
  'merges bytes': ['merge-body'],
  record: ['record'],
  record_body: ['epoch-body'],
  proof: ['election'],
  statement: ['statement'],
  step: ['step'],
  genesis: ['genesis'],
};

const FILES = ['records', 'statements', 'genesis', 'ballots', 'certificates', 'merges'];

function addVectors(to: Collector): void {
  const walk = (file: string, value: unknown, field: string): void => {
    if (typeof value === 'string') {
      const targets = FIELDS[`${file} ${field}`] ?? FIELDS[field] ?? [];
      if (!/^([0-9a-f]{2})+$/.test(value)) return;
      for (const target of targets) to.add(target, new Uint8Array(Buffer.from(value, 'hex')));
    } else if (Array.isArray(value)) for (const item of value) walk(file, item, field);
    else if (typeof value === 'object' && value !== null) {
      for (const [key, item] of Object.entries(value)) walk(file, item, key);
    }
  };
  for (const file of FILES) {
    const url = new URL(`../vectors/${file}.json`, import.meta.url);
    walk(file, JSON.parse(readFileSync(url, 'utf8')), '');
  }
}

const NOTHING_NEW = { timestamp: 1_700_000_000, nonce: new Uint8Array(8).fill(1) };

function addCommand(to: Collector, name: CommandName, payload: object): void {
  if (!to.wants(name)) return;
  const bytes = pack(encodePayload(name, payload)).slice();
  to.add('payload', bytes);
  for (const target of COMMAND_TARGETS) {
    to.add(target, commandInput(name, bytes));
  }
  to.add('frame', sealFrame(nativeCrypto, OPEN_TO_RELAY, name, bytes));
}

/** Which target reads the values under a key of the store (src/core/layout.ts). */
const KEYS: readonly (readonly [RegExp, string])[] = [
  [/\/genesis$/, 'stored-genesis'],
  [/\/hard$/, 'hard-state'],
  [/\/final$/, 'final'],
  [/\/log\//, 'entry'],
  [/\/(cert\/|committed$|commit\/)/, 'certificate'],
  [/\/step\//, 'step'],
  [/\/epoch\//, 'election'],
  [/\/proposal$/, 'proposal'],
  [/\/branch\//, 'point'],
  [/\/place\//, 'run'],
  [/\/(out|pool)\//, 'offer'],
  [/\/convict\//, 'conviction'],
  [/^node\/boots$/, 'boots'],
  [/^node\/dm\/log\//, 'private-message'],
];

/** Collects what nodes send and store. */
function watch(to: Collector): Observer {
  return (event) => {
    if (event.type === 'sent' && Object.hasOwn(COMMANDS, event.command.name)) {
      const { name, payload } = event.command;
      addCommand(to, name, { ...NOTHING_NEW, ...payload });
    } else if (event.type === 'durable') {
      for (const { key, value } of event.ops) {
        const bytes = typeof value === 'function' ? (value as () => Uint8Array)() : value;
        const target = KEYS.find(([pattern]) => pattern.test(key))?.[1];
        if (bytes && target) to.add(target, bytes);
        if (bytes && target === 'entry') to.add('raw-entry', bytes);
      }
    }
  };
}

export async function collectCorpus(): Promise<Corpus> {
  const to = new Collector();
  addVectors(to);
  const observe = watch(to);
  for (const name of SCENARIOS) {
    const file = new URL(`../scenarios/${name}.txt`, import.meta.url);
    await runScenario(readFileSync(file, 'utf8'), observe);
  }
  for (const seed of SIMULATED_SEEDS) await simulate({ seed, observe });
  for (const name of Object.keys(EXAMPLES) as CommandName[]) addCommand(to, name, EXAMPLES[name]);
  return to.done();
}
