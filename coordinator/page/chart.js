// Stacked bars over time, as SVG; with `onrange` a stretch of them can be picked by dragging or with the keys.

import { h, svg } from "./dom.js";
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
  const box = h("div", { class: "chart-box" }, h("span", { class: "chart-top soft" }, total > 0 ? `max ${count(most)}` : ""), picture, axis);
  if (onrange) drag(box, picture, bars.length, onrange);
  return box;
}

/** The few bars whose labels are shown. */
function ticks(bars) {
  const shown = Math.min(5, bars.length);
  return Array.from({ length: shown }, (_, n) => bars[Math.round((n * (bars.length - 1)) / Math.max(1, shown - 1))]);
}

function drag(box, picture, bars, onrange) {
  box.classList.add("pickable");
  const shade = svg("rect", { y: 0, height: BASE, class: "picked", width: 0 });
  picture.append(shade);
  let from = null;
  const place = (event) => {
    const area = picture.getBoundingClientRect();
    return Math.min(bars - 1, Math.max(0, Math.floor(((event.clientX - area.left) / area.width) * bars)));
  };
  const paint = (to) => {
    const step = WIDTH / bars;
    shade.setAttribute("x", String(Math.min(from, to) * step));
    shade.setAttribute("width", String((Math.abs(to - from) + 1) * step));
  };
  picture.addEventListener("pointerdown", (event) => {
    from = place(event);
    picture.setPointerCapture(event.pointerId);
    paint(from);
  });
  picture.addEventListener("pointermove", (event) => from !== null && paint(place(event)));
  picture.addEventListener("pointerup", (event) => {
    if (from === null) return;
    const to = place(event);
    const range = [Math.min(from, to), Math.max(from, to)];
    from = null;
    onrange(...range);
  });
}
