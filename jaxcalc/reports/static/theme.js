// Before anything is painted: scripts are there, and the theme that was chosen.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("scripted");
  try {
    const chosen = localStorage.getItem("jaxcalc-theme");
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  } catch {
    // A page that is a file may have no storage; then the theme lasts as long as it.
  }
})();
