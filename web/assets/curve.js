// A small line chart.

const SPACE = { left: 54, right: 20, top: 26, bottom: 34 };
const HEIGHT = 260;
/** Widest picture. */
const WIDEST = 640;

function svg(name, attributes, text) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** About five round numbers from `low` to `high`. */
function ticks(low, high) {
  const rough = (high - low) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) found.push(i * step);
  return found;
}

/**
 * Lines over one abscissa, as wide as there is room, so that letters keep their size: `lines` are `{ name, values }`.
 * `pick` gets the index of a point that is chosen by a click or a key; `mark` marks one.
 */
export function curve(xs, xName, lines, pick) {
  const root = document.createElement('div');
  let [width, marked] = [0, -1];
  const mark = (j) => {
    marked = j;
    for (const point of root.querySelectorAll('[role="button"]')) point.setAttribute('aria-pressed', Number(point.dataset.point) === j);
  };
  new ResizeObserver(() => {
    const room = Math.min(WIDEST, root.clientWidth);
    if (room === 0 || room === width) return;
    width = room;
    root.replaceChildren(drawn(xs, xName, lines, width, pick));
    mark(marked);
  }).observe(root);
  return { root, mark };
}

/** The lines in a picture of some width. */
function drawn(xs, xName, lines, width, pick) {
  const values = lines.flatMap((line) => line.values);
  const [x0, x1] = [Math.min(...xs), Math.max(...xs)];
  let [y0, y1] = [Math.min(...values), Math.max(...values)];
  const room = (y1 - y0 || Math.abs(y1) || 1) * 0.06;
  [y0, y1] = [y0 - room, y1 + room];
  const x = (v) => SPACE.left + ((v - x0) / (x1 - x0 || 1)) * (width - SPACE.left - SPACE.right);
  const y = (v) => HEIGHT - SPACE.bottom - ((v - y0) / (y1 - y0)) * (HEIGHT - SPACE.top - SPACE.bottom);
  const words = `${lines.map((line) => line.name).join(', ')} over ${xName}`;
  const root = svg('svg', { class: 'curve', width, height: HEIGHT, role: pick ? 'group' : 'img', 'aria-label': words });
  const label = (v) => Number(v.toPrecision(4)).toString();
  for (const v of ticks(y0, y1)) {
    root.append(svg('line', { x1: SPACE.left, x2: width - SPACE.right, y1: y(v), y2: y(v), class: 'axis' }));
    root.append(svg('text', { x: SPACE.left - 6, y: y(v) + 4, 'text-anchor': 'end' }, label(v)));
  }
  for (const v of ticks(x0, x1)) {
    root.append(svg('text', { x: x(v), y: HEIGHT - SPACE.bottom + 16, 'text-anchor': 'middle' }, label(v)));
  }
  root.append(svg('text', { x: width - SPACE.right, y: HEIGHT - 4, 'text-anchor': 'end' }, xName));
  lines.forEach((line, i) => {
    const path = line.values.map((v, j) => `${j ? 'L' : 'M'}${x(xs[j])} ${y(v)}`).join('');
    root.append(svg('path', { d: path, class: `s${i}` }));
    line.values.forEach((v, j) => {
      const words = `${line.name} ${label(v)} at ${xName} ${label(xs[j])}`;
      const button = pick ? { role: 'button', tabindex: 0, 'aria-label': words } : {};
      const point = svg('circle', { cx: x(xs[j]), cy: y(v), r: 5, class: `f${i}`, 'data-point': j, ...button });
      point.append(svg('title', {}, words));
      if (pick) {
        point.addEventListener('click', () => pick(j));
        point.addEventListener('keydown', (event) => {
          if (!['Enter', ' '].includes(event.key)) return;
          event.preventDefault();
          pick(j);
        });
      }
      root.append(point);
    });
    const from = SPACE.left + 8 + i * ((width - SPACE.left) / lines.length);
    root.append(svg('path', { d: `M${from} 10h22`, class: `s${i}` }));
    root.append(svg('text', { x: from + 28, y: 14 }, line.name));
  });
  return root;
}
