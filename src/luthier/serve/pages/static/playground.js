// Answers of the playground as they come. Without this script the form is posted, and the page comes back with whole answers.
"use strict";
(() => {
  const form = document.getElementById("ask");
  if (!form || !window.ReadableStream) return;
  const answers = document.getElementById("answers");
  const button = document.getElementById("ask-now");
  const stop = document.getElementById("stop");
  const said = document.getElementById("said");
  let running = null;

  const events = async function* (answer) {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      const parts = rest.split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        const name = /^event: (.*)$/m.exec(part);
        const data = /^data: (.*)$/m.exec(part);
        if (data) yield [name ? name[1] : "", JSON.parse(data[1])];
      }
    }
  };

  const coming = (title) => {
    const card = document.getElementById("coming").content.cloneNode(true).firstElementChild;
    card.querySelector("h3").textContent = title;
    answers.append(card);
    return card;
  };

  const refused = (card, words) => {
    card.removeAttribute("aria-busy");
    const state = card.querySelector("[data-state]");
    if (state) { state.className = "problems"; state.textContent = words; }
  };

  const ask = async (which, title, signal) => {
    const card = coming(title);
    const body = new URLSearchParams(new FormData(form));
    body.set("which", which);
    try {
      const answer = await fetch(form.dataset.stream, { method: "POST", body, signal, redirect: "manual" });
      if (answer.type === "opaqueredirect") return location.reload(); // The session has ended.
      if (!answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        return refused(card, page.querySelector(".message")?.textContent || "The server does not answer.");
      }
      const text = card.querySelector("pre");
      const state = card.querySelector("[data-state]");
      for await (const [name, told] of events(answer)) {
        if (name === "sources") state.textContent = told.sources ? `Shown ${told.sources === 1 ? "1 source" : `${told.sources} sources`}…` : "It is answering…";
        else if (name === "token") text.textContent += told.text;
        else if (name === "card") {
          const fresh = new DOMParser().parseFromString(told.html, "text/html").querySelector("[data-card]");
          if (fresh) card.replaceWith(document.adoptNode(fresh));
        } else if (told.error) refused(card, told.error.message);
      }
    } catch (error) {
      refused(card, error.name === "AbortError" ? "Stopped." : "The server does not answer; ask once more.");
    }
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    running?.abort();
    const mine = running = new AbortController();
    document.getElementById("problems")?.remove();
    answers.replaceChildren();
    button.setAttribute("aria-disabled", "true");
    stop.hidden = false;
    said.textContent = "It is being asked.";
    const title = (id) => { const one = document.getElementById(id).selectedOptions[0]; return one.value ? one.textContent : one.textContent.replace(/^the default: /, ""); };
    const asked = [ask("first", title("f-model"), mine.signal)];
    if (document.getElementById("f-compare_with").value) asked.push(ask("second", title("f-compare_with"), mine.signal));
    await Promise.all(asked);
    if (running !== mine) return;
    running = null;
    button.removeAttribute("aria-disabled");
    stop.hidden = true;
    said.textContent = "Answered.";
  });
  stop.addEventListener("click", () => running?.abort());
  document.getElementById("f-q").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
})();
