/**
 * What is wrong with a node's directory, file by file, and what can be done
 * about it. Nothing is changed but by the `mend` of a finding. Of the store,
 * node/examine-store.ts tells and node/mend-store.ts repairs.
 */

import { access, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ConclaveError } from '../core/errors.js';
import type { UserId } from '../core/ids.js';
import type { Finding } from '../node/finding.js';
import { connectControl } from './control-client.js';
import { findSocket, releaseSocket } from './control-path.js';
import type { Host } from './host.js';
import { hasIdentity, IDENTITY, identityPath, readIdentity, readOwner } from './identity.js';
import { describeMode, looseModes, tighten } from './modes.js';
import type { Passphrase } from './passphrase.js';
import type { Progress } from './progress.js';
import { restoringName } from './restoring.js';

/** What was done, and what of it takes something away that does not come back by itself. */
export interface Repair {
  readonly deeds: readonly string[];
  readonly lost: readonly string[];
}

const did = (deed: string): Repair => ({ deeds: [deed], lost: [] });

export interface Ailment extends Finding {
  /** Repairs it, and says what was done. Absent where nothing can be. */
  readonly mend?: () => Promise<Repair>;
}

export interface Consultation {
  readonly host: Host;
  readonly dir: string;
  readonly passphrase: Passphrase;
  readonly progress: (progress: Progress) => void;
}

/** Everything that is wrong, each as it is found. The store comes last, and only while nothing has it open. */
export async function* examine(o: Consultation): AsyncGenerator<Ailment> {
  const { dir } = o;
  if (!(await isThere(dir))) {
    yield hopeless('dir_missing', dir, 'there is no such directory: check the path');
    return;
  }
  const owner = yield* identityIn(o);
  yield* modesIn(dir);
  const running = await connectControl(dir);
  running?.destroy();
  if (running) {
    yield hopeless('in_use', dir, 'a node is up on it: stop it to have its files looked at');
    return;
  }
  yield* leftoversOf(dir);
  yield* storeOf(o, owner);
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

const hopeless = (code: string, where: string, what: string): Ailment => ({
  ...{ code, where, what, repair: 'no' },
});

const mendable = (
  code: string,
  where: string,
  what: string,
  mend: () => Promise<Repair>,
): Ailment => ({ code, where, what, repair: 'possible', mend });

async function* identityIn({
  host,
  dir,
  passphrase,
}: Consultation): AsyncGenerator<Ailment, UserId | undefined> {
  const where = identityPath(dir);
  if (!(await hasIdentity(dir))) {
    const what = (await host.hasStore(dir))
      ? `it is missing, and its store is useless without it: put a copy of ${IDENTITY} there, or restore a backup`
      : 'it is missing: "conclave init" makes one';
    yield hopeless('identity_missing', where, what);
    return undefined;
  }
  try {
    const { user } = await readOwner(dir);
    if ((await passphrase()) !== undefined) await readIdentity(dir, passphrase);
    return user;
  } catch (error) {
    if (!(error instanceof ConclaveError)) throw error;
    const { code, message } = error;
    const what = code === 'bad_identity' ? `${message}, or from a backup` : message;
    yield hopeless(code === 'bad_identity' ? 'identity_damaged' : code, where, what);
    return undefined;
  }
}

async function* modesIn(dir: string): AsyncGenerator<Ailment> {
  for (const loose of await looseModes(dir)) {
    yield mendable('modes', loose.path, describeMode(loose), async () => {
      await tighten(loose);
      return did("it is its owner's alone now");
    });
  }
}

/** What a crash left behind: of a write, a restore, a repair, a node. */
async function* leftoversOf(dir: string): AsyncGenerator<Ailment> {
  const socket = await findSocket(dir);
  if (socket !== undefined && (await isThere(socket))) {
    const what = 'the socket of a node that is not up any more';
    yield mendable('stale_socket', socket, what, async () => {
      await releaseSocket(dir);
      return did('it was removed');
    });
  }
  const hasOwner = await hasIdentity(dir);
  for (const name of (await readdir(dir)).filter((name) => DRAFT.test(name))) {
    const path = join(dir, name);
    // Without an identity, a draft of one may be all there is.
    if (hasOwner || !name.startsWith(IDENTITY)) yield leftover(path, 'a half-written file');
    else
      yield hopeless(
        'leftover',
        path,
        `a half-written identity: if it is whole, call it ${IDENTITY}`,
      );
  }
  const prefix = restoringName(basename(dir), '');
  for (const name of await readdir(dirname(dir)).catch(() => [])) {
    const pid = Number(name.slice(prefix.length));
    if (!name.startsWith(prefix) || !Number.isSafeInteger(pid) || isAlive(pid)) continue;
    yield leftover(join(dirname(dir), name), 'a restore that was cut off');
  }
  if ((await isThere(join(dir, REPAIR))) && (await isThere(join(dir, STORE)))) {
    yield leftover(join(dir, REPAIR), 'a repair that was cut off');
  }
}

const DRAFT = /^(identity\.json\.\d+|control\.path)\.tmp$/;
const STORE = 'store';
const REPAIR = 'store.repair';

const leftover = (path: string, what: string): Ailment =>
  mendable('leftover', path, what, async () => {
    await rm(path, { recursive: true, force: true });
    return did('it was removed');
  });

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function* storeOf(o: Consultation, user: UserId | undefined): AsyncGenerator<Ailment> {
  const { host, dir, progress } = o;
  const where = join(dir, STORE);
  const [kept] = (await readdir(dir))
    .filter((name) => /^store\.damaged-\d+$/.test(name))
    .sort(byNumber);
  if (!(await isThere(where)) && kept !== undefined) {
    const what = `a repair was cut off after it had moved the store to ${kept}`;
    yield mendable('half_repaired', where, what, async () => {
      await rename(join(dir, kept), where);
      await rm(join(dir, REPAIR), { recursive: true, force: true });
      return did('it was moved back: run "conclave doctor" again');
    });
    return;
  }
  const onProgress = (what: 'keys' | 'entries', done: number): void =>
    progress({ what: `${what} checked`, done });
  const { findings, filesDamaged } = await host.examineStore({ dir, user, onProgress });
  let mended: Promise<Repair> | undefined;
  const mend = async (): Promise<Repair> => {
    if (mended) return { deeds: [], lost: [] };
    mended = host.mendStore({ dir, user, filesDamaged, onProgress }).then(toldOf);
    return mended;
  };
  for (const finding of findings) {
    yield finding.repair === 'possible' ? { ...finding, mend } : finding;
  }
}

const numberOf = (name: string): number => Number(/\d+$/.exec(name)![0]);
const byNumber = (a: string, b: string): number => numberOf(b) - numberOf(a);

function toldOf({
  kept,
  keys,
  dropped,
  deeds,
  lost,
  memoryLost,
}: Awaited<ReturnType<Host['mendStore']>>): Repair {
  const told = (some: typeof deeds): string[] => some.map(({ where, what }) => `${where}: ${what}`);
  return {
    deeds: [
      `the store was made anew from ${keys} values; ${dropped} could not be read`,
      ...told(deeds),
      ...(memoryLost ? [FORGOTTEN] : []),
      `the damaged one is in ${kept}: remove it once all is well`,
    ],
    lost: told(lost),
  };
}

const FORGOTTEN =
  'the node has lost memory: it votes and acknowledges again once enough other members have told it what it forgot';
