// Values of the API as people read them.

import { h } from "./dom.js";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** 1536 becomes `1.5 KiB`. */
export function bytes(count) {
  let value = Number(count ?? 0);
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1).replace(/\.0$/, "")} ${UNITS[unit]}`;
}

/** 1500 becomes `1.5` cores. */
export function cores(millis) {
  return (Number(millis ?? 0) / 1000).toFixed(2).replace(/\.?0+$/, "");
}

export function count(number) {
  return Number(number ?? 0).toLocaleString("en");
}

/** Milliseconds as the two largest units. */
export function duration(milliseconds) {
  if (milliseconds === null || Number.isNaN(milliseconds)) return "";
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const whole = Math.floor(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${String(whole % 60).padStart(2, "0")} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} m`;
  return `${Math.floor(whole / 86400)} d ${String(Math.floor((whole % 86400) / 3600)).padStart(2, "0")} h`;
}

/** `90.5s` of the API in milliseconds. */
export function span(text) {
  return text ? Number(text.slice(0, -1)) * 1000 : 0;
}

const moment = (time) => (time ? Date.parse(time) : null);

/** A moment as `<time>`: the time of day today, else the date; the whole of it when pointed at. */
export function when(time) {
  if (!time) return "";
  const date = new Date(time);
  const today = new Date().toDateString() === date.toDateString();
  const clock = date.toLocaleTimeString("en-GB");
  const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  return h("time", { datetime: time, title: date.toISOString() }, today ? clock : `${day} ${clock.slice(0, 5)}`);
}

/** The time between two moments; up to now without the second. */
export function between(from, to) {
  return from ? duration((moment(to) ?? Date.now()) - moment(from)) : "";
}

const TONES = {
  queued: "wait", placed: "run", pulling: "run", starting: "run", running: "run", stopping: "warn", unknown: "warn",
  succeeded: "good", failed: "bad", cancelled: "off", active: "run",
  ready: "good", not_ready: "warn", silent: "bad", lost: "bad", draining: "warn",
};

/** `TASK_STATE_RUNNING` becomes `running`. */
export function word(name) {
  return String(name ?? "").replace(/^(TASK_STATE|END_REASON|STATE|LOG_STREAM)_/, "").toLowerCase();
}

/** A state as a dot and a word. */
export function state(name) {
  const plain = word(name);
  return h("span", { class: "state", "data-tone": TONES[plain] ?? "off" }, plain.replace("_", " "));
}

/** The state that tells most about a job: that of its one task while it is active. */
export function jobState(job) {
  if (job.state !== "STATE_ACTIVE") return job.state;
  if (job.stopRequested) return "stopping";
  if (job.task) return job.task.state;
  const tasks = job.tasks ?? {};
  return tasks.running ? "running" : tasks.starting ? "starting" : tasks.unknown ? "unknown" : "queued";
}

/** What a job runs, on one line. */
export function command(spec) {
  const text = spec?.command?.script?.text ?? spec?.command?.argv?.args?.join(" ") ?? "";
  return text.replace(/\s*\n\s*/g, " ⏎ ");
}

export function jobName(job) {
  return job.spec?.name ? `${job.id} · ${job.spec.name}` : `${job.id}`;
}

/** The last attempt of a plain job. */
export function lastAttempt(job) {
  return job.task?.attempts?.at(-1);
}
