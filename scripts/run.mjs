// What `npm start`, `npm test` and the other scripts do in a fresh clone:
// install if needed, build if needed, then run. Plain Node, no dependency.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync, utimesSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [task, ...rest] = process.argv.slice(2);
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Runs to the end. Ctrl-C reaches the child by itself; other signals go on to it, so that it cleans up. */
async function run(command, args, options = {}) {
  const child = spawn(command, args, { cwd: root, stdio: 'inherit', ...options });
  const forward = (signal) => signal === 'SIGINT' || child.kill(signal);
  for (const signal of SIGNALS) process.on(signal, forward);
  const [code] = await once(child, 'exit');
  for (const signal of SIGNALS) process.off(signal, forward);
  if (code !== 0) process.exit(code ?? 1);
}

const bin = (name) => join(root, 'node_modules', '.bin', name);

/** Newest modification in a tree, ms. */
function newest(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))));
}

async function install() {
  const marker = join(root, 'node_modules', '.package-lock.json');
  if (existsSync(marker) && statSync(marker).mtimeMs >= newest(join(root, 'package.json'))) return;
  console.error('installing dependencies (npm install) …');
  await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], {
    stdio: ['ignore', 2, 'inherit'],
  });
  // npm leaves it alone when nothing changed.
  utimesSync(marker, new Date(), new Date());
}

async function build(always) {
  const built = join(root, 'dist', 'cli', 'main.js');
  const sources = ['src', 'package.json', 'tsconfig.build.json'].map((p) => newest(join(root, p)));
  if (!always && existsSync(built) && statSync(built).mtimeMs >= Math.max(...sources)) return;
  console.error('building dist/ from src/ (tsc) …');
  await run(bin('tsc'), ['-p', 'tsconfig.build.json'], { stdio: ['ignore', 2, 'inherit'] });
  await run(process.execPath, ['scripts/finish-build.mjs']);
}

const tasks = {
  build: () => build(true),
  demo: async () => {
    await build(false);
    await run(process.execPath, [join(root, 'dist', 'cli', 'main.js'), 'demo', ...rest]);
  },
  test: async () => {
    await build(false);
    await run(bin('vitest'), ['run', ...rest]);
  },
  soak: async () => {
    await build(false);
    const isTimed = rest.some((arg) => arg.startsWith('--minutes'));
    const args = [
      'sim',
      ...(isTimed ? [] : ['--minutes', '10']),
      '--jobs',
      `${availableParallelism()}`,
    ];
    await run(process.execPath, [join(root, 'dist', 'cli', 'main.js'), ...args, ...rest]);
  },
  bench: async () => {
    await build(false);
    await run(bin('tsx'), ['bench/main.ts', ...rest]);
  },
  fuzz: () => run(bin('tsx'), ['test/fuzz/main.ts', ...rest]),
  mutants: () => run(bin('tsx'), ['test/mutants/main.ts', ...rest]),
  lint: async () => {
    await run(bin('tsc'), ['-p', '.']);
    await run(bin('biome'), ['check', '.']);
    await run(bin('knip'), []);
    await build(false);
    await run(bin('publint'), []);
  },
};

const HELP = {
  soak: `Usage: npm run soak [-- options]

Simulates channels under faults, on fresh seeds and all cores, for ten minutes; stops at the
first seed that fails, cuts it down to a small plan, and exits with 1.

  --minutes <n>   for so long (a night: 480)
  --jobs <n>      in so many processes (default: ${availableParallelism()}, as there are cores)
  --keep-going    goes on after a failure
  --json          prints JSON lines

Other options are those of "conclave sim" (node dist/cli/main.js sim --help, docs/simulation.md).`,
};

if (rest.some((arg) => arg === '--help' || arg === '-h') && Object.hasOwn(HELP, task)) {
  console.log(HELP[task]);
  process.exit(0);
}
if (!Object.hasOwn(tasks, task)) {
  console.error(`usage: node scripts/run.mjs ${Object.keys(tasks).join('|')}`);
  process.exit(2);
}
await install();
await tasks[task]();
