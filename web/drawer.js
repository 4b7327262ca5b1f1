/** A drawer: a dialog beside the chat on a wide screen, a modal sheet from below on a narrow one. */

import { byId } from "./dom.js";

const narrow = matchMedia("(max-width: 60rem)");

/** Opens and closes one `dialog` element and gives the focus back to what opened it. */
export class Drawer {
  #dialog;
  #modal;
  #opener = null;

  /** `modal`: always modal, also on a wide screen. */
  constructor(dialog, { modal = false } = {}) {
    this.#dialog = dialog;
    this.#modal = modal;
    dialog.addEventListener("close", () => this.#closed());
    dialog.addEventListener("click", (event) => event.target === dialog && this.#isModal() && this.close());
    dialog.addEventListener("keydown", (event) => this.#key(event));
    narrow.addEventListener("change", () => this.#reopen());
  }

  get isOpen() {
    return this.#dialog.open;
  }

  /** Shows `nodes`; the focus goes to the first heading in them. */
  open(opener, ...nodes) {
    this.#dialog.replaceChildren(...nodes.filter(Boolean));
    this.#opener = opener;
    if (!this.#dialog.open) this.#show();
    this.#dialog.scrollTop = 0;
    this.#dialog.querySelector("h2").focus();
  }

  close() {
    if (this.#dialog.open) this.#dialog.close();
  }

  /** Escape closes the drawer and does nothing else: it must not stop an answer as well. */
  #key(event) {
    if (event.key !== "Escape") return;
    event.preventDefault();
    this.close();
  }

  #isModal() {
    return this.#modal || narrow.matches;
  }

  #show() {
    if (this.#isModal()) this.#dialog.showModal();
    else this.#dialog.show();
    document.body.classList.toggle("beside", !this.#isModal());
  }

  /** A dialog cannot change between beside and modal while it is open. */
  #reopen() {
    if (!this.#dialog.open || this.#modal) return;
    const opener = this.#opener;
    this.#opener = null;
    this.#dialog.close();
    this.#show();
    this.#opener = opener;
  }

  #closed() {
    if (this.#dialog.open) return; // reopened before the event arrived
    document.body.classList.toggle("beside", false);
    // What opened it may have been replaced while the answer grew.
    (this.#opener?.isConnected ? this.#opener : byId("question")).focus();
    this.#opener = null;
  }
}
