/**
 * A channel as a file, entry by entry: `jsonl` (what `log --json` prints),
 * `irc` (`[HH:MM] <nick> text`, which `import` reads again) and `html` (one
 * page that needs nothing else and runs nothing). Times are UTC.
 */

import type { Json } from './output.js';
import { formatClock, formatTime } from './when.js';

export const FORMATS = ['jsonl', 'irc', 'html'] as const;
export type Format = (typeof FORMATS)[number];

export interface ExportFormat {
  start(channel: { readonly channel: string; readonly name: string }): string;
  /** Text for one entry, as `log` gives it; empty for what the format does not show. */
  entry(entry: Json): string;
  end(): string;
}

interface Message {
  readonly name: string;
  readonly time: number;
  readonly text: string;
  readonly state: string;
}

const asMessage = (entry: Json): Message | undefined =>
  typeof entry.text === 'string' ? (entry as unknown as Message) : undefined;

const jsonl = (): ExportFormat => ({
  start: () => '',
  entry: (entry) => `${JSON.stringify(entry)}\n`,
  end: () => '',
});

const ACTION = /^\/me(?: (.*))?$/s;
// biome-ignore lint/suspicious/noControlCharactersInRegex: what a nick in a log cannot have
const NOT_IN_NICK = /[\s<>\u0000-\u001f\u007f]+/g;

function irc(): ExportFormat {
  let day = '';
  const dayLine = (time: number): string => {
    const of = formatTime(time).slice(0, 10);
    if (of === day) return '';
    day = of;
    return `=== ${day}\n`;
  };
  return {
    start: ({ name }) => `=== Log of ${oneLine(name)}, times in UTC\n`,
    entry(entry) {
      const message = asMessage(entry);
      if (!message) return '';
      const clock = `[${formatClock(message.time)}]`;
      const nick = message.name.replace(NOT_IN_NICK, '_') || '_';
      const action = ACTION.exec(message.text);
      const prefix = action ? `${clock}  * ${nick}` : `${clock} <${nick}>`;
      const lines = (action ? (action[1] ?? '') : message.text).split(/\r\n|\r|\n/);
      return dayLine(message.time) + lines.map((line) => `${prefix} ${line}\n`).join('');
    },
    end: () => '',
  };
}

const oneLine = (text: string): string => text.replace(/[\r\n]+/g, ' ');

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
// biome-ignore lint/suspicious/noControlCharactersInRegex: not allowed in HTML
const NOT_IN_HTML = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g;

const escapeHtml = (text: string): string =>
  text
    .toWellFormed()
    .replace(NOT_IN_HTML, '\ufffd')
    .replace(/[&<>"']/g, (char) => ENTITIES[char]!);

const STYLE = `body{font:16px/1.45 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
ol{list-style:none;padding:0}li{display:grid;grid-template-columns:9rem 9rem 1fr;gap:.75rem;padding:.15rem 0}
time,.open{color:#5b6470}b{overflow-wrap:anywhere}p{margin:0;white-space:pre-wrap;overflow-wrap:anywhere}
@media (max-width:40rem){li{grid-template-columns:1fr}}
@media (prefers-color-scheme:dark){body{color:#e6e6e6;background:#161616}time,.open{color:#9aa4b0}}`;

const html = (): ExportFormat => ({
  start: ({ channel, name }) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(name)}</title>
<style>
${STYLE}
</style>
</head>
<body>
<h1><bdi>${escapeHtml(name)}</bdi></h1>
<p>Channel ${escapeHtml(channel)}. Times are UTC.</p>
<ol>
`,
  entry(entry) {
    const message = asMessage(entry);
    if (!message) return '';
    const { name, time, text, state } = message;
    const open = state === 'final' ? '' : ` <span class="open">(${escapeHtml(state)})</span>`;
    const shown = escapeHtml(formatTime(time));
    return `<li><time datetime="${shown.replace(' ', 'T')}Z">${shown}</time> <b><bdi>${escapeHtml(name)}</bdi></b> <p><bdi>${escapeHtml(text)}</bdi>${open}</p></li>\n`;
  },
  end: () => '</ol>\n</body>\n</html>\n',
});

export const exportFormats: Readonly<Record<Format, () => ExportFormat>> = { jsonl, irc, html };
