// A small line chart.

const SPACE = { left: 54, right: 12, top: 26, bottom: 34 };
const HEIGHT = 260;

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

/** Lines over one abscissa: `lines` are `{ name, values }`; `pick` gets the index of a clicked point. */
export function curve(xs, xName, lines, pick) {
  // Letters keep their size on a narrow page.
  const WIDTH = Math.max(280, Math.min(640, window.innerWidth - 50));
  const values = lines.flatMap((line) => line.values);
  const [x0, x1] = [Math.min(...xs), Math.max(...xs)];
  let [y0, y1] = [Math.min(...values), Math.max(...values)];
  const room = (y1 - y0 || Math.abs(y1) || 1) * 0.06;
  [y0, y1] = [y0 - room, y1 + room];
  const x = (v) => SPACE.left + ((v - x0) / (x1 - x0 || 1)) * (WIDTH - SPACE.left - SPACE.right);
  const y = (v) => HEIGHT - SPACE.bottom - ((v - y0) / (y1 - y0)) * (HEIGHT - SPACE.top - SPACE.bottom);
  const root = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'curve', role: 'img' });
  root.setAttribute('aria-label', `${lines.map((line) => line.name).join(', ')} over ${xName}`);
  const label = (v) => Number(v.toPrecision(4)).toString();
  for (const v of ticks(y0, y1)) {
    root.append(svg('line', { x1: SPACE.left, x2: WIDTH - SPACE.right, y1: y(v), y2: y(v), class: 'axis' }));
    root.append(svg('text', { x: SPACE.left - 6, y: y(v) + 4, 'text-anchor': 'end' }, label(v)));
  }
  for (const v of ticks(x0, x1)) {
    root.append(svg('text', { x: x(v), y: HEIGHT - SPACE.bottom + 16, 'text-anchor': 'middle' }, label(v)));
  }
  root.append(svg('text', { x: WIDTH - SPACE.right, y: HEIGHT - 4, 'text-anchor': 'end' }, xName));
  lines.forEach((line, i) => {
    const path = line.values.map((v, j) => `${j ? 'L' : 'M'}${x(xs[j])} ${y(v)}`).join('');
    root.append(svg('path', { d: path, class: `s${i}` }));
    line.values.forEach((v, j) => {
      const point = svg('circle', { cx: x(xs[j]), cy: y(v), r: 5, class: `f${i}`, 'data-point': j });
      point.append(svg('title', {}, `${line.name} ${label(v)} at ${xName} ${label(xs[j])}`));
      if (pick) point.addEventListener('click', () => pick(j));
      root.append(point);
    });
    root.append(svg('text', { x: SPACE.left + 8 + i * ((WIDTH - SPACE.left) / lines.length), y: 14, class: `f${i}` }, line.name));
  });
  return root;
}
