// What an attempt uses over time: two small charts of lines.

import { get } from "./api.js";
import { h, put, svg } from "./dom.js";
import { bytes, cores, duration } from "./format.js";

/** Workers tell it every five seconds. */
const INTERVAL = 5000;
const WIDTH = 720;
const HEIGHT = 90;

/** Keeps a panel with the charts of a task's newest attempt up to date while `runs` and the view is open. */
export function usage(panel, job, task, runs, signal) {
  panel.hidden = true;
  const load = async () => {
    const { attempt, points } = await get(`/jobs/${job}/usage`, { taskIndex: task ?? undefined }, signal);
    panel.hidden = (points ?? []).length < 2;
    if (!panel.hidden) draw(panel, attempt, points);
  };
  // Without it the page is as good as ever.
  const quietly = () => load().catch(() => {});
  quietly();
  const timer = setInterval(() => runs() && quietly(), INTERVAL);
  signal.addEventListener("abort", () => clearInterval(timer));
}

function draw(panel, { attempt }, points) {
  const times = points.map((point) => Date.parse(point.time));
  const ends = [times[0], times.at(-1)].map((time) => h("span", {}, new Date(time).toLocaleTimeString("en-GB")));
  const one = (name, field, shown) => {
    const values = points.map((point) => Number(point[field] ?? 0));
    const told = `${shown(values.at(-1))} last, at most ${shown(Math.max(...values))}`;
    return h("div", {}, h("p", { class: "told" }, h("b", {}, name), h("span", { class: "soft" }, ` ${told}`)),
      line(times, values, `${name} over time: ${told}`),
      h("div", { class: "axis-labels", "aria-hidden": "true" }, ends.map((end) => end.cloneNode(true))));
  };
  put(panel, h("h2", {}, "What it uses", h("span", { class: "soft" }, ` attempt ${attempt}, ${duration(times.at(-1) - times[0])}`)),
    h("div", { class: "grid two" }, one("Cores", "cpuMillis", cores), one("Memory", "memoryBytes", bytes)));
}

/** One line with the area below it, from nothing to the highest value. */
function line(times, values, label) {
  const most = Math.max(1, ...values);
  const span = Math.max(1, times.at(-1) - times[0]);
  const place = (value, at) => `${(((times[at] - times[0]) * WIDTH) / span).toFixed(1)} ${(HEIGHT - 1 - ((HEIGHT - 6) * value) / most).toFixed(1)}`;
  const path = `M ${values.map(place).join(" L ")}`;
  return svg("svg", { class: "chart usage", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    svg("path", { d: `${path} L ${WIDTH} ${HEIGHT} L 0 ${HEIGHT} Z`, class: "usage-area" }),
    svg("path", { d: path, class: "usage-line", "vector-effect": "non-scaling-stroke" }));
}
