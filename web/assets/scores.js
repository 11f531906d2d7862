// Scores: a map of two sets, the image behind a point, and the score without a group.

import { attempt, element, get, number, post, work } from './api.js';
import { explainSubject } from './explain.js';
import { open, remember } from './main.js';

const at = (id) => document.getElementById(id);
const SHOWN = 60;

let map = null;
const view = { x: 0, y: 0, scale: 1 };
let picked = -1;
let group = [];

const address = (side, i) => `/api/map/${map.map}/${side}/${i}`;

/** Colors of points as numbers of a canvas, from the theme. */
function themeColor(name) {
  const probe = element('span');
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const [r, g, b] = getComputedStyle(probe).color.match(/\d+/g).map(Number);
  probe.remove();
  return [r, g, b];
}

const packed = ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r;

/** Ten colors that the color-blind tell apart, by Tol. */
const CLASSES = [[51, 34, 136], [136, 204, 238], [68, 170, 153], [17, 119, 51], [153, 153, 51],
  [221, 204, 119], [204, 102, 119], [136, 34, 85], [170, 68, 153], [120, 120, 120]];

/** From quiet to strong, dark to light of cividis. */
const RAMP = [[0, 34, 78], [53, 69, 108], [102, 105, 112], [148, 142, 119], [200, 184, 102], [254, 232, 56]];

function ramp(t) {
  const at = Math.min(Math.max(t, 0), 1) * (RAMP.length - 1);
  const i = Math.min(Math.floor(at), RAMP.length - 2);
  return RAMP[i].map((v, c) => Math.round(v + (RAMP[i + 1][c] - v) * (at - i)));
}

/** A color for each generated image, and what they mean. */
function colors() {
  const how = at('map-color').value;
  const n = map.generated.points.length;
  const one = packed(themeColor('--two'));
  if (how === 'label' && map.generated.labels.some((label) => label !== null)) {
    const of = (label) => (label === null ? [128, 128, 128] : CLASSES[label % CLASSES.length]);
    return { of: map.generated.labels.map((label) => packed(of(label))), words: 'Color: class of the generated image.' };
  }
  const values = how === 'contribution' ? map.contributions : how === 'realism' ? map.realism : null;
  if (!values) {
    const absent = how === 'set' ? '' : ` The sets have no ${how === 'label' ? 'classes' : how}.`;
    return { of: new Array(n).fill(one), words: `Orange: generated. Blue: reference.${absent}` };
  }
  const sorted = [...values].filter(Number.isFinite).sort((a, b) => a - b);
  const [low, high] = [sorted[Math.floor(sorted.length * 0.02)], sorted[Math.ceil(sorted.length * 0.98) - 1]];
  const of = values.map((v) => packed(ramp((v - low) / (high - low || 1))));
  return { of, words: `Yellow: ${how} of ${number(high)} and more; dark: ${number(low)} and less.` };
}

let shade = null;

function paint() {
  if (!map) return;
  const canvas = at('map');
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (width === 0) return;
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext('2d');
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const dot = (x, y, color, size) => {
    const [left, top] = [Math.round(x) - (size >> 1), Math.round(y) - (size >> 1)];
    if (left < 0 || top < 0 || left + size > width || top + size > height) return;
    for (let j = 0; j < size; j += 1) {
      const row = (top + j) * width + left;
      pixels.fill(color, row, row + size);
    }
  };
  const size = Math.max(2, Math.round((map.generated.points.length > 5000 ? 2 : 5) * ratio));
  const [sx, sy] = [(x) => (x - view.x) * view.scale * ratio + width / 2, (y) => (view.y - y) * view.scale * ratio + height / 2];
  if (map.reference) {
    const color = packed(themeColor('--one'));
    for (const [x, y] of map.reference.points) dot(sx(x), sy(y), color, size);
  }
  map.generated.points.forEach(([x, y], i) => dot(sx(x), sy(y), shade.of[i], size));
  const ink = packed(themeColor('--ink'));
  for (const i of group) dot(sx(map.generated.points[i][0]), sy(map.generated.points[i][1]), ink, size);
  context.putImageData(image, 0, 0);
  if (picked >= 0) {
    const [x, y] = map.generated.points[picked];
    context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue('--ink');
    context.lineWidth = 2 * ratio;
    context.strokeRect(sx(x) - 7 * ratio, sy(y) - 7 * ratio, 14 * ratio, 14 * ratio);
  }
  canvas.dataset.frames = Number(canvas.dataset.frames ?? 0) + 1;
}

