// Loaded before the first paint, so that a page in the chosen theme never flashes in the other one.
"use strict";

(() => {
  const KEY = "warmlake.theme";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");

  function stored() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage is blocked: the system's theme holds
    }
  }

  function remember(theme) {
    try {
      localStorage.setItem(KEY, theme);
    } catch (fault) {
      console.info("The theme is kept for this page only.", fault.name);
    }
  }

  function current() {
    return root.dataset.theme ?? (system.matches ? "dark" : "light");
  }

  function label() {
    const other = current() === "dark" ? "light" : "dark";
    const button = document.getElementById("theme");
    button.setAttribute("aria-label", `Switch to the ${other} theme`);
    button.title = `Switch to the ${other} theme`;
  }

  const chosen = stored();
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;

  addEventListener("DOMContentLoaded", () => {
    label();
    system.addEventListener("change", label);
    document.getElementById("theme").addEventListener("click", () => {
      root.dataset.theme = current() === "dark" ? "light" : "dark";
      remember(root.dataset.theme);
      label();
    });
  });
})();
