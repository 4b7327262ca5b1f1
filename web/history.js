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

  constructor(dialog, store, choose, forgotten) {
    this.#drawer = new Drawer(dialog, { modal: true });
    this.#store = store;
    this.#choose = choose;
    this.#forgotten = forgotten;
  }

  open(opener) {
    const chats = this.#store.all();
    const close = button("tool", "Close history", () => this.#drawer.close(), icon("close"));
    this.#drawer.open(opener,
      el("div", { class: "panel-head" }, el("h2", { id: "history-title", tabindex: "-1" }, "Earlier chats"), close),
      el("p", { class: "crumb" }, chats.length > 0 ? "Kept in this browser only." : "There are none yet. They are kept in this browser only."),
      el("ul", { class: "chats" }, ...chats.map((chat) => this.#entry(chat, opener))),
      chats.length > 0 && button("secondary", null, () => this.#forget(opener, () => this.#store.clear()), icon("trash"), "Forget all chats"));
  }

  #entry(chat, opener) {
    const name = title(chat);
    return el("li", {},
      button("chat", null, () => this.#open(chat), el("strong", {}, name), el("small", {}, ago(chat.updated))),
      button("tool", `Forget “${name}”`, () => this.#forget(opener, () => this.#store.remove(chat.id)), icon("trash")));
  }

  #open(chat) {
    this.#drawer.close();
    this.#choose(chat);
  }

  #forget(opener, remove) {
    remove();
    this.#forgotten();
    this.open(opener);
  }
}

function button(style, label, click, ...children) {
  return el("button", { type: "button", class: style, "aria-label": label, title: label, onclick: click }, ...children);
}