let asked = false;
function repaint() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; paint(); });
}

function home() {
  const all = [...map.generated.points, ...(map.reference?.points ?? [])];
  const range = (axis) => all.reduce(([low, high], p) => [Math.min(low, p[axis]), Math.max(high, p[axis])], [Infinity, -Infinity]);
  const [[x0, x1], [y0, y1]] = [range(0), range(1)];
  const canvas = at('map');
  view.x = (x0 + x1) / 2;
  view.y = (y0 + y1) / 2;
  view.scale = 0.92 * Math.min(canvas.clientWidth / (x1 - x0 || 1), canvas.clientHeight / (y1 - y0 || 1));
  repaint();
}

/** Feature coordinates of a place on the canvas. */
function coordinates(event) {
  const box = at('map').getBoundingClientRect();
  return [
    view.x + (event.clientX - box.left - box.width / 2) / view.scale,
    view.y - (event.clientY - box.top - box.height / 2) / view.scale,
  ];
}

/** The generated image nearest to a place, within a few pixels. */
function nearestTo([x, y]) {
  let [best, distance] = [-1, (12 / view.scale) ** 2];
  map.generated.points.forEach(([px, py], i) => {
    const d = (px - x) ** 2 + (py - y) ** 2;
    if (d < distance) [best, distance] = [i, d];
  });
  return best;
}

async function showImage(i) {
  picked = i;
  repaint();
  const nearest = await get(`/api/map/${map.map}/nearest/${i}`);
  const figure = (side, j, words) => element('figure', {},
    element('img', { src: address(side, j), alt: words, width: 96 }),
    element('figcaption', {}, words));
  const neighbors = nearest.map(({ image, distance }) => figure('reference', image, `distance ${number(distance)}`));
  const facts = [
    `adds ${number(map.contributions[i])} to ${map.title}`,
    map.realism ? `realism ${number(map.realism[i])}` : '',
  ].filter(Boolean).join(', ');
  at('map-image').replaceChildren(
    element('h2', {}, map.generated.names[i]),
    element('img', { src: address('generated', i), alt: map.generated.names[i], width: 160, style: 'image-rendering: pixelated' }),
    element('p', {}, facts),
    element('button', {
      id: 'explain-member',
      onclick: () => attempt(async () => {
        await open('explain');
        await explainSubject({ member: [map.map, 'generated', i] }, map.generated.names[i]);
      }),
    }, 'Explain'),
    ...(neighbors.length ? [element('h2', {}, 'Nearest reference images'), element('div', { className: 'maps' }, ...neighbors)] : []),
  );
}

async function showGroup(images) {
  group = images;
  at('map').dataset.group = images.join(',');
  repaint();
  if (!images.length) {
    at('map-group').replaceChildren();
    return;
  }
  const { distance } = await post(`/api/map/${map.map}/without`, { images });
  const worst = [...images].sort((a, b) => map.contributions[b] - map.contributions[a]).slice(0, SHOWN);
  const change = (100 * (distance - map.distance)) / map.distance;
  const percent = Number.isFinite(change) ? ` (${change > 0 ? '+' : ''}${change.toFixed(1)} %)` : '';
  const tile = (i) => element('button', { onclick: () => attempt(() => showImage(i)) },
    element('img', { src: address('generated', i), alt: map.generated.names[i], title: map.generated.names[i], loading: 'lazy' }));
  const words = element('p', { id: 'without' },
    `Without these ${images.length} images, ${map.title} is ${number(distance)}${percent}.`);
  words.dataset.distance = distance;
  at('map-group').replaceChildren(
    element('h2', {}, `Group of ${images.length}`),
    words,
    element('div', { className: 'tiles' }, ...worst.map(tile)),
    element('button', { onclick: () => attempt(() => showGroup([])) }, 'Clear'),
  );
}

