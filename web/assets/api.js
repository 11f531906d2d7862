// Requests to the server, and the bar of the work that is under way.

const problem = document.getElementById('problem');

/** Shows what went wrong, or nothing. */
export function tell(error) {
  problem.hidden = !error;
  problem.textContent = error ? error.message + (error.hint ? `\n${error.hint}` : '') : '';
}

/** Asks the server; fails if it is gone, or refuses. */
async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw Object.assign(new Error('the server does not answer'), { hint: 'start `ganscope serve` again' });
  }
  if (response.ok) return response;
  let told = { error: `${response.status} ${response.statusText}` };
  try { told = await response.json(); } catch { /* not an answer of ours */ }
  throw Object.assign(new Error(told.error), { hint: told.hint, status: response.status });
}

export const get = async (path) => (await ask(path)).json();

/** Posts a request of the library, or bytes; `signal` gives it up. */
export async function send(path, body, signal) {
  const isBytes = body instanceof Blob;
  const headers = isBytes ? {} : { 'Content-Type': 'application/json' };
  return ask(path, { method: 'POST', headers, body: isBytes ? body : JSON.stringify(body), signal });
}

export const post = async (path, body) => (await send(path, body)).json();

const bar = {
  root: document.getElementById('work'),
  what: document.getElementById('work-what'),
  progress: document.getElementById('work-progress'),
  stop: document.getElementById('work-stop'),
};

function show(state) {
  bar.root.hidden = false;
  const waiting = state.phase === 'waiting';
  const count = state.total ? ` ${state.done} of ${state.total}` : state.done ? ` ${state.done}` : '';
  bar.what.textContent = waiting ? 'waiting' : `${state.what || 'opening'}${count}`;
  if (state.total) {
    bar.progress.max = state.total;
    bar.progress.value = state.done;
  } else {
    bar.progress.removeAttribute('value');
  }
}

/** Begins long work and follows it to its end: its result and the addresses of its files. */
export async function work(path, request) {
  const { work: id } = await post(path, request);
  bar.stop.onclick = () => fetch(`/api/work/${id}`, { method: 'DELETE' });
  try {
    const end = await new Promise((resolve, reject) => {
      const events = new EventSource(`/api/work/${id}/events`);
      events.onmessage = ({ data }) => {
        const state = JSON.parse(data);
        show(state);
        if (['done', 'failed', 'stopped'].includes(state.phase)) {
          events.close();
          resolve(state);
        }
      };
      events.onerror = () => {
        if (events.readyState === EventSource.CLOSED) reject(new Error('the server is gone'));
      };
    });
    if (end.phase === 'stopped') return null;
    if (end.phase === 'failed') {
      throw Object.assign(new Error(end.error.error), { hint: end.error.hint });
    }
    const { result, files } = await get(`/api/work/${id}`);
    return { result, files, warnings: end.warnings, file: (name) => `/api/work/${id}/${name}` };
  } finally {
    bar.root.hidden = true;
  }
}

/** Runs something that may fail, and shows why. */
export async function attempt(task, button) {
  tell(null);
  const focused = button && document.activeElement === button;
  if (button) button.disabled = true;
  try {
    return await task();
  } catch (error) {
    tell(error);
    return null;
  } finally {
    if (button) button.disabled = false;
    // A button that is disabled loses the focus.
    if (focused && document.activeElement === document.body) button.focus({ preventScroll: true });
  }
}

/** Hands bytes to the visitor as a file. */
export function save(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** An element with properties and children. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export const number = (value) => (value === null || value === undefined ? '–' : Number(value.toPrecision(5)).toString());
