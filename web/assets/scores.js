// Scores: a map of two sets, the image behind a point, and the score without a group.

import { attempt, element, get, number, post, work } from './api.js';
import { explainSubject, legend } from './explain.js';
import { open, remember } from './main.js';
import * as measured from './measured.js';
import { packed, scatter, themed } from './scatter.js';

const at = (id) => document.getElementById(id);
/** Images of a group that are shown. */
const SHOWN = 60;

let map = null;
let field = null;
let picked = -1;
let group = [];
/** The method whose map is shown beside a picked image, none at first. */
let method = null;
let methods = [];
let classifier = null;

const address = (side, i) => `/api/map/${map.map}/${side}/${i}`;
/** Whether the reference has images, not features alone. */
const hasImages = () => map.reference?.names.length > 0;
/** Points of the reference come first, so that those of the generated set lie on them. */
const references = () => map.reference?.points.length ?? 0;

/** Ten colors that the color-blind tell apart, by Tol. */
const CLASSES = [[51, 34, 136], [136, 204, 238], [68, 170, 153], [17, 119, 51], [153, 153, 51],
  [221, 204, 119], [204, 102, 119], [136, 34, 85], [170, 68, 153], [120, 120, 120]];

const dark = matchMedia('(prefers-color-scheme: dark)');

/** Cividis. */
const RAMP = [[0, 34, 78], [53, 69, 108], [102, 105, 112], [148, 142, 119], [200, 184, 102], [254, 232, 56]];

/** The color of a share: what is strong stands out from the ground; on a dark one the darkest blue is left out. */
function ramp(t) {
  const share = Math.min(Math.max(t, 0), 1);
  const place = (dark.matches ? 0.25 + 0.75 * share : 1 - share) * (RAMP.length - 1);
  const i = Math.min(Math.floor(place), RAMP.length - 2);
  return RAMP[i].map((v, c) => Math.round(v + (RAMP[i + 1][c] - v) * (place - i)));
}

function swatch(color, words) {
  const box = element('span', { className: 'swatch' });
  box.style.background = color;
  return element('span', { className: 'key' }, box, words);
}

const rgb = ([r, g, b]) => `rgb(${r} ${g} ${b})`;

/** A color for each generated image, and their legend. */
function colors() {
  const how = at('map-color').value;
  const { labels, points } = map.generated;
  if (how === 'label' && labels.some((label) => label !== null)) {
    const of = (label) => (label === null ? [128, 128, 128] : CLASSES[label % CLASSES.length]);
    const known = [...new Set(labels.filter((label) => label !== null))].sort((a, b) => a - b);
    const keys = known.slice(0, CLASSES.length).map((label) => swatch(rgb(of(label)), `class ${label}`));
    return { of: labels.map((label) => packed(of(label))), keys };
  }
  const values = { contribution: map.contributions, realism: map.realism }[how];
  if (!values) {
    const absent = how === 'set' ? [] : [`The sets have no ${how === 'label' ? 'classes' : how}.`];
    return { of: new Array(points.length).fill(themed('--two')), keys: [swatch('var(--two)', 'generated'), ...absent] };
  }
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  const [low, high] = [sorted[Math.floor(sorted.length * 0.02)], sorted[Math.ceil(sorted.length * 0.98) - 1]];
  const of = values.map((v) => packed(ramp((v - low) / (high - low || 1))));
  const what = how === 'contribution' ? `adds ${number(high)} or more to ${map.title}` : `realism ${number(high)} or more`;
  return { of, keys: [swatch(rgb(ramp(1)), what), swatch(rgb(ramp(0)), `${number(low)} or less`)] };
}

function recolor() {
  remembered();
  const { of, keys } = colors();
  const color = at('map-color').value === 'set' ? '--one' : '--faint';
  const quiet = themed(color);
  field.color(new Array(references()).fill(quiet).concat(of));
  const shares = map.shares.map((share) => `${(100 * share).toFixed(0)} %`);
  const axes = `Axes: the first two principal components of the reference, ${shares[0]} and ${shares[1]} of its variance.`;
  const reference = map.reference ? [swatch(`var(${color})`, 'reference')] : [];
  at('map-legend').replaceChildren(...keys, ...reference, element('span', {}, axes));
}

const mark = () => field.mark(picked < 0 ? -1 : picked + references(), group.map((i) => i + references()));

// The picture under the pointer, shown once the pointer rests.

let resting = 0;
function hover(point, event) {
  clearTimeout(resting);
  const box = at('map-hover');
  box.hidden = true;
  if (point < 0 || !map) return;
  const [side, i] = point < references() ? ['reference', point] : ['generated', point - references()];
  const { offsetX: x, offsetY: y } = event;
  resting = setTimeout(() => {
    const name = map[side].names[i];
    box.replaceChildren(element('img', { src: address(side, i), alt: name }), element('span', {}, `${side}: ${name}`));
    const beyond = x > at('map').clientWidth / 2;
    Object.assign(box.style, beyond
      ? { left: 'auto', right: `${at('map').clientWidth - x + 14}px`, top: `${y + 14}px` }
      : { left: `${x + 14}px`, right: 'auto', top: `${y + 14}px` });
    box.hidden = false;
  }, 60);
}

// The picked image: its neighbors, its share of the distance, and a map of what a classifier sees.

function figure(side, j, words) {
  return element('figure', {},
    element('img', { src: address(side, j), alt: words, width: 96 }), element('figcaption', {}, words));
}