function listen() {
  const canvas = at('map');
  let from = null;
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    from = { event, start: coordinates(event), x: view.x, y: view.y, moved: false };
  };
  canvas.onpointermove = (event) => {
    if (!from) {
      const i = map ? nearestTo(coordinates(event)) : -1;
      canvas.title = i < 0 ? '' : map.generated.names[i];
      return;
    }
    const [dx, dy] = [event.clientX - from.event.clientX, event.clientY - from.event.clientY];
    from.moved ||= Math.hypot(dx, dy) > 4;
    if (!from.moved || at('map-brush').checked) return;
    view.x = from.x - dx / view.scale;
    view.y = from.y + dy / view.scale;
    repaint();
  };
  canvas.onpointerup = (event) => {
    const begun = from;
    from = null;
    if (!begun || !map) return;
    const end = coordinates(event);
    if (!begun.moved) {
      const i = nearestTo(end);
      if (i >= 0) attempt(() => showImage(i));
      return;
    }
    if (!at('map-brush').checked) return;
    const inside = (v, a, b) => v >= Math.min(a, b) && v <= Math.max(a, b);
    const images = map.generated.points
      .map((point, i) => (point.every((v, axis) => inside(v, begun.start[axis], end[axis])) ? i : -1))
      .filter((i) => i >= 0);
    attempt(() => showGroup(images));
  };
  canvas.onwheel = (event) => {
    event.preventDefault();
    const [x, y] = coordinates(event);
    const factor = Math.exp(-event.deltaY / 400);
    view.scale *= factor;
    view.x = x - (x - view.x) / factor;
    view.y = y - (y - view.y) / factor;
    repaint();
  };
  canvas.onkeydown = (event) => {
    const step = 40 / view.scale;
    const steps = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (steps[event.key]) {
      event.preventDefault();
      view.x += steps[event.key][0];
      view.y += steps[event.key][1];
    } else if (event.key === '+' || event.key === '-') {
      view.scale *= event.key === '+' ? 1.25 : 0.8;
    } else {
      return;
    }
    repaint();
  };
  new ResizeObserver(repaint).observe(canvas);
}

async function layOut() {
  const request = { generated: at('map-generated').value, reference: at('map-reference').value };
  const done = await work('/api/map', request);
  if (!done) return;
  map = done.result;
  [picked, group] = [-1, []];
  remember('scores', request);
  at('map-view').hidden = false;
  at('map-title').textContent = `${map.title} ${number(map.distance)}`;
  at('map-title').dataset.distance = map.distance;
  at('map-warnings').replaceChildren(...map.warnings.map((text) => element('li', {}, text)));
  at('map-image').replaceChildren(element('p', { className: 'note' }, 'Click a point to see its image.'));
  at('map-group').replaceChildren();
  recolor();
  home();
}

function recolor() {
  shade = colors();
  const shares = map.shares.map((share) => `${(100 * share).toFixed(0)} %`);
  at('map-legend').textContent = `${shade.words} Axes: the first two principal components of the reference, ${shares[0]} and ${shares[1]} of its variance.`;
  repaint();
}

export async function start(served, settings) {
  const fill = (id, names) => at(id).replaceChildren(...names.map((name) => element('option', {}, name)));
  fill('map-generated', served.allowed.generated);
  fill('map-reference', served.allowed.references);
  const none = served.allowed.generated.length === 0;
  at('map-none').hidden = !none;
  at('map-begin').disabled = none;
  listen();
  at('map-color').onchange = recolor;
  at('map-home').onclick = home;
  at('map-begin').onclick = () => attempt(layOut, at('map-begin'));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => map && recolor());
  if (settings.has('generated')) {
    at('map-generated').value = settings.get('generated');
    at('map-reference').value = settings.get('reference');
  }
  if (!none) await layOut();
}

export const shown = () => remember('scores', { generated: at('map-generated').value, reference: at('map-reference').value });
