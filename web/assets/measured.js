// Tables of scores, and scores against the number of images.

import { attempt, element, number, save, work } from './api.js';
import { curve } from './curve.js';

const at = (id) => document.getElementById(id);

const cell = (text, name = 'td') => element(name, { className: 'number' }, text);

function table(heads, rows) {
  const head = element('tr', {}, element('th', {}, heads[0]), ...heads.slice(1).map((text) => cell(text, 'th')));
  const lines = rows.map(([first, ...rest]) => element('tr', {}, element('td', {}, first), ...rest.map((text) => cell(text))));
  return element('div', { className: 'wide' }, element('table', {}, head, ...lines));
}

const listed = (warnings) => element('ul', { className: 'warnings' }, ...warnings.map((text) => element('li', {}, text)));

const file = (name, kind, text) => element('button', {
  onclick: () => save(new Blob([text], { type: kind }), name),
}, name);

/** All that another run needs for the same numbers, in lines. */
function facts(value, name = '') {
  if (value === null || value === undefined) return [];
  if (typeof value !== 'object') return [`${name} ${value}`];
  return Object.entries(value).flatMap(([key, inner]) => facts(inner, name ? `${name}.${key}` : key));
}

async function score(sets) {
  const { generated, reference } = sets();
  const done = await work('/api/score', { generated: [generated], reference });
  if (!done) return;
  const { scores, conditions, warnings } = done.result;
  const ends = ({ interval }) => (interval ? `${number(interval[0])} to ${number(interval[1])}` : '');
  const rows = scores.map((row) => [row.title, number(row.value), number(row.standard_error), ends(row), row.higher_is_better ? 'higher' : 'lower']);
  at('measured-scores').replaceChildren(
    table(['Score', 'value', 'standard error', '95 % interval', 'better is'], rows),
    listed(warnings),
    element('details', {}, element('summary', {}, 'Conditions'), element('pre', {}, facts(conditions).join('\n'))),
    file('scores.json', 'application/json', JSON.stringify(done.result, null, 2)),
  );
}

async function grow(sets) {
  const metrics = at('growth-metrics').value.split(',');
  const done = await work('/api/growth', { ...sets(), metrics });
  if (!done) return;
  const { points, warnings } = done.result;
  const titles = points[0].scores.map((row) => row.title);
  const lines = titles.map((name, j) => ({ name, values: points.map((point) => point.scores[j].value) }));
  const rows = points.map(({ images, scores }) => [String(images), ...scores.map((row) => number(row.value))]);
  const csv = [['images', ...titles], ...points.map(({ images, scores }) => [images, ...scores.map((row) => row.value)])];
  at('measured-growth').replaceChildren(
    curve(points.map((point) => point.images), 'generated images', lines).root,
    table(['Images', ...titles], rows),
    listed(warnings),
    element('div', { className: 'row' },
      file('growth.csv', 'text/csv', `${csv.map((line) => line.join(',')).join('\n')}\n`),
      file('growth.json', 'application/json', JSON.stringify(done.result, null, 2))),
  );
}

/** The buttons for the sets that `sets` names. */
export function start(served, sets) {
  const none = served.allowed.generated.length === 0;
  for (const [id, task] of [['score', score], ['growth', grow]]) {
    at(id).disabled = none;
    at(id).onclick = () => attempt(() => task(sets), at(id));
  }
}
