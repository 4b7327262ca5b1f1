/** The chat page: joins the parts. */

import { suggestions } from "./api.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { byId, el } from "./dom.js";
import { History } from "./history.js";
import { Panel } from "./panel.js";
import { remembered } from "./preferences.js";
import { Follower } from "./scroll.js";
import { StatusWatch } from "./status.js";
import { Store } from "./store.js";

let ready = true;

const store = new Store();
const follower = new Follower(byId("scroll"), byId("latest"));
const panel = new Panel(byId("panel"));
const followUps = remembered(byId("follow-ups"), "warmlake.follow-ups");
const conversation = new Conversation(byId("turns"), store, {
  open: (citation, opener) => panel.open(citation, opener),
  next: (question) => ask(question),
  followUps: () => followUps.checked,
  announce: (text) => { byId("announcer").textContent = text; },
  changed: ({ busy, empty }) => {
    byId("welcome").hidden = !empty;
    composer.set({ busy });
    follower.follow({ empty });
  },
});
const composer = new Composer(ask, () => conversation.stop());
const history = new History(byId("history"), store, show, () => conversation.leaveForgotten());
const watch = new StatusWatch((state) => {
  ready = state.ready;
  composer.set({ ready });
  byId("suggestions").querySelectorAll("button").forEach((button) => { button.disabled = !ready; });
});

function ask(question) {
  panel.close();
  follower.stick();
  return conversation.ask(question);
}

function show(chat) {
  panel.close();
  conversation.load(chat);
  follower.stick();
  composer.focus();
}

function begin() {
  panel.close();
  conversation.clear();
  composer.focus();
}

async function suggest() {
  const questions = await suggestions();
  const buttons = questions.map((question) =>
    el("li", {}, el("button", { type: "button", disabled: !ready, onclick: () => ask(question) }, question)));
  byId("suggestions").replaceChildren(...buttons);
  byId("suggestions").hidden = buttons.length === 0;
}

byId("new-chat").addEventListener("click", begin);
byId("open-history").addEventListener("click", (event) => history.open(event.currentTarget));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  if (panel.isOpen) panel.close();
  else conversation.stop();
});

store.watch(() => {
  conversation.leaveForgotten();
  history.refresh();
});

const last = store.all()[0];
if (last) show(last);
watch.look();
suggest();
