// Search in everything that jobs wrote: the query in the address, counts over time, lines as they are found.

import { copied, h, put, toast } from "./dom.js";
import { bytes, count, duration } from "./format.js";
import { chart } from "./chart.js";
import { histogram, key, raw, row, search } from "./search.js";

const SPANS = [["15m", 15 * 60e3], ["1h", 3600e3], ["6h", 6 * 3600e3], ["24h", 24 * 3600e3], ["7d", 7 * 24 * 3600e3], ["all", 0]];
const PAGE = 200;
/** How often a live search looks again. */
const LIVE = 2000;
/** Lines of one download. */
const MOST_SAVED = 100_000;

export async function view({ root, query, signal }) {
  const wanted = {
    q: query.get("q") ?? "", span: query.get("span") ?? "24h", from: query.get("from") ?? "", to: query.get("to") ?? "",
    split: query.get("split") ?? "stream", around: query.get("around") ?? "0",
  };
  const times = timesOf(wanted);
  const field = h("input", {
    type: "search", class: "query mono", value: wanted.q, "aria-label": "Query", autocomplete: "off", spellcheck: "false",
    placeholder: "\"disk full\" level>=warn job:42 NOT node:a /time.?out/",
  });
  const form = h("form", { role: "search", class: "search" }, field, h("button", { class: "primary" }, "Search"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const same = field.value.trim() === wanted.q;
    go({ ...wanted, q: field.value.trim() }, same);
  });
  const picture = h("section", { class: "panel", "aria-label": "Lines over time" });
  const told = h("p", { class: "soft told", role: "status" }, "Searching");
  const hits = h("ol", { class: "hits" });
  const list = h("div", { class: "panel flush hits-box", tabindex: "0", role: "region", "aria-label": "Lines" }, hits);
  const more = h("button", { type: "button", hidden: true }, "Older lines");
  const live = h("button", { type: "button", "aria-pressed": "false" }, "Live");
  put(root,
    h("div", { class: "head" }, h("h1", {}, "Logs"), h("span", { class: "grow" }),
      choice("Time", SPANS.map(([name]) => name), wanted.from ? "picked" : wanted.span, (span) => go({ ...wanted, span, from: "", to: "" })),
      h("label", { class: "soft" }, "Split by ", select(["none", "stream", "level"], wanted.split, (split) => go({ ...wanted, split }))),
      h("label", { class: "soft" }, "Context ", select(["0", "3", "10"], wanted.around, (around) => go({ ...wanted, around })))),
    h("div", { class: "stack" }, form, picture,
      h("div", { class: "head tools" }, told, live,
        h("button", { type: "button", onclick: () => save(wanted.q, times) }, "Download"),
        h("button", { type: "button", onclick: () => share(wanted, times) }, "Copy link")),
      list, h("p", {}, more)));

  const seen = new Set();
  const asked = { query: wanted.q, ...times, limit: PAGE, linesBefore: wanted.around, linesAfter: wanted.around };
  let token = "";
  const load = async () => {
    const found = [];
    const done = await search({ ...asked, pageToken: token }, {
      signal,
      each: (hit) => {
        seen.add(key(hit));
        found.push(row(hit));
        if (found.length === 50) hits.append(...found.splice(0));
      },
      progress: (so) => put(told, `Searching: ${count(so.hits)} lines in ${bytes(so.scannedBytes)}`),
    });
    hits.append(...found);
    token = done.nextPageToken ?? "";
    more.hidden = token === "";
    tell(told, list, hits, done, wanted);
  };
  const failed = (error) => {
    if (signal.aborted) return;
    put(told, h("span", { class: "state bad", "data-tone": "bad" }, error.message));
    list.hidden = picture.hidden = hits.childElementCount === 0;
  };
  more.addEventListener("click", () => load().catch(failed));
  live.addEventListener("click", () => live.setAttribute("aria-pressed", String(live.getAttribute("aria-pressed") !== "true")));
  const timer = setInterval(async () => {
    if (live.getAttribute("aria-pressed") !== "true") return;
    const fresh = [];
    const since = new Date(Date.now() - 15_000).toISOString();
    await search({ ...asked, sinceTime: since, untilTime: undefined, limit: 1000, order: "SEARCH_ORDER_OLDEST_FIRST" }, {
      signal,
      each: (hit) => {
        if (seen.has(key(hit))) return;
        seen.add(key(hit));
        fresh.unshift(row(hit));
      },
    }).catch(failed);
    if (fresh.length > 0) list.querySelector(".empty")?.remove();
    hits.prepend(...fresh);
  }, LIVE);
  signal.addEventListener("abort", () => clearInterval(timer));
  if (!wanted.q && !document.activeElement?.closest?.("nav")) field.focus({ preventScroll: true });
  await Promise.all([
    load().catch((error) => {
      if (error.status === 401) throw error;
      failed(error);
    }),
    draw(picture, wanted, times, signal).catch(() => put(picture, h("p", { class: "soft" }, "No counts over time for this query."))),
  ]);
}

