/** Two dialogs: one asks whether an act is meant and why, one asks for the operator's key. */

import { el } from "./dom.js";

/** Asks whether an act is meant. Returns the reason that was given, or null when it is not. */
export function confirmAct(dialog, { title, text, button }) {
  const reason = el("input", { id: "confirm-reason", type: "text", maxlength: "200", autocomplete: "off", required: true });
  return ask(dialog, title, "confirm-title", button, reason, [
    el("p", {}, text),
    el("label", { class: "field", for: "confirm-reason" }, "Why ", el("span", {}, "is kept in the record")),
    reason,
  ]);
}

/** Asks for the key. Returns it, or null when none is given. `detail` is what the app said. */
export function askKey(dialog, detail) {
  const key = el("input", { id: "key-value", type: "password", autocomplete: "off", required: true });
  return ask(dialog, "Operators only", "key-title", "Use this key", key, [
    el("p", {}, `${detail} Recovery is for those who have the app's function key, or its operator role.`),
    el("label", { class: "field", for: "key-value" }, "Function key ", el("span", {}, "is forgotten when this tab is closed")),
    key,
  ]);
}

function ask(dialog, title, id, button, input, content) {
  return new Promise((resolve) => {
    let given = null;
    const form = el("form", {
      onsubmit: (event) => {
        event.preventDefault();
        given = input.value.trim();
        if (given) dialog.close();
      },
    }, el("h2", { id }, title), ...content, el("p", { class: "buttons" },
      el("button", { class: "act", type: "submit" }, button),
      el("button", { class: "quiet", type: "button", onclick: () => dialog.close() }, "Not now")));
    dialog.replaceChildren(form);
    const closed = () => {
      if (dialog.open) return; // the event of an earlier closing, which comes when the dialog is open again
      dialog.removeEventListener("close", closed);
      resolve(given || null);
    };
    dialog.addEventListener("close", closed);
    dialog.showModal();
    input.focus();
  });
}
