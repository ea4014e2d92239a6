/**
 * The simulator's randomness: each choice is a hash of (seed, stream, counter),
 * so that choices of one stream do not move when another stream draws more or
 * less. Leaving one fault out of a plan so leaves all others as they were
 * (docs/ARCHITECTURE.md, "Simulator").
 */

/** Uniform in [0, 1). */
export type Draw = () => number;

/** Final mix of MurmurHash3. */
function mix(h: number): number {
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** 32-bit hash of a text (FNV-1a, then mixed). */
export function hashText(text: string, start = 0x811c9dc5): number {
  let h = start;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return mix(h);
}

export function hashBytes(bytes: Uint8Array): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) h = Math.imul(h ^ bytes[i]!, 0x01000193);
  return mix(h);
}

/** The draws of one stream, from its first. */
export function drawsOf(seed: number, stream: string): Draw {
  const a = mix(hashText(stream, seed >>> 0) ^ Math.floor(seed / 0x1_0000_0000));
  const b = hashText(stream, mix((seed ^ 0x9e3779b9) >>> 0));
  let counter = 0;
  return () => {
    counter = (counter + 1) | 0;
    const high = mix(a ^ Math.imul(counter, 0x9e3779b1));
    const low = mix(b ^ Math.imul(counter, 0x85ebca77) ^ high);
    return ((high >>> 0) * 0x20_0000 + ((low >>> 0) >>> 11)) / 0x20_0000_0000_0000;
  };
}

export const below = (draw: Draw, n: number): number => Math.floor(draw() * n);
export const between = (draw: Draw, min: number, max: number): number => min + draw() * (max - min);
export const chance = (draw: Draw, probability: number): boolean => draw() < probability;

export function pick<T>(draw: Draw, items: readonly T[]): T {
  return items[below(draw, items.length)]!;
}

/** `count` of the items, in random order. */
export function sample<T>(draw: Draw, items: readonly T[], count: number): T[] {
  const rest = [...items];
  const out: T[] = [];
  while (out.length < count && rest.length > 0)
    out.push(rest.splice(below(draw, rest.length), 1)[0]!);
  return out;
}
