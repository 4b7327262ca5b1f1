/** The question field: Enter sends, Shift+Enter starts a new line, and the send button becomes a stop button while an answer comes. */

import { byId } from "./dom.js";

/** Calls `send(question)` and `stop()`. */
export class Composer {
  #field = byId("question");
  #send = byId("send");
  #stop = byId("stop");
  #busy = false;
  #ready = true;
  #ask;

  constructor(send, stop) {
    this.#ask = send;
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#stop.addEventListener("click", () => {
      this.focus(); // the stop button is about to vanish
      stop();
    });
    this.#field.addEventListener("input", () => this.#update());
    this.#field.addEventListener("keydown", (event) => this.#key(event));
    this.#update();
  }

  /** `busy`: an answer is coming. `ready`: the service can answer. */
  set({ busy = this.#busy, ready = this.#ready }) {
    this.#busy = busy;
    this.#ready = ready;
    this.#update();
  }

  focus() {
    this.#field.focus();
  }

  /** The field is as high as its text; browsers with `field-sizing` do that by themselves. */
  #fit() {
    if (CSS.supports("field-sizing", "content")) return;
    this.#field.style.height = "auto";
    this.#field.style.height = `${this.#field.scrollHeight}px`;
  }

  #key(event) {
    // While an input method composes a character, Enter belongs to it.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#submit();
  }

  #submit() {
    const question = this.#field.value.trim();
    if (!question || this.#busy || !this.#ready) return;
    this.#field.value = "";
    this.#update();
    this.#ask(question);
  }

  #update() {
    const focused = document.activeElement;
    this.#send.hidden = this.#busy;
    this.#stop.hidden = !this.#busy;
    this.#fit();
    this.#send.disabled = !this.#ready || this.#field.value.trim() === "";
    if (focused === this.#send && (this.#send.hidden || this.#send.disabled)) this.focus();
    if (focused === this.#stop && this.#stop.hidden) this.focus();
  }
}
