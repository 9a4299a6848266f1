// One job: what it is, what became of it, what it wrote.

import { act } from "./actions.js";
import { blob, follow, get } from "./api.js";
import { copied, h, put, toast } from "./dom.js";
import { between, bytes, command, cores, count, duration, jobState, span, state, when, word } from "./format.js";
import { LogView } from "./logview.js";
import { usage } from "./usage.js";

const TASK_STATES = ["", "QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"];

export async function view({ root, parts: [reference], query, signal, fail }) {
  const answer = await get(`/jobs/${encodeURIComponent(reference)}`, { explain: true }, signal);
  let job = answer.job;
  const id = job.id;
  document.title = `Job ${id} · dockmgr`;
  const isArray = Boolean(job.spec?.array);
  const task = query.get("task");
  const head = h("div", { class: "head" });
  const facts = h("div", { class: "panel" });
  const phases = h("div", { class: "panel" });
  const used = h("div", { class: "panel" });
  const tasks = h("div", { hidden: !isArray });
  const log = new LogView({
    title: isArray && task !== null ? `Output of task ${task}` : "Output",
    wanted: query.get("at") ?? undefined,
    picked: (place) => {
      query.set("at", place);
      history.replaceState(null, "", `${location.pathname}?${query}`);
    },
    actions: [
      h("button", { type: "button", onclick: () => copied(location.href) }, "Copy link"),
      h("button", { type: "button", onclick: () => save(id, task) }, "Download"),
    ],
  });
  const spec = h("details", { class: "panel" }, h("summary", {}, "Spec"), h("pre", { class: "code", tabindex: "0" }, JSON.stringify(job.spec, null, 2)));
  put(root, head, h("div", { class: "stack" }, facts, phases, used, tasks, log.element, spec));

  const draw = () => {
    drawHead(head, job);
    drawFacts(facts, job, answer.verdicts ?? []);
    drawPhases(phases, job);
  };
  draw();
  if (!isArray || task !== null) usage(used, id, task, () => job.state === "STATE_ACTIVE", signal);
  else used.hidden = true;
  const clock = setInterval(() => {
    if (job.state !== "STATE_ACTIVE") return;
    drawPhases(phases, job);
    const time = facts.querySelector(".time");
    if (time) time.textContent = between(job.startTime, job.endTime);
  }, 1000);
  signal.addEventListener("abort", () => clearInterval(clock));
  follow("/changes", { job: id }, {
    each: (step) => {
      if (step.changed) job = step.changed;
      if (step.deletedId === id) log.note("this job was deleted");
      draw();
    },
    signal,
  }).catch(fail);
  follow(`/jobs/${id}/logs`, { follow: true, taskIndex: task ?? undefined }, {
    each: (step) => log.take(step),
    reset: () => log.clear(),
    ended: () => log.note(log.wanted ? "end of the output; the line of the address is not in it" : "end of the output"),
    signal,
  }).catch((error) => log.note(error.message));
  if (isArray) await drawTasks(tasks, job, query, signal);
}

function drawHead(head, job) {
  const isOver = job.state !== "STATE_ACTIVE";
  const button = (verb, text, extra) => h("button", { type: "button", ...extra, onclick: () => act(verb, [job.id]) }, text);
  const again = async () => {
    const made = await act("retry", [job.id]);
    if (made?.[0]) document.dispatchEvent(new CustomEvent("go", { detail: `/jobs/${made[0].job.id}` }));
  };
  // Buttons stay what they are while a person is on one of them.
  if (head.dataset.state === job.state && head.childElementCount > 0) {
    head.querySelector(".state").replaceWith(state(jobState(job)));
    return;
  }
  head.dataset.state = job.state;
  put(head,
    h("h1", {}, job.spec?.name ? `${job.spec.name} ` : "Job ", h("span", { class: "soft" }, `#${job.id}`)),
    state(jobState(job)),
    h("span", { class: "grow" }),
    isOver && h("button", { type: "button", class: "primary", onclick: again }, "Run again"),
    !isOver && button("stop", "Stop"),
    !isOver && button("kill", "Kill", { class: "danger" }),
    isOver && h("button", { type: "button", class: "danger", onclick: async () => {
      const done = await act("delete", [job.id]);
      if (done?.length) document.dispatchEvent(new CustomEvent("go", { detail: "/jobs" }));
    } }, "Delete"));
}

