/** The part of the picture's script that draws (diagram-script.ts): lanes, bars, arrows, marks, and what is under the pointer. */

export const DRAWING = `
const D = JSON.parse(document.getElementById('data').textContent);
const arrows = D.arrows.map(([group, from, relay, to, sentAt, relayedAt, endsAt, text, lost]) => ({
  group: D.texts[group], from, relay, to, sentAt, relayedAt, endsAt, text: D.texts[text], lost: D.texts[lost],
}));

const clock = (ms, digits) => (ms / 1000).toFixed(digits === undefined ? 1 : digits) + ' s';
const isQuiet = (group) => group === 'BEACON' || group === 'UCNN' || group === 'CH_STATUS' || group.endsWith(')');

// --- Colours ---

const C = {};
function readColors() {
  const probe = document.createElement('span');
  document.body.append(probe);
  for (const name of ['paper', 'panel', 'ink', 'faint', 'line', 'bad', 'good', 'fault', 'focus']) {
    probe.style.color = 'var(--' + name + ')';
    C[name] = getComputedStyle(probe).color;
  }
  probe.style.color = 'light-dark(#000, #fff)';
  C.isDark = getComputedStyle(probe).color === 'rgb(255, 255, 255)';
  probe.remove();
}
readColors();
// No reds: what is red is broken, or lost.
const HUES = { CH_MSG: 210, CH_PROPOSE: 265, ACK_CH_MSG: 150, CH_COMMIT: 120, CH_PREVOTE: 42, CH_GRANT: 54, CH_LEAD: 66,
  CH_VOTE: 78, CH_ELECTED: 320, CH_PULL: 190, CH_APPEND: 175, CH_MERGE: 300, CH_ACK_REQ: 285, CH_JOIN: 95, CH_REFUSE: 36 };
const colorOf = (group) => {
  const hue = HUES[group.split(' ')[0]];
  return hue === undefined ? C.faint : 'hsl(' + hue + ' 65% ' + (C.isDark ? 65 : 42) + '%)';
};
const epochs = new Map();
for (const p of D.periods) if (p.epoch && !epochs.has(p.epoch.id)) epochs.set(p.epoch.id, epochs.size);
const epochHue = (n) => 60 + ((n * 0.618034 + 0.54) % 1) * 250;
const epochColor = ({ id }, strong) => {
  const hue = epochHue(epochs.get(id));
  return 'hsl(' + hue + ' 60% ' + (C.isDark ? 55 : 55) + '% / ' + (strong ? 0.95 : 0.38) + ')';
};

// --- Places ---

const LEFT = 74;
const TOP = 34;
const RELAY_LANE = 30;
const BAR = 16;
const FAULT_ROW = 15;
let LANE = 62;
/** Lanes use the room that the window has. */
function fit() {
  const room = window.innerHeight - document.getElementById('stage').getBoundingClientRect().top - window.scrollY - D.nodes * 5 - 60 - lanesTop;
  LANE = Math.min(96, Math.max(46, Math.floor(room / D.nodes)));
}
const faultRows = [];
for (const f of D.faults) {
  let row = faultRows.findIndex((end) => end < f.from);
  if (row === -1 && faultRows.length < 8) row = faultRows.push(0) - 1;
  f.row = row === -1 ? 7 : row;
  faultRows[f.row] = Math.max(faultRows[f.row], f.until + 150);
}
const faultsHeight = faultRows.length * FAULT_ROW;
const lanesTop = TOP + faultsHeight + 14;
const nodeY = (node) => lanesTop + node * LANE + LANE / 2;
const relayY = (relay) => lanesTop + D.nodes * LANE + relay * RELAY_LANE + RELAY_LANE / 2;
const heightOf = (relayLanes) => lanesTop + D.nodes * LANE + (relayLanes ? D.relays * RELAY_LANE : 0) + 10;

const xOf = (canvas, view, at) => LEFT + ((at - view.from) / (view.until - view.from)) * (canvas.clientWidth - LEFT);
const timeOf = (canvas, view, x) => view.from + ((x - LEFT) / (canvas.clientWidth - LEFT)) * (view.until - view.from);

/** The points that an arrow goes through; a lost one ends on its way. */
function pathOf(a, relayLanes) {
  const viaRelay = a.relayedAt >= 0 ? [[a.relayedAt, relayY(a.relay)]] : [];
  const start = a.from === -1 ? [a.sentAt, relayLanes ? relayY(a.relay) : lanesTop - 8] : [a.sentAt, nodeY(a.from)];
  if (relayLanes) {
    const path = a.from === -1 ? [start] : [start, ...viaRelay];
    if (a.to === -1) return a.relayedAt < 0 ? [start, [a.endsAt, (nodeY(a.from) + relayY(a.relay)) / 2]] : path;
    const [at, y] = path.at(-1);
    return a.lost ? [...path, [Math.max(at, a.endsAt) + 0.5, y + (nodeY(a.to) - y) / 2]] : [...path, [a.endsAt, nodeY(a.to)]];
  }
  if (a.to === -1) return [start, [a.endsAt + 1, start[1] + 14]];
  const end = nodeY(a.to);
  return a.lost ? [start, [Math.max(a.endsAt, a.sentAt + 1), start[1] + (end - start[1]) / 2]] : [start, [a.endsAt, end]];
}

function prepared(canvas, width, height) {
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.height = height + 'px';
  const g = canvas.getContext('2d');
  g.setTransform(scale, 0, 0, scale, 0, 0);
  g.font = '11px system-ui, sans-serif';
  g.textBaseline = 'middle';
  return g;
}

// --- Drawing ---

function stripes(g, x, y, w, h, gap) {
  g.save();
  g.beginPath();
  g.rect(x, y, w, h);
  g.clip();
  g.beginPath();
  const from = Math.floor(x / gap) * gap - h;
  for (let at = from; at < x + w; at += gap) { g.moveTo(at, y + h); g.lineTo(at + h, y); }
  g.stroke();
  g.restore();
}

/** A node's state as a bar: full for who leads, thin for who follows; striped in an online epoch. */
function bar(g, p, x, w, y) {
  const tall = p.what === 'leads' ? BAR : p.what === 'down' ? BAR : 7;
  if (p.what === 'down') {
    g.strokeStyle = C.faint;
    g.lineWidth = 1;
    stripes(g, x, y - tall / 2, w, tall, 5);
    g.strokeRect(x, y - tall / 2, w, tall);
    return;
  }
  if (!p.epoch) return;
  g.fillStyle = epochColor(p.epoch, p.what === 'leads');
  g.fillRect(x, y - tall / 2, w, tall);
  if (p.epoch.kind === 'online') {
    g.strokeStyle = C.paper;
    g.lineWidth = 2;
    stripes(g, x, y - tall / 2, w, tall, 8);
    g.strokeStyle = epochColor(p.epoch, true);
    g.lineWidth = 1;
    g.strokeRect(x, y - tall / 2, w, tall);
  }
}

function cross(g, x, y, size) {
  g.beginPath();
  g.moveTo(x - size, y - size);
  g.lineTo(x + size, y + size);
  g.moveTo(x - size, y + size);
  g.lineTo(x + size, y - size);
  g.stroke();
}

function tipOf(g, [x0, y0], [x1, y1]) {
  const angle = Math.atan2(y1 - y0, x1 - x0);
  g.beginPath();
  g.moveTo(x1, y1);
  g.lineTo(x1 - 7 * Math.cos(angle - 0.35), y1 - 7 * Math.sin(angle - 0.35));
  g.lineTo(x1 - 7 * Math.cos(angle + 0.35), y1 - 7 * Math.sin(angle + 0.35));
  g.fill();
}

function arrow(g, points, color, lost, strong, share = 1) {
  g.strokeStyle = lost ? C.bad : color;
  g.fillStyle = g.strokeStyle;
  g.lineWidth = strong ? 2.5 : 1;
  g.globalAlpha = strong ? 1 : (lost ? 0.75 : 0.65) * share;
  if (lost) g.setLineDash([4, 3]);
  g.beginPath();
  points.forEach(([x, y], i) => (i === 0 ? g.moveTo(x, y) : g.lineTo(x, y)));
  g.stroke();
  g.setLineDash([]);
  if (lost) cross(g, ...points.at(-1), 3);
  else if (share > 0.4 && points.length > 1) tipOf(g, points.at(-2), points.at(-1));
  g.globalAlpha = 1;
}

const MARKS = {
  state: [(g, x, y) => { g.moveTo(x, y - 4); g.lineTo(x + 4, y); g.lineTo(x, y + 4); g.lineTo(x - 4, y); }, 'ink'],
  told: [(g, x, y) => g.rect(x - 3, y + 9, 6, 6), 'good'],
  post: [(g, x, y) => { g.moveTo(x - 5, y - 17); g.lineTo(x + 5, y - 17); g.lineTo(x, y - 9); }, 'focus'],
  disk: [(g, x, y) => g.rect(x - 1, y + 3, 2, 6), 'faint'],
  refused: [(g, x, y) => { g.moveTo(x, y - 14); g.lineTo(x + 4, y - 7); g.lineTo(x - 4, y - 7); }, 'fault'],
  start: [(g, x, y) => { g.moveTo(x, y - 6); g.lineTo(x + 8, y); g.lineTo(x, y + 6); }, 'good'],
};
function mark(g, kind, x, y, strong) {
  if (kind === 'crash') {
    g.strokeStyle = C.bad;
    g.lineWidth = 2.5;
    return cross(g, x, y, 6);
  }
  const [path, color] = MARKS[kind];
  g.fillStyle = C[color];
  g.beginPath();
  path(g, x, y);
  g.fill();
  if (strong) { g.strokeStyle = C.focus; g.lineWidth = 2; g.stroke(); }
}

function ticks(g, canvas, view, height) {
  const span = view.until - view.from;
  const room = Math.max(2, Math.floor((canvas.clientWidth - LEFT) / 110));
  const raw = span / room;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = unit * [1, 2, 5, 10].find((n) => n * unit >= raw);
  const digits = step >= 1000 ? 0 : step >= 100 ? 1 : step >= 10 ? 2 : 3;
  g.strokeStyle = C.line;
  g.fillStyle = C.faint;
  g.lineWidth = 1;
  for (let at = Math.ceil(view.from / step) * step; at <= view.until; at += step) {
    const x = Math.round(xOf(canvas, view, at)) + 0.5;
    g.beginPath();
    g.moveTo(x, 20);
    g.lineTo(x, height);
    g.stroke();
    g.fillText(clock(at, digits), x + 3, 12);
  }
}

function draw(canvas, view, { shown, relayLanes, chosen }) {
  const width = canvas.clientWidth;
  const height = heightOf(relayLanes);
  const g = prepared(canvas, width, height);
  const x = (at) => xOf(canvas, view, at);
  ticks(g, canvas, view, height);
  g.save();
  g.beginPath();
  g.rect(LEFT, 0, width - LEFT, height);
  g.clip();
  for (const f of D.faults) {
    if (f.until < view.from || f.from > view.until) continue;
    const from = x(f.from);
    const w = Math.max(2, x(f.until) - from);
    g.fillStyle = C.fault;
    g.globalAlpha = 0.1;
    for (const node of f.nodes) if (f.kind !== 'block') g.fillRect(from, nodeY(node) - LANE / 2, w, LANE);
    g.globalAlpha = chosen && chosen.item === f ? 0.9 : 0.45;
    const y = TOP + f.row * FAULT_ROW;
    g.fillRect(from, y, w, FAULT_ROW - 3);
    g.globalAlpha = 1;
    g.fillStyle = C.ink;
    if (w > 60) {
      g.save();
      g.beginPath();
      g.rect(from, y, w, FAULT_ROW);
      g.clip();
      g.fillText(f.text, Math.max(from, LEFT) + 4, y + (FAULT_ROW - 3) / 2);
      g.restore();
    }
  }
  for (let node = 0; node < D.nodes; node++) {
    g.strokeStyle = C.line;
    g.lineWidth = 1;
    g.beginPath();
    g.moveTo(LEFT, nodeY(node) + 0.5);
    g.lineTo(width, nodeY(node) + 0.5);
    g.stroke();
  }
  if (relayLanes) {
    g.setLineDash([2, 4]);
    for (let relay = 0; relay < D.relays; relay++) {
      g.strokeStyle = C.faint;
      g.beginPath();
      g.moveTo(LEFT, relayY(relay) + 0.5);
      g.lineTo(width, relayY(relay) + 0.5);
      g.stroke();
    }
    g.setLineDash([]);
  }
  for (const p of D.periods) {
    if (p.until < view.from || p.from > view.until) continue;
    bar(g, p, x(p.from), Math.max(1, x(p.until) - x(p.from)), nodeY(p.node));
  }
  const visible = arrows.filter((a) => shown(a) && a.endsAt >= view.from && a.sentAt <= view.until);
  const dense = Math.min(1, Math.max(0.25, width / (visible.length + 1)));
  for (const a of visible) {
    arrow(g, pathOf(a, relayLanes).map(([at, y]) => [x(at), y]), colorOf(a.group), a.lost, false, dense);
  }
  for (const p of D.periods) {
    if (p.what !== 'leads' || p.until < view.from || p.from > view.until) continue;
    const from = Math.max(LEFT, x(p.from));
    const text = (p.epoch.kind === 'online' ? 'online ' : '') + 'term ' + p.epoch.term;
    if (x(p.until) - from < g.measureText(text).width + 10) continue;
    g.fillStyle = C.paper;
    g.globalAlpha = 0.85;
    g.fillRect(from + 3, nodeY(p.node) - 7, g.measureText(text).width + 6, 14);
    g.globalAlpha = 1;
    g.fillStyle = C.ink;
    g.fillText(text, from + 6, nodeY(p.node) + 0.5);
  }
  for (const m of D.moments) {
    if (m.at < view.from || m.at > view.until) continue;
    mark(g, m.kind, x(m.at), nodeY(m.node), chosen && chosen.item === m);
  }
  if (chosen && chosen.kind === 'arrow') {
    const a = chosen.item;
    arrow(g, pathOf(a, relayLanes).map(([at, y]) => [x(at), y]), colorOf(a.group), a.lost, true);
  }
  if (D.violation) {
    const at = x(D.violation.at);
    g.fillStyle = C.bad;
    g.globalAlpha = 0.16;
    g.fillRect(at - 4, 20, 8, height);
    g.globalAlpha = 1;
    g.fillRect(at - 1, 20, 2, height);
    const text = 'broken: ' + D.violation.text.split('\\n')[0].slice(0, 90);
    const w = g.measureText(text).width;
    g.fillText(text, at + w + 12 > width ? at - w - 8 : at + 6, 26);
  }
  g.restore();
  g.fillStyle = C.paper;
  g.fillRect(0, 20, LEFT, height);
  g.fillStyle = C.ink;
  g.font = '600 12px system-ui, sans-serif';
  for (let node = 0; node < D.nodes; node++) g.fillText('node ' + node, 14, nodeY(node));
  g.font = '11px system-ui, sans-serif';
  g.fillStyle = C.faint;
  if (faultRows.length > 0) g.fillText('faults', 14, TOP + 7);
  if (relayLanes) for (let relay = 0; relay < D.relays; relay++) g.fillText('relay ' + relay, 14, relayY(relay));
}

/** The whole run in small: who leads, what is broken, and the part that is shown. */
function drawOverview(canvas, whole, view) {
  const row = 5;
  const height = D.nodes * row + 22;
  const width = canvas.clientWidth;
  const g = prepared(canvas, width, height);
  const x = (at) => ((at - whole.from) / (whole.until - whole.from)) * width;
  g.fillStyle = C.fault;
  for (const f of D.faults) {
    g.globalAlpha = 0.35;
    g.fillRect(x(f.from), 2, Math.max(1, x(f.until) - x(f.from)), 6);
  }
  g.globalAlpha = 1;
  for (const p of D.periods) {
    if (!p.epoch && p.what !== 'down') continue;
    g.fillStyle = p.epoch ? epochColor(p.epoch, p.what === 'leads') : C.line;
    g.fillRect(x(p.from), 12 + p.node * row, Math.max(1, x(p.until) - x(p.from)), p.what === 'leads' ? row : row - 2);
  }
  if (D.violation) { g.fillStyle = C.bad; g.fillRect(x(D.violation.at) - 1, 0, 3, height); }
  g.fillStyle = C.focus;
  g.globalAlpha = 0.12;
  g.fillRect(x(view.from), 0, x(view.until) - x(view.from), height);
  g.globalAlpha = 1;
  g.strokeStyle = C.focus;
  g.lineWidth = 1.5;
  g.strokeRect(x(view.from) + 0.5, 0.75, Math.max(3, x(view.until) - x(view.from) - 1), height - 1.5);
}

// --- What is under the pointer ---

const REACH = 6;
function find(canvas, view, px, py, { shown, relayLanes }) {
  if (px < LEFT) return null;
  const x = (at) => xOf(canvas, view, at);
  if (D.violation && Math.abs(px - x(D.violation.at)) < 5 && py < lanesTop) return { kind: 'violation', item: D.violation };
  let best = null;
  let distance = REACH;
  const consider = (kind, item, d) => { if (d < distance) { best = { kind, item }; distance = d; } };
  const HEIGHTS = { told: 12, post: -13, disk: 6, refused: -10 };
  for (const m of D.moments) {
    const dx = Math.abs(px - x(m.at));
    if (dx < REACH) consider('moment', m, Math.hypot(dx, py - nodeY(m.node) - (HEIGHTS[m.kind] || 0)));
  }
  if (best) return best;
  for (const a of arrows) {
    if (!shown(a) || x(a.endsAt) < px - REACH || x(a.sentAt) > px + REACH) continue;
    const points = pathOf(a, relayLanes).map(([at, y]) => [x(at), y]);
    for (let i = 1; i < points.length; i++) consider('arrow', a, toSegment(px, py, points[i - 1], points[i]));
  }
  if (best) return best;
  for (const f of D.faults) {
    const y = TOP + f.row * FAULT_ROW;
    if (py >= y && py < y + FAULT_ROW && px >= x(f.from) - 2 && px <= x(f.until) + 2) return { kind: 'fault', item: f };
  }
  const period = D.periods.find((p) => Math.abs(py - nodeY(p.node)) < BAR / 2 && px >= x(p.from) && px < x(p.until));
  return period ? { kind: 'period', item: period } : null;
}

function toSegment(px, py, [x0, y0], [x1, y1]) {
  const length = (x1 - x0) ** 2 + (y1 - y0) ** 2;
  const t = length === 0 ? 0 : Math.min(1, Math.max(0, ((px - x0) * (x1 - x0) + (py - y0) * (y1 - y0)) / length));
  return Math.hypot(px - x0 - t * (x1 - x0), py - y0 - t * (y1 - y0));
}

function label({ kind, item }) {
  if (kind === 'arrow') return item.group + (item.lost ? ', lost' : '') + ': ' + item.text;
  if (kind === 'moment' || kind === 'fault' || kind === 'violation') return item.text;
  return item.epoch ? (item.epoch.kind === 'online' ? 'online epoch, ' : '') + 'term ' + item.epoch.term + ' of node ' + item.epoch.leader : item.what;
}

// --- Legend ---

const sampleEpoch = (kind) => ({ id: D.periods.find((p) => p.epoch)?.epoch.id, kind });
const LEGEND = [
  ['leads an epoch that a majority of all members elected', (g) => bar(g, { what: 'leads', epoch: sampleEpoch('roster') }, 2, 60, 10)],
  ['follows it: the same colour is the same epoch', (g) => bar(g, { what: 'follows', epoch: sampleEpoch('roster') }, 2, 60, 10)],
  ['leads an online epoch: fewer members, nothing final', (g) => bar(g, { what: 'leads', epoch: sampleEpoch('online') }, 2, 60, 10)],
  ['without power', (g) => bar(g, { what: 'down' }, 2, 60, 10)],
  ['a message; its slope is the time it takes', (g) => arrow(g, [[4, 3], [58, 17]], colorOf('CH_MSG'), '', false)],
  ['a message that got lost', (g) => arrow(g, [[4, 3], [40, 12]], C.ink, 'loss', false)],
  ['the node’s state changes', (g) => mark(g, 'state', 32, 10)],
  ['its user posts', (g) => mark(g, 'post', 32, 23)],
  ['its user is told something', (g) => mark(g, 'told', 32, -2)],
  ['something is on disk', (g) => mark(g, 'disk', 32, 4)],
  ['starts, and loses power', (g) => { mark(g, 'start', 18, 10); mark(g, 'crash', 46, 10); }],
  ['something is broken on purpose', (g) => { g.globalAlpha = 0.45; g.fillStyle = C.fault; g.fillRect(2, 4, 60, 12); g.globalAlpha = 1; }],
];
`;