async function explained(i, chosen) {
  method = chosen;
  remembered();
  for (const tab of at('map-methods').children) tab.setAttribute('aria-pressed', tab.textContent === chosen);
  const subject = { member: [map.map, 'generated', i] };
  const done = await work('/api/explain', { subject, request: { classifier: { model: classifier }, methods: [chosen] } });
  if (!done || i !== picked) return;
  at('map-heat').replaceChildren(
    element('img', { src: done.file(`${chosen}.png`), alt: `map of ${chosen}` }),
    ...legend(done.result.scales[0]),
    element('p', { className: 'note' }, `${done.result.heading} `,
      element('a', { href: done.file(`${chosen}.npy`), download: `${chosen}.npy` }, '.npy')),
  );
}

async function showImage(i) {
  picked = i;
  remembered();
  mark();
  const nearest = await get(`/api/map/${map.map}/nearest/${i}`);
  const distances = nearest.map(({ distance }) => number(distance));
  const neighbors = hasImages()
    ? element('div', { className: 'maps small' },
      ...nearest.map(({ image }, j) => figure('reference', image, `distance ${distances[j]}`)))
    : element('p', { className: 'note' }, map.reference
      ? `At distances ${distances.join(', ')}. The reference contains features only, no images.`
      : 'Not known: the reference consists of moments.');
  const facts = [
    `adds ${number(map.contributions[i])} to ${map.title}`,
    map.realism ? `realism ${number(map.realism[i])}` : '',
  ].filter(Boolean).join(', ');
  const name = map.generated.names[i];
  const tabs = methods.map((known) => element('button', {
    onclick: () => attempt(() => explained(i, known)),
  }, known));
  at('map-image').replaceChildren(
    element('h2', {}, name),
    element('img', { src: address('generated', i), alt: name, width: 160, className: 'pixels' }),
    element('p', {}, facts),
    element('h2', {}, 'Nearest reference images'),
    neighbors,
    ...(classifier ? [
      element('h2', {}, `What ${classifier} sees`),
      element('div', { id: 'map-methods', className: 'tabs', role: 'group' }, ...tabs),
      element('div', { id: 'map-heat' }),
      element('button', {
        id: 'explain-member',
        onclick: () => attempt(async () => {
          await open('explain');
          await explainSubject({ member: [map.map, 'generated', i] }, name);
        }),
      }, 'All methods'),
    ] : []),
  );
  if (method && classifier) await explained(i, method);
}

async function showGroup(images) {
  group = images;
  at('map').dataset.group = images.join(',');
  mark();
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
  const [count, of] = [images.length, map.generated.points.length];
  const words = element('p', { id: 'without' },
    `Without these ${count} images of ${of}, ${map.title} is ${number(distance)}${percent}.`);
  words.dataset.distance = distance;
  const more = count > SHOWN ? [element('p', { className: 'note' }, `The ${SHOWN} that add most.`)] : [];
  at('map-group').replaceChildren(
    element('h2', {}, `Group of ${count}`),
    words,
    ...more,
    element('div', { className: 'tiles' }, ...worst.map(tile)),
    element('button', { onclick: () => attempt(() => showGroup([])) }, 'Clear'),
  );
}

/** Selects the images that add most to the distance. */
function worst() {
  const count = Math.min(Number(at('map-worst-count').value) || 20, map.contributions.length - 2);
  const order = map.contributions.map((value, i) => [value, i]).sort((a, b) => b[0] - a[0]);
  return order.slice(0, Math.max(count, 1)).map(([, i]) => i);
}

const sets = () => ({ generated: at('map-generated').value, reference: at('map-reference').value });

/** What a reload needs. */
const settings = () => ({ ...sets(), color: at('map-color').value, ...(picked < 0 ? {} : { picked }), ...(method ? { method } : {}) });
const remembered = () => remember('scores', settings());

async function layOut() {
  const done = await work('/api/map', sets());
  if (!done) return;
  map = done.result;
  [picked, group] = [-1, []];
  remembered();
  at('map-view').hidden = false;
  at('map-title').textContent = `${map.title} ${number(map.distance)}`;
  at('map-title').dataset.distance = map.distance;
  at('map-convention').textContent = `Features: ${map.convention}.`;
  at('map-warnings').replaceChildren(...map.warnings.map((text) => element('li', {}, text)));
  at('map-image').replaceChildren(element('p', { className: 'note' }, 'Click a point to see its image.'));
  at('map-group').replaceChildren();
  field.show([...(map.reference?.points ?? []), ...map.generated.points], references());
  recolor();
}

export async function start(served, from) {
  const fill = (id, names) => at(id).replaceChildren(...names.map((name) => element('option', {}, name)));
  fill('map-generated', served.allowed.generated);
  fill('map-reference', served.allowed.references);
  [classifier] = served.allowed.classifiers;
  methods = classifier ? (await post('/api/classifier', { model: classifier })).methods : [];
  const none = served.allowed.generated.length === 0;
  at('map-none').hidden = !none;
  at('map-begin').disabled = none;
  field = scatter(at('map'), {
    picks: (point) => point >= references(),
    pick: (point) => attempt(() => showImage(point - references())),
    shows: (point) => point >= references() || hasImages(),
    hover,
    select: (points) => attempt(() => showGroup(points.filter((p) => p >= references()).map((p) => p - references()))),
    brushes: () => at('map-brush').checked,
  });
  at('map-color').onchange = recolor;
  at('map-home').onclick = field.home;
  at('map-worst').onclick = () => attempt(() => showGroup(worst()), at('map-worst'));
  at('map-begin').onclick = () => attempt(layOut, at('map-begin'));
  measured.start(served, sets);
  dark.addEventListener('change', () => map && recolor());
  if (from.has('generated')) {
    at('map-generated').value = from.get('generated');
    at('map-reference').value = from.get('reference');
  }
  if (from.has('color')) at('map-color').value = from.get('color');
  if (from.has('method')) method = from.get('method');
  if (!none) await layOut();
  if (map && from.has('picked')) await showImage(Number(from.get('picked')));
}

export const shown = remembered;
