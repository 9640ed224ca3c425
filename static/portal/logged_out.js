// Who is logged out meanwhile loses nothing: what was typed is kept in this tab until a form was taken, and comes back once,
// to the same person on the same page. A page that keeps itself current goes on after a login in another tab.
"use strict";

(() => {
  const NAME = "typed";
  const LONGEST = 20_000; // characters of a field
  const LATEST = 3_600_000; // milliseconds until it is forgotten
  const TYPED = ["textarea", "text", "url", "number", "date", "datetime-local"]; // no password, no token, nothing hidden

  // None on the login, and where a page says that nothing was done.
  const user = document.querySelector('meta[name="user"]')?.content ?? "";
  const form = document.querySelector("form[data-keeps]");

  function typed() {
    const fields = {};
    for (const field of form.elements) {
      if (field.closest(".proof") || !(TYPED.includes(field.type) || (field.type === "radio" && field.checked))) continue;
      fields[field.name] = field.value.slice(0, LONGEST);
    }
    return fields;
  }

  function store(kept) {
    try {
      if (kept) sessionStorage.setItem(NAME, JSON.stringify(kept));
      else sessionStorage.removeItem(NAME);
    } catch {
      // no room, or none allowed: then the page that says that nothing was done shows it
    }
  }

  function stored() {
    try {
      return JSON.parse(sessionStorage.getItem(NAME));
    } catch {
      return null;
    }
  }

  const isWritten = () => [...(form?.elements ?? [])].some((one) => TYPED.includes(one.type) && one.value !== one.defaultValue);

  // `isLost`: it was not taken, as far as is known.
  function keep(isLost) {
    if (form) store({ user, path: location.pathname, at: Date.now(), fields: typed(), isLost });
  }

  // The next page of the portal after a form was sent says whether it was taken: it was unless it is a login, says that
  // nothing was done, or is the form itself that somebody went back to from where no page of the portal was.
  function recall() {
    const kept = stored();
    if (!kept) return;
    if (!user) return store({ ...kept, isLost: true });
    const wentBack = performance.getEntriesByType("navigation")[0]?.type === "back_forward";
    const isHere = kept.path === location.pathname;
    if (kept.user !== user || !(kept.isLost || (wentBack && isHere)) || Date.now() - kept.at > LATEST) return store(null);
    if (!isHere) return;
    store(null);
    const note = Object.assign(document.createElement("p"), { className: "note", role: "status" });
    if (form) {
      for (const [name, value] of Object.entries(kept.fields)) fill(name, value);
      note.textContent = "What you wrote stands here again. Nothing was done with it.";
      form.before(note);
    } else {
      note.textContent = `What you wrote; nothing was done with it: ${Object.values(kept.fields).join(" – ")}`;
      document.getElementById("content-main")?.prepend(note);
    }
    form?.querySelector("#id_app")?.dispatchEvent(new Event("input", { bubbles: true })); // its destinations
  }

  function fill(name, value) {
    const fields = [...form.elements].filter((field) => field.name === name);
    for (const field of fields) {
      if (field.type === "radio") field.checked = field.value === value && !field.disabled;
      else field.value = value;
      const details = field.closest("details");
      if (details && value) details.open = true;
    }
    // A destination is there once its app is known: what was chosen goes with the question.
    if (!fields.length && name === "dest")
      document
        .getElementById("where")
        ?.append(Object.assign(document.createElement("input"), { type: "radio", name, value, checked: true, hidden: true }));
  }

  document.addEventListener("submit", (event) => {
    if (event.target === form) keep(false);
  });

  // -- what the page asks for by itself -------------------------------------------------------------------------------

  let isOut = false;

  document.addEventListener("htmx:afterRequest", ({ detail: { xhr } }) => {
    if (xhr?.status === 401) isOut = true;
    else if (isOut && (xhr?.status === 200 || xhr?.status === 204)) {
      // Logged in anew, whoever it is: tokens, buttons and names are those of before.
      if (isWritten()) keep(true);
      isOut = false;
      location.reload();
      return;
    }
    for (const link of document.querySelectorAll("[data-log-in]")) link.hidden = !isOut;
  });

  document.addEventListener("DOMContentLoaded", recall); // after htmx, which then sees that an app was filled in
})();
