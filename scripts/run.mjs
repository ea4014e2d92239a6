// What `npm start`, `npm test` and the other scripts do in a fresh clone:
// install if needed, build if needed, then run. Plain Node, no dependency.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [task, ...rest] = process.argv.slice(2);

function run(command, args, options = {}) {
  const { status, signal, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    ...options,
  });
  if (error) throw error;
  if (status !== 0) process.exit(signal ? 1 : status);
}

const bin = (name) => join(root, 'node_modules', '.bin', name);

/** Newest modification in a tree, ms. */
function newest(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))));
}

function install() {
  const marker = join(root, 'node_modules', '.package-lock.json');
  if (existsSync(marker) && statSync(marker).mtimeMs >= newest(join(root, 'package.json'))) return;
  console.error('installing dependencies …');
  run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], {
    stdio: ['ignore', 2, 'inherit'],
  });
  // npm leaves it alone when nothing changed.
  utimesSync(marker, new Date(), new Date());
}

function build(always) {
  const built = join(root, 'dist', 'cli', 'main.js');
  const sources = ['src', 'package.json', 'tsconfig.build.json'].map((p) => newest(join(root, p)));
  if (!always && existsSync(built) && statSync(built).mtimeMs >= Math.max(...sources)) return;
  console.error('building …');
  run(bin('tsc'), ['-p', 'tsconfig.build.json'], { stdio: ['ignore', 2, 'inherit'] });
  run(process.execPath, ['scripts/finish-build.mjs']);
}

const tasks = {
  build: () => build(true),
  demo: () => {
    build(false);
    run(process.execPath, [join(root, 'dist', 'cli', 'main.js'), 'demo', ...rest]);
  },
  test: () => {
    build(false);
    run(bin('vitest'), ['run', ...rest]);
  },
  bench: () => {
    build(false);
    run(bin('tsx'), ['bench/main.ts', ...rest]);
  },
  lint: () => {
    run(bin('tsc'), ['-p', '.']);
    run(bin('biome'), ['check', '.']);
    run(bin('knip'), []);
    build(false);
    run(bin('publint'), []);
  },
};

if (!Object.hasOwn(tasks, task)) {
  console.error(`usage: node scripts/run.mjs ${Object.keys(tasks).join('|')}`);
  process.exit(2);
}
install();
tasks[task]();