function timesOf(wanted) {
  if (wanted.from) return { sinceTime: wanted.from, untilTime: wanted.to || undefined };
  const length = SPANS.find(([name]) => name === wanted.span)?.[1] ?? 0;
  const now = Date.now();
  return length > 0 ? { sinceTime: new Date(now - length).toISOString(), untilTime: new Date(now + 1000).toISOString() } : {};
}

function go(wanted, again) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(wanted)) if (value && !(name === "around" && value === "0")) query.set(name, value);
  document.dispatchEvent(new CustomEvent("go", { detail: again ? location.href : `/logs?${query}` }));
}

function choice(label, names, chosen, pick) {
  const all = chosen === "picked" ? [...names, "picked"] : names;
  return h("div", { class: "chips", role: "group", "aria-label": label }, all.map((name) =>
    h("button", { type: "button", "aria-pressed": String(name === chosen), onclick: () => name !== "picked" && pick(name) }, name)));
}

function select(names, chosen, pick) {
  const box = h("select", {}, names.map((name) => h("option", { value: name, selected: name === chosen }, name)));
  box.addEventListener("change", () => pick(box.value));
  return box;
}

function tell(told, list, hits, done, wanted) {
  const total = Number(done.total?.hits ?? 0);
  const shown = hits.childElementCount;
  const notes = [
    `${count(total)} ${total === 1 ? "line" : "lines"}`, shown < total && `${count(shown)} shown`,
    `${bytes(done.total?.scannedBytes)} of ${attempts(done.total?.scannedAttempts)} looked at`,
    done.incomplete && "the time for a search was over: there may be more",
    Number(done.unreadableAttempts ?? 0) > 0 && `${attempts(done.unreadableAttempts)} cannot be read`,
  ].filter(Boolean);
  put(told, notes.join(" · "));
  if (shown === 0) {
    list.append(h("div", { class: "empty" }, h("b", {}, "No line fits"),
      wanted.span !== "all" || wanted.from ? "Look further back, or at less of the query." : "Look at less of the query."));
  }
}

function attempts(number) {
  return `${count(number)} ${Number(number) === 1 ? "attempt" : "attempts"}`;
}

async function draw(panel, wanted, times, signal) {
  const seen = await histogram(wanted.q, times, wanted.split, signal);
  if (!seen) {
    put(panel, h("p", { class: "soft" }, "Nothing was written in this time."));
    return;
  }
  const span = seen.bars.at(-1).to - seen.bars[0].from;
  const label = (time) => {
    const date = new Date(time);
    const clock = date.toLocaleTimeString("en-GB");
    return span > 86400e3 ? `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${clock.slice(0, 5)}` : clock.slice(0, span > 600e3 ? 5 : 8);
  };
  const bars = seen.bars.map((bar) => ({
    label: label(bar.from),
    parts: bar.counts.map((number, part) => [seen.parts[part][0], seen.parts[part][1], number]),
  }));
  const zoom = (first, last) =>
    go({ ...wanted, from: new Date(seen.bars[first].from).toISOString(), to: new Date(Math.ceil(seen.bars[last].to)).toISOString() });
  put(panel, chart(bars, { title: "Lines over time", onrange: zoom }),
    h("p", { class: "legend" },
      seen.parts.map(([name, tone], part) => h("span", {}, h("i", { class: `swatch ${tone}` }), `${count(seen.totals[part])} ${name}`)),
      h("span", { class: "soft" }, `one bar is ${duration(span / bars.length)} · drag, or arrow keys and Enter, to zoom`),
      wanted.from && h("button", { type: "button", onclick: () => go({ ...wanted, ...wider(seen.bars[0].from, seen.bars.at(-1).to) }) }, "Zoom out")));
}

/** Three times the stretch, the same middle. */
function wider(from, to) {
  const span = to - from;
  return { from: new Date(from - span).toISOString(), to: new Date(Math.min(Date.now(), to + span)).toISOString() };
}

/** Saves every line that fits, oldest first, its bytes as they are. */
async function save(query, times) {
  const parts = [];
  let token = "";
  let lines = 0;
  let cut = false;
  try {
    do {
      const done = await search({ query, ...times, limit: 1000, order: "SEARCH_ORDER_OLDEST_FIRST", maxLineBytes: 65536, pageToken: token }, {
        each: (hit) => {
          lines += 1;
          parts.push(`${hit.line?.time} ${hit.attempt?.jobId}.${hit.attempt?.taskIndex ?? 0} `, raw(hit.line?.data), "\n");
        },
        signal: AbortSignal.timeout(120_000),
      });
      token = done.nextPageToken ?? "";
      cut ||= Boolean(done.incomplete);
    } while (token && lines < MOST_SAVED);
    const url = URL.createObjectURL(new Blob(parts, { type: "text/plain" }));
    h("a", { href: url, download: "logs.txt" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    toast(token || cut ? `The first ${count(lines)} lines were saved` : `${count(lines)} lines were saved`);
  } catch (error) {
    toast(error.message, "bad");
  }
}

/** A link to these very times: what is the last hour now is another one later. */
async function share(wanted, times) {
  const query = new URLSearchParams({ q: wanted.q, split: wanted.split, around: wanted.around, from: times.sinceTime ?? "", to: times.untilTime ?? "", span: "all" });
  await copied(`${location.origin}/logs?${query}`);
}
