/** Keeps the end of the conversation in view while an answer grows, unless the reader has scrolled away from it. */

const NEAR = 80; // pixels from the end that still count as being there

export class Follower {
  #area;
  #button;
  #stuck = true;

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

  /** Call after something was added. */
  follow() {
    if (this.#stuck) this.#area.scrollTop = this.#area.scrollHeight;
    this.#show();
  }

  #look() {
    this.#stuck = this.#rest() < NEAR;
    this.#show();
  }

  #show() {
    this.#button.hidden = this.#rest() < NEAR;
  }

  #rest() {
    return this.#area.scrollHeight - this.#area.scrollTop - this.#area.clientHeight;
  }
}
