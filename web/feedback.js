/** Thumbs below an answer. A rating goes to the service with the question, the answer and the passages it was made from. */

import { rate } from "./api.js";
import { el, icon } from "./dom.js";
import { fromFault } from "./problems.js";

const LONGEST_COMMENT = 2000; // characters; the service takes no more

/** Returns the thumbs of `turn`, a finished answer. `changed()` is called after its rating was taken by the service. */
export function thumbs(turn, changed) {
  const note = el("p", { class: "aside", role: "status" });
  const place = el("div", { class: "comment-place" });
  const up = thumb("up", "Good answer");
  const down = thumb("down", "Bad answer");
  show();

  function thumb(rating, label) {
    const button = el("button", { type: "button", class: "quiet thumb", "aria-label": label, title: label }, icon(`thumb-${rating}`));
    button.addEventListener("click", () => choose(turn.rating === rating ? null : rating));
    return button;
  }

  /** Pressing the pressed thumb takes the rating back. */
  async function choose(rating) {
    const before = { rating: turn.rating ?? null, comment: turn.comment ?? "" };
    if (await send({ ...before, rating, comment: "" }, before) && rating === "down") comment();
    else place.replaceChildren();
  }

  /** Shows the new rating at once, and the old one again when the service does not take it. */
  async function send(after, before) {
    Object.assign(turn, after);
    show();
    try {
      await rate(turn);
    } catch (fault) {
      Object.assign(turn, before);
      show();
      note.textContent = `The rating was not kept. ${fromFault(fault).title}.`;
      return false;
    }
    note.textContent = after.comment ? "Thank you. Your comment was kept." : after.rating ? "Thank you." : "The rating was taken back.";
    changed();
    return true;
  }

  function comment() {
    const field = el("textarea", { rows: "2", maxlength: String(LONGEST_COMMENT), placeholder: "Optional" });
    const form = el("form", { class: "comment" },
      el("label", {}, "What was wrong with it?", field),
      el("button", { type: "submit", class: "secondary" }, "Send comment"));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const text = field.value.trim();
      const before = { rating: turn.rating, comment: turn.comment ?? "" };
      if (text && !(await send({ rating: "down", comment: text }, before))) return;
      place.replaceChildren();
      down.focus();
    });
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault(); // Escape leaves the form and does nothing else
      place.replaceChildren();
      down.focus();
    });
    place.replaceChildren(form);
    field.focus();
    form.scrollIntoView({ block: "nearest" }); // the button below the field too
  }

  function show() {
    up.setAttribute("aria-pressed", String(turn.rating === "up"));
    down.setAttribute("aria-pressed", String(turn.rating === "down"));
  }

  return { buttons: [up, down], below: [note, place] };
}
