// How the cluster stands, on one screen.

import { get } from "./api.js";
import { chart } from "./chart.js";
import { h, put, svg } from "./dom.js";
import { between, bytes, command, cores, count, duration, jobName, when, word } from "./format.js";
import { allNodes, cpuMeter, memoryMeter, meter, nodeState } from "./workers.js";

/** How often the numbers are asked for: a person sees that they live, and the coordinator does not feel it. */
const INTERVAL = 2000;
/** Workers that are shown here; the rest is on their own page. */
const MOST_WORKERS = 12;

export async function view({ root, signal, fail }) {
  const tiles = h("div", { class: "tiles" });
  const lately = h("section", { class: "panel" });
  const capacity = h("section", { class: "panel" });
  const failed = h("section", { class: "panel flush" });
  const workers = h("section", { class: "panel flush" });
  put(root, h("div", { class: "head" }, h("h1", {}, "Overview")),
    h("div", { class: "stack" }, tiles, h("div", { class: "grid two" }, lately, capacity), h("div", { class: "grid two" }, failed, workers)));
  let known = "";
  const load = async () => {
    const [now, nodes] = await Promise.all([get("/overview", {}, signal), allNodes(signal)]);
    drawTiles(tiles, now);
    drawLately(lately, now);
    drawCapacity(capacity, now);
    drawWorkers(workers, nodes);
    const ids = (now.failedJobIds ?? []).join();
    if (ids !== known || failed.childElementCount === 0) {
      known = ids;
      await drawFailed(failed, now.failedJobIds ?? [], signal);
    }
  };
  await load();
  const timer = setInterval(() => load().catch((error) => error.status === 401 && fail(error)), INTERVAL);
  signal.addEventListener("abort", () => clearInterval(timer));
}

function drawTiles(box, now) {
  const tile = (number, text, tone, href) =>
    h(href ? "a" : "div", { class: "tile", "data-tone": number === "0" ? null : tone, href }, h("b", {}, number), h("span", {}, text));
  const age = now.oldestQueuedTime ? `, oldest ${duration(Date.parse(now.time) - Date.parse(now.oldestQueuedTime))}` : "";
  const isWhole = (now.readyNodes ?? "0") === (now.nodes ?? "0");
  put(box,
    tile(count(now.runningTasks), "running tasks", "run", "/jobs?state=active"),
    tile(count(now.startingTasks), "starting", "run", "/jobs?state=active"),
    tile(count(now.queuedTasks), `queued${age}`, "wait", "/jobs?state=active"),
    Number(now.unknownTasks ?? 0) > 0 && tile(count(now.unknownTasks), "on silent workers", "bad", "/workers"),
    tile(count(now.succeededJobs), "jobs succeeded", "good", "/jobs?state=succeeded"),
    tile(count(now.failedJobs), "jobs failed", "bad", "/jobs?state=failed"),
    tile(count(now.cancelledJobs), "jobs cancelled", null, "/jobs?state=cancelled"),
    tile(`${count(now.readyNodes)} / ${count(now.nodes)}`, "workers ready", isWhole ? "good" : "bad", "/workers"));
}

function drawLately(panel, now) {
  const minutes = now.ended ?? [];
  const end = Date.parse(now.time);
  const bars = minutes.map((minute, at) => {
    const time = new Date(end - (minutes.length - 1 - at) * 60_000);
    return {
      label: time.toLocaleTimeString("en-GB").slice(0, 5),
      parts: [["succeeded", "s-good", minute.succeeded ?? 0], ["failed", "s-bad", minute.failed ?? 0], ["cancelled", "s-off", minute.cancelled ?? 0]],
    };
  });
  const sum = (name) => minutes.reduce((all, minute) => all + (minute[name] ?? 0), 0);
  const all = sum("succeeded") + sum("failed") + sum("cancelled");
  put(panel, h("h2", {}, "Jobs ended in the last hour"), chart(bars, { title: "Jobs ended by minute" }),
    h("ul", { class: "legend" },
      [["s-good", "succeeded"], ["s-bad", "failed"], ["s-off", "cancelled"]].map(([tone, name]) =>
        h("li", {}, swatch(tone), `${count(sum(name))} ${name}`)),
      h("li", {}, `${(all / 60).toFixed(1)} a minute`)));
}

