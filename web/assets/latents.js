// The latent space: a plane of seeds, directions, styles of another seed, walks and sweeps.

import { attempt, element, number, post, save, send, work } from './api.js';
import { curve } from './curve.js';
import * as directions from './directions.js';
import { explainSubject } from './explain.js';
import { open, remember } from './main.js';

const at = (id) => document.getElementById(id);
const SEEDS_ACROSS = 8;

let served;
let info = null;
const state = { model: '', class: null, psi: 0.7, cutoff: null, noise: '', x: 0, y: 0, mixed: null, styles: [] };
const anchors = [];

/** The request of the present generator and its options. */
function drawn() {
  const drawing = { model: state.model, truncation: state.psi };
  if (state.class !== null) drawing.class = String(state.class);
  if (state.cutoff !== null) drawing.truncation_cutoff = state.cutoff;
  if (state.noise) drawing.noise_mode = state.noise;
  return drawing;
}

/** The request of the present place. */
function place() {
  const mixes = state.mixed !== null && state.styles.length > 0;
  return {
    drawing: drawn(),
    x: state.x,
    y: state.y,
    mixed: mixes ? state.mixed : null,
    styles: mixes ? state.styles.join(',') : null,
    ...directions.request(),
  };
}

const isSeed = () => Number.isInteger(state.x) && Number.isInteger(state.y);
const seedAt = (x, y) => (((x + y * served.columns) % 4294967296) + 4294967296) % 4294967296;

// Pictures: one request at a time, the last place wins. A generator that is slow shows a preview at once, and
// the whole picture when the hand rests; one that is under way is given up when the hand moves on.

const REST = 150;

let underway = false;
let wanted = null;
let wake = () => {};
let whole = null;

/** Asks for the picture of the present place, which an event led to. */
function draw(event) {
  wanted = { request: place(), since: event?.timeStamp ?? performance.now() };
  at('picture').setAttribute('aria-busy', 'true');
  describe();
  whole?.abort();
  wake();
  if (!underway) pump();
}

