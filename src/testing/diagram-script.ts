/**
 * The script of a picture's page (diagram-page.ts), as text: it runs in a
 * browser and is no part of this program. Lanes are drawn on a canvas, since
 * twenty thousand messages are too many for elements of a document.
 */

import { DRAWING } from './diagram-drawing.js';

const CONTROL = `
// --- What one can do: zoom, move, filter, choose, read ---

const canvas = document.getElementById('diagram');
const overview = document.getElementById('overview');
const tip = document.getElementById('tip');
const whole = { from: D.from, until: D.until + Math.max(1, (D.until - D.from) * 0.02) };
const view = { ...whole };
const hidden = new Set();
let relayLanes = false;
let chosen = null;

const groups = new Map();
for (const a of arrows) groups.set(a.group, (groups.get(a.group) || 0) + 1);
for (const group of groups.keys()) if (isQuiet(group)) hidden.add(group);
const shown = (a) => !hidden.has(a.group);

let asked = false;
function redraw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    fit();
    draw(canvas, view, { shown, relayLanes, chosen });
    drawOverview(overview, whole, view);
    document.getElementById('where').textContent =
      clock(view.from) + ' to ' + clock(view.until) + ' of ' + clock(whole.until);
  });
}

function show(from, until) {
  const least = 0.5;
  const span = Math.min(Math.max(until - from, least), whole.until - whole.from);
  const begin = Math.min(Math.max(from, whole.from), whole.until - span);
  view.from = begin;
  view.until = begin + span;
  redraw();
}
function zoom(factor, around) {
  const at = around === undefined ? (view.from + view.until) / 2 : around;
  show(at - (at - view.from) * factor, at + (view.until - at) * factor);
}
const move = (share) => {
  const by = (view.until - view.from) * share;
  show(view.from + by, view.until + by);
};
const goTo = (at) => {
  const span = Math.min(view.until - view.from, 3000);
  show(at - span / 3, at + (span * 2) / 3);
};

function choose(found) {
  chosen = found;
  const box = document.getElementById('details');
  box.replaceChildren();
  if (!found) box.textContent = 'Click a message, a mark or a bar to read it.';
  else box.append(table(describe(found)));
  redraw();
}

function table(rows) {
  const element = document.createElement('table');
  for (const [name, value] of rows) {
    const row = element.insertRow();
    row.insertCell().textContent = name;
    row.insertCell().textContent = value;
  }
  return element;
}

const who = (node) => (node === -1 ? 'the relay' : 'node ' + node);
function describe({ kind, item }) {
  if (kind === 'arrow') {
    const rows = [['command', item.group], ['from', who(item.from)], ['to', item.to === -1 ? 'everyone' : 'node ' + item.to],
      ['over', 'relay ' + item.relay], ['says', item.text], ['sent', clock(item.sentAt, 3)]];
    if (item.relayedAt >= 0 && item.from !== -1) rows.push(['at the relay', clock(item.relayedAt, 3)]);
    rows.push(item.lost ? ['lost', clock(item.endsAt, 3) + ', ' + WHY[item.lost]] : ['arrives', clock(item.endsAt, 3)]);
    return rows;
  }
  if (kind === 'moment') return [['node', item.node], ['at', clock(item.at, 3)], ['what', item.text]];
  if (kind === 'violation') return [['at', clock(item.at, 3)], ['broken', item.text]];
  if (kind === 'fault') return [['fault', item.text], ...(item.together ? [['together', item.together]] : []), ['from', clock(item.from, 3)], ['until', clock(item.until, 3)]];
  const rows = [['node', item.node], ['state', STATES[item.what]], ['from', clock(item.from, 3)], ['until', clock(item.until, 3)]];
  if (item.epoch) rows.splice(2, 0, ['epoch', (item.epoch.kind === 'online' ? 'online, ' : 'roster, ') + 'term ' + item.epoch.term + ' of node ' + item.epoch.leader]);
  if (item.because) rows.splice(3, 0, ['because', item.because]);
  return rows;
}
const WHY = { loss: 'on the way', cut: 'the link was cut', closed: 'the link was gone', blocked: 'partition: this relay does not forward it' };
const STATES = { leads: 'leads', follows: 'follows', alone: 'a member, and follows nobody', down: 'down', outside: 'no member' };

// --- Wiring ---

let drag = null;
const timeAt = (event) => timeOf(canvas, view, event.offsetX);
canvas.addEventListener('wheel', (event) => {
  event.preventDefault();
  if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) move(event.deltaX / 1500);
  else if (event.shiftKey) move(event.deltaY / 1500);
  else zoom(Math.exp(event.deltaY / 500), timeAt(event));
}, { passive: false });
canvas.addEventListener('pointerdown', (event) => {
  drag = { x: event.offsetX, from: view.from, until: view.until, moved: false };
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener('pointermove', (event) => {
  if (drag) {
    const by = timeOf(canvas, drag, drag.x) - timeOf(canvas, drag, event.offsetX);
    if (Math.abs(event.offsetX - drag.x) > 3) drag.moved = true;
    if (drag.moved) show(drag.from + by, drag.until + by);
    canvas.classList.toggle('dragging', drag.moved);
    return;
  }
  const found = find(canvas, view, event.offsetX, event.offsetY, { shown, relayLanes });
  tip.style.display = found ? 'block' : 'none';
  if (!found) return;
  tip.textContent = label(found);
  tip.style.left = Math.min(event.offsetX + 14, canvas.clientWidth - 300) + 'px';
  tip.style.top = event.offsetY + 14 + 'px';
});
canvas.addEventListener('pointerup', (event) => {
  if (drag && !drag.moved) choose(find(canvas, view, event.offsetX, event.offsetY, { shown, relayLanes }));
  drag = null;
  canvas.classList.remove('dragging');
});
canvas.addEventListener('pointerleave', () => { tip.style.display = 'none'; });
canvas.addEventListener('dblclick', (event) => zoom(1 / 4, timeAt(event)));
canvas.addEventListener('keydown', (event) => {
  const keys = { ArrowLeft: () => move(-0.2), ArrowRight: () => move(0.2), '+': () => zoom(1 / 1.5), '=': () => zoom(1 / 1.5),
    '-': () => zoom(1.5), Home: () => show(whole.from, whole.until), Escape: () => choose(null) };
  if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
});
function jump(event) {
  const at = whole.from + (event.offsetX / overview.clientWidth) * (whole.until - whole.from);
  const half = (view.until - view.from) / 2;
  show(at - half, at + half);
}
overview.addEventListener('pointerdown', (event) => { overview.setPointerCapture(event.pointerId); jump(event); });
overview.addEventListener('pointermove', (event) => { if (event.buttons) jump(event); });

const tools = document.getElementById('tools');
function tool(text, title, run) {
  const element = document.createElement('button');
  element.type = 'button';
  element.textContent = text;
  element.title = title;
  element.addEventListener('click', run);
  tools.append(element);
  return element;
}
tool('−', 'zoom out', () => zoom(1.6));
tool('+', 'zoom in', () => zoom(1 / 1.6));
tool('whole run', 'show all', () => show(whole.from, whole.until));
if (D.violation) tool('failure', 'go to what is broken', () => { goTo(D.violation.at); choose({ kind: 'violation', item: D.violation }); });
function toggle(text, title, color, isOn, change) {
  const element = tool('', title, () => {
    const next = element.getAttribute('aria-pressed') !== 'true';
    element.setAttribute('aria-pressed', next);
    change(next);
    redraw();
  });
  element.className = 'chip';
  element.setAttribute('aria-pressed', isOn);
  if (color) { const dot = document.createElement('i'); dot.style.background = color; element.append(dot); }
  element.append(text);
}
toggle('relay lanes', 'a lane for each relay: messages go through it', '', relayLanes, (on) => { relayLanes = on; });
for (const [group, n] of [...groups].sort((a, b) => isQuiet(a[0]) - isQuiet(b[0]) || b[1] - a[1])) {
  toggle(group + ' ' + n.toLocaleString('en'), D.titles[group], colorOf(group), !hidden.has(group), (on) => { if (on) hidden.delete(group); else hidden.add(group); });
}
tool('light / dark', 'change the colours', () => {
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const now = document.documentElement.dataset.theme || (dark ? 'dark' : 'light');
  document.documentElement.dataset.theme = now === 'dark' ? 'light' : 'dark';
  readColors();
  drawLegend();
  redraw();
});
const where = document.createElement('span');
where.id = 'where';
tools.append(where);

for (const { at, text } of D.story) {
  const item = document.createElement('li');
  const go = document.createElement('button');
  const time = document.createElement('time');
  go.type = 'button';
  time.textContent = clock(at);
  go.append(time, text);
  go.addEventListener('click', () => { goTo(at); canvas.focus({ preventScroll: true }); });
  item.append(go);
  document.getElementById('story').append(item);
}
document.getElementById('facts')?.replaceWith(Object.assign(table(D.facts), { id: 'facts' }));

function drawLegend() {
  const legend = document.getElementById('legend');
  legend.replaceChildren();
  for (const [text, paint] of LEGEND) {
    const sample = document.createElement('canvas');
    legend.append(sample, Object.assign(document.createElement('span'), { textContent: text }));
    paint(prepared(sample, 64, 20));
  }
}
drawLegend();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { readColors(); drawLegend(); redraw(); });
new ResizeObserver(redraw).observe(document.getElementById('stage'));
// A run is longest where nothing happens: what begins the picture is what it is about.
const about = D.violation ? D.violation.at : D.faults.length > 0 ? D.faults[0].from : null;
if (about !== null && whole.until - whole.from > 20000) show(about - 3000, about + 12000);
if (D.violation) { goTo(D.violation.at); choose({ kind: 'violation', item: D.violation }); }
redraw();
`;

export const SCRIPT = `'use strict';\n(() => {${DRAWING}${CONTROL}})();\n`;
