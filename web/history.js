/** The drawer with the earlier chats of this browser. */

import { el, icon } from "./dom.js";
import { Drawer } from "./drawer.js";
import { title } from "./store.js";
import { ago } from "./times.js";

/** Lists the store's chats. `choose(chat)` opens one; `forgotten()` is called after chats were removed. */
export class History {
  #drawer;
  #store;
  #choose;
  #forgotten;
  #opener = null;

  constructor(dialog, store, choose, forgotten) {
    this.#drawer = new Drawer(dialog, { modal: true });
    this.#store = store;
    this.#choose = choose;
    this.#forgotten = forgotten;
  }

  /** Shows the chats; closing gives the focus back to `opener`. */
  open(opener) {
    this.#opener = opener;
    const chats = this.#store.all();
    const close = button("tool", "Close history", () => this.#drawer.close(), icon("close"));
    this.#drawer.open(opener,
      el("div", { class: "panel-head" }, el("h2", { id: "history-title", tabindex: "-1" }, "Earlier chats"), close),
      el("p", { class: "crumb" }, chats.length > 0 ? "Kept in this browser only." : "There are none yet. They are kept in this browser only."),
      el("ul", { class: "chats" }, ...chats.map((chat) => this.#entry(chat))),
      chats.length > 0 && button("secondary", null, () => this.#forget(() => this.#store.clear()), icon("trash"), "Forget all chats"));
  }

  /** Lists the chats anew if the drawer is open. */
  refresh() {
    if (this.#drawer.isOpen) this.open(this.#opener);
  }

  #entry(chat) {
    const name = title(chat);
    return el("li", {},
      button("chat", null, () => this.#open(chat), el("strong", {}, name), el("small", {}, ago(chat.updated))),
      button("tool", `Forget “${name}”`, () => this.#forget(() => this.#store.remove(chat.id)), icon("trash")));
  }

  #open(chat) {
    this.#drawer.close();
    this.#choose(this.#store.get(chat.id) ?? chat); // it may have gone on in another tab
  }

  #forget(remove) {
    remove();
    this.#forgotten();
    this.refresh();
  }
}

function button(style, label, click, ...children) {
  return el("button", { type: "button", class: style, "aria-label": label, title: label, onclick: click }, ...children);
}
