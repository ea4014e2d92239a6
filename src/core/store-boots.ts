/**
 * How a node's store grew (docs/PROTOCOL.md, section "Lost memory"): how many
 * batches were made durable in it, in this boot and in the ones before. The
 * store keeps it, and beacons say it. Whoever heard of more batches in a boot
 * than its user says now knows that the store was put back to an older copy.
 */

import { decodeWhole, type Reader, Writer } from './bytes.js';
import { ConclaveError } from './errors.js';
import { type Millis, type Ulid, ulidTime } from './ids.js';
import { BOOTS_KEPT } from './limits.js';

/** Batches made durable in one boot of a node. */
export interface BootBatches {
  readonly boot: Ulid;
  readonly batches: number;
}

export interface StoreBoots {
  /** Boots before the present one in which something became durable, newest first. */
  readonly before: readonly BootBatches[];
  /** It was put back once: what this node did in channels that it does not know is forgotten. */
  readonly wasPutBack: boolean;
}

/** Where a store keeps its boots before the last, and the batches of the last. */
export const BOOTS_KEY = 'node/boots';
export const BATCHES_KEY = 'node/batches';

/** When the next boot is to say that it began: after all that are known, whatever the clock says. */
export function nextBootTime(wall: Millis, last: Ulid | undefined, { before }: StoreBoots): Millis {
  const known = [last, before[0]?.boot].filter((boot) => boot !== undefined);
  return Math.max(wall, ...known.map((boot) => ulidTime(boot) + 1));
}

export const readBootBatches = (r: Reader): BootBatches => ({ boot: r.ulid(), batches: r.u64() });

export function writeBoots(w: Writer, boots: readonly BootBatches[]): Writer {
  return w.list(boots, ({ boot, batches }) => w.ulid(boot).u64(batches));
}

export const encodeBatches = ({ boot, batches }: BootBatches): Uint8Array =>
  new Writer(24).ulid(boot).u64(batches).done();

export const encodeBoots = ({ before, wasPutBack }: StoreBoots): Uint8Array =>
  writeBoots(new Writer(3 + 24 * before.length), before)
    .u8(wasPutBack ? 1 : 0)
    .done();

function decodeBoots(bytes: Uint8Array): StoreBoots {
  return decodeWhole(bytes, (r) => {
    const before = r.list(BOOTS_KEPT, () => readBootBatches(r));
    const flag = r.u8();
    if (flag > 1) throw new ConclaveError('bad_encoding', 'a flag that is neither 0 nor 1');
    return { before, wasPutBack: flag === 1 };
  });
}

/** What a store says of itself when its node starts again. Throws `bad_encoding`. */
export function bootsOf(boots: Uint8Array | undefined, last: Uint8Array | undefined): StoreBoots {
  const known = boots ? decodeBoots(boots) : { before: [], wasPutBack: false };
  if (!last) return known;
  return { ...known, before: mergeBoots(known.before, [decodeWhole(last, readBootBatches)]) };
}

/** What is told of a store: its boots before one, and that one. */
export interface Growth extends BootBatches {
  readonly before: readonly BootBatches[];
}

/** Two lists of boots as one, of each boot the most batches; the oldest go. */
export function mergeBoots(a: readonly BootBatches[], b: readonly BootBatches[]): BootBatches[] {
  const all = [...a, ...b].filter(({ batches }) => batches > 0).sort(byAge);
  return all.filter(({ boot }, i) => boot !== all[i - 1]?.boot).slice(0, BOOTS_KEPT);
}

/** Newest first. */
const byAge = (a: BootBatches, b: BootBatches): number =>
  a.boot === b.boot ? b.batches - a.batches : a.boot < b.boot ? 1 : -1;

/** Whether a store with these boots before its present one lacks batches that somebody heard of. */
export function lacks(before: readonly BootBatches[], heard: Growth): boolean {
  return [heard, ...heard.before].some(({ boot, batches }) => {
    const kept = before.find((b) => b.boot === boot);
    if (kept || batches === 0) return (kept?.batches ?? 0) < batches;
    return before.length < BOOTS_KEPT || boot > before.at(-1)!.boot;
  });
}
