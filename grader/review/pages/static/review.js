// Keys, and pages that change in place. Without it every page works by links and forms.
"use strict";

let queue = Promise.resolve();
const later = (task) => { queue = queue.then(task).catch((error) => say(`That failed: ${error}`)); };

function say(text) {
  const live = document.getElementById("live");
  live.textContent = "";
  // A text that stays the same is read once only: empty it first.
  setTimeout(() => { live.textContent = text; }, 30);
}

function show(html, url) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const fresh = page.getElementById("main");
  if (!fresh) { location.assign(url); return; }
  const focused = document.activeElement && document.activeElement.id;
  const open = new Set([...document.querySelectorAll("details[open][id]")].map((one) => one.id));
  const old = document.getElementById("main");
  const moved = new URL(url, location.href).pathname !== location.pathname;
  old.replaceWith(document.adoptNode(fresh));
  document.title = page.title;
  document.body.dataset.keys = page.body.dataset.keys;
  if (moved) { history.pushState({}, "", url); scrollTo(0, 0); }
  else { for (const one of document.querySelectorAll("details[id]")) { if (open.has(one.id)) one.open = true; } }
  const again = !moved && focused && document.getElementById(focused);
  (again || document.getElementById("main")).focus({ preventScroll: !moved });
  const words = ["said", "who", "score"].map((id) => document.getElementById(id)).filter(Boolean);
  say(words.map((one) => one.textContent.trim()).join(" "));
}

async function send(formId, buttonId) {
  const form = document.getElementById(formId);
  if (!form) return; // the page has gone on
  const button = buttonId ? document.getElementById(buttonId) : null;
  const fields = new URLSearchParams(new FormData(form));
  const pressed = form.dataset.pressed;
  if (pressed) { const [name, value] = JSON.parse(pressed); fields.set(name, value); delete form.dataset.pressed; }
  const main = document.getElementById("main");
  main.setAttribute("aria-busy", "true");
  try {
    const get = form.method === "get";
    const url = new URL(form.getAttribute("action") || location.pathname, location.href);
    if (get) url.search = fields.toString();
    const answer = await fetch(url, get ? {} : { method: "POST", body: fields });
    const at = new URL(answer.url);
    const target = at.pathname.endsWith("/try") ? location.pathname : at.pathname + at.search;
    show(await answer.text(), target);
  } finally {
    main.removeAttribute("aria-busy");
    if (button) button.blur();
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.hasAttribute("data-swap") || !form.id) return;
  event.preventDefault();
  if (event.submitter && event.submitter.name) {
    form.dataset.pressed = JSON.stringify([event.submitter.name, event.submitter.value]);
  }
  later(() => send(form.id));
});

const writes = (element) => element.matches("input:not([type=checkbox]), textarea, select");

function press(key) {
  const element = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key);
  if (!element) return;
  if (writes(element)) {
    const fold = element.closest("details");
    if (fold) fold.open = true;
    element.focus();
    if (element.type === "search") element.select();
  } else if (element.tagName === "DETAILS") {
    // A form that is open already is written in, not closed: the first rubric begins with one.
    const form = element.querySelector("input:not([type=hidden])");
    element.open = Boolean(element.open && form) || !element.open;
    const first = element.open && (form || element.querySelector("pre"));
    (first || element.querySelector("summary")).focus();
  } else {
    element.click();
  }
}

document.addEventListener("keydown", (event) => {
  const within = event.target;
  if (writes(within)) {
    if (event.key === "Escape") within.blur();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && within.form) {
      event.preventDefault();
      within.form.requestSubmit();
      within.blur();
    }
    return;
  }
  if (document.body.dataset.keys !== "on" || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key;
  const known = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key);
  if (!known) return;
  event.preventDefault();
  // A field has the next letters at once. All else comes after what is on its way: digits may come
  // faster than pages.
  if (writes(known)) press(key); else later(() => press(key));
});

addEventListener("popstate", () => location.reload());

// A class that is being graded: the page follows, unless somebody is at work in it.
setInterval(async () => {
  const main = document.getElementById("main");
  if (!main || !main.dataset.live || document.hidden || (document.activeElement && writes(document.activeElement))) return;
  const answer = await fetch(location.href).catch(() => null);
  if (!answer || !answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("main");
  if (fresh) document.getElementById("main").replaceWith(document.adoptNode(fresh));
}, 3000);
