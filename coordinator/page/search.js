// Searches: one run of a query, its counts over time, and hits as rows.

import { plain } from "./ansi.js";
import { run } from "./api.js";
import { h } from "./dom.js";
import { word } from "./format.js";

/** Bars of a histogram: two or three for each label of the axis would be too few to see a burst. */
export const BUCKETS = 72;
const TONES = { fatal: "bad", error: "bad", warn: "warn", info: "run", debug: "off", trace: "off" };

/** Runs a query once: hits go to `each`, the end is what it resolves to. */
export async function search(wanted, { each, progress, signal }) {
  let done = null;
  await run("/search", wanted, (step) => {
    if (step.hit) each?.(step.hit);
    if (step.progress) progress?.(step.progress);
    if (step.done) done = step.done;
  }, signal);
  if (!done) throw new Error("the search broke off");
  return done;
}

/** How the counts of a query are split: what is asked for, name and class of each part, and which part a count belongs to. */
export const SPLITS = {
  none: { split: undefined, parts: [["lines", "s-run"]], of: () => 0 },
  stream: { split: "SEARCH_SPLIT_STREAM", parts: [["stdout", "s-run"], ["stderr", "s-bad"]], of: (part) => (word(part.stream) === "stderr" ? 1 : 0) },
  level: {
    split: "SEARCH_SPLIT_LEVEL", parts: [["error", "s-bad"], ["warn", "s-warn"], ["info", "s-run"], ["other", "s-off"]],
    of: (part) => ({ fatal: 0, error: 0, warn: 1, info: 2 })[level(part.severity)] ?? 3,
  },
};

/** Counts over time, split: one search that gives no lines. */
export async function histogram(query, times, name, signal) {
  const { split, parts, of } = SPLITS[name] ?? SPLITS.none;
  const done = await search({ query, ...times, histogramBuckets: BUCKETS, countOnly: true, split }, { signal });
  const buckets = done.buckets ?? [];
  const starts = buckets.map((bucket) => Date.parse(bucket.startTime));
  const width = Number(done.bucketMillis ?? 0);
  const from = times.sinceTime ? Date.parse(times.sinceTime) : Math.min(...starts);
  const to = times.untilTime ? Date.parse(times.untilTime) : Math.max(...starts) + width;
  if (!Number.isFinite(from) || !Number.isFinite(to)) return null;
  // A bar is so many whole spans of the answer, which fit the hits and not the window: parts of spans would share hits unevenly.
  const bar = Math.max(1, (to - from) / BUCKETS);
  const size = width ? width * Math.ceil(bar / width) : bar;
  const first = starts.length > 0 ? starts[0] - Math.ceil((starts[0] - from) / size) * size : from;
  const most = Math.max(1, Math.ceil((to - first) / size));
  const bars = Array.from({ length: most }, (_, at) => ({ from: first + at * size, to: first + (at + 1) * size, counts: parts.map(() => 0) }));
  const totals = parts.map(() => 0);
  buckets.forEach((bucket, at) => {
    const { counts } = bars[Math.min(most - 1, Math.max(0, Math.floor((starts[at] - first) / size)))];
    for (const part of split ? bucket.parts ?? [] : [bucket]) {
      counts[of(part)] += Number(part.hits ?? 0);
      totals[of(part)] += Number(part.hits ?? 0);
    }
  });
  return { bars, parts, totals };
}

/** `LOG_SEVERITY_WARN` becomes `warn`. */
function level(severity) {
  return word(severity).replace("log_severity_", "");
}

/** What makes a line the same line. */
export function key(hit) {
  const { attempt, line } = hit;
  return `${attempt?.jobId}.${attempt?.taskIndex ?? 0}.${attempt?.attempt}/${line?.stream}/${line?.offset ?? 0}`;
}

/** The address of the line in the log of its job. */
function place({ attempt, line }) {
  const query = new URLSearchParams(attempt?.taskIndex ? { task: attempt.taskIndex } : {});
  query.set("at", `${attempt?.attempt ?? 0}.${word(line?.stream) === "stderr" ? "err" : "out"}.${line?.offset ?? 0}`);
  return `/jobs/${attempt?.jobId}?${query}`;
}

/** A hit with the lines around it. */
export function row(hit) {
  const grave = level(hit.severity);
  const where = hit.attempt?.taskIndex ? `${hit.attempt.jobId}.${hit.attempt.taskIndex}` : `${hit.attempt?.jobId ?? ""}`;
  const around = (lines) => (lines ?? []).map((line) => h("div", { class: "around" }, plain(text(line.data))));
  return h("li", { class: "hit", "data-level": grave || null },
    h("a", { class: "t", href: place(hit), title: "Open the log at this line" }, time(hit.line?.time)),
    h("a", { class: "j", href: `/jobs/${hit.attempt?.jobId}${hit.attempt?.taskIndex ? `?task=${hit.attempt.taskIndex}` : ""}`, title: hit.nodeName },
      hit.jobName ? `${where} ${hit.jobName}` : where),
    h("span", { class: "state", "data-tone": TONES[grave] ?? "off", title: grave || word(hit.line?.stream) },
      grave || word(hit.line?.stream)),
    h("div", { class: "l" }, around(hit.before), h("div", { class: hit.before || hit.after ? "found" : null }, marked(hit)), around(hit.after)));
}

function time(text) {
  if (!text) return "";
  const date = new Date(text);
  const day = date.toLocaleDateString("en-GB", { day: "2-digit", month: "short" });
  return `${day} ${date.toLocaleTimeString("en-GB")}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** The line in pieces, those that were looked for marked. Places are bytes, so it is cut before it is text. */
function marked(hit) {
  const bytes = raw(hit.line?.data);
  const decoder = new TextDecoder();
  const pieces = [];
  let at = 0;
  for (const { start = 0, end = 0 } of hit.ranges ?? []) {
    if (start < at || end > bytes.length) continue;
    pieces.push(plain(decoder.decode(bytes.subarray(at, start))), h("mark", {}, decoder.decode(bytes.subarray(start, end))));
    at = end;
  }
  pieces.push(plain(decoder.decode(bytes.subarray(at))));
  if (hit.line?.clipped) pieces.push(h("span", { class: "soft" }, " …"));
  return pieces;
}

function text(base64) {
  return new TextDecoder().decode(raw(base64));
}

/** Bytes of the API. */
export function raw(base64) {
  return Uint8Array.from(atob(base64 ?? ""), (one) => one.charCodeAt(0));
}
