// Points of two sets on a canvas, up to some hundred thousand: drawn into one block of pixels, found
// through a grid.

const CELLS = 256;
/** Pixels around the pointer in which a point is found. */
const REACH = 12;

const themeColor = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

/** A color of the theme, `#rrggbb`, as a number of a block of pixels. */
export function themed(name) {
  const hex = themeColor(name).trim();
  return packed([1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
}

export const packed = ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;

/** Points sorted into the cells of a grid over all of them. */
function gridOf(xs, ys, box) {
  const [width, height] = [(box.x1 - box.x0) / CELLS || 1, (box.y1 - box.y0) / CELLS || 1];
  const clamp = (v) => Math.min(Math.max(Math.floor(v), 0), CELLS - 1);
  const column = (x) => clamp((x - box.x0) / width);
  const row = (y) => clamp((y - box.y0) / height);
  const starts = new Uint32Array(CELLS * CELLS + 1);
  const cell = (i) => row(ys[i]) * CELLS + column(xs[i]);
  for (let i = 0; i < xs.length; i += 1) starts[cell(i) + 1] += 1;
  for (let c = 0; c < CELLS * CELLS; c += 1) starts[c + 1] += starts[c];
  const next = starts.slice();
  const order = new Uint32Array(xs.length);
  for (let i = 0; i < xs.length; i += 1) {
    const c = cell(i);
    order[next[c]] = i;
    next[c] += 1;
  }
  /** Calls `visit` with each point of the cells that a rectangle touches. */
  return (x0, y0, x1, y1, visit) => {
    for (let j = row(y0); j <= row(y1); j += 1) {
      const [first, last] = [j * CELLS + column(x0), j * CELLS + column(x1)];
      for (let k = starts[first]; k < starts[last + 1]; k += 1) visit(order[k]);
    }
  };
}

/**
 * A view of points. `on.pick(i)` is called for a click on a point that `on.picks(i)`, or for Enter and the one in the
 * middle; `on.hover(i, event)` while the pointer is on one that `on.shows(i)` (-1: on none); `on.select(points)` for
 * a group that is dragged over, if `on.brushes()`.
 */
export function scatter(canvas, on) {
  let [xs, ys, colors] = [new Float32Array(), new Float32Array(), new Uint32Array()];
  let ground = 0;
  let box = { x0: 0, x1: 1, y0: 0, y1: 1 };
  let within = null;
  let marked = { picked: -1, group: [] };
  let brush = null;
  let image = null;
  let asked = false;
  /** Whether the visitor chose the part that is seen. */
  let chosen = false;
  const view = { x: 0, y: 0, scale: 1 };

  function paint() {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (width === 0) return;
    const context = canvas.getContext('2d');
    if (!image || image.width !== width || image.height !== height) {
      [canvas.width, canvas.height] = [width, height];
      image = context.createImageData(width, height);
    }
    const pixels = new Uint32Array(image.data.buffer);
    pixels.fill(0);
    const size = Math.max(2, Math.round((xs.length > 10000 ? 2 : xs.length > 3000 ? 3 : 5) * ratio));
    const scale = view.scale * ratio;
    const [left, top] = [width / 2 - view.x * scale - size / 2, height / 2 + view.y * scale - size / 2];
    const [right, bottom] = [width - size, height - size];
    /** A square, larger by a rim on each side. */
    const dot = (i, color, rim = 0) => {
      const x = Math.round(xs[i] * scale + left) - rim;
      const y = Math.round(top - ys[i] * scale) - rim;
      const side = size + 2 * rim;
      if (x < 0 || y < 0 || x > right - 2 * rim || y > bottom - 2 * rim) return;
      for (let row = y * width + x, end = row + side * width; row < end; row += width) {
        for (let at = row; at < row + side; at += 1) pixels[at] = color;
      }
    };
    // The first ones are a ground for the others.
    const rim = xs.length > 3000 && xs.length <= 10000 ? Math.round(ratio) : 0;
    for (let i = 0; i < xs.length; i += 1) dot(i, colors[i], i < ground ? 0 : rim);
    if (marked.group.length) {
      const ink = themed('--ink');
      for (const i of marked.group) dot(i, ink, rim + Math.round(2 * ratio));
      for (const i of marked.group) dot(i, colors[i], rim);
    }
    context.putImageData(image, 0, 0);
    context.strokeStyle = themeColor('--ink');
    context.lineWidth = 2 * ratio;
    const [sx, sy] = [(x) => (x - view.x) * scale + width / 2, (y) => (view.y - y) * scale + height / 2];
    if (marked.picked >= 0) {
      const i = marked.picked;
      context.strokeRect(sx(xs[i]) - 7 * ratio, sy(ys[i]) - 7 * ratio, 14 * ratio, 14 * ratio);
    }
    if (brush) {
      context.setLineDash([4 * ratio, 3 * ratio]);
      const [[x0, y0], [x1, y1]] = brush;
      context.strokeRect(sx(x0), sy(y0), sx(x1) - sx(x0), sy(y1) - sy(y0));
      context.setLineDash([]);
    }
    canvas.dataset.frames = Number(canvas.dataset.frames ?? 0) + 1;
  }

  function repaint() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; paint(); });
  }

  function home() {
    chosen = false;
    [view.x, view.y] = [(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2];
    const [width, height] = [box.x1 - box.x0 || 1, box.y1 - box.y0 || 1];
    view.scale = 0.92 * Math.min(canvas.clientWidth / width, canvas.clientHeight / height);
    repaint();
  }

  /** Feature coordinates of a place on the screen. */
  function coordinates(event) {
    const rect = canvas.getBoundingClientRect();
    return [
      view.x + (event.clientX - rect.left - rect.width / 2) / view.scale,
      view.y - (event.clientY - rect.top - rect.height / 2) / view.scale,
    ];
  }

  /** The point that fits and is nearest to a place, within some pixels of it. */
  function nearest([x, y], fits, pixels = REACH) {
    if (!within) return -1;
    const reach = pixels / view.scale;
    let [best, distance] = [-1, reach * reach];
    within(x - reach, y - reach, x + reach, y + reach, (i) => {
      const d = (xs[i] - x) ** 2 + (ys[i] - y) ** 2;
      if (d < distance && fits(i)) [best, distance] = [i, d];
    });
    return best;
  }

  function inside([[ax, ay], [bx, by]]) {
    const [x0, x1] = [Math.min(ax, bx), Math.max(ax, bx)];
    const [y0, y1] = [Math.min(ay, by), Math.max(ay, by)];
    const found = [];
    within(x0, y0, x1, y1, (i) => {
      if (xs[i] >= x0 && xs[i] <= x1 && ys[i] >= y0 && ys[i] <= y1) found.push(i);
    });
    return found.sort((a, b) => a - b);
  }

  function zoom([x, y], factor) {
    chosen = true;
    view.scale *= factor;
    view.x = x - (x - view.x) / factor;
    view.y = y - (y - view.y) / factor;
    repaint();
  }

  function listen() {
    const fingers = new Map();
    let from = null;
    const spread = () => {
      const [a, b] = [...fingers.values()];
      return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
    };
    canvas.onpointerdown = (event) => {
      canvas.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, event);
      on.hover(-1, event);
      from = { event, start: coordinates(event), x: view.x, y: view.y, moved: fingers.size > 1 };
    };
    canvas.onpointermove = (event) => {
      if (!from) {
        on.hover(nearest(coordinates(event), on.shows), event);
        return;
      }
      if (fingers.size === 2) {
        const before = spread();
        fingers.set(event.pointerId, event);
        zoom(coordinates(event), spread() / before || 1);
        return;
      }
      const [dx, dy] = [event.clientX - from.event.clientX, event.clientY - from.event.clientY];
      from.moved ||= Math.hypot(dx, dy) > 4;
      if (!from.moved) return;
      if (on.brushes()) {
        brush = [from.start, coordinates(event)];
      } else {
        chosen = true;
        view.x = from.x - dx / view.scale;
        view.y = from.y + dy / view.scale;
      }
      repaint();
    };
    canvas.onpointerup = (event) => {
      const [begun, dragged] = [from, brush];
      fingers.delete(event.pointerId);
      [from, brush] = [null, null];
      if (!begun || !within) return;
      if (!begun.moved) {
        const i = nearest(coordinates(event), on.picks);
        if (i >= 0) on.pick(i);
      } else if (dragged) {
        on.select(inside([begun.start, coordinates(event)]));
        repaint();
      }
    };
    canvas.onpointercancel = (event) => {
      fingers.delete(event.pointerId);
      [from, brush] = [null, null];
      repaint();
    };
    canvas.onpointerleave = (event) => on.hover(-1, event);
    canvas.onwheel = (event) => {
      event.preventDefault();
      zoom(coordinates(event), Math.exp(-event.deltaY / 400));
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
      } else if (event.key === 'Enter') {
        const i = nearest([view.x, view.y], on.picks, canvas.clientWidth);
        if (i >= 0) on.pick(i);
        return;
      } else {
        return;
      }
      chosen = true;
      repaint();
    };
    new ResizeObserver(() => (chosen ? repaint() : home())).observe(canvas);
  }

  listen();
  return {
    /** Shows points, an array of [x, y], of which the first `below` are the ground. */
    show(points, below) {
      ground = below;
      xs = Float32Array.from(points, (point) => point[0]);
      ys = Float32Array.from(points, (point) => point[1]);
      const ends = (values) => values.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [Infinity, -Infinity]);
      const [[x0, x1], [y0, y1]] = [ends(xs), ends(ys)];
      box = { x0, x1, y0, y1 };
      within = gridOf(xs, ys, box);
      marked = { picked: -1, group: [] };
      home();
    },
    /** Colors the points, each a packed number. */
    color(values) {
      colors = Uint32Array.from(values);
      repaint();
    },
    /** Marks a point (-1: none) and a group. */
    mark(picked, group) {
      marked = { picked, group };
      repaint();
    },
    home,
  };
}
