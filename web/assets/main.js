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
    document.getElementById(view).hidden = view !== name;
    document.getElementById(`tab-${view}`).setAttribute('aria-selected', view === name);
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

attempt(async () => {
  served = await get('/api/served');
  for (const name of Object.keys(views)) {
    document.getElementById(`tab-${name}`).onclick = () => attempt(() => open(name));
  }
  const { view, settings } = address();
  await open(view, settings);
});