function drawFacts(panel, job, verdicts) {
  const spec = job.spec ?? {};
  const attempt = job.task?.attempts?.at(-1);
  const labels = Object.entries(spec.labels ?? {}).map(([key, value]) => `${key}=${value}`).join(" ");
  const needs = [`${cores(spec.resources?.cpuMillis)} ${spec.resources?.cpuMillis === "1000" ? "core" : "cores"}`, bytes(spec.resources?.memoryBytes),
    spec.resources?.gpus ? `${spec.resources.gpus} GPUs` : ""].filter(Boolean).join(" · ");
  const rows = [
    ["Submitted", when(job.createTime)], ["Started", when(job.startTime)], ["Ended", when(job.endTime)],
    ["Time", job.startTime && h("span", { class: "time" }, between(job.startTime, job.endTime))],
    ["Exit code", job.exitCode === undefined ? "" : `${job.exitCode} (${word(job.endReason).replace("_", " ")})`],
    ["Worker", attempt?.nodeName], ["Image", spec.image], ["Needs", needs], ["Priority", spec.priority ? String(spec.priority) : ""],
    ["Retries", spec.retries ? String(spec.retries) : ""], ["Time limit", spec.timeout ? duration(span(spec.timeout)) : ""],
    ["Labels", labels && h("span", { class: "mono" }, labels)],
    ["Repeats", job.retryOf && job.retryOf !== "0" ? h("a", { href: `/jobs/${job.retryOf}` }, `job ${job.retryOf}`) : ""],
    ["Pinned", job.pinned ? "kept until it is unpinned" : ""],
    ["Output deleted", when(job.outputDeletion?.time)],
    ["Place in the queue", job.queuePosition && job.queuePosition !== "0" ? job.queuePosition : ""],
  ];
  const isWaiting = job.state === "STATE_ACTIVE" && (job.tasks?.queued ?? 0) > 0;
  const why = isWaiting ? verdicts.filter((verdict) => !verdict.fitsNow) : [];
  put(panel, h("div", { class: "stack" },
    h("pre", { class: "code short", tabindex: "0", role: "region", "aria-label": "Command" }, command(spec).replaceAll(" ⏎ ", "\n")),
    job.message && h("p", { class: `notice ${job.state === "STATE_FAILED" ? "bad" : ""}` }, job.message),
    why.length > 0 && h("details", {}, h("summary", {}, "Why it waits"),
      h("ul", {}, why.map((verdict) => h("li", {}, `${verdict.nodeName}: ${verdict.reason}`)))),
    h("dl", { class: "facts" }, rows.filter(([, value]) => value).map(([name, value]) =>
      h("div", {}, h("dt", {}, name), h("dd", {}, value))))));
}

