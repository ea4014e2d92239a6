/**
 * Times as people type and read them. Typed: a duration (`30m`, `12h`, `7d`) or
 * an ISO date, both for `--expires`; seconds for `--timeout`. Read: always UTC,
 * so that two members who compare what they see, compare the same.
 */

import { ConclaveError } from '../core/errors.js';

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};
const DURATION = /^(\d{1,6})([smhdw])$/;
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const DATE_TIME = /^(\d{4}-\d{2}-\d{2})T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2})$/;
/** What timers can count to, with room: 20 days. */
const TIMEOUT_S_MAX = 1_728_000;

const usage = (message: string): ConclaveError => new ConclaveError('usage', message);

/** A moment in the future, in ms since 1970. Throws `usage`. */
export function parseExpiry(text: string, now: number): number {
  const at = moment(text, now);
  if (at === undefined) {
    throw usage(
      `"${text}" is no time: give a duration as 30m, 12h or 7d, or a date as 2030-01-31 or 2030-01-31T18:00Z`,
    );
  }
  if (at <= now) throw usage(`"${text}" is not in the future`);
  return at;
}

function moment(text: string, now: number): number | undefined {
  const [, amount, unit] = DURATION.exec(text) ?? [];
  if (amount !== undefined && unit !== undefined) return now + Number(amount) * UNIT_MS[unit]!;
  const day = DATE.test(text) ? text : DATE_TIME.exec(text)?.[1];
  if (day === undefined || utcDay(day) === undefined) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : at;
}

/** Start of `YYYY-MM-DD` in UTC; undefined when there is no such day. */
export function utcDay(date: string): number | undefined {
  const at = Date.parse(`${date}T00:00:00Z`);
  if (Number.isNaN(at) || new Date(at).toISOString().slice(0, 10) !== date) return undefined;
  return at;
}

/** Throws `usage`. */
export function parseSeconds(text: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(seconds > 0 && seconds <= TIMEOUT_S_MAX)) {
    throw usage(`"${text}" is no timeout: give seconds, more than 0 and up to ${TIMEOUT_S_MAX}`);
  }
  return seconds;
}

/** `2026-01-02 10:11`; a time that no calendar holds is shown as `?`. */
export function formatTime(ms: number): string {
  const time = new Date(ms);
  if (Number.isNaN(time.getTime())) return '?';
  return time.toISOString().slice(0, -8).replace('T', ' ');
}

/** `2026-01-02 10:11:12`. */
export function formatSeconds(ms: number): string {
  const time = new Date(ms);
  return Number.isNaN(time.getTime()) ? '?' : time.toISOString().slice(0, -5).replace('T', ' ');
}

export const formatClock = (ms: number): string => formatTime(ms).slice(-5);
