// Answers are judged by single keys: `data-key` names that of a button or a link. They are off while somebody writes, and can be put off.
"use strict";
(() => {
  const keys = document.getElementById("keys");
  let isOn = sessionStorage.getItem("keys") !== "off";
  const show = () => { keys.setAttribute("aria-pressed", String(isOn)); keys.textContent = isOn ? "Keys are on" : "Keys are off"; };
  keys.hidden = false;
  show();
  keys.addEventListener("click", () => { isOn = !isOn; sessionStorage.setItem("keys", isOn ? "on" : "off"); show(); });
  document.addEventListener("keydown", (event) => {
    if (!isOn || event.ctrlKey || event.altKey || event.metaKey || event.repeat || event.target.closest("input, textarea, select")) return;
    if (event.key === "c") { event.preventDefault(); document.getElementById("f-comment").focus(); return; }
    const found = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (found) { event.preventDefault(); found.click(); }
  });
})();
