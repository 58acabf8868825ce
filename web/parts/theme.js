//! Light, dark, or what the system says.

const STORED = "swarm.theme";

/** @returns {string} auto, light or dark */
export function theme() {
  return localStorage.getItem(STORED) ?? "auto";
}

/** @param {string} wanted */
export function setTheme(wanted) {
  localStorage.setItem(STORED, wanted);
  applyTheme();
}

export function applyTheme() {
  document.documentElement.dataset.theme = theme();
}
