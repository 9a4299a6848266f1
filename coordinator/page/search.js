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

/** How the counts of a query are split: name, class of the bar, and what is added to the query. */
export const SPLITS = {
  none: [["lines", "s-run", ""]],
  stream: [["stdout", "s-run", "stream:stdout"], ["stderr", "s-bad", "stream:stderr"]],
  level: [["error", "s-bad", "level>=error"], ["warn", "s-warn", "level:warn"], ["info", "s-run", "level:info"], ["other", "s-off", "NOT level>=info"]],
};

/** Counts over time, split; every part is a search of its own that gives no lines. */
export async function histogram(query, times, split, signal) {
  const parts = SPLITS[split] ?? SPLITS.none;
  const both = (more) => (more && query ? `(${query}) AND ${more}` : more || query);
  const counted = await Promise.all(parts.map(([, , more]) =>
    search({ query: both(more), ...times, histogramBuckets: BUCKETS, countOnly: true }, { signal })));
  const begin = Math.min(...counted.flatMap((done) => (done.buckets ?? []).map((bucket) => Date.parse(bucket.startTime))));
  const width = Math.max(1, ...counted.map((done) => Number(done.bucketMillis ?? 0)));
  const from = times.sinceTime ? Date.parse(times.sinceTime) : begin;
  const last = Math.max(...counted.flatMap((done) => (done.buckets ?? []).map((bucket) => Date.parse(bucket.startTime))));
  const to = times.untilTime ? Date.parse(times.untilTime) : last + width;
  if (!Number.isFinite(from) || !Number.isFinite(to)) return null;
  const size = Math.max(1, (to - from) / BUCKETS);
  const bars = Array.from({ length: BUCKETS }, (_, at) => ({ from: from + at * size, to: from + (at + 1) * size, counts: parts.map(() => 0) }));
  counted.forEach((done, part) => {
    for (const bucket of done.buckets ?? []) {
      const at = Math.floor((Date.parse(bucket.startTime) + width / 2 - from) / size);
      bars[Math.min(BUCKETS - 1, Math.max(0, at))].counts[part] += Number(bucket.hits ?? 0);
    }
  });
  return { bars, parts, totals: counted.map((done) => Number(done.total?.hits ?? 0)) };
}

/** What makes a line the same line. */
export function key(hit) {
  const { attempt, line } = hit;
  return `${attempt?.jobId}.${attempt?.taskIndex ?? 0}.${attempt?.attempt}/${line?.stream}/${line?.offset ?? 0}`;
}

/** A hit with the lines around it. */
export function row(hit) {
  const level = word(hit.severity).replace("log_severity_", "");
  const where = hit.attempt?.taskIndex ? `${hit.attempt.jobId}.${hit.attempt.taskIndex}` : `${hit.attempt?.jobId ?? ""}`;
  const around = (lines) => (lines ?? []).map((line) => h("div", { class: "around" }, plain(text(line.data))));
  return h("li", { class: "hit", "data-level": level || null },
    h("span", { class: "t", title: hit.line?.time }, time(hit.line?.time)),
    h("a", { class: "j", href: `/jobs/${hit.attempt?.jobId}${hit.attempt?.taskIndex ? `?task=${hit.attempt.taskIndex}` : ""}`, title: hit.nodeName },
      hit.jobName ? `${where} ${hit.jobName}` : where),
    h("span", { class: "state", "data-tone": TONES[level] ?? "off", title: level || word(hit.line?.stream) },
      level || word(hit.line?.stream)),
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

/** Bytes of the API as text. */
export function text(base64) {
  return new TextDecoder().decode(raw(base64));
}

function raw(base64) {
  return Uint8Array.from(atob(base64 ?? ""), (one) => one.charCodeAt(0));
}