function swatch(tone) {
  const box = svg("rect", { width: 10, height: 10, rx: 3, class: tone });
  return h("span", {}, svg("svg", { width: 10, height: 10, "aria-hidden": "true" }, box), " ");
}

function drawCapacity(panel, now) {
  const [cpu, cpus] = [Number(now.used?.cpuMillis ?? 0), Number(now.capacity?.cpuMillis ?? 0)];
  const [memory, memories] = [Number(now.used?.memoryBytes ?? 0), Number(now.capacity?.memoryBytes ?? 0)];
  put(panel, h("h2", {}, "Held by jobs"),
    h("div", { class: "stack" },
      h("div", {}, h("span", { class: "soft" }, "Cores"), meter(cpu, cpus, `${cores(cpu)} of ${cores(cpus)}`, "Cores")),
      h("div", {}, h("span", { class: "soft" }, "Memory"), meter(memory, memories, `${bytes(memory)} of ${bytes(memories)}`, "Memory")),
      h("p", { class: now.oldestQueuedTime ? "notice" : "soft told" }, queue(now))));
}

/** What waits, and what for. */
function queue(now) {
  if (!now.oldestQueuedTime) return "Nothing waits.";
  const [room, node] = [Number(now.noRoomJobs ?? 0), Number(now.noNodeJobs ?? 0)];
  const why = [room > 0 && `${count(room)} for room`, node > 0 && `${count(node)} for a worker they fit on`].filter(Boolean);
  return `Jobs wait${why.length > 0 ? `: ${why.join(", ")}` : ""}. The oldest has waited ${between(now.oldestQueuedTime, now.time)}.`;
}

async function drawFailed(panel, ids, signal) {
  const jobs = await Promise.all(ids.map((id) => get(`/jobs/${id}`, {}, signal).then((answer) => answer.job).catch(() => null)));
  const found = jobs.filter(Boolean);
  put(panel, h("h2", {}, "Failed in the last hour"), found.length === 0
    ? h("div", { class: "empty" }, h("b", {}, "Nothing failed"), "Jobs that fail appear here.")
    : h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Failed in the last hour" }, h("table", {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Job"), h("th", { scope: "col" }, "Command"), h("th", { scope: "col" }, "Why"), h("th", { scope: "col", class: "number" }, "Ended"))),
      h("tbody", {}, found.map((job) => h("tr", {},
        h("td", {}, h("a", { href: `/jobs/${job.id}` }, jobName(job))),
        h("td", { class: "fill mono" }, command(job.spec)),
        h("td", {}, `${word(job.endReason).replace("_", " ")}${job.exitCode ? ` ${job.exitCode}` : ""}`),
        h("td", { class: "number" }, when(job.endTime))))))));
}

function drawWorkers(panel, nodes) {
  const shown = nodes.slice(0, MOST_WORKERS);
  put(panel, h("h2", {}, "Workers"), nodes.length === 0
    ? h("div", { class: "empty" }, h("b", {}, "No worker has registered"), "Jobs wait until one does: ", h("code", {}, "dockmgr-worker --coordinator URL"))
    : h("div", { class: "scroll tight", tabindex: "0", role: "region", "aria-label": "Workers" }, h("table", {},
      h("thead", {}, h("tr", {}, ["Worker", "State", "Cores", "Memory"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, shown.map((node) => h("tr", {}, h("td", {}, node.displayName), h("td", {}, nodeState(node)), h("td", {}, cpuMeter(node)), h("td", {}, memoryMeter(node))))))),
  nodes.length > shown.length && h("p", {}, h("a", { href: "/workers" }, `all ${count(nodes.length)}`)));
}

