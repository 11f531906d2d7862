// Units of a classifier: the picture that one answers to most, and the patches of a set.

import { attempt, element, number, work } from './api.js';

const at = (id) => document.getElementById(id);

const classifier = () => ({ model: at('classifier').value });
const chosen = () => ({ layer: at('unit-layer').value, unit: Number(at('unit').value) });

function show(title, ...content) {
  at('unit-result').replaceChildren(element('h2', {}, title), ...content);
}

async function maximize() {
  const done = await work('/api/maximize', { classifier: classifier(), target: chosen() });
  if (!done) return;
  const [{ title, answer }] = done.result;
  show(`${title} answers most to`, element('figure', { className: 'unit' },
    element('img', { src: done.file('picture0.png'), alt: title }),
    element('figcaption', {}, `mean activation ${number(answer.score)}`)));
}

/** A picture with a frame around what the unit sees. */
function patch(found, src) {
  const [height, width] = found.size;
  const [[top, bottom], [left, right]] = [found.rows, found.columns];
  const share = (part, whole) => `${(100 * part) / whole}%`;
  const frame = element('span', {});
  Object.assign(frame.style, {
    top: share(top, height), height: share(bottom - top, height), left: share(left, width), width: share(right - left, width),
  });
  return element('figure', {},
    element('div', { className: 'boxed' }, element('img', { src, alt: found.name }), frame),
    element('figcaption', {}, number(found.activation)));
}

async function search() {
  const request = { classifier: classifier(), images: [at('unit-set').value], ...chosen() };
  const done = await work('/api/unit', request);
  if (!done) return;
  const { title, patches } = done.result;
  show(`${title} answers most to these images; framed is what it sees`,
    element('div', { className: 'maps small' }, ...patches.map((found, i) => patch(found, done.file(`patch${i}.png`)))));
}

/** The layers of another classifier. */
export function opened(layers) {
  const options = layers.map(({ name, channels, height, width }) => {
    const option = element('option', { value: name }, `${name}: ${channels} of ${height} x ${width}`);
    option.dataset.channels = channels;
    return option;
  });
  at('unit-layer').replaceChildren(...options);
  const limit = () => {
    at('unit').max = Number(at('unit-layer').selectedOptions[0]?.dataset.channels ?? 1) - 1;
    at('unit').value = Math.min(Number(at('unit').value), Number(at('unit').max));
  };
  at('unit-layer').onchange = limit;
  limit();
}

export function start(served) {
  at('unit-set').replaceChildren(...served.allowed.generated.map((name) => element('option', {}, name)));
  at('unit-search').disabled = served.allowed.generated.length === 0;
  at('unit-maximize').onclick = () => attempt(maximize, at('unit-maximize'));
  at('unit-search').onclick = () => attempt(search, at('unit-search'));
}
