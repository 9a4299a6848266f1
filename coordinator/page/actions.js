// What a person does to jobs and nodes: asked about where it ends something, told when done.

import { post, requestId } from "./api.js";
import { confirmed, toast } from "./dom.js";

const VERBS = {
  stop: { title: "Stop", done: "asked to stop", text: "The stop signal is sent, and SIGKILL after the grace time." },
  kill: { title: "Kill", done: "killed", text: "SIGKILL is sent at once: there is no time to clean up." },
  retry: { title: "Run again", done: "submitted again" },
  delete: { title: "Delete", done: "deleted", text: "The record goes. Its log is kept as long as logs are kept." },
};

/** Does `verb` to jobs; resolves to the answers, or to null if the person changed their mind. */
export async function act(verb, ids) {
  const { title, text, done } = VERBS[verb];
  const what = ids.length === 1 ? `job ${ids[0]}` : `${ids.length} jobs`;
  if (text && !(await confirmed(`${title} ${what}?`, text, title))) return null;
  const answers = await Promise.allSettled(
    ids.map((id) => post(`/jobs/${encodeURIComponent(id)}/${verb}`, verb === "delete" ? {} : { requestId: requestId() })));
  const failed = answers.map((answer, at) => [answer, ids[at]]).filter(([answer]) => answer.status === "rejected");
  for (const [answer, id] of failed.slice(0, 3)) toast(`Job ${id}: ${answer.reason.message}`, "bad");
  if (failed.length < ids.length) {
    const good = ids.length - failed.length;
    toast(`${good === 1 && ids.length === 1 ? `Job ${ids[0]}` : `${good} ${good === 1 ? "job" : "jobs"}`} ${done}`);
  }
  return answers.filter((answer) => answer.status === "fulfilled").map((answer) => answer.value);
}

/** Drains a node, or gives it work again. */
export async function drain(node) {
  const verb = node.draining ? "resume" : "drain";
  const text = "It gets no new work; what runs there goes on to its end.";
  if (verb === "drain" && !(await confirmed(`Drain ${node.displayName}?`, text, "Drain"))) return;
  try {
    await post(`/nodes/${encodeURIComponent(node.id)}/${verb}`, { requestId: requestId() });
    toast(`${node.displayName} ${verb === "drain" ? "takes no new work" : "takes work again"}`);
  } catch (error) {
    toast(error.message, "bad");
  }
}
