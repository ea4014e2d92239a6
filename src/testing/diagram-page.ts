/**
 * The page of a picture (diagram.ts): one file that works from disk, with its
 * style, its script (diagram-script.ts) and its data inside and nothing loaded
 * from elsewhere.
 */

import { isCommandName } from '../core/commands.js';
import { COMMAND_TITLES } from './command-titles.js';
import { type Diagram, DiagramRecorder, outcomeOf } from './diagram.js';
import { SCRIPT } from './diagram-script.js';
import type { Observer } from './observer.js';
import type { SimulateResult } from './simulate.js';

const STYLE = `
:root {
  color-scheme: light dark;
  --paper: light-dark(#ffffff, #15181c); --panel: light-dark(#f4f5f7, #1d2126);
  --ink: light-dark(#1c1f23, #e4e7eb); --faint: light-dark(#6a737d, #8b949e);
  --line: light-dark(#d0d7de, #343b43); --bad: light-dark(#c6242f, #ff6b6b);
  --good: light-dark(#1a7f37, #4cc36a); --fault: light-dark(#d97706, #f5a524);
  --focus: light-dark(#0a58ca, #6ea8fe);
}
:root[data-theme=light] { color-scheme: light; }
:root[data-theme=dark] { color-scheme: dark; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 14px/1.45 system-ui, sans-serif; display: flex; flex-direction: column; height: 100vh; }
header { padding: 14px 18px 10px; border-bottom: 1px solid var(--line); max-height: 40vh; overflow: auto; flex: none; }
h1 { font-size: 18px; margin: 0 0 4px; }
h2, summary { font-size: 13px; margin: 14px 0 6px; color: var(--faint); font-weight: 600; }
summary { cursor: pointer; }
p { margin: 4px 0; max-width: 110ch; }
.verdict { font-size: 13px; font-weight: 600; padding: 1px 8px; border-radius: 9px; color: #fff; margin-left: 8px; }
.verdict.ok { background: #1a7f37; } .verdict.failed { background: #c6242f; }
pre { margin: 2px 0; font-size: 12px; color: var(--faint); } pre:empty { display: none; }
.note { color: var(--fault); } .broken { color: var(--bad); font-weight: 600; }
#tools { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; padding: 8px 18px; border-bottom: 1px solid var(--line); }
button, .chip { font: inherit; font-size: 12px; color: inherit; background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: 2px 8px; cursor: pointer; }
button:hover, .chip:hover { border-color: var(--focus); }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 1px; }
.chip[aria-pressed=false] { opacity: .45; }
.chip i { display: inline-block; width: 9px; height: 9px; border-radius: 5px; margin-right: 5px; }
#where { margin-left: auto; color: var(--faint); font-variant-numeric: tabular-nums; }
main { display: grid; grid-template-columns: minmax(0, 1fr) 330px; grid-template-rows: minmax(0, 1fr); flex: 1; min-height: 0; }
#stage { position: relative; min-width: 0; overflow: hidden auto; }
canvas { display: block; width: 100%; touch-action: none; cursor: grab; }
canvas.dragging { cursor: grabbing; }
#overview { border-top: 1px solid var(--line); cursor: pointer; }
aside { border-left: 1px solid var(--line); background: var(--panel); padding: 4px 14px 14px; overflow: auto; font-size: 13px; }
aside table { border-collapse: collapse; width: 100%; } aside td { vertical-align: top; padding: 2px 6px 2px 0; overflow-wrap: anywhere; }
aside td:first-child { color: var(--faint); white-space: nowrap; }
#story { list-style: none; margin: 0; padding: 0; } #story button { display: block; width: 100%; text-align: left; border: 0; background: none; padding: 2px 4px; }
#story button:hover { background: var(--line); } #story time { color: var(--faint); font-variant-numeric: tabular-nums; margin-right: 6px; }
.words dt { font-weight: 600; float: left; margin-right: 6px; } .words dd { margin: 0 0 4px; } .words { margin: 0 0 10px; font-size: 12px; }
#legend { display: grid; grid-template-columns: auto 1fr; gap: 1px 10px; font-size: 12px; align-items: center; } #legend canvas { width: 64px; height: 20px; cursor: default; }
#tip { position: absolute; pointer-events: none; max-width: 420px; background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: 3px 8px; font-size: 12px; display: none; overflow-wrap: anywhere; }
@media (max-width: 900px) { body { height: auto; } main { grid-template-columns: minmax(0, 1fr); grid-template-rows: auto; } aside { border-left: 0; border-top: 1px solid var(--line); } }
`;

