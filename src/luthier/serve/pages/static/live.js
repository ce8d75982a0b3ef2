// Parts of a page that change by themselves. `<section id="ID" data-live="SECONDS">` is fetched anew from `data-from`, or from the page's
// own address, and put in place while it says so; without this script a reload shows the same. What its `data-say` says is told to those
// who hear the page. `[data-pause]` stops and goes on. `[data-follow]` is scrolled to its end.
"use strict";
(() => {
  const said = document.getElementById("said");
  const pause = document.querySelector("[data-pause]");
  let isPaused = false;

  const say = (words) => {
    if (said && words && said.textContent !== words) said.textContent = words;
  };

  // What grows at its end is shown there, but to who has scrolled away from it.
  const end = (box) => { box.scrollTop = box.scrollHeight; };
  const isAtEnd = (box) => box.scrollHeight - box.scrollTop - box.clientHeight < 30;

  // What a person has opened and marked, and where they are, stays as it is.
  const replace = (old, fresh) => {
    const opened = [...old.querySelectorAll("details[open][id]")].map((one) => one.id);
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    for (const id of opened) fresh.querySelector(`#${CSS.escape(id)}`)?.setAttribute("open", "");
    for (const one of old.querySelectorAll("input[type=checkbox]")) {
      const same = `input[name="${CSS.escape(one.name)}"][value="${CSS.escape(one.value)}"]`;
      fresh.querySelectorAll(same).forEach((other) => (other.checked = one.checked));
    }
    const places = [...old.querySelectorAll("[data-follow][id]")].map((box) => [box.id, isAtEnd(box), box.scrollTop]);
    old.replaceWith(fresh);
    for (const [id, wasAtEnd, top] of places) {
      const box = document.getElementById(id);
      if (box && wasAtEnd) end(box);
      else if (box) box.scrollTop = top;
    }
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  };

  const fetched = async (part) => {
    const answer = await fetch(part.dataset.from || location.href, { redirect: "manual", cache: "no-store" });
    if (answer.type === "opaqueredirect") location.reload(); // The session has ended.
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    return page.getElementById(part.id);
  };

  const follow = (id) => {
    let failures = 0;
    const again = async () => {
      const part = document.getElementById(id);
      if (!part || !part.dataset.live) return;
      if (!isPaused && !document.hidden) {
        try {
          const fresh = await fetched(part);
          if (failures) say("The server answers again.");
          failures = 0;
          if (fresh && fresh.outerHTML !== part.outerHTML) {
            say(fresh.dataset.say);
            replace(part, fresh);
          }
        } catch {
          failures += 1;
          if (failures === 3) say("The server does not answer; this page tries again.");
        }
      }
      next();
    };
    const next = () => {
      const seconds = Number(document.getElementById(id)?.dataset.live);
      if (seconds) setTimeout(again, 1000 * seconds * Math.min(8, 1 + failures));
    };
    next();
  };

  document.querySelectorAll("[data-follow]").forEach(end);
  const live = [...document.querySelectorAll("[data-live][id]")];
  live.forEach((part) => follow(part.id));
  if (pause && live.length) {
    pause.hidden = false;
    pause.addEventListener("click", () => {
      isPaused = !isPaused;
      pause.setAttribute("aria-pressed", String(isPaused));
      say(isPaused ? "Updates are paused." : "Updates go on.");
    });
  }
  // A form that was sent and is not right: whoever uses the keyboard starts at what is wrong; and at what was asked for where it is shown.
  (document.getElementById("problems") ?? document.getElementById("preview"))?.focus();
})();