async function paint(request, since, signal) {
  const blob = await (await send('/api/place', request, signal)).blob();
  const bitmap = await createImageBitmap(blob);
  const canvas = at('picture');
  if (canvas.width !== bitmap.width) [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  canvas.getContext('2d').drawImage(bitmap, 0, 0);
  requestAnimationFrame(() => setTimeout(() => { canvas.dataset.latency = performance.now() - since; }));
  canvas.dataset.place = JSON.stringify(request);
}

async function pump() {
  underway = true;
  while (wanted) {
    const { request, since } = wanted;
    wanted = null;
    try {
      if (info.preview !== null) {
        await paint({ ...request, preview: info.preview }, since);
        if (!wanted) await new Promise((resolve) => { wake = resolve; setTimeout(resolve, REST); });
        if (wanted) continue;
      }
      whole = info.preview === null ? null : new AbortController();
      await paint(request, since, whole?.signal);
    } catch (error) {
      if (error.name !== 'AbortError') await attempt(() => { throw error; });
    }
  }
  underway = false;
  at('picture').setAttribute('aria-busy', 'false');
}

/** The place in words, in the address, and as a command. */
function describe() {
  const where = isSeed()
    ? `seed ${seedAt(state.x, state.y)}`
    : `between seeds, at (${state.x.toFixed(2)}, ${state.y.toFixed(2)})`;
  at('place').textContent = where;
  at('psi-value').textContent = state.psi.toFixed(2);
  at('cutoff-value').textContent = state.cutoff === null ? 'all' : String(state.cutoff);
  const { drawing, mixed, direction } = place();
  const conditions = [
    drawing.class ? ` --class ${drawing.class}` : '',
    state.noise ? ` --noise-mode ${state.noise}` : '',
  ].join('');
  const options = ` --trunc ${state.psi}${state.cutoff === null ? '' : ` --trunc-cutoff ${state.cutoff}`}${conditions}`;
  const seed = seedAt(state.x, state.y);
  // Random noise is that of the seed only where seeds are drawn.
  if (!isSeed() || mixed !== null || (state.noise === 'random' && !direction.length)) {
    at('command').textContent = `ganscope generate ${state.model} --ws ws.npz${conditions} -o out`;
  } else if (direction.length) {
    at('command').textContent = directions.command(state.model, seed, options);
  } else {
    at('command').textContent = `ganscope generate ${state.model} --seeds ${seed}${options} -o out`;
  }
  const settings = { model: state.model, psi: state.psi, x: state.x, y: state.y, ...directions.settings() };
  if (state.class !== null) settings.class = state.class;
  if (state.cutoff !== null) settings.cutoff = state.cutoff;
  if (state.noise) settings.noise = state.noise;
  if (mixed !== null) Object.assign(settings, { mixed, styles: state.styles.join(',') });
  remember('latents', settings);
  drawPlane();
}

// The plane.

function drawPlane() {
  const canvas = at('plane');
  const context = canvas.getContext('2d');
  const [width, height] = [canvas.width, canvas.height];
  const unit = width / SEEDS_ACROSS;
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
  context.clearRect(0, 0, width, height);
  context.lineWidth = 1;
  context.strokeStyle = color('--line');
  context.fillStyle = color('--quiet');
  context.font = '11px system-ui, sans-serif';
  const [left, top] = [state.x - SEEDS_ACROSS / 2, state.y - SEEDS_ACROSS / 2];
  const screen = (v, from) => (v - from) * unit;
  for (let i = Math.floor(left); i <= left + SEEDS_ACROSS + 1; i += 1) {
    context.beginPath();
    context.moveTo(screen(i, left), 0);
    context.lineTo(screen(i, left), height);
    context.stroke();
  }
  for (let j = Math.floor(top); j <= top + SEEDS_ACROSS + 1; j += 1) {
    context.beginPath();
    context.moveTo(0, screen(j, top));
    context.lineTo(width, screen(j, top));
    context.stroke();
  }
  for (let i = Math.floor(left); i <= left + SEEDS_ACROSS + 1; i += 2) {
    for (let j = Math.floor(top); j <= top + SEEDS_ACROSS + 1; j += 1) {
      const text = String(seedAt(i, j));
      if (text.length < 6 || i % 4 === 0) context.fillText(text, screen(i, left) + 3, screen(j, top) - 3);
    }
  }
  for (const { x, y } of anchors) {
    context.fillStyle = color('--two');
    context.fillRect(screen(x, left) - 4, screen(y, top) - 4, 8, 8);
  }
  context.strokeStyle = color('--accent');
  context.lineWidth = 2;
  context.beginPath();
  context.arc(width / 2, height / 2, 7, 0, 2 * Math.PI);
  context.stroke();
}

/** Rounds to a seed when close to one. */
function snapped(v) {
  return Math.abs(v - Math.round(v)) < 0.06 ? Math.round(v) : Number(v.toFixed(3));
}

function listenToPlane() {
  const canvas = at('plane');
  let from = null;
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    from = { px: event.clientX, py: event.clientY, x: state.x, y: state.y };
  };
  canvas.onpointermove = (event) => {
    if (!from) return;
    const unit = canvas.clientWidth / SEEDS_ACROSS;
    state.x = snapped(from.x - (event.clientX - from.px) / unit);
    state.y = snapped(from.y - (event.clientY - from.py) / unit);
    draw(event);
  };
  canvas.onpointerup = () => { from = null; };
  canvas.onpointercancel = canvas.onpointerup;
  canvas.onkeydown = (event) => {
    const step = event.shiftKey ? 1 : 0.25;
    const steps = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (!steps[event.key]) return;
    event.preventDefault();
    state.x = snapped(state.x + steps[event.key][0]);
    state.y = snapped(state.y + steps[event.key][1]);
    draw(event);
  };
}

// Models and their options.

