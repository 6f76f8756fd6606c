// Refreshes the part of a page that changes: an element with data-live. Its hx-get is the page's own address, of which htmx takes that part again.
"use strict";
(() => {
  const every = 5000, gather = 200;
  let stream = null, streamed = "", pending = 0, open = [];
  const live = () => document.getElementById("live");
  const refresh = () => { const e = live(); if (e && !document.hidden) htmx.trigger(e, "refresh"); };

  // follow opens the stream of events that the page names, and closes one that it no longer names.
  function follow() {
    const e = live(), address = e ? e.dataset.stream || "" : "";
    const path = address.split("?")[0];
    if (path === streamed) return;
    if (stream) stream.close();
    stream = null;
    streamed = path;
    if (!path) return;
    stream = new EventSource(address);
    // A stream that the server has ended, and does not open again, has no news, or the server is gone: the page is asked until it answers.
    stream.onerror = () => { if (stream.readyState === EventSource.CLOSED) { stream = null; streamed = ""; again(); } };
    stream.onmessage = () => { clearTimeout(pending); pending = setTimeout(refresh, gather); };
  }

  const again = () => setTimeout(() => { if (!stream && live() && live().dataset.stream) { refresh(); again(); } }, every);

  // A list is refreshed at intervals, never faster than it is answered; a page with a stream when an event comes.
  setInterval(() => { const e = live(); if (e && e.dataset.live === "poll") refresh(); }, every);
  document.addEventListener("visibilitychange", refresh);

  // What has not changed is not replaced: a person may be about to click it. A press of the pointer is not lost either.
  let shown = "", pressed = false;
  document.addEventListener("pointerdown", () => { pressed = true; });
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => { pressed = false; });
  document.addEventListener("htmx:beforeSwap", event => {
    const part = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html").getElementById("live");
    if (pressed || !part || part.outerHTML === shown) event.detail.shouldSwap = false; else shown = part.outerHTML;
  });

  // What a person has opened stays open, and a change of the status is announced.
  document.addEventListener("htmx:beforeSwap", () => { open = [...document.querySelectorAll("#live details[open][id]")].map(d => d.id); });
  document.addEventListener("htmx:afterSwap", () => {
    for (const id of open) { const d = document.getElementById(id); if (d) d.open = true; }
    const e = live(), status = document.getElementById("status");
    if (e && status && e.dataset.status && status.dataset.last !== e.dataset.status) {
      status.textContent = "The status is " + e.dataset.status + ".";
      status.dataset.last = e.dataset.status;
    }
    follow();
  });
  document.addEventListener("DOMContentLoaded", () => {
    const status = document.getElementById("status"), e = live();
    if (status && e) status.dataset.last = e.dataset.status || "";
    follow();
  });
  // A form is sent once.
  document.addEventListener("submit", event => {
    const button = event.submitter;
    if (event.target.method === "post" && button) setTimeout(() => { button.disabled = true; }, 0);
  });
  window.addEventListener("pageshow", () => document.querySelectorAll("button[disabled]").forEach(b => { b.disabled = false; }));
})();
