/** Choices that this browser remembers. */

/** Makes `box`, a checkbox, keep its state under `key`. Where storage is blocked it lasts as long as the page. */
export function remembered(box, key) {
  try {
    box.checked = localStorage.getItem(key) === "on";
  } catch {
    return box; // storage is blocked
  }
  box.addEventListener("change", () => localStorage.setItem(key, box.checked ? "on" : "off"));
  return box;
}
