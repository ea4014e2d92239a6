/** `npm run fuzz`: hostile bytes for everything that reads bytes; see USAGE. */

import { parseArgs } from 'node:util';
import { collectCorpus } from './corpus.js';
import { type Finding, Fuzzer, fuzz, type TargetInfo, type Totals } from './fuzzer.js';

const USAGE = `Gives hostile bytes to everything that reads bytes, and checks what comes of them
(docs/fuzzing.md). A finding names its target, seed and case, with which it can be run again.

    npm run fuzz -- [options]

    --cases N     so many cases over all targets (1,000,000)
    --minutes M   stop after M minutes, however many cases were run
    --target T    this target alone; may be given more than once
    --seed S      the seed (random, and printed)
    --case K      run case K of a target and a seed alone, and print its input
    --input HEX   give a target these bytes
    --list        what targets there are
    --help        this text

Exits 0 when nothing was found, 1 when something was, 2 when it can't run.`;

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

const flags = readFlags();

function readFlags() {
  try {
    const { values } = parseArgs({
      options: {
        cases: { type: 'string', default: '1000000' },
        minutes: { type: 'string' },
        target: { type: 'string', multiple: true, default: [] },
        seed: { type: 'string', default: `${Math.floor(Math.random() * 2 ** 31)}` },
        case: { type: 'string' },
        input: { type: 'string' },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    return values;
  } catch (error) {
    return fail(`${(error as Error).message}\n\n${USAGE}`);
  }
}

function numberOf(flag: 'cases' | 'minutes' | 'seed' | 'case'): number {
  const text = flags[flag] ?? '';
  const n = Number(text.replaceAll('_', '').replaceAll(',', ''));
  const isGood =
    text.trim() !== '' &&
    Number.isFinite(n) &&
    n >= 0 &&
    (flag === 'minutes' || Number.isSafeInteger(n));
  return isGood ? n : fail(`--${flag} must be a number, not "${text}"\n\n${USAGE}`);
}

const PROGRESS_MS = 10_000;
const group = (n: number): string => Math.round(n).toLocaleString('en-US');

function report({ target, seed, number, message, input }: Finding): void {
  console.log(`\nFOUND by ${target}: ${message}`);
  if (input !== '') console.log(`input: ${input}`);
  console.log(`again: npm run fuzz -- --target ${target} --seed ${seed} --case ${number}`);
}

function table(targets: readonly TargetInfo[], { byTarget }: Totals): void {
  console.log('target               cases       accepted   a second');
  for (const { name } of targets) {
    const sum = byTarget.get(name);
    if (!sum) continue;
    const rate = sum.cases / (sum.ms / 1_000);
    const share = `${Math.round((100 * sum.accepted) / sum.cases)} %`;
    console.log(
      `${name.padEnd(18)} ${group(sum.cases).padStart(11)} ${share.padStart(10)} ${group(rate).padStart(10)}`,
    );
  }
}

async function replay(fuzzer: Fuzzer, name: string, seed: number): Promise<number> {
  const given = flags.input;
  const isBad = given !== undefined && !/^([0-9a-f]{2})*$/.test(given);
  if (isBad) fail('--input must be bytes in lowercase hex');
  const input =
    given === undefined
      ? await fuzzer.make(name, seed, numberOf('case'))
      : new Uint8Array(Buffer.from(given, 'hex'));
  console.log(`input: ${Buffer.from(input).toString('hex')}`);
  const message = await fuzzer.check(name, input);
  console.log(
    message === undefined ? 'nothing is wrong with what becomes of it' : `FOUND: ${message}`,
  );
  return message === undefined ? 0 : 1;
}

async function search(
  fuzzer: Fuzzer,
  targets: readonly TargetInfo[],
  seed: number,
): Promise<number> {
  const startedAt = performance.now();
  const endsAt =
    flags.minutes === undefined
      ? Number.POSITIVE_INFINITY
      : startedAt + numberOf('minutes') * 60_000;
  let saidAt = startedAt;
  let reported = 0;
  const totals = await fuzz(fuzzer, targets, {
    ...{ seed, cases: numberOf('cases') },
    isOver: () => performance.now() >= endsAt,
    onTurn(done) {
      for (; reported < done.findings.length; reported++) report(done.findings[reported]!);
      if (performance.now() - saidAt < PROGRESS_MS) return;
      saidAt = performance.now();
      console.error(
        `${group(done.cases)} cases in ${group((saidAt - startedAt) / 1_000)} s, ${done.findings.length} found`,
      );
    },
  });
  table(targets, totals);
  const seconds = (performance.now() - startedAt) / 1_000;
  console.log(
    `${group(totals.cases)} cases in ${group(seconds)} s, seed ${seed}: ${totals.findings.length || 'nothing'} found`,
  );
  return totals.findings.length > 0 ? 1 : 0;
}

async function main(): Promise<number> {
  if (flags.help) {
    console.log(USAGE);
    return 0;
  }
  for (const flag of ['cases', 'seed'] as const) numberOf(flag);
  const fuzzer = await Fuzzer.start(await collectCorpus());
  try {
    const all = await fuzzer.targets();
    if (flags.list) {
      for (const { name, what } of all) console.log(`${name.padEnd(18)} ${what}`);
      return 0;
    }
    const unknown = flags.target.find((name) => !all.some((t) => t.name === name));
    if (unknown !== undefined) fail(`there is no target "${unknown}": see --list`);
    const targets =
      flags.target.length > 0 ? all.filter((t) => flags.target.includes(t.name)) : all;
    if (flags.case === undefined && flags.input === undefined) {
      return await search(fuzzer, targets, numberOf('seed'));
    }
    if (targets.length !== 1) fail('--case and --input need one --target, and --case its --seed');
    return await replay(fuzzer, targets[0]!.name, numberOf('seed'));
  } finally {
    await fuzzer.close();
  }
}

process.exitCode = await main();
