/** A command as a line of a run's plain log shows it. */

import type { Outgoing } from '../core/commands.js';

const CHARS_MAX = 300;

export function commandText({ name, payload }: Outgoing): string {
  const { id: _, s: _s, sig: _sig, from: _f, ...rest } = payload as { [k: string]: unknown };
  const text = JSON.stringify(rest, (_k, v) => (v instanceof Uint8Array ? `<${v.length}>` : v));
  return `${name} ${text}`.slice(0, CHARS_MAX);
}
