"use strict";
const film = JSON.parse(document.getElementById("film").textContent);
const by = (id) => document.getElementById(id);
const screen = by("screen"), seek = by("seek"), time = by("time"), play = by("play"), speed = by("speed");
let at = -1, rows = [], size = [0, 0], now = 0, last = null;

// Applies frame n. A frame is [ms, row count, cols, lines, ...]: with a size, the number of every
// row follows; with 0, 0 the pairs row, number that changed.
function apply(n) {
  const [, count, cols, lines, ...rest] = film.frames[n];
  if (cols) { size = [cols, lines]; rows = rest; }
  else {
    rows.length = count;
    for (let i = 0; i < rest.length; i += 2) rows[rest[i]] = rest[i + 1];
  }
}

function show(ms) {
  now = Math.max(0, Math.min(ms, film.end));
  let low = 0, high = film.frames.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (film.frames[middle][0] <= now) low = middle + 1; else high = middle;
  }
  const n = low - 1;
  if (n !== at && n >= 0) {
    let from = at >= 0 && at < n ? at + 1 : n;
    if (from === n && n !== at + 1) while (from > 0 && !film.frames[from][2]) from--;
    for (let i = from; i <= n; i++) apply(i);
    const html = rows.map((r) => film.rows[r] ?? "");
    while (html.length < size[1]) html.push("");
    screen.innerHTML = html.join("\n");
    screen.style.minWidth = size[0] + "ch";
  }
  at = n;
  const clock = (ms) => Math.floor(ms / 60000) + ":" + String(Math.floor(ms / 1000) % 60).padStart(2, "0");
  time.textContent = clock(now) + " / " + clock(film.end);
  seek.value = now;
}

function tick(t) {
  if (last === null) return;
  show(now + (t - last) * Number(speed.value));
  last = t;
  if (now >= film.end) return stop();
  requestAnimationFrame(tick);
}
function stop() { last = null; play.textContent = "Play"; }
function start() {
  if (now >= film.end) show(0);
  play.textContent = "Pause";
  last = performance.now();
  requestAnimationFrame(tick);
}

play.onclick = () => (last === null ? start() : stop());
seek.max = film.end;
seek.oninput = () => show(Number(seek.value));
by("text").onclick = (event) => {
  const line = event.target.closest("[data-t]");
  if (line) { show(Number(line.dataset.t) + 50); by("player").scrollIntoView(); }
};
document.onkeydown = (event) => {
  if (event.target !== document.body) return;
  if (event.key === " ") { event.preventDefault(); play.click(); }
  if (event.key === "ArrowLeft") show(now - 5000);
  if (event.key === "ArrowRight") show(now + 5000);
  if (event.key === "n") show((film.marks.find((m) => m[0] > now) ?? [film.end])[0]);
};
show(film.end);
