// The frame: which view an address shows, keys, colours, the token.

import { get, setToken, takeToken } from "./api.js";
import { h, put, toast } from "./dom.js";
import { view as events } from "./events.js";
import { view as job } from "./job.js";
import { view as jobs } from "./jobs.js";
import { view as logs } from "./logs.js";
import { view as overview } from "./overview.js";
import { view as workers } from "./workers.js";

const VIEWS = [
  [/^\/$/, "Overview", overview],
  [/^\/jobs\/?$/, "Jobs", jobs],
  [/^\/jobs\/([^/]+)$/, "Job", job],
  [/^\/logs\/?$/, "Logs", logs],
  [/^\/workers\/?$/, "Workers", workers],
  [/^\/events\/?$/, "Events", events],
];
const GOTO = { o: "/", j: "/jobs", l: "/logs", w: "/workers", e: "/events" };
const THEMES = ["auto", "light", "dark"];

const content = document.getElementById("content");
let leaving = new AbortController();

/** Shows the view of the current address. */
async function show(focus) {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const path = location.pathname;
  for (const link of document.querySelectorAll(".side nav a")) {
    const of = link.getAttribute("href");
    if (of === "/" ? path === "/" : path.startsWith(of)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const [pattern, title, view] = VIEWS.find(([pattern]) => pattern.test(path)) ?? [/(?:)/, "Nothing here", nothing];
  document.title = `${title} · dockmgr`;
  if (focus) {
    content.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }
  try {
    await view({
      root: content,
      parts: pattern.exec(path).slice(1).map(decodeURIComponent),
      query: new URLSearchParams(location.search),
      signal,
      fail: (error) => failed(error, signal),
    });
  } catch (error) {
    failed(error, signal);
  }
}

function nothing({ root }) {
  put(root, h("h1", {}, "Nothing here"), h("p", {}, h("a", { href: "/" }, "To the overview")));
}

function failed(error, signal) {
  if (signal.aborted || error.name === "AbortError") return;
  if (error.status === 401) {
    askToken();
    return;
  }
  const retry = h("button", { type: "button", onclick: () => show() }, "Try again");
  put(content, h("div", { class: "head" }, h("h1", {}, error.status === 404 ? "Not found" : "This did not work")),
    h("p", { class: "notice bad" }, error.message), h("p", {}, retry));
}

function askToken() {
  const field = h("input", { type: "password", id: "token", autocomplete: "off", class: "wide" });
  const form = h("form", { class: "stack ask" },
    h("p", {}, "This coordinator asks for an API token. ", h("code", {}, "cluster-cli dev"),
      " prints an address with it; otherwise it is in the file that was given as ", h("code", {}, "--token-file"), "."),
    h("label", { for: "token" }, "API token"), field,
    h("button", { class: "primary" }, "Open"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    setToken(field.value.trim());
    try {
      await get("/nodes", { pageSize: 1 });
      show(true);
    } catch (error) {
      toast(error.message, "bad");
    }
  });
  put(content, h("div", { class: "head" }, h("h1", {}, "Token")), h("div", { class: "panel" }, form));
  field.focus();
}

/** Goes to another address of the page. */
function go(address) {
  history.pushState(null, "", address);
  show(true);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || link.origin !== location.origin || link.hasAttribute("download")) return;
  if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || link.hash) return;
  event.preventDefault();
  go(link.href);
});
document.addEventListener("go", (event) => go(event.detail));
window.addEventListener("popstate", () => show());

let chord = "";
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, select, textarea, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (chord === "g" && GOTO[event.key]) go(GOTO[event.key]);
  else if (event.key === "/") {
    const search = content.querySelector("input[type=search]");
    if (search) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  } else if (event.key === "?") keys();
  else if (event.key === "t") nextTheme();
  chord = event.key === "g" && chord !== "g" ? "g" : "";
});

function keys() {
  const rows = [
    ["g o", "Overview"], ["g j", "Jobs"], ["g l", "Logs"], ["g w", "Workers"], ["g e", "Events"], ["/", "Search or filter"],
    ["f", "In a log: follow its end"], ["n, N", "In a log: next and previous match"], ["← →", "In counts over time: choose; Shift widens, Enter zooms"], ["t", "Light, dark or the system's colours"],
    ["?", "This list"],
  ];
  const dialog = h("dialog", { "aria-labelledby": "keys" },
    h("h2", { id: "keys" }, "Keys"),
    h("dl", { class: "keys" }, rows.flatMap(([key, does]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, does)])),
    h("div", { class: "row-end" }, h("button", { type: "button", onclick: () => dialog.close() }, "Close")));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

function theme(name) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  document.getElementById("theme").textContent = `Colours: ${name}`;
  localStorage.setItem("dockmgr.theme", name);
}

function nextTheme() {
  const now = localStorage.getItem("dockmgr.theme") ?? "auto";
  theme(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
}

document.getElementById("theme").addEventListener("click", nextTheme);
document.getElementById("help").addEventListener("click", keys);
document.addEventListener("link", ({ detail }) => {
  const light = document.getElementById("link");
  light.dataset.state = detail;
  light.textContent = detail === "waiting" ? "Reconnecting" : detail === "live" ? "Live" : "";
});

theme(THEMES.includes(localStorage.getItem("dockmgr.theme")) ? localStorage.getItem("dockmgr.theme") : "auto");
takeToken();
window.addEventListener("hashchange", () => {
  takeToken();
  show();
});
show();

