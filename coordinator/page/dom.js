// Elements out of plain calls. Text only ever becomes text nodes, and what could hide or turn text is shown.

// C0 and C1 controls, bidirectional controls, separators of lines and paragraphs, invisible joiners.
const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Text in which nothing is invisible: ESC becomes `\x1b`. */
export function harmless(text) {
  return String(text).replace(UNSAFE, shown);
}

/** A control character as text. */
export function shown(character) {
  const code = character.codePointAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
}

const PROPERTIES = new Set(["value", "checked", "disabled", "indeterminate", "hidden", "open"]);

/** An element with attributes, listeners (`onclick`) and children; strings become text. */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else if (value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  put(element, ...children);
  return element;
}

/** An SVG element with attributes and children. */
export function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes ?? {})) element.setAttribute(name, String(value));
  element.append(...children.map((child) => (child instanceof Node ? child : harmless(child))));
  return element;
}

/** Replaces what an element holds. */
export function put(element, ...children) {
  const nodes = children.flat(3).filter((child) => child !== null && child !== undefined && child !== false);
  element.replaceChildren(...nodes.map((child) => (child instanceof Node ? child : harmless(child))));
}

/** Says something that passes. */
export function toast(text, tone) {
  const note = h("div", { class: "toast", "data-tone": tone ?? "good" }, text);
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), tone === "bad" ? 9000 : 4000);
}

/** Asks before something that cannot be taken back; resolves to whether it is to be done. */
export function confirmed(title, text, action) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { "aria-labelledby": "ask" });
    const close = (answer) => {
      dialog.close();
      dialog.remove();
      resolve(answer);
    };
    put(dialog,
      h("h2", { id: "ask" }, title),
      h("p", {}, text),
      h("div", { class: "row-end" },
        h("button", { type: "button", onclick: () => close(false) }, "Cancel"),
        h("button", { type: "button", class: "primary", onclick: () => close(true) }, action)));
    dialog.addEventListener("cancel", () => close(false));
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Puts an address into the clipboard, or shows it where the browser does not allow that. */
export async function copied(address) {
  try {
    await navigator.clipboard.writeText(address);
    toast("The link is in the clipboard");
  } catch {
    toast(address);
  }
}