async function openModel() {
  info = await post('/api/model', { model: state.model });
  const psi = at('psi');
  [psi.min, psi.max] = info.truncation === 'psi' ? [0, 1.5] : [0.02, 1];
  state.psi = Math.min(Math.max(state.psi, Number(psi.min)), Number(psi.max));
  psi.value = state.psi;
  at('cutoff-row').hidden = info.truncation !== 'psi';
  at('cutoff').max = info.num_ws;
  at('cutoff').value = state.cutoff ?? info.num_ws;
  at('class-row').hidden = info.c_dim === 0;
  const names = Array.from({ length: info.c_dim }, (_, i) => info.classes[i] ?? String(i));
  at('class').replaceChildren(...names.map((name, i) => element('option', { value: i }, name)));
  if (info.c_dim === 0) state.class = null;
  else if (state.class === null || state.class >= info.c_dim) state.class = 0;
  at('class').value = state.class;
  // A row of boxes for each resolution, where that is known.
  const rows = new Map();
  for (let i = 0; i < info.num_ws; i += 1) {
    const size = info.style_resolutions[i] ?? 0;
    if (!rows.has(size)) rows.set(size, element('div', {}, element('span', {}, size ? `${size} x ${size}` : '')));
    const box = element('input', { type: 'checkbox', value: i, checked: state.styles.includes(i), onchange: chooseStyles });
    rows.get(size).append(element('label', {}, box, ` ${i}`));
  }
  at('styles').replaceChildren(...rows.values());
  at('noise-row').hidden = info.truncation !== 'psi';
  at('noise').value = state.noise;
}

function chooseStyles() {
  const boxes = [...at('styles').querySelectorAll('input')];
  state.styles = boxes.filter((box) => box.checked).map((box) => Number(box.value));
  draw();
}

// Walks and sweeps.

function showAnchors() {
  at('anchors').textContent = anchors.length ? anchors.map(({ seed }) => seed).join(', ') : 'none';
  at('walk').disabled = anchors.length < 2;
  drawPlane();
}

async function beginWalk() {
  const drawing = drawn();
  const seeds = anchors.map(({ seed }) => seed).join(',');
  const steps = 12;
  const done = await work('/api/walk', { drawing, seeds, steps, spaces: ['z', 'w'] });
  if (!done) return;
  const rows = done.result.rows;
  const strips = rows.map((row, i) => element('div', {},
    element('p', { className: 'note' }, `${row.spaces.join(', ')}: path ${number(row.lengths.reduce((a, b) => a + b, 0))}, `
      + `longest step ${number(Math.max(...row.lengths))} (${done.result.meter})`),
    element('div', { className: 'strip' }, ...Array.from({ length: row.lengths.length + 1 }, (_, step) => element('img', {
      src: done.file(`row${i}-step${step}.png`), alt: `step ${step}`, loading: 'lazy',
    })))));
  const xs = rows[0].lengths.map((_, i) => i + 1);
  const lines = rows.map((row) => ({ name: row.spaces.join(', '), values: row.lengths }));
  at('walk-result').replaceChildren(...strips, curve(xs, 'step', lines).root);
}

async function beginSweep() {
  const drawing = drawn();
  if (info.c_dim > 0) drawing.class = 'each';
  delete drawing.truncation;
  const truncations = info.truncation === 'psi' ? '0.2:1.2:0.2' : '0.2:1.0:0.2';
  const request = {
    drawing, truncations, reference: at('sweep-reference').value, metrics: ['fid', 'prdc'],
    features: { num: Number(at('sweep-num').value) },
  };
  const done = await work('/api/sweep', request);
  if (!done) return;
  const { points } = done.result;
  const xs = points.map((point) => point.truncation);
  const line = (name) => {
    const rows = points.map((point) => point.scores.find((score) => score.name === name));
    return rows[0] ? { name: rows[0].title, values: rows.map((row) => row.value) } : null;
  };
  const heading = element('p', { className: 'note' });
  const samples = element('div', { className: 'tiles' });
  const pick = (j) => {
    const files = done.files.filter((file) => file.startsWith(`point${j}-`));
    files.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    const images = files.map((file) => element('img', { src: done.file(file), alt: file }));
    heading.textContent = `Samples at truncation ${number(xs[j])}`;
    samples.replaceChildren(...images);
    for (const made of curves) made.mark(j);
    state.psi = xs[j];
    at('psi').value = xs[j];
    draw();
  };
  const warnings = done.warnings.map((text) => element('li', {}, text));
  const curves = [['fid'], ['precision', 'recall']].map((names) => names.map(line).filter(Boolean))
    .filter((lines) => lines.length).map((lines) => curve(xs, 'truncation', lines, (j) => pick(j)));
  at('sweep-result').replaceChildren(
    element('ul', { className: 'warnings' }, ...warnings),
    ...curves.map((made) => made.root),
    heading,
    samples,
  );
  pick(xs.length - 1);
}

