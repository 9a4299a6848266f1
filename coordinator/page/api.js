// Calls of the API with the token, and streams that go on where they broke.

const TOKEN = "dockmgr.token";
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 5000;
const TRIES = 3;

/** What the server said instead of an answer. */
export class Problem extends Error {
  constructor(problem, status) {
    super(problem.detail ?? `HTTP ${status}`);
    this.status = status;
    this.reason = problem.reason ?? "";
    this.retryable = problem.retryable ?? status >= 500;
  }
}

/** Takes the token out of the address, where `dev` prints it, before anybody sees it there. */
export function takeToken() {
  const found = /[#&]token=([^&]+)/.exec(location.hash);
  if (!found) return;
  setToken(decodeURIComponent(found[1]));
  history.replaceState(null, "", location.pathname + location.search);
}

export function setToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

function headers(more) {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { authorization: `Bearer ${token}`, ...more } : { ...more };
}

function address(path, query) {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== "" && value !== null);
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return `/api/v1${path}${text ? `?${text}` : ""}`;
}

async function problem(response) {
  const body = await response.json().catch(() => ({}));
  return new Problem(body, response.status);
}

/** Asks again where no answer came: a browser gives up requests whenever a network of the machine comes or goes. */
async function patiently(ask, signal) {
  for (let tried = 1; ; tried += 1) {
    try {
      return await ask();
    } catch (error) {
      if (signal?.aborted || tried === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, FIRST_PAUSE * tried));
    }
  }
}

/** The JSON at a path. */
export async function get(path, query, signal) {
  const response = await patiently(() => fetch(address(path, query), { headers: headers(), signal }), signal);
  if (!response.ok) throw await problem(response);
  return response.json();
}

/** Changes something. */
export async function post(path, body) {
  const response = await fetch(address(path), {
    method: "POST",
    headers: headers({ "content-type": "application/json" }),
    body: JSON.stringify(body ?? {}),
  });
  if (!response.ok) throw await problem(response);
  return response.json();
}

/** The bytes at a path, to be saved. */
export async function blob(path, query) {
  const response = await fetch(address(path, query), { headers: headers() });
  if (!response.ok) throw await problem(response);
  return response.blob();
}

/** A key that makes a change harmless to repeat. */
export function requestId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
}

/** Streams that are open, for the light at the edge of the page. */
const open = new Map();

function tell(key, state) {
  if (state) open.set(key, state);
  else open.delete(key);
  const waiting = [...open.values()].includes("waiting");
  document.dispatchEvent(new CustomEvent("link", { detail: waiting ? "waiting" : open.size > 0 ? "live" : "" }));
}

/**
 * Follows a stream of events until `signal` aborts or the stream ends. `each` gets every message; `reset` is called where
 * the place to go on from is not kept any more and the stream begins anew.
 */
export async function follow(path, query, { each, reset, ended, signal, after }) {
  const key = {};
  let last = after ?? "";
  let pause = FIRST_PAUSE;
  try {
    while (!signal.aborted) {
      try {
        const done = await once(path, query, last, signal, key, (event) => {
          if (event.id) last = event.id;
          pause = FIRST_PAUSE;
          each(event.data);
        });
        if (done) {
          ended?.();
          return;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Problem && error.status === 410) {
          last = "";
          query = { ...query, afterRevision: undefined };
          reset?.();
        } else if (error instanceof Problem && !error.retryable) {
          throw error;
        }
      }
      tell(key, "waiting");
      await new Promise((resolve) => setTimeout(resolve, pause * (0.75 + Math.random() / 2)));
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    }
  } finally {
    tell(key, null);
  }
}

/** Takes a stream that ends, once; it is not tried again. */
export async function run(path, query, each, signal) {
  const key = {};
  try {
    const done = await once(path, query, "", signal, key, (event) => each(event.data));
    if (!done) throw new Error("the connection broke");
  } finally {
    tell(key, null);
  }
}

/** One connection of a stream; true if the server says that nothing follows. */
async function once(path, query, last, signal, key, each) {
  const given = headers({ accept: "text/event-stream" });
  if (last) given["last-event-id"] = last;
  const response = await fetch(address(path, query), { headers: given, signal });
  if (!response.ok) throw await problem(response);
  tell(key, "live");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return false;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const event = read(block);
      if (event.name === "end") return true;
      if (event.name === "problem") throw new Problem(event.data, event.data.status);
      if (event.data) each(event);
    }
  }
}

function read(block) {
  const event = { id: "", name: "", data: null };
  for (const line of block.split("\n")) {
    if (line.startsWith("data: ")) event.data = JSON.parse(line.slice(6));
    else if (line.startsWith("id: ")) event.id = line.slice(4);
    else if (line.startsWith("event: ")) event.name = line.slice(7);
  }
  return event;
}
