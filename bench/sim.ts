/**
 * How fast the simulator is: steps of the core a second on one core, virtual
 * against real time for five lightly loaded nodes (a message every five
 * seconds), and what a seed costs as `npm test` runs it. Everything counts:
 * network, disks, invariants and the trace. Time is the process's own, so that
 * what else runs on the machine matters less. It runs with the flags of the
 * processes that `sim --jobs` starts.
 */

/** The build, as users have it: what runs TypeScript directly slows closures down. */
const built = new URL('../dist/testing/index.js', import.meta.url);
const { simulate }: typeof import('../src/testing/index.js') = await import(built.href);

const WARM_UP_SEEDS = 50;
const LIGHT_RUNS = 10;
const SEEDS = 200;

const light = {
  nodes: 5,
  relays: 1,
  minOnline: 3,
  faults: [],
  early: false,
  crypto: 'fast',
  workload: { everyMs: 5_000, burst: 1, invites: [] },
  loadMs: 300_000,
} as const;

interface SimFigures {
  readonly steps: number;
  readonly virtualMs: number;
  /** Of this process, all its threads. */
  readonly cpuMs: number;
  readonly failed: number;
}

async function run(
  first: number,
  count: number,
  options: Omit<Parameters<typeof simulate>[0], 'seed'>,
): Promise<SimFigures> {
  let steps = 0;
  let virtualMs = 0;
  let failed = 0;
  const before = process.cpuUsage();
  for (let seed = first; seed < first + count; seed++) {
    const result = await simulate({ seed, ...options });
    steps += result.steps;
    virtualMs += result.virtualMs;
    if (!result.ok) failed += 1;
  }
  const { user, system } = process.cpuUsage(before);
  return { steps, virtualMs, cpuMs: (user + system) / 1_000, failed };
}

async function main(): Promise<void> {
  await run(1, WARM_UP_SEEDS, {});
  const idle = await run(1, LIGHT_RUNS, light);
  const perSecond = (f: SimFigures): string => ((f.steps / f.cpuMs) * 1_000).toFixed(0);
  console.log(
    `simulator, 5 nodes, a message every 5 s: ${perSecond(idle)} core steps/s on one core ` +
      `(target 50,000), ${(idle.virtualMs / idle.cpuMs).toFixed(0)} × real time (target 1,000)`,
  );
  const seeds = await run(1, SEEDS, {});
  console.log(
    `simulator, ${SEEDS} seeds with faults: ${(seeds.cpuMs / SEEDS).toFixed(0)} ms of a core a seed ` +
      `(target 100), ${perSecond(seeds)} core steps/s, ${seeds.failed} failed`,
  );
  if (idle.failed + seeds.failed > 0) process.exitCode = 1;
}

await main();