export async function start(given, settings) {
  served = given;
  const fill = (id, names) => at(id).replaceChildren(...names.map((name) => element('option', {}, name)));
  fill('model', served.allowed.models);
  fill('sweep-reference', served.allowed.references);
  const models = served.allowed.models;
  const setting = (name, otherwise) => (settings.has(name) ? Number(settings.get(name)) : otherwise);
  const list = (name) => (settings.get(name) ?? '').split(',').filter((text) => text !== '').map(Number);
  const style = models.find((name) => name.includes('stylegan')) ?? models[0];
  state.model = models.includes(settings.get('model')) ? settings.get('model') : style;
  Object.assign(state, {
    psi: setting('psi', 0.7), x: setting('x', 3), y: setting('y', 4), class: setting('class', null),
    cutoff: setting('cutoff', null), noise: settings.get('noise') ?? '', mixed: setting('mixed', null), styles: list('styles'),
  });
  at('model').value = state.model;
  at('mixing').checked = state.mixed !== null;
  if (state.mixed !== null) at('mixed').value = state.mixed;
  listenToPlane();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawPlane);
  directions.start(served, settings, drawn, draw);
  at('model').onchange = () => attempt(async () => {
    Object.assign(state, { model: at('model').value, styles: [], cutoff: null, noise: '' });
    anchors.length = 0;
    directions.forget();
    await openModel();
    showAnchors();
    draw();
    await directions.opened();
  });
  at('class').onchange = () => { state.class = Number(at('class').value); draw(); };
  at('noise').onchange = () => { state.noise = at('noise').value; draw(); };
  at('psi').oninput = () => { state.psi = Number(at('psi').value); draw(); };
  at('cutoff').oninput = () => {
    const value = Number(at('cutoff').value);
    state.cutoff = value >= info.num_ws ? null : value;
    draw();
  };
  at('go').onclick = () => {
    const seed = Number(at('seed').value);
    [state.x, state.y] = [seed % served.columns, Math.floor(seed / served.columns)];
    draw();
  };
  at('seed').onkeydown = (event) => { if (event.key === 'Enter') at('go').click(); };
  const mix = () => { state.mixed = at('mixing').checked ? Number(at('mixed').value) : null; draw(); };
  at('mixing').onchange = mix;
  at('mixed').oninput = mix;
  at('save-picture').onclick = () => attempt(async () => save(await (await send('/api/place', place())).blob(), 'picture.png'));
  at('save-ws').onclick = () => attempt(async () => save(await (await send('/api/place/ws', place())).blob(), 'ws.npz'));
  at('copy').onclick = () => attempt(async () => {
    await navigator.clipboard.writeText(at('command').textContent);
    at('copy').textContent = 'Copied';
    setTimeout(() => { at('copy').textContent = 'Copy command'; }, 1500);
  });
  at('explain-place').onclick = () => attempt(async () => {
    await open('explain');
    await explainSubject({ place: place() }, `the picture of ${state.model}, ${at('place').textContent}`);
  });
  at('anchor').onclick = () => {
    [state.x, state.y] = [Math.round(state.x), Math.round(state.y)];
    anchors.push({ x: state.x, y: state.y, seed: seedAt(state.x, state.y) });
    showAnchors();
    draw();
  };
  at('clear').onclick = () => { anchors.length = 0; showAnchors(); };
  at('walk').onclick = () => attempt(beginWalk, at('walk'));
  at('sweep').onclick = () => attempt(beginSweep, at('sweep'));
  await openModel();
  showAnchors();
  draw();
  await directions.opened();
}

export const shown = describe;
