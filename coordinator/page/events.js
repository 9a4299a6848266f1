// What happened, newest first, and what happens.

import { follow } from "./api.js";
import { h, put } from "./dom.js";
import { count, when } from "./format.js";

/** Rows that are kept: more than anybody reads. */
const MOST = 1000;

export async function view({ root, query, signal, fail }) {
  const wanted = query.get("type") ?? "";
  const types = new Set();
  const shown = [];
  const body = h("tbody");
  const empty = h("div", { class: "empty" }, h("b", {}, "Nothing happened yet"), "Events appear here as they happen.");
  const choice = h("select", { "aria-label": "Type of event" });
  choice.addEventListener("change", () => {
    const address = choice.value ? `/events?type=${encodeURIComponent(choice.value)}` : "/events";
    document.dispatchEvent(new CustomEvent("go", { detail: address }));
  });
  const total = h("span", { class: "soft" });
  put(root,
    h("div", { class: "head" }, h("h1", {}, "Events"), total, h("span", { class: "grow" }), choice),
    h("div", { class: "panel flush" },
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Events" },
        h("table", {},
          h("thead", {}, h("tr", {}, ["Time", "Event", "Job", "Worker", "What"].map((name) => h("th", { scope: "col" }, name)))),
          body)),
      empty));

  const options = () => put(choice, ["", ...[...types].sort()].map((type) =>
    h("option", { value: type, selected: type === wanted }, type || "All events")));
  if (wanted) types.add(wanted);
  options();

  // Rows of one burst are put in together.
  let fresh = [];
  const flush = () => {
    body.prepend(...fresh.reverse());
    shown.unshift(...fresh);
    fresh = [];
    for (const row of shown.splice(MOST)) row.remove();
    empty.hidden = shown.length > 0;
    put(total, shown.length > 0 ? `${count(shown.length)} shown` : "");
  };
  const each = ({ event }) => {
    if (!types.has(event.type)) {
      types.add(event.type);
      options();
    }
    if (wanted && event.type !== wanted) return;
    if (fresh.length === 0) requestAnimationFrame(flush);
    fresh.push(row(event));
  };
  follow("/events", { newest: MOST, follow: true }, { each, signal, reset: () => { put(body); shown.length = 0; } }).catch(fail);
}

const TONES = [[/Failed|Lost|Silent/, "bad"], [/Registered|Ready|Resumed/, "good"], [/Created|Started|Placed|Pull/, "run"]];

/** An end is as good as its words. */
function toneOf(event) {
  if (event.type === "AttemptEnded") return event.message?.startsWith("exited with code 0") ? "good" : "bad";
  return TONES.find(([pattern]) => pattern.test(event.type))?.[1] ?? "off";
}

/** One event as a row. */
export function row(event) {
  const tone = toneOf(event);
  return h("tr", {},
    h("td", {}, when(event.time)),
    h("td", {}, h("span", { class: "state", "data-tone": tone }, event.type)),
    h("td", {}, event.jobId ? h("a", { href: `/jobs/${event.jobId}` }, event.jobId) : ""),
    h("td", {}, event.nodeName ?? ""),
    h("td", { class: "wrap" }, event.message ?? ""));
}
