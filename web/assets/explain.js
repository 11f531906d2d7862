// Explanations: what a classifier saw in a picture, by every method.

import { attempt, element, post, work } from './api.js';
import { remember } from './main.js';
import * as units from './units.js';

const at = (id) => document.getElementById(id);

let subject = null;
let about = '';

const FIELDS = ['classifier', 'explain-class', 'explain-against', 'explain-layer', 'explain-rule'];

/** What a reload needs: the fields, and a subject that the server still has. */
function settings() {
  const given = FIELDS.map((id) => [id, at(id).value]).filter(([, value]) => value);
  const measure = at('explain-measure').checked ? { measure: 1 } : {};
  const kept = subject?.place ? { place: JSON.stringify(subject.place), words: about } : {};
  return { ...Object.fromEntries(given), ...measure, ...kept };
}

function choose(chosen, words) {
  [subject, about] = [chosen, words];
  at('explain-subject').textContent = `Explained is ${words}.`;
  at('explain-begin').disabled = false;
}

async function bring(file) {
  const { picture, width, height } = await post('/api/picture', file);
  choose({ picture }, `${file.name || 'the picture'}, ${width} x ${height} pixels`);
  await explain();
}

async function explain() {
  const text = (id) => at(id).value.trim() || null;
  const request = {
    classifier: { model: at('classifier').value },
    class: text('explain-class'),
    against: text('explain-against'),
    measure: at('explain-measure').checked,
    options: { rule: at('explain-rule').value, layer: text('explain-layer') },
  };
  remember('explain', settings());
  const done = await work('/api/explain', { subject, request });
  if (done) show(done);
}

/** The colors of a map with the values of their ends. */
export function legend({ evidence, scale }) {
  const signed = evidence === 'signed';
  const end = Number(scale.toPrecision(2));
  return [
    element('div', { className: `scale ${signed ? 'signed' : 'one'}` }),
    element('div', { className: 'ends' },
      element('span', {}, String(signed ? -end : 0)), element('span', {}, evidence), element('span', {}, String(end))),
  ];
}

function show(done) {
  const { report, heading, scales } = done.result;
  const top = report.top.map((found) => element('tr', {},
    element('td', {}, found.name ? `${found.name} (${found.class})` : String(found.class)),
    element('td', { className: 'number' }, `${(100 * found.probability).toFixed(1)} %`)));
  const picture = element('figure', {},
    element('img', { src: done.file('picture.png'), alt: 'the picture as the network sees it' }),
    element('figcaption', {}, 'As the network sees it'));
  const maps = report.maps.map((map, i) => {
    const notes = [
      map.claims_relevance ? '' : 'not a share of the answer',
      map.ignores_upper_layers ? 'hardly depends on the class' : '',
      map.r_squared === undefined ? '' : `R² ${map.r_squared.toFixed(2)}`,
      map.conservation_error === undefined ? '' : `lost ${(100 * map.conservation_error).toFixed(1)} %`,
    ].filter(Boolean).join(', ');
    return element('figure', {},
      element('img', { src: done.file(`${map.method}.png`), alt: `map of ${map.method}` }),
      element('figcaption', {}, element('strong', {}, map.method), notes ? ` – ${notes} ` : ' ',
        element('a', { href: done.file(`${map.method}.npy`), download: `${map.method}.npy` }, '.npy')),
      ...legend(scales[i]));
  });
  const measures = measured(report);
  const warnings = report.warnings ?? [];
  const absent = (report.left_out ?? []).map(([method, why]) => element('li', {}, `${method}: ${why}`));
  at('explain-result').replaceChildren(
    element('section', { className: 'panel' },
      element('h2', {}, heading),
      element('table', {}, ...top),
      element('ul', { className: 'warnings' }, ...warnings.map((text) => element('li', {}, String(text)))),
      element('div', { className: 'maps' }, picture, ...maps),
      ...measures,
      ...(absent.length ? [element('details', { className: 'note' },
        element('summary', {}, `${absent.length} methods do not suit this network`), element('ul', {}, ...absent))] : [])),
  );
}

/** A table of the measures of the maps, if they were asked for. */
function measured(report) {
  const rows = report.maps.filter((map) => map.measures);
  if (!rows.length) return [];
  const names = Object.keys(rows[0].measures);
  const cell = (name, text) => element(name, { className: 'number' }, text);
  const line = (of, measures) => element('tr', {}, element('td', {}, of),
    ...names.map((name) => cell('td', typeof measures[name] === 'number' ? measures[name].toFixed(3) : '–')));
  const random = report.random_order;
  const head = element('tr', {}, element('th', {}, 'Measures'), ...names.map((name) => cell('th', name.replaceAll('_', ' '))));
  return [element('div', { className: 'wide' }, element('table', {}, head,
    ...rows.map((map) => line(map.method, map.measures)), ...(random ? [line('random order', random)] : [])))];
}

/** The classes and layers of the chosen classifier. */
async function openClassifier() {
  const { classes, layers } = await post('/api/classifier', { model: at('classifier').value });
  at('classes').replaceChildren(...classes.map((name, i) => element('option', { value: name ?? i })));
  const maps = layers.filter(({ height, width }) => height * width > 1);
  at('explain-layer').replaceChildren(element('option', { value: '' }, 'the last with a map'),
    ...maps.map(({ name }) => element('option', {}, name)));
  units.opened(layers);
}

/** Explains something that another view shows. */
export async function explainSubject(chosen, words) {
  choose(chosen, words);
  await explain();
}

export async function start(served, from) {
  at('classifier').replaceChildren(...served.allowed.classifiers.map((name) => element('option', {}, name)));
  at('file').onchange = () => attempt(() => bring(at('file').files[0]));
  const drop = at('drop');
  drop.ondragover = (event) => { event.preventDefault(); drop.classList.add('over'); };
  drop.ondragleave = () => drop.classList.remove('over');
  drop.ondrop = (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    const [file] = event.dataTransfer.files;
    if (file) attempt(() => bring(file));
  };
  drop.onkeydown = (event) => { if (event.key === 'Enter') at('file').click(); };
  at('explain-begin').onclick = () => attempt(explain, at('explain-begin'));
  units.start(served);
  at('classifier').onchange = () => attempt(openClassifier);
  if (from.has('classifier')) at('classifier').value = from.get('classifier');
  if (served.allowed.classifiers.length) await openClassifier();
  for (const id of FIELDS.filter((id) => from.has(id))) at(id).value = from.get(id);
  at('explain-measure').checked = from.has('measure');
  if (from.has('place')) await explainSubject({ place: JSON.parse(from.get('place')) }, from.get('words'));
}

export const shown = () => remember('explain', settings());
