// Stacked bars over time, as SVG; with `onrange` a stretch of them can be picked by dragging or with the keys.

import { h, put, svg } from "./dom.js";
import { count } from "./format.js";

const WIDTH = 720;
const HEIGHT = 120;
const BASE = HEIGHT - 18;
const TOP = 14;

/**
 * `bars`: a list of `{ label, parts: [[name, class, number]] }`; `label` is what the axis shows for a few of them.
 */
export function chart(bars, { title, onrange }) {
  const sums = bars.map((bar) => bar.parts.reduce((sum, [, , number]) => sum + number, 0));
  const most = Math.max(1, ...sums);
  const step = WIDTH / Math.max(1, bars.length);
  const picture = svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  const total = sums.reduce((sum, number) => sum + number, 0);
  picture.setAttribute("aria-label", `${title}: ${count(total)} in all, at most ${count(most)} in one bar`);
  bars.forEach((bar, at) => {
    let top = BASE;
    const group = svg("g", {}, svg("title", {}, `${bar.label}: ${bar.parts.filter(([, , number]) => number > 0).map(([name, , number]) => `${count(number)} ${name}`).join(", ") || "none"}`),
      svg("rect", { x: at * step, y: 0, width: step, height: BASE, fill: "transparent" }));
    for (const [, className, number] of bar.parts) {
      if (number <= 0) continue;
      const height = Math.max(1.5, ((BASE - TOP) * number) / most);
      top -= height;
      group.append(svg("rect", { x: at * step + step * 0.1, y: top, width: Math.max(0.8, step * 0.8), height, class: className }));
    }
    picture.append(group);
  });
  picture.append(svg("line", { x1: 0, x2: WIDTH, y1: BASE + 0.5, y2: BASE + 0.5, class: "axis", "vector-effect": "non-scaling-stroke" }));
  const axis = h("div", { class: "axis-labels", "aria-hidden": "true" },
    ticks(bars).map((bar) => h("span", {}, bar.label)));
  const keys = onrange ? { tabindex: "0", role: "group", "aria-label": `${title}: arrow keys choose, Shift widens, Enter zooms` } : {};
  const box = h("div", { class: "chart-box", ...keys }, h("span", { class: "chart-top soft" }, total > 0 ? `max ${count(most)}` : ""), picture, axis);
  if (onrange) pickable(box, picture, bars, onrange);
  return box;
}

/** The few bars whose labels are shown. */
function ticks(bars) {
  const shown = Math.min(5, bars.length);
  return Array.from({ length: shown }, (_, n) => bars[Math.round((n * (bars.length - 1)) / Math.max(1, shown - 1))]);
}

/** Lets a stretch be picked: with the pointer, or with the arrow keys, Shift and Enter. */
function pickable(box, picture, bars, onrange) {
  const last = bars.length - 1;
  const shade = svg("rect", { y: 0, height: BASE, class: "picked", width: 0 });
  const told = h("span", { class: "chart-told soft", role: "status" });
  picture.append(shade);
  box.classList.add("pickable");
  box.append(told);
  let held = false;
  let from = null;
  let to = null;
  const range = () => [Math.min(from, to), Math.max(from, to)];
  const paint = () => {
    const [first, end] = from === null ? [0, -1] : range();
    shade.setAttribute("x", String((first * WIDTH) / bars.length));
    shade.setAttribute("width", String(((end - first + 1) * WIDTH) / bars.length));
    const lines = bars.slice(first, end + 1).reduce((sum, bar) => sum + bar.parts.reduce((all, [, , number]) => all + number, 0), 0);
    put(told, from === null ? "" : `${bars[first].label}${end > first ? ` to ${bars[end].label}` : ""}: ${count(lines)}`);
  };
  const place = (event) => {
    const area = picture.getBoundingClientRect();
    return Math.min(last, Math.max(0, Math.floor(((event.clientX - area.left) / area.width) * bars.length)));
  };
  const clear = () => {
    held = false;
    from = to = null;
    paint();
  };
  picture.addEventListener("pointerdown", (event) => {
    held = true;
    from = to = place(event);
    picture.setPointerCapture(event.pointerId);
    paint();
  });
  picture.addEventListener("pointermove", (event) => {
    if (!held) return;
    to = place(event);
    paint();
  });
  picture.addEventListener("pointercancel", clear);
  picture.addEventListener("pointerup", () => {
    if (!held) return;
    const picked = range();
    clear();
    onrange(...picked);
  });
  const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -bars.length, End: bars.length };
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") clear();
    else if (event.key === "Enter" && from !== null) onrange(...range());
    else if (steps[event.key]) {
      event.preventDefault();
      to = Math.min(last, Math.max(0, (to ?? bars.length) + steps[event.key]));
      if (!event.shiftKey || from === null) from = to;
      paint();
    }
  });
}
