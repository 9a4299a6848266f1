// The list of jobs: filters in the address, pages, live rows, several at once.

import { act } from "./actions.js";
import { follow, get } from "./api.js";
import { h, put } from "./dom.js";
import { between, command, count, jobState, lastAttempt, state, when, word } from "./format.js";

const STATES = ["", "active", "succeeded", "failed", "cancelled"];
const PAGE = 100;

export async function view({ root, query, signal, fail }) {
  const wanted = { state: query.get("state") ?? "", text: query.get("q") ?? "" };
  const rows = new Map();
  const picked = new Set();
  const body = h("tbody");
  const more = h("button", { type: "button", hidden: true }, "Older jobs");
  const many = h("strong", { role: "status" });
  const doing = (verb) => async () => {
    if (await act(verb, [...picked])) pickAll(false);
  };
  const bulk = h("div", { class: "bulk", hidden: true, role: "group", "aria-label": "Picked jobs" }, many,
    h("button", { type: "button", onclick: doing("stop") }, "Stop"),
    h("button", { type: "button", class: "danger", onclick: doing("kill") }, "Kill"),
    h("button", { type: "button", onclick: doing("retry") }, "Run again"),
    h("button", { type: "button", class: "quiet", onclick: () => pickAll(false) }, "None"));
  const all = h("input", { type: "checkbox", "aria-label": "Pick all shown", onchange: () => pickAll(all.checked) });
  const empty = h("div", { class: "empty" });
  const search = h("input", {
    type: "search", class: "wide", value: wanted.text, "aria-label": "Filter",
    placeholder: "Name, number, or labels.team = \"search\" AND id > 100",
  });
  const form = h("form", { role: "search" }, search);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(wanted.state, search.value.trim());
  });

  put(root,
    h("div", { class: "head" }, h("h1", {}, "Jobs"),
      h("div", { class: "chips", role: "group", "aria-label": "State" }, STATES.map((name) =>
        h("button", { type: "button", "aria-pressed": String(name === wanted.state), onclick: () => go(name, wanted.text) },
          name === "" ? "All" : name[0].toUpperCase() + name.slice(1)))),
      h("span", { class: "grow" }), form),
    h("div", { class: "panel flush" },
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Jobs" },
        h("table", {},
          h("thead", {}, h("tr", {},
            h("th", { scope: "col" }, all), ...["State", "Job", "Name", "Command", "Worker"].map((name) => h("th", { scope: "col" }, name)),
            ...["Tasks", "Submitted", "Time", "Exit"].map((name) => h("th", { scope: "col", class: "number" }, name)))),
          body)),
      empty),
    h("p", {}, more), bulk);

  const base = conditions(wanted.text);
  const filter = [wanted.state && `state = ${wanted.state.toUpperCase()}`, base].filter(Boolean).join(" AND ");
  let token = "";
  const load = async () => {
    const page = await get("/jobs", { filter, pageSize: PAGE, pageToken: token }, signal);
    for (const job of page.jobs ?? []) put_row(job, false);
    token = page.nextPageToken ?? "";
    more.hidden = token === "";
    tell();
    return page.revision;
  };
  more.addEventListener("click", () => load().catch(fail));

  function go(name, text) {
    const query = new URLSearchParams();
    if (name) query.set("state", name);
    if (text) query.set("q", text);
    document.dispatchEvent(new CustomEvent("go", { detail: `/jobs${query.size ? `?${query}` : ""}` }));
  }

  function put_row(job, isNew) {
    const fits = !wanted.state || word(job.state) === wanted.state;
    const old = rows.get(job.id);
    if (!fits) {
      drop(job.id);
      return;
    }
    const made = row(job, picked.has(job.id), (on) => pick(job.id, on));
    rows.set(job.id, { job, element: made });
    if (old) old.element.replaceWith(made);
    else if (isNew) body.prepend(made);
    else body.append(made);
  }

  function drop(id) {
    rows.get(id)?.element.remove();
    rows.delete(id);
    picked.delete(id);
  }

  function pick(id, on) {
    if (on) picked.add(id);
    else picked.delete(id);
    tell();
  }

  function pickAll(on) {
    for (const [id, { element }] of rows) {
      element.querySelector("input").checked = on;
      if (on) picked.add(id);
      else picked.delete(id);
    }
    tell();
  }

  function tell() {
    all.checked = rows.size > 0 && picked.size === rows.size;
    all.indeterminate = picked.size > 0 && picked.size < rows.size;
    bulk.hidden = picked.size === 0;
    put(many, `${count(picked.size)} picked`);
    empty.hidden = rows.size > 0 || token !== "";
    put(empty, filter
      ? [h("b", {}, "No job fits this filter"), h("a", { href: "/jobs" }, "Show all")]
      : [h("b", {}, "No jobs yet"), "Submit one: ", h("code", {}, "cluster-cli submit 'echo hello'")]);
  }

  const revision = await load();
  const newest = () => [...rows.keys()].reduce((most, id) => Math.max(most, Number(id)), 0);
  let top = newest();
  const changed = (step) => {
    if (step.deletedId) drop(step.deletedId);
    if (!step.changed) return;
    const isNew = Number(step.changed.id) > top;
    if (isNew) top = Number(step.changed.id);
    // One that is older than what is shown comes with its page.
    if (isNew || rows.has(step.changed.id)) put_row(step.changed, isNew);
    tell();
  };
  const clock = setInterval(() => {
    for (const { job, element } of rows.values()) {
      if (job.state === "STATE_ACTIVE") element.querySelector(".time").textContent = between(job.startTime ?? null, job.endTime);
    }
  }, 1000);
  signal.addEventListener("abort", () => clearInterval(clock));
  follow("/changes", { filter: base }, { each: changed, after: revision, signal }).catch(fail);
}

/** What a person typed as a filter: the language itself, a number, or a name. */
function conditions(text) {
  if (!text || /[=<>]/.test(text)) return text;
  return /^\d+$/.test(text) ? `id = ${text}` : `name = ${JSON.stringify(text)}`;
}

function row(job, isPicked, pick) {
  const box = h("input", { type: "checkbox", checked: isPicked, "aria-label": `Pick job ${job.id}` });
  box.addEventListener("change", () => pick(box.checked));
  const tasks = job.tasks ?? {};
  const ended = (tasks.succeeded ?? 0) + (tasks.failed ?? 0) + (tasks.cancelled ?? 0);
  const link = `/jobs/${job.id}`;
  return h("tr", {},
    h("td", {}, box),
    h("td", {}, state(jobState(job))),
    h("td", {}, h("a", { href: link }, job.id)),
    h("td", {}, job.spec?.name ? h("a", { href: link }, job.spec.name) : h("span", { class: "soft" }, "–")),
    h("td", { class: "fill mono", title: command(job.spec) }, command(job.spec)),
    h("td", {}, lastAttempt(job)?.nodeName ?? ""),
    h("td", { class: "number" }, tasks.total > 1 ? `${count(ended)} / ${count(tasks.total)}` : ""),
    h("td", { class: "number" }, when(job.createTime)),
    h("td", { class: "number time" }, between(job.startTime ?? null, job.endTime)),
    h("td", { class: "number" }, job.exitCode === undefined ? "" : String(job.exitCode)));
}
