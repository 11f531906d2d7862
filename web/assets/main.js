// The views, and the state of the page in its address.

import { attempt, get } from './api.js';
import * as explain from './explain.js';
import * as latents from './latents.js';
import * as scores from './scores.js';

const views = { latents, scores, explain };

/** The view and its settings, as the address has them. */
function address() {
  const [view, settings] = location.hash.slice(1).split('?');
  return { view: views[view] ? view : 'latents', settings: new URLSearchParams(settings ?? '') };
}

let shown = null;
const opened = new Set();

function show(name) {
  shown = name;
  for (const view of Object.keys(views)) {
    const tab = document.getElementById(`tab-${view}`);
    document.getElementById(view).hidden = view !== name;
    tab.setAttribute('aria-selected', view === name);
    tab.tabIndex = view === name ? 0 : -1;
  }
}

/** Puts the settings of a view into the address, so that a reload or a link brings them back. */
export function remember(view, settings) {
  const text = `#${view}?${new URLSearchParams(settings)}`;
  if (view === shown && text !== location.hash) history.replaceState(null, '', text);
}

/** Opens a view. */
export async function open(name, settings = new URLSearchParams()) {
  show(name);
  if (opened.has(name)) {
    views[name].shown?.();
    return;
  }
  opened.add(name);
  await views[name].start(served, settings);
}

let served = null;

/** The arrow keys lead from tab to tab. */
function turn(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  const names = Object.keys(views);
  const name = names[(names.indexOf(shown) + step + names.length) % names.length];
  document.getElementById(`tab-${name}`).focus();
  attempt(() => open(name));
}

attempt(async () => {
  served = await get('/api/served');
  for (const name of Object.keys(views)) {
    const tab = document.getElementById(`tab-${name}`);
    tab.onclick = () => attempt(() => open(name));
    tab.onkeydown = turn;
  }
  // A bookmark that is opened while the page is shown.
  window.onhashchange = () => location.reload();
  const { view, settings } = address();
  await open(view, settings);
});