/** What the page's words mean (docs/PROTOCOL.md, "Terms"). */
const WORDS = `<dl class="words">
<dt>Term</dt><dd>The number of an election. A later leader has a higher one; two sides of a split may use the same.</dd>
<dt>Epoch</dt><dd>The time of one leader and its electorate, the members that elected it: more than half of all in a roster epoch, fewer in an online epoch. When the roster changes (members, invitations, policy) the next one begins.</dd>
<dt>Committed</dt><dd>More than half of the electorate have the message on disk: it stays, but a merge may place others before it.</dd>
<dt>Final</dt><dd>More than half of all members have it on disk in a roster epoch: its place never changes.</dd>
</dl>`;

/** Draws a run: give `observe` to it, and its result to `page`. */
export function picture(): {
  readonly observe: Observer;
  page(result: SimulateResult): string;
} {
  const recorder = new DiagramRecorder();
  return {
    observe: (event) => recorder.event(event),
    page: (result) => diagramPage(recorder.finish(outcomeOf(result)), ''),
  };
}

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

/** JSON that can't end the element it stands in. */
const embedded = (data: unknown): string => JSON.stringify(data).replace(/</g, '\\u003c');

export function diagramPage(diagram: Diagram, build: string): string {
  const { title, ok, summary, note, violation, facts } = diagram;
  const [what, ...stack] = violation?.text.split('\n') ?? [];
  const broken =
    what === undefined
      ? ''
      : `<p class="broken">${escapeHtml(what)}</p><pre>${escapeHtml(stack.join('\n'))}</pre>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>conclave sim, ${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>conclave sim, ${escapeHtml(title)}<span class="verdict ${ok ? 'ok' : 'failed'}">${ok ? 'ok' : 'failed'}</span></h1>
<p>${escapeHtml(summary)}</p>
${broken}${note ? `<p class="note">${escapeHtml(note)}</p>` : ''}
</header>
<div id="tools"></div>
<main>
<div id="stage"><canvas id="diagram" tabindex="0" aria-label="Space-time diagram: time from left to right, a lane for each node. Arrow keys move, plus and minus zoom."></canvas><canvas id="overview" aria-hidden="true"></canvas><div id="tip"></div></div>
<aside>
<h2>Selected</h2><div id="details" aria-live="polite" style="min-height: 4em">Click a message, a mark or a bar to read it.</div>
<details open><summary>How to read it</summary>${WORDS}<div id="legend"></div></details>
<details open><summary>What happened</summary><ul id="story"></ul></details>
${facts.length > 0 ? '<details open><summary>The run</summary><table id="facts"></table></details>\n' : ''}<p style="color:var(--faint)">${escapeHtml(build)}</p>
</aside>
</main>
<script type="application/json" id="data">${embedded(packed(diagram))}</script>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

/** What a group of messages is, marked as one of signs of life or not. */
function titleOf(group: string): string {
  const [name = '', mark] = group.split(' ');
  const title = isCommandName(name) ? COMMAND_TITLES[name] : '';
  return mark === '(again)' ? `${title}; said again` : title;
}

/** Texts once each, arrows as rows, times to the microsecond: a fraction of the size. */
function packed({ arrows, summary: _, note: _n, ...rest }: Diagram): object {
  const texts: string[] = [];
  const known = new Map<string, number>();
  const indexOf = (text: string): number => {
    const index = known.get(text);
    if (index !== undefined) return index;
    known.set(text, texts.length);
    return texts.push(text) - 1;
  };
  const time = (ms: number): number => Math.round(ms * 1_000) / 1_000;
  const rows = arrows.map((a) => [
    indexOf(a.group),
    a.from ?? -1,
    a.relay,
    a.to ?? -1,
    time(a.sentAt),
    time(a.relayedAt),
    time(a.endsAt),
    indexOf(a.text),
    indexOf(a.lost ?? ''),
  ]);
  const named = new Set(arrows.map(({ group }) => group));
  const titles = Object.fromEntries([...named].map((group) => [group, titleOf(group)]));
  return { ...rest, arrows: rows, texts, titles };
}
