/** Keeps the end of the conversation in view while an answer grows, unless the reader has scrolled away from it. */

const NEAR = 80; // pixels from the end that still count as being there

export class Follower {
  #area;
  #button;
  #stuck = true;
  #used = false;

  /** `area` scrolls; `button` brings the reader back to the end. */
  constructor(area, button) {
    this.#area = area;
    this.#button = button;
    area.addEventListener("scroll", () => this.#look(), { passive: true });
    button.addEventListener("click", () => this.stick());
    new ResizeObserver(() => this.follow()).observe(area);
  }

  /** Goes to the end, and stays there from now on. */
  stick() {
    this.#stuck = true;
    this.follow();
  }

  /** Call after something changed. Without a conversation there is no end to follow: the welcome is read from its beginning. */
  follow({ empty = !this.#used } = {}) {
    if (empty && this.#used) this.#area.scrollTop = 0;
    if (!empty && this.#stuck) this.#area.scrollTop = this.#area.scrollHeight;
    this.#used = !empty;
    this.#show();
  }

  #look() {
    this.#stuck = this.#rest() < NEAR;
    this.#show();
  }

  #show() {
    this.#button.hidden = !this.#used || this.#rest() < NEAR;
  }

  #rest() {
    return this.#area.scrollHeight - this.#area.scrollTop - this.#area.clientHeight;
  }
}
