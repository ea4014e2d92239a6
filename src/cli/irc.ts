/**
 * Reads the text of an IRC log. A line is one of
 *
 *     [HH:MM] <nick> text            a message
 *     [HH:MM]  * nick text           an action, which becomes "/me text"
 *     === nick has joined #channel   a system line, counted
 *
 * or something else (a notice, an empty line), counted as `other`. What is
 * after the nick's one space is the text, as it stands, be it empty. A clock
 * that goes back by hours has passed midnight. A line that is too long for one
 * message becomes several. Bytes that are not UTF-8 become U+FFFD.
 */

import { NICKNAME_BYTES_MAX } from '../core/limits.js';

const DAY_MIN = 1_440;
const MINUTE_MS = 60_000;
/** Clocks are set back by an hour in autumn and by minutes at any time. */
const STEP_BACK_MIN = 120;
/** UTF-16 units in one message: at most 48 KiB, so that a record's body holds them. */
const PIECE_UNITS_MAX = 16_384;
/** A message's index: its line's number, and which piece of the line it is. */
const PIECES_PER_LINE = 65_536;

const CLOCK = '\\[([01]\\d|2[0-3]):([0-5]\\d)(?::[0-5]\\d)?\\]';
const MESSAGE = new RegExp(`^${CLOCK} <([^>]+)> ?(.*)$`, 's');
const ACTION = new RegExp(`^${CLOCK} {1,2}\\* (\\S+)(?: (.*))?$`, 's');
const SYSTEM = /^===/;

export interface IrcMessage {
  /** Ascending within the file, and the same whenever the same file is read. */
  readonly index: number;
  readonly name: string;
  readonly text: string;
  /** ms since 1970. */
  readonly time: number;
}

export interface IrcCounts {
  messages: number;
  system: number;
  other: number;
}

/** `day_ms` is the start of the day, in UTC, on which the log begins. Adds to `counts` as it goes. */
export async function* parseIrc(
  chunks: AsyncIterable<Uint8Array>,
  day_ms: number,
  counts: IrcCounts,
): AsyncGenerator<IrcMessage> {
  const clock = lineClock(day_ms);
  let head: { name: string; time: number } | undefined;
  for await (const { line, piece, text } of pieces(chunks)) {
    let said = text;
    if (piece === 0) {
      const found = parseLine(text);
      head =
        typeof found === 'object'
          ? { name: nickname(found.nick), time: clock(found.minute) }
          : undefined;
      if (typeof found === 'string') counts[found]++;
      else said = found.text;
    }
    if (!head) continue;
    counts.messages++;
    yield { index: line * PIECES_PER_LINE + piece, name: head.name, text: said, time: head.time };
  }
}

interface Said {
  readonly nick: string;
  readonly text: string;
  readonly minute: number;
}

function parseLine(line: string): Said | 'system' | 'other' {
  const message = MESSAGE.exec(line);
  if (message) return { nick: message[3]!, text: message[4]!, minute: minuteOf(message) };
  const action = ACTION.exec(line);
  if (action) {
    const text = action[4] ? `/me ${action[4]}` : '/me';
    return { nick: action[3]!, text, minute: minuteOf(action) };
  }
  return SYSTEM.test(line) ? 'system' : 'other';
}

const minuteOf = (match: RegExpExecArray): number => Number(match[1]) * 60 + Number(match[2]);

/** Times of lines in the order of the file. */
function lineClock(day_ms: number): (minute: number) => number {
  let days = 0;
  let last = 0;
  return (minute) => {
    if (minute < last - STEP_BACK_MIN) days++;
    last = minute;
    return day_ms + (days * DAY_MIN + minute) * MINUTE_MS;
  };
}

/** As much of a nick as a name may have. */
function nickname(nick: string): string {
  let name = nick.trim() || '?';
  while (Buffer.byteLength(name) > NICKNAME_BYTES_MAX) name = [...name].slice(0, -1).join('');
  return name;
}

interface Piece {
  /** From 1. */
  readonly line: number;
  /** From 0; all but a line's last have the greatest length. */
  readonly piece: number;
  readonly text: string;
}

async function* pieces(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Piece> {
  const decoder = new TextDecoder();
  let pending = '';
  let line = 1;
  let piece = 0;
  function* split(last: boolean): Generator<Piece> {
    let from = 0;
    for (;;) {
      const end = pending.indexOf('\n', from);
      const until = end === -1 ? pending.length : end;
      while (until - from > PIECE_UNITS_MAX) {
        const cut = from + PIECE_UNITS_MAX - (splitsPair(pending, from + PIECE_UNITS_MAX) ? 1 : 0);
        yield { line, piece: piece++, text: pending.slice(from, cut) };
        from = cut;
      }
      if (end === -1 && !(last && from < until)) break;
      const text = pending.slice(from, until).replace(/\r$/, '');
      if (piece === 0 || text !== '') yield { line, piece, text };
      line++;
      piece = 0;
      from = until + 1;
      if (end === -1) break;
    }
    pending = pending.slice(from);
  }
  for await (const chunk of chunks) {
    pending += decoder.decode(chunk, { stream: true });
    yield* split(false);
  }
  pending += decoder.decode();
  yield* split(true);
}

/** Whether a cut there would part the two halves of one character. */
function splitsPair(text: string, at: number): boolean {
  const before = text.charCodeAt(at - 1);
  return before >= 0xd800 && before <= 0xdbff;
}
