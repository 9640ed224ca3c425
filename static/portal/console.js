// What the console does in the browser. Everything works without it too, by plain links, forms and reloads.
"use strict";

(() => {
  const STALE_AFTER = 6; // seconds: three polls that brought nothing
  const SILENT = "The portal does not answer.";
  const REFUSED_FOR = 10_000; // milliseconds until a page that was refused asks again

  // -- the zone of this machine, for the server to write times in -------------------------------------------------

  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) document.cookie = `timezone=${zone}; path=/; max-age=31536000; samesite=lax`;

  // -- lengths of time count on (display.ticking has the same words) ----------------------------------------------

  const two = (number) => String(number).padStart(2, "0");

  function ticking(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    if (s >= 86400) return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
    if (s >= 3600) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
    if (s >= 60) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
    return `${s} s`;
  }

  // The server's clock counts, not this machine's: every page and every answer tells what time it is there, to the
  // second. `ahead`: seconds that it is ahead of this machine's; less than two may be the way the answer took.
  let ahead = 0;

  function setClock(seconds) {
    const by = seconds - Date.now() / 1000;
    ahead = Math.abs(by) > 2 ? by : 0;
  }

  function tick() {
    const now = Date.now() / 1000 + ahead;
    for (const time of document.querySelectorAll("time[data-since]"))
      time.textContent = ticking(now - Date.parse(time.dataset.since) / 1000);
    for (const time of document.querySelectorAll("time[data-until]"))
      time.textContent = ticking(Date.parse(time.dataset.until) / 1000 - now);
    showFreshness();
  }

  // -- how fresh the page is; past three misses nothing can be pressed until it is fresh again --------------------

  let fresh = Date.now();
  let trouble = "";
  let refused = 0; // when it was: what may be pressed is not known since
  const live = () => document.getElementById("live");

  function showFreshness() {
    const shown = document.getElementById("freshness");
    if (!shown || !live()) return;
    const age = (Date.now() - fresh) / 1000;
    const over = live().hasAttribute("data-over");
    const stale = !over && (refused > 0 || age > STALE_AFTER);
    document.body.classList.toggle("is-stale", stale);
    const said = over
      ? "It is over: nothing here changes any more."
      : stale
        ? `${trouble || SILENT} What you see is ${ticking(age)} old; buttons are off until it is fresh.`
        : `Updated ${ticking(age)} ago`;
    const state = over ? "over" : stale ? "stale" : "fresh";
    const before = shown.dataset.state;
    if (before !== state) {
      shown.dataset.state = state;
      tell();
    }
    shown.textContent = said;
    // Said aloud when it changes, and not every second.
    const aloud = document.getElementById("freshness-said");
    if (stale) say(aloud, `${trouble || SILENT} Buttons are off until the page is fresh.`);
    else if (before === "stale") say(aloud, "The page is fresh again.");
    for (const button of document.querySelectorAll("[data-acts]")) shut(button, stale);
  }

  function say(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function shut(button, stale) {
    if (button.matches("button, input")) {
      if (stale && !button.disabled) {
        button.disabled = true;
        button.dataset.shut = "";
      } else if (!stale && "shut" in button.dataset) {
        button.disabled = false;
        delete button.dataset.shut;
      }
    } else if (stale) {
      button.setAttribute("aria-disabled", "true");
    } else if (button.getAttribute("aria-disabled") === "true") {
      button.removeAttribute("aria-disabled");
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest('a[data-acts][aria-disabled="true"]');
    if (button) event.preventDefault();
  });

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target === live() && Date.now() - refused < REFUSED_FOR) event.preventDefault();
  });

  // An answer with news has replaced the poller by the time of this event, which then comes from elsewhere: it is told
  // by who asked.
  document.addEventListener("htmx:afterRequest", (event) => {
    const { xhr, requestConfig } = event.detail;
    if (requestConfig?.elt?.id !== "live") return;
    const status = xhr?.status;
    refused = [401, 403, 404].includes(status) ? Date.now() : 0;
    if (status === 200 || status === 204) {
      fresh = Date.now();
      trouble = "";
      const date = Date.parse(xhr.getResponseHeader("Date"));
      if (!Number.isNaN(date)) setClock(date / 1000);
    } else {
      trouble = status === 401 ? "You are logged out." : refused ? "You may not see this any more." : SILENT;
    }
    showFreshness();
  });

  // -- fragments: what somebody opened, read or stands on stays; the tab tells -----------------------------------------

  const opened = new Map(); // by id: what somebody opened or closed; of the rest the server says whether it is open
  const read = new Map(); // by id: how far a log was scrolled; undefined is its end
  let stood = null;
  const loaded = Date.now();

  document.addEventListener("click", (event) => {
    const details = event.target.closest("summary")?.parentElement;
    if (details?.id) opened.set(details.id, !details.open);
  });

  // What finds the same thing again, or nothing: never another button.
  function placeOf(element, target) {
    const by = (id) => `#${CSS.escape(id)}`;
    if (element.id) return by(element.id);
    if (element.matches("summary") && element.parentElement.id) return `${by(element.parentElement.id)} > summary`;
    const href = element.getAttribute("href");
    return href ? `${by(target.id)} a[href="${CSS.escape(href)}"]` : null;
  }

  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { fragment, target } = event.detail;
    for (const details of fragment.querySelectorAll("details[id]"))
      if (opened.has(details.id)) details.open = opened.get(details.id);
    for (const log of target.querySelectorAll("details[open] [data-tail]")) {
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 8;
      read.set(log.closest("details").id, atEnd ? undefined : log.scrollTop);
    }
    const active = document.activeElement;
    if (target.contains(active)) stood = placeOf(active, target);
  });

  // What was said when the page was loaded is dated once the page goes on: it may not be true any more.
  function dateMessages() {
    for (const message of document.querySelectorAll(".messagelist li:not(.is-past)")) {
      message.classList.add("is-past");
      const since = Object.assign(document.createElement("time"), { textContent: ticking((Date.now() - loaded) / 1000) });
      since.dataset.since = new Date(loaded + ahead * 1000).toISOString();
      const date = document.createElement("small");
      date.append("(said ", since, " ago; what stands below has changed since)");
      message.append(" ", date);
    }
  }

  document.addEventListener("htmx:oobAfterSwap", (event) => {
    if (event.detail.target.id === "f-standing") dateMessages();
    for (const log of document.querySelectorAll("details[open] [data-tail]"))
      log.scrollTop = read.get(log.closest("details").id) ?? log.scrollHeight;
    if (stood) document.querySelector(stood)?.focus({ preventScroll: true });
    stood = null;
    tell();
    mark(current, false);
  });

  function tell() {
    let { title, tone } = live()?.dataset ?? {};
    if (!title) return;
    if (document.getElementById("freshness")?.dataset.state === "stale") [title, tone] = [`⚠ stale: ${title}`, "ask"];
    document.title = document.title.replace(/^.*(?= \| )/, () => title);
    const icon = document.getElementById("icon");
    const address = icon.getAttribute("href").replace(/[^/]+\.svg/, `${tone}.svg`);
    if (icon.getAttribute("href") !== address) icon.setAttribute("href", address);
  }

  // -- a link to a step or a line of its log opens what it is in ----------------------------------------------------

  function open(details) {
    details.open = true;
    opened.set(details.id, true);
  }

  function reveal() {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (!target) return;
    for (let at = target; at; at = at.parentElement) if (at.matches("details")) open(at);
    const inside = target.querySelector(":scope > details");
    if (inside) open(inside);
    target.scrollIntoView({ block: "center" });
  }

  // -- keys ---------------------------------------------------------------------------------------------------------

  let current = "";
  const rows = () => [...document.querySelectorAll("[data-row], #result_list tbody tr")].filter((row) => row.offsetParent);

  function mark(id, scroll = true) {
    rows().forEach((row, place) => {
      const chosen = id !== "" && (row.id || String(place)) === id;
      row.classList.toggle("is-chosen", chosen);
      if (chosen && scroll) {
        row.scrollIntoView({ block: "nearest" });
        const handle = row.querySelector("summary") ?? row.querySelector("a") ?? row; // a link to a log opens none
        handle.focus({ preventScroll: true });
      }
    });
  }

  function step(by) {
    const all = rows();
    if (!all.length) return;
    const at = all.findIndex((row) => row.classList.contains("is-chosen"));
    const next = Math.min(Math.max(at + by, 0), all.length - 1);
    current = all[next].id || String(next);
    mark(current);
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]")) return;
    if (event.key === "/") document.getElementById("find")?.focus();
    else if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "?") document.getElementById("keys")?.showModal();
    else return;
    event.preventDefault();
  });

  // -- the new move: both regions are looked at again whenever something is chosen -----------------------------------

  const look = () => document.getElementById("look");

  function sayOfLook(said, isLost) {
    look().classList.toggle("is-lost", isLost);
    look().querySelector(".looking-text").textContent = said;
  }

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (look() && event.target === look()) sayOfLook("Looking at both regions…", false);
  });
  for (const lost of ["htmx:responseError", "htmx:sendError"])
    document.addEventListener(lost, (event) => {
      if (!look() || event.target !== look()) return;
      const out = event.detail.xhr?.status === 401;
      sayOfLook(`${out ? "You are logged out." : SILENT} Choose again to look again.`, true);
    });

  addEventListener("hashchange", reveal);
  document.documentElement.classList.add("has-script");
  setClock(Number(document.querySelector('meta[name="now"]').content));
  reveal();
  for (const log of document.querySelectorAll("details[open] [data-tail]")) log.scrollTop = log.scrollHeight;
  tell();
  tick();
  setInterval(tick, 1000);
})();
