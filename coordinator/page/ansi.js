// A line of output as harmless elements: colours may pass, everything else that is no text is shown.

import { h, harmless, shown } from "./dom.js";

/** Longest piece of a line that is shown: a browser lays out no megabytes on one line. */
const LONGEST = 4000;
const COLOUR = /\x1b\[([0-9;:]{0,64})m/g;

/** The text of a line without its colours, for searching. */
export function plain(line) {
  return line.replace(COLOUR, "");
}

/** The elements of a line. */
export function elements(line) {
  const cut = line.length > LONGEST ? line.slice(0, LONGEST) : line;
  const parts = [];
  let style = {};
  let at = 0;
  for (const found of cut.matchAll(COLOUR)) {
    parts.push(...piece(cut.slice(at, found.index), style));
    style = after(style, found[1]);
    at = found.index + found[0].length;
  }
  parts.push(...piece(cut.slice(at), style));
  if (cut !== line) parts.push(h("span", { class: "ctl" }, ` … ${(line.length - LONGEST).toLocaleString("en")} more characters`));
  return parts;
}

/** Text of one colour, controls shown. */
function piece(text, style) {
  if (text === "") return [];
  const nodes = [];
  let begin = 0;
  for (let at = 0; at < text.length; at += 1) {
    const one = text[at];
    if (one === "\t" || harmless(one) === one) continue;
    if (at > begin) nodes.push(document.createTextNode(text.slice(begin, at)));
    const mark = document.createElement("span");
    mark.className = "ctl";
    mark.textContent = shown(one);
    nodes.push(mark);
    begin = at + 1;
  }
  if (begin < text.length) nodes.push(document.createTextNode(text.slice(begin)));
  const classes = [style.bold && "a-b", style.dim && "a-d", style.italic && "a-i", style.underline && "a-u",
    style.front !== undefined && `f${style.front}`, style.back !== undefined && `b${style.back}`].filter(Boolean);
  if (classes.length === 0) return nodes;
  const span = document.createElement("span");
  span.className = classes.join(" ");
  span.append(...nodes);
  return [span];
}

/** The style after the numbers of one sequence. Colours of large palettes become the nearest of the eight. */
function after(style, text) {
  const codes = text.split(/[;:]/).map((code) => Number(code || 0));
  let next = { ...style };
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at];
    if (code === 0) next = {};
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 3) next.italic = true;
    else if (code === 4) next.underline = true;
    else if (code === 22) next.bold = next.dim = false;
    else if (code === 23) next.italic = false;
    else if (code === 24) next.underline = false;
    else if (code >= 30 && code <= 37) next.front = code - 30;
    else if (code >= 90 && code <= 97) next.front = code - 90;
    else if (code === 39) next.front = undefined;
    else if (code >= 40 && code <= 47) next.back = code - 40;
    else if (code >= 100 && code <= 107) next.back = code - 100;
    else if (code === 49) next.back = undefined;
    else if (code === 38 || code === 48) {
      const [colour, used] = large(codes.slice(at + 1));
      at += used;
      if (code === 38) next.front = colour;
      else next.back = colour;
    }
  }
  return next;
}

/** The nearest of eight for `5;N` or `2;R;G;B`, and how many numbers that took. */
function large([kind, ...rest]) {
  const near = (red, green, blue) => (red > 127 ? 1 : 0) | (green > 127 ? 2 : 0) | (blue > 127 ? 4 : 0);
  if (kind === 2) return [near(...rest.slice(0, 3)), 4];
  const number = rest[0] ?? 7;
  if (number < 16) return [number % 8, 2];
  if (number >= 232) return [number < 244 ? 0 : 7, 2];
  const cube = number - 16;
  const level = (step) => step * 51;
  return [near(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)), 2];
}
