// The workers: what they have, what of it is used, what is wrong with them, drain.

import { drain } from "./actions.js";
import { get } from "./api.js";
import { h, put } from "./dom.js";
import { bytes, cores, count, duration, span, state } from "./format.js";

/** Nodes change slowly and have no feed: a person sees a change soon after it happened. */
const INTERVAL = 3000;

export async function view({ root, signal, fail }) {
  const list = h("div");
  put(root, h("div", { class: "head" }, h("h1", {}, "Workers"), h("span", { class: "soft", id: "total" })), list);
  const load = async () => {
    const nodes = await allNodes(signal);
    put(root.querySelector("#total"), nodes.length > 0 ? `${count(nodes.length)} registered` : "");
    // What a person is about to press must not move away.
    if (!list.contains(document.activeElement)) put(list, nodes.length > 0 ? table(nodes, load) : none());
  };
  await load();
  const timer = setInterval(() => load().catch((error) => error.status === 401 && fail(error)), INTERVAL);
  signal.addEventListener("abort", () => clearInterval(timer));
}

/** Every node there is, by name. */
export async function allNodes(signal) {
  const nodes = [];
  for (let token = ""; ;) {
    const page = await get("/nodes", { pageSize: 1000, pageToken: token }, signal);
    nodes.push(...(page.nodes ?? []));
    token = page.nextPageToken;
    if (!token) return nodes;
  }
}

function none() {
  return h("div", { class: "panel empty" }, h("b", {}, "No worker has registered"),
    "Start one on each host: ", h("code", {}, "dockmgr-worker --coordinator URL --token-file FILE"));
}

/** How much of something is used, as a bar with its numbers. */
export function meter(used, total, text, label) {
  const share = total > 0 ? Math.min(1, used / total) : 0;
  const fill = h("i");
  fill.style.width = `${(share * 100).toFixed(1)}%`;
  return h("div", { class: "meter", "data-kind": label.toLowerCase() },
    h("span", { class: "bar", "data-tone": share > 0.95 ? "warn" : "ok", role: "img", "aria-label": `${label}: ${text}` }, fill),
    h("span", { "aria-hidden": "true" }, text));
}

/** The state of a node in one word. */
export function nodeState(node) {
  return state(node.draining && node.state === "STATE_READY" ? "draining" : node.state);
}

export function cpuMeter(node) {
  const [used, total] = [Number(node.used?.cpuMillis ?? 0), Number(node.capacity?.cpuMillis ?? 0)];
  return meter(used, total, `${cores(used)} / ${cores(total)}`, "Cores");
}

export function memoryMeter(node) {
  const [used, total] = [Number(node.used?.memoryBytes ?? 0), Number(node.capacity?.memoryBytes ?? 0)];
  return meter(used, total, share(used, total), "Memory");
}

/** `1 / 64 GiB`, or both with their units where they differ. */
function share(used, total) {
  const [number, unit] = bytes(used).split(" ");
  const all = bytes(total);
  return used === 0 ? `0 / ${all}` : all.endsWith(` ${unit}`) ? `${number} / ${all}` : `${bytes(used)} / ${all}`;
}

/** Labels that every worker has by itself. */
const OWN = new Set(["arch", "hostname", "os"]);

function table(nodes, load) {
  const names = ["Worker", "State", "Cores", "Memory"];
  const numbers = ["Running", "Images", "Disk free", "Heard"];
  return h("div", { class: "panel flush" }, h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Workers" },
    h("table", {},
      h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name)),
        numbers.map((name) => h("th", { scope: "col", class: "number" }, name)),
        h("th", { scope: "col" }, "Docker"), h("th", { scope: "col", "aria-label": "Drain" }))),
      h("tbody", {}, nodes.flatMap((node) => rows(node, load))))));
}

function rows(node, load) {
  const labels = Object.entries(node.labels ?? {}).map(([key, value]) => `${key}=${value}`);
  const given = labels.filter((label) => !OWN.has(label.split("=")[0]));
  const silent = node.silentDuration ? span(node.silentDuration) : null;
  const act = async (event) => {
    await drain(node);
    event.target.blur();
    await load();
  };
  const remarks = [...(node.reasons ?? []), ...(node.warnings ?? [])];
  return [
    h("tr", {},
      h("td", { title: labels.join(" ") }, h("b", {}, node.displayName), given.length > 0 && h("span", { class: "under" }, given.join(" "))),
      h("td", {}, nodeState(node)),
      h("td", {}, cpuMeter(node)),
      h("td", {}, memoryMeter(node)),
      h("td", { class: "number" }, count(node.attempts)),
      h("td", { class: "number" }, count(node.images)),
      h("td", { class: "number" }, node.diskFreeBytes ? bytes(node.diskFreeBytes) : ""),
      h("td", { class: "number" }, silent === null ? "–" : silent < 15000 ? "now" : `${duration(silent)} ago`),
      h("td", {}, node.runtimeVersion ?? ""),
      h("td", { class: "number" }, h("button", { type: "button", onclick: act }, node.draining ? "Resume" : "Drain"))),
    remarks.length > 0 && h("tr", {}, h("td", { colspan: "10", class: "wrap" }, h("p", { class: "notice" }, remarks.join(" · ")))),
  ];
}
