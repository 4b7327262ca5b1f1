/** One turn of the conversation on the page: a question, or an answer that grows. */

import { asText, chip, doubt, sources } from "./citations.js";
import { el, icon } from "./dom.js";
import { claims } from "./evidence.js";
import { thumbs } from "./feedback.js";
import { DOUBT } from "./inline.js";
import { render } from "./markdown.js";

/** Returns the node of a question. */
export function questionNode(content) {
  return el("article", { class: "turn asked" }, el("h2", { class: "unseen" }, "You asked"), el("p", {}, content));
}

/**
 * The node of an answer, and what may change in it. `open(citation, opener)` shows a citation; `retry()` asks again; `next(question)`
 * asks a further question; `rated(turn)` is called after the reader rated the answer.
 */
export class AnswerView {
  #open;
  #retry;
  #next;
  #rated;
  #body = el("div", { class: "prose" });
  #below = el("div", { class: "below" });
  #timer = 0;
  node = el("article", { class: "turn answered" }, el("h2", { class: "unseen" }, "Answer"), this.#body, this.#below);

  constructor({ open, retry, next, rated }) {
    this.#open = open;
    this.#retry = retry;
    this.#next = next;
    this.#rated = rated;
  }

  /** Shows that the documents are being searched. */
  wait() {
    this.node.setAttribute("aria-busy", "true");
    this.#waiting("Searching the documents");
  }

  #waiting(text) {
    this.#below.replaceChildren(el("p", { class: "waiting" }, el("span", { class: "pulse" }), text));
  }

  /** Shows what has arrived of `turn`. */
  grow(turn) {
    if (!turn.content) {
      if (turn.citations.length > 0) this.#waiting(`Reading ${turn.citations.length} passages`);
      return;
    }
    this.node.classList.add("growing");
    this.#below.replaceChildren();
    this.#render(turn);
  }

  /** Shows the end of `turn`: its sources and actions; for a stop or a failure, the sentence that says so. */
  finish(turn) {
    this.node.classList.remove("growing");
    this.node.removeAttribute("aria-busy");
    this.#render(turn);
    const rating = turn.state === "done" && turn.content && turn.id ? thumbs(turn, () => this.#rated(turn)) : { buttons: [], below: [] };
    this.#below.replaceChildren(...[
      turn.state === "failed" && this.#failure(turn.problem),
      turn.state === "stopped" && el("p", { class: "aside" }, turn.content ? "Stopped before the end." : "Stopped before an answer came."),
      ...remarks(turn),
      sources(turn.citations, this.#opens(turn)),
      searchedFor(turn),
      el("div", { class: "actions" }, ...this.#actions(turn), ...rating.buttons),
      ...rating.below,
      furtherQuestions(turn, this.#next),
    ].filter(Boolean));
  }

  /** Returns the text of the finished blocks after `from`, for screen readers, and how many there are now. */
  spoken(from, all) {
    const blocks = [...this.#body.children].slice(0, all ? undefined : -1);
    return { text: blocks.slice(from).map(spokenText).join(" "), count: blocks.length };
  }

  #render(turn) {
    const known = new Map(turn.citations.map((citation) => [citation.n, citation]));
    const mark = (n) => n === DOUBT ? doubt() : known.has(n) ? chip(known.get(n), this.#opens(turn)) : null;
    render(this.#body, turn.content, { chip: mark, links: true });
  }

  /** Whoever opens a source wants to see where it says what the answer says. */
  #opens(turn) {
    return (citation, opener) => this.#open({ ...citation, claims: claims(turn.content, citation.n) }, opener);
  }

  #actions(turn) {
    const buttons = [];
    if (turn.content && navigator.clipboard) buttons.push(copyButton(turn));
    if (turn.state === "stopped") buttons.push(el("button", { type: "button", class: "quiet", onclick: this.#retry }, icon("retry"), "Ask again"));
    return buttons;
  }

  #failure(problem) {
    const again = el("button", { type: "button", class: "secondary", onclick: this.#retry }, icon("retry"), "Try again");
    if (problem.retryAfter) this.#countDown(again, Date.now() + problem.retryAfter * 1000);
    return el("div", { class: "failure", role: "alert" }, icon("alert"),
      el("div", {}, el("strong", {}, `${problem.title}.`), problem.detail && el("p", {}, problem.detail), again));
  }

  /** The service said how long to wait; until then, asking again would only be refused again. */
  #countDown(again, until) {
    const label = again.lastChild;
    const tick = () => {
      const left = Math.ceil((until - Date.now()) / 1000);
      again.disabled = left > 0;
      label.textContent = left > 0 ? `Try again in ${left} s` : "Try again";
      if (left <= 0 || (this.#timer && !again.isConnected)) clearInterval(this.#timer);
    };
    tick();
    this.#timer = setInterval(tick, 1000);
  }
}

/** Returns what the reader must know of an answer that is not whole, or not borne out by the passages. */
function remarks(turn) {
  return [
    turn.truncated && "The answer ended at its limit of length or time.",
    turn.unsupported > 0 && "No passage that was found says what stands before a question mark in brackets.",
  ].filter(Boolean).map((text) => el("p", { class: "aside remark" }, icon("alert"), text));
}

/** Only the last answer shows its further questions: those of the others belong to a conversation that went on. */
function furtherQuestions(turn, ask) {
  const questions = (turn.state === "done" && Array.isArray(turn.followUps) ? turn.followUps : []).map(String);
  if (questions.length === 0) return null;
  return el("div", { class: "further", role: "group", "aria-label": "Further questions" },
    ...questions.map((question) => el("button", { type: "button", class: "secondary", onclick: () => ask(question) }, question)));
}

function searchedFor(turn) {
  const differs = turn.query && turn.query.trim().toLowerCase() !== turn.question?.trim().toLowerCase();
  return differs && turn.state === "done" && el("p", { class: "aside" }, `Searched for: ${turn.query}`);
}

function copyButton(turn) {
  const label = el("span", {}, "Copy");
  const button = el("button", { type: "button", class: "quiet", "aria-label": "Copy answer" }, icon("copy"), label);
  button.addEventListener("click", async () => {
    const copied = await navigator.clipboard.writeText(asText(turn.content, turn.citations)).then(() => true, () => false);
    label.textContent = copied ? "Copied" : "The browser did not allow it";
    button.setAttribute("aria-label", label.textContent);
    setTimeout(() => {
      label.textContent = "Copy";
      button.setAttribute("aria-label", "Copy answer");
    }, 2000);
  });
  return button;
}

/** Chips are left out: a number in mid-sentence says nothing to the ear; the sources are announced at the end. */
function spokenText(node) {
  const copy = node.cloneNode(true);
  copy.querySelectorAll(".chip:not(.doubt)").forEach((button) => button.remove());
  return copy.textContent;
}
