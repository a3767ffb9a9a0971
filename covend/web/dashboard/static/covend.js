/* Makes the pages live. Without it they are whole, and as old as their last load. */
(() => {
  "use strict";
  const LINES_MAX = 5000;
  const REFRESH_MS = 2000;
  const AGE_MS = 30000;
  const events = document.body.dataset.events;

  /* What was said once is not said again by a reload, nor by a bookmark. */
  const here = new URL(location.href);
  if (here.searchParams.has("said")) {
    here.searchParams.delete("said");
    history.replaceState(null, "", here);
  }

  /* --- parts of the page that are fetched anew ------------------------------------------------ */

  let due = 0;
  let refreshedAt = Date.now();
  let isFetching = false;

  function refreshSoon() {
    if (due || document.hidden) return;
    due = setTimeout(refresh, Math.max(200, refreshedAt + REFRESH_MS - Date.now()));
  }

  async function refresh() {
    due = 0;
    if (isFetching) return refreshSoon();
    isFetching = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok && !answer.redirected) {
        swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
      }
    } catch (error) {
      /* covend is away; the stream comes back when it does. */
    } finally {
      isFetching = false;
      refreshedAt = Date.now();
    }
  }

  function swap(page) {
    const parts = [...document.querySelectorAll("[data-live][id]")];
    const names = (root) => [...root.querySelectorAll("[data-live][id]")].map((each) => each.id).join();
    if (names(document) !== names(page)) {
      /* A first task, say: where there was nothing, there are other parts now. */
      const main = document.getElementById("main");
      if (!isInUse(main)) replace(main, page.getElementById("main"));
      return;
    }
    for (const old of parts) {
      const fresh = page.getElementById(old.id);
      if (!isInUse(old) && !isSame(old, fresh)) replace(old, fresh);
    }
  }

  function replace(old, fresh) {
    for (const open of old.querySelectorAll("details[id][open]")) {
      const again = fresh.querySelector(`#${CSS.escape(open.id)}`);
      if (again) again.open = true;
    }
    const link = old.contains(document.activeElement) && document.activeElement.getAttribute("href");
    const [left, top] = [old.scrollLeft, old.scrollTop];
    const node = document.adoptNode(fresh);
    old.replaceWith(node);
    node.scrollTo(left, top);
    const again = link && node.querySelector(`[href="${CSS.escape(link)}"]`);
    if (again) again.focus({ preventScroll: true });
    prepare(node);
  }

  /* Who types, chooses, ticks or marks something there is not to lose it, nor the place to go on from. */
  function isInUse(element) {
    const active = document.activeElement;
    const isHere = active && active.matches("input, select, textarea, button, summary") && element.contains(active);
    const marked = document.getSelection();
    const isMarking = marked && !marked.isCollapsed && element.contains(marked.anchorNode);
    const filled = [...element.querySelectorAll("input:not([type=checkbox]), textarea")].some((each) => each.value !== each.defaultValue);
    const chosen = [...element.querySelectorAll("select")].some(
      (each) => each.selectedIndex !== Math.max(0, [...each.options].findIndex((option) => option.defaultSelected)),
    );
    return isHere || isMarking || filled || chosen || element.querySelector("input[type=checkbox]:checked") !== null;
  }

  function isSame(old, fresh) {
    const version = old.dataset.version;
    return version === undefined ? old.outerHTML === fresh.outerHTML : version === fresh.dataset.version;
  }

  /* --- the log of an attempt ------------------------------------------------------------------ */

  let waiting = [];
  let isDrawn = true;

  function print(log, data) {
    const [stream, segments] = data;
    const line = document.createElement("div");
    line.className = `line ${stream}`;
    for (const [name, text] of segments) {
      const piece = document.createElement("span");
      piece.className = name;
      piece.textContent = text;
      line.append(piece);
    }
    waiting.push(line);
    if (waiting.length > LINES_MAX) waiting.shift();
    if (!isDrawn) return;
    isDrawn = false;
    requestAnimationFrame(() => draw(log));
  }

  function draw(log) {
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
    log.append(...waiting);
    waiting = [];
    isDrawn = true;
    while (log.childElementCount > LINES_MAX) log.firstElementChild.remove();
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  }

  /* --- streams: none while nobody looks, for a browser has only six to a host ----------------- */

  let streams = [];

  function listen() {
    if (streams.length || document.hidden) return;
    if (events) {
      const source = new EventSource(events);
      for (const name of ["move", "delivery", "effect"]) source.addEventListener(name, refreshSoon);
      streams.push(source);
    }
    const log = document.querySelector(".log[data-follow]");
    if (log) streams.push(follow(log));
  }

  function follow(log) {
    const source = new EventSource(`${log.dataset.follow}&offset=${log.dataset.offset}`);
    source.addEventListener("line", (event) => {
      log.dataset.offset = event.lastEventId;
      print(log, JSON.parse(event.data));
    });
    source.addEventListener("end", () => {
      source.close();
      delete log.dataset.follow;
      refreshSoon();
    });
    return source;
  }

  function hush() {
    for (const source of streams) source.close();
    streams = [];
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return hush();
    listen();
    refreshSoon();
  });
  addEventListener("pagehide", hush);
  addEventListener("pageshow", listen);
  if (events) setInterval(() => Date.now() - refreshedAt > AGE_MS && refreshSoon(), AGE_MS / 3);

  /* --- hands on the keyboard ------------------------------------------------------------------ */

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea")) return;
    if (event.key === "/") {
      const search = document.querySelector("[data-search]");
      if (search) search.focus();
      if (search) event.preventDefault();
    } else if (event.key === "j" || event.key === "k") {
      const rows = [...document.querySelectorAll("tbody a.id")];
      const place = rows.indexOf(document.activeElement) + (event.key === "j" ? 1 : -1);
      const row = rows[Math.max(0, Math.min(rows.length - 1, place))];
      if (row) row.focus();
    }
  });

  function prepare(root) {
    const log = root.querySelector(".log");
    if (log) log.scrollTop = log.scrollHeight;
    if (log && root !== document) {
      hush();
      listen();
    }
    const all = root.querySelector("input[data-all]");
    if (!all) return;
    all.hidden = false;
    all.addEventListener("change", () => {
      for (const each of all.form.querySelectorAll("input[name=task]")) each.checked = all.checked;
    });
  }

  const current = document.querySelector(".top [aria-current=page]");
  if (current) current.parentElement.parentElement.parentElement.scrollLeft = current.offsetLeft - 120;
  prepare(document);
  listen();
})();
