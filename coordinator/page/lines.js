// Bytes of a job's output, as they come, to lines: per attempt and stream, whatever the pieces are cut into.
//
// The place of a line is `attempt.stream.offset`: it stays the same whatever else is shown.

/** Longest line that is kept whole: the rest of it is counted and can be downloaded. */
const LONGEST = 64 * 1024;

/** Puts lines together and hands them to `add(line)`; a line that goes on is changed in place and told by `changed()`. */
export class Lines {
  constructor(add) {
    this.add = add;
    this.streams = new Map();
  }

  /** A step of a tail. */
  take(step) {
    if (step.batch) for (const record of step.batch.records ?? []) this.record(step.batch.attempt, record);
    if (step.begin) this.note(step.begin.attempt, `attempt ${name(step.begin.attempt)}${step.begin.nodeName ? ` on ${step.begin.nodeName}` : ""}`);
    if (step.end) for (const mark of step.end.end?.marks ?? []) this.note(step.end.attempt, marked(mark));
  }

  note(attempt, text) {
    for (const key of [...this.streams.keys()]) if (key.startsWith(`${name(attempt)}/`)) this.streams.delete(key);
    this.add({ kind: "note", text, time: "", stream: "" });
  }

  record(attempt, record) {
    const isError = record.stream === "LOG_STREAM_STDERR";
    const key = `${name(attempt)}/${isError ? "err" : "out"}`;
    let stream = this.streams.get(key);
    if (!stream) {
      stream = { decoder: new TextDecoder("utf-8", { ignoreBOM: true }), line: null };
      this.streams.set(key, stream);
    }
    const bytes = raw(record.data);
    const begin = Number(record.offset ?? 0);
    let from = 0;
    while (from < bytes.length) {
      const to = bytes.indexOf(0x0a, from);
      const part = stream.decoder.decode(bytes.subarray(from, to < 0 ? bytes.length : to), { stream: to < 0 });
      this.append(stream, part, record.time, isError, `${attempt?.attempt ?? 0}.${isError ? "err" : "out"}.${begin + from}`);
      if (to < 0) break;
      if (stream.line.text.endsWith("\r")) stream.line.text = stream.line.text.slice(0, -1);
      stream.line = null;
      from = to + 1;
    }
  }

  append(stream, part, time, isError, place) {
    if (!stream.line) {
      stream.line = { kind: "line", text: "", time, stream: isError ? "err" : "out", left: 0, place };
      this.add(stream.line);
    }
    const room = LONGEST - stream.line.text.length;
    stream.line.text += part.slice(0, Math.max(0, room));
    stream.line.left += Math.max(0, part.length - room);
  }
}

function name(attempt) {
  return `${attempt?.jobId ?? ""}.${attempt?.taskIndex ?? 0}.${attempt?.attempt ?? ""}`;
}

function marked(mark) {
  const stream = mark.stream === "LOG_STREAM_STDERR" ? "stderr" : mark.stream === "LOG_STREAM_STDOUT" ? "stdout" : "the output";
  if (mark.kind === "KIND_TRUNCATED") return `${stream} went on past its limit and was not kept from here on`;
  if (mark.kind === "KIND_GAP") return `bytes ${mark.offset ?? 0} to ${mark.gapEnd ?? 0} of ${stream} are missing: ${mark.reason ?? ""}`;
  return `${stream} may differ from what the container wrote: ${mark.reason ?? ""}`;
}

function raw(base64) {
  const text = atob(base64 ?? "");
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
}
