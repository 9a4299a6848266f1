// A log of any length: only the rows that are seen are elements.
//
// Rows have one height, so a place is a number of rows and scrolling costs what a screen holds.

import { elements, plain } from "./ansi.js";
import { h, put } from "./dom.js";
import { count } from "./format.js";
import { Lines } from "./lines.js";

const ROW = 18;
/** Rows drawn beyond each edge, so that a fast wheel meets no empty space. */
const BEYOND = 20;
/** Lines that are kept; the oldest go, and the download has them all. */
const MOST = 400_000;

/** The view: `element` to show, `take(step)` for steps of a tail. */
export class LogView {
  constructor({ title, actions, wanted, picked }) {
    this.rows = [];
    this.wanted = wanted;
    this.picked = picked;
    this.dropped = 0;
    this.following = true;
    this.drawn = false;
    this.lines = new Lines((line) => this.add(line));
    this.rowsBox = h("div", { class: "log-rows" });
    this.space = h("div", { class: "log-space" }, this.rowsBox);
    this.body = h("div", { class: "log-body", tabindex: "0", role: "region", "aria-label": "Output" }, this.space);
    this.total = h("span", { class: "soft" });
    this.follow = h("button", { type: "button", "aria-pressed": "true", onclick: () => this.setFollowing(!this.following) }, "Follow");
    this.find = h("input", { type: "search", placeholder: "Find in this log", "aria-label": "Find in this log" });
    this.hits = h("span", { class: "soft", role: "status" });
    this.element = h("section", { class: "log", "aria-label": title },
      h("div", { class: "log-head" }, h("h2", {}, title), this.total, h("span", { class: "grow" }),
        this.hits, this.find, this.follow, actions),
      this.body);
    this.body.addEventListener("scroll", () => this.scrolled());
    this.find.addEventListener("input", () => this.search());
    this.find.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.next(event.shiftKey ? -1 : 1);
      if (event.key === "Escape") this.body.focus();
    });
    this.body.addEventListener("keydown", (event) => {
      if (event.key === "n" || event.key === "N") this.next(event.key === "n" ? 1 : -1);
      if (event.key === "f") this.setFollowing(!this.following);
      if (event.key === "End") this.setFollowing(true);
    });
    new ResizeObserver(() => this.draw()).observe(this.body);
  }

  take(step) {
    this.lines.take(step);
    const over = this.rows.length - MOST;
    if (over > 0) {
      this.dropped += over;
      this.rows.splice(0, over);
      this.current = this.current >= over ? this.current - over : undefined;
    }
    this.draw();
  }

  /** Takes a line in; the one that the address names is shown as soon as it is here. */
  add(line) {
    this.rows.push(line);
    if (this.wanted && line.place === this.wanted) {
      this.wanted = undefined;
      this.show(this.rows.length - 1);
    }
  }

  /** Marks a row and brings it into sight. */
  show(at) {
    this.current = at;
    this.setFollowing(false);
    this.body.scrollTop = Math.max(0, at * ROW - this.body.clientHeight / 2);
    this.aim = at;
    this.body.scrollIntoView({ block: "nearest" });
    this.draw();
  }

  /** Marks a row that a person picked. */
  pick(at) {
    this.current = at;
    this.setFollowing(false);
    if (this.rows[at]?.place) this.picked?.(this.rows[at].place);
    this.draw();
  }

  /** Empties the view: the stream begins anew. */
  clear() {
    this.rows = [];
    this.dropped = 0;
    this.lines = new Lines((line) => this.add(line));
    this.draw();
  }

  note(text) {
    this.rows.push({ kind: "note", text, time: "", stream: "" });
    this.draw();
  }

  setFollowing(on) {
    this.following = on;
    this.follow.setAttribute("aria-pressed", String(on));
    this.draw();
  }

  scrolled() {
    const isAtEnd = this.body.scrollTop + this.body.clientHeight >= this.body.scrollHeight - ROW;
    if (isAtEnd !== this.following && (!isAtEnd || this.rows.length > 0)) this.setFollowing(isAtEnd);
    this.draw();
  }

  /** Draws before the next frame, once. */
  draw() {
    if (this.drawn) return;
    this.drawn = true;
    requestAnimationFrame(() => {
      this.drawn = false;
      this.paint();
    });
  }

  paint() {
    const total = this.rows.length;
    this.space.style.height = `${total * ROW}px`;
    if (this.following) this.body.scrollTop = this.body.scrollHeight;
    // The space for it exists from here on only.
    if (this.aim !== undefined) this.body.scrollTop = Math.max(0, this.aim * ROW - this.body.clientHeight / 2);
    this.aim = undefined;
    const first = Math.max(0, Math.floor(this.body.scrollTop / ROW) - BEYOND);
    const last = Math.min(total, Math.ceil((this.body.scrollTop + this.body.clientHeight) / ROW) + BEYOND);
    this.rowsBox.style.transform = `translateY(${first * ROW}px)`;
    this.rowsBox.replaceChildren(...this.rows.slice(first, last).map((line, at) => this.row(line, first + at)));
    const lines = this.dropped > 0 ? `the newest ${count(total)} of ${count(total + this.dropped)} lines` : `${count(total)} ${total === 1 ? "line" : "lines"}`;
    put(this.total, total === 0 ? "no output yet" : lines);
  }

  row(line, at) {
    const element = document.createElement("div");
    element.className = "row";
    element.dataset.stream = line.stream;
    element.dataset.kind = line.kind;
    if (this.current === at) element.dataset.hit = "";
    const cell = (name, ...children) => {
      const one = document.createElement("span");
      one.className = name;
      one.append(...children);
      element.append(one);
    };
    cell("n", String(at + 1 + this.dropped));
    if (line.place) {
      element.firstChild.title = "Put this line into the address";
      element.firstChild.addEventListener("click", () => this.pick(at));
    }
    cell("t", line.time ? line.time.slice(11, 23).padEnd(12, "0").replace("Z", "") : "");
    const more = line.left > 0 ? [` … ${count(line.left)} more characters`] : [];
    cell("l", ...elements(line.text), ...more);
    return element;
  }

  /** Finds the last line with the words. */
  search() {
    const words = this.find.value.toLowerCase();
    this.current = undefined;
    if (!words) {
      put(this.hits, "");
      this.draw();
      return;
    }
    const found = this.rows.reduce((sum, line) => sum + (plain(line.text).toLowerCase().includes(words) ? 1 : 0), 0);
    put(this.hits, `${count(found)} ${found === 1 ? "line" : "lines"}`);
    if (found > 0) this.next(-1);
    else this.draw();
  }

  next(step) {
    const words = this.find.value.toLowerCase();
    const total = this.rows.length;
    if (!words || total === 0) return;
    const begin = this.current ?? (step > 0 ? -1 : total);
    for (let tried = 1; tried <= total; tried += 1) {
      const at = (((begin + step * tried) % total) + total) % total;
      if (plain(this.rows[at].text).toLowerCase().includes(words)) {
        this.show(at);
        this.pick(at);
        return;
      }
    }
  }
}