/** Where the time of each attempt went. */
function drawPhases(panel, job) {
  const attempts = job.task?.attempts ?? [];
  panel.hidden = attempts.length === 0;
  const time = (text) => (text ? Date.parse(text) : Date.now());
  const begin = Date.parse(job.createTime);
  const end = Math.max(begin + 1, ...attempts.map((attempt) => time(attempt.endTime)));
  const rows = attempts.flatMap((attempt, at) => {
    const placed = time(attempt.placeTime);
    const started = attempt.startTime ? time(attempt.startTime) : attempt.endTime ? time(attempt.endTime) : Date.now();
    const ended = time(attempt.endTime);
    const previous = at === 0 ? begin : time(attempts[at - 1].endTime);
    const outcome = attempt.endTime ? (attempt.exitCode === 0 ? "succeeded" : "failed") : "running";
    const parts = [["", previous - begin], ["queued", placed - previous], ["preparing", started - placed], [outcome, ended - started]];
    const track = h("div", { class: "track", role: "img", "aria-label": parts.slice(1).map(([name, ms]) => `${name} ${duration(ms)}`).join(", ") });
    for (const [name, ms] of parts) {
      if (ms <= 0) continue;
      const part = h("div", name ? { class: "phase", "data-phase": name, title: `${name} ${duration(ms)}` } : {});
      part.style.width = `${(100 * ms) / (end - begin)}%`;
      track.append(part);
    }
    const told = attempt.endTime ? `${word(attempt.endReason).replace("_", " ")}${attempt.exitCode === undefined ? "" : ` ${attempt.exitCode}`}` : word(attempt.state);
    return [h("span", {}, `Attempt ${attempt.number}`, h("span", { class: "soft" }, ` ${attempt.nodeName ?? ""}`)), track,
      h("span", { class: "soft number" }, `${told} · ${duration(ended - placed)}`)];
  });
  const names = [["queued", "Waiting"], ["preparing", "Image and container"], ["running", "Running"], ["succeeded", "Succeeded"], ["failed", "Failed"]];
  put(panel, h("h2", {}, attempts.length > 1 ? "Attempts" : "Where the time went"), h("div", { class: "phases" }, rows),
    h("ul", { class: "legend" }, names.map(([phase, name]) => h("li", {}, h("i", { class: "phase", "data-phase": phase }), name))));
}

async function drawTasks(box, job, query, signal) {
  const wanted = query.get("tasks") ?? "";
  const body = h("tbody");
  const more = h("button", { type: "button", hidden: true }, "More tasks");
  const address = (name) => `/jobs/${job.id}${name ? `?tasks=${name}` : ""}`;
  let token = "";
  const load = async () => {
    const states = wanted ? `TASK_STATE_${wanted}` : undefined;
    const page = await get(`/jobs/${job.id}/tasks`, { pageSize: 100, pageToken: token, states }, signal);
    body.append(...(page.tasks ?? []).map((task) => taskRow(job, task)));
    token = page.nextPageToken ?? "";
    more.hidden = token === "";
  };
  more.addEventListener("click", () => load().catch((error) => toast(error.message, "bad")));
  put(box, h("div", { class: "panel flush" },
    h("div", { class: "log-head" }, h("h2", {}, `${count(job.tasks?.total)} tasks`), h("span", { class: "grow" }),
      h("div", { class: "chips", role: "group", "aria-label": "State of tasks" }, TASK_STATES.map((name) =>
        h("a", { class: "button", href: address(name), "aria-current": name === wanted ? "true" : null }, name ? word(name) : "all")))),
    h("div", { class: "scroll short", tabindex: "0", role: "region", "aria-label": "Tasks" }, h("table", {},
      h("thead", {}, h("tr", {}, ["Task", "State", "Worker", "Attempts", "Time", "Exit", "Why"].map((name) => h("th", { scope: "col" }, name)))), body))),
  h("p", {}, more));
  await load();
}

function taskRow(job, task) {
  const last = task.attempts?.at(-1);
  return h("tr", {},
    h("td", {}, h("a", { href: `/jobs/${job.id}?task=${task.index ?? 0}` }, String(task.index ?? 0))),
    h("td", {}, state(task.state)), h("td", {}, last?.nodeName ?? ""), h("td", {}, String(last?.number ?? "")),
    h("td", {}, between(last?.startTime ?? null, last?.endTime)), h("td", {}, task.exitCode === undefined ? "" : String(task.exitCode)),
    h("td", { class: "wrap" }, task.message ?? ""));
}

async function save(id, task) {
  try {
    const url = URL.createObjectURL(await blob(`/jobs/${id}/output`, { taskIndex: task ?? undefined }));
    const link = h("a", { href: url, download: `job-${id}${task === null ? "" : `.${task}`}.log` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  } catch (error) {
    toast(error.message, "bad");
  }
}
