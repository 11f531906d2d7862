// Directions of W as sliders, with an undo: principal components, semantic directions, those of files.

import { attempt, element, number, post, save, send } from './api.js';

const at = (id) => document.getElementById(id);

const NAMES = { pca: 'principal components (GANSpace)', sefa: 'semantic directions (SeFa)' };

/** Distances along directions by `set:number`; those of other sets than the shown one stay. */
let moves = new Map();
/** Styles that are moved, as text; all if empty. */
let styles = '';
let undone = [];
let drawing = null;
let changed = null;
let served = null;

/** Part of the request of a place. */
export const request = () => ({
  direction: [...moves].map(([key, amount]) => `${key}=${amount}`),
  moved: moves.size && styles ? styles : null,
});

/** The settings for the address of the page. */
export const settings = () => ({
  ...(moves.size ? { moves: [...moves].map(([key, amount]) => `${key}=${amount}`).join('|') } : {}),
  ...(styles ? { moved: styles } : {}),
});

/** The lines of the command that draws a seed moved so, its first lines finding the directions. */
export function command(model, seed, options) {
  const sets = [...new Set([...moves.keys()].map((key) => key.slice(0, key.lastIndexOf(':'))))];
  const file = (set) => (served.computed.includes(set) ? `${set}.npz` : set);
  const finds = sets.filter((set) => served.computed.includes(set))
    .map((set) => `ganscope directions ${model} --method ${set} --samples ${served.samples} -o ${file(set)}`);
  const steps = [...moves].map(([key, amount]) => {
    const [set, i] = [key.slice(0, key.lastIndexOf(':')), key.slice(key.lastIndexOf(':') + 1)];
    return ` --direction ${file(set)}:${i}=${amount}`;
  }).join('');
  const moved = styles ? ` --styles ${styles}` : '';
  return [...finds, `ganscope edit ${model} --seeds ${seed}${options}${steps}${moved} --steps 2 --ws-output moved.npz -o moved.png`].join('\n');
}

const remembered = () => undone.push([new Map(moves), styles]);

function put(key, amount) {
  if (amount === 0) moves.delete(key);
  else moves.set(key, amount);
  note();
  changed();
}

function note() {
  const set = at('direction-set').value;
  const elsewhere = [...moves].filter(([key]) => !key.startsWith(`${set}:`)).map(([key, amount]) => `${key} ${amount > 0 ? '+' : ''}${amount}`);
  at('direction-note').textContent = `In standard deviations of W along the direction.${elsewhere.length ? ` Also moved: ${elsewhere.join(', ')}.` : ''}`;
  at('undo').disabled = undone.length === 0;
}

/** Puts the sliders where the moves are. */
function place() {
  for (const slider of at('moves').querySelectorAll('input')) {
    slider.value = moves.get(slider.dataset.move) ?? 0;
    slider.parentElement.querySelector('output').textContent = Number(slider.value).toFixed(1);
  }
  at('moved').value = styles;
  note();
}

function slider(set, i, name, spread) {
  const key = `${set}:${i}`;
  const output = element('output', {});
  const input = element('input', { type: 'range', min: -4, max: 4, step: 0.1, title: `a standard deviation is ${number(spread)}` });
  input.dataset.move = key;
  // What a gesture changes is undone at once.
  let underway = false;
  input.oninput = () => {
    if (!underway) remembered();
    underway = true;
    output.textContent = Number(input.value).toFixed(1);
    put(key, Number(input.value));
  };
  input.onchange = () => { underway = false; };
  return element('label', {}, `${name} `, output, input);
}

/** Shows the sliders of the chosen set. */
async function choose() {
  const set = at('direction-set').value;
  at('moves').replaceChildren();
  note();
  const { names, spread } = await post('/api/directions', { drawing: drawing(), set });
  if (at('direction-set').value !== set) return;
  at('moves').replaceChildren(...names.map((name, i) => slider(set, i, name, spread[i])));
  place();
}

function restore([before, text]) {
  [moves, styles] = [before, text];
  place();
  changed();
}

/** For another model: no moves, and its own directions. */
export async function opened() {
  await choose();
}

export function forget() {
  [moves, styles, undone] = [new Map(), '', []];
}

/** `of()` is the present drawing, `then()` is called after a change. */
export function start(given, from, of, then) {
  [served, drawing, changed] = [given, of, then];
  const sets = [...served.computed, ...served.allowed.directions];
  at('direction-set').replaceChildren(...sets.map((value) => element('option', { value }, NAMES[value] ?? value)));
  for (const text of (from.get('moves') ?? '').split('|').filter(Boolean)) {
    const cut = text.lastIndexOf('=');
    moves.set(text.slice(0, cut), Number(text.slice(cut + 1)));
  }
  styles = from.get('moved') ?? '';
  const [first] = moves.keys();
  if (first) at('direction-set').value = first.slice(0, first.lastIndexOf(':'));
  at('direction-set').onchange = () => attempt(choose);
  at('moved').onchange = () => { remembered(); styles = at('moved').value.trim(); note(); changed(); };
  at('undo').onclick = () => { if (undone.length) restore(undone.pop()); };
  at('reset').onclick = () => { remembered(); restore([new Map(), '']); };
  at('save-directions').onclick = () => attempt(async () => {
    const set = at('direction-set').value;
    const blob = await (await send('/api/directions/file', { drawing: drawing(), set })).blob();
    save(blob, served.computed.includes(set) ? `${set}.npz` : 'directions.npz');
  });
}
