// The picture: the sound of the last ten seconds, and the score of each word above it.

const RATE = 16000;
const COLUMN = 320; // samples, as the daemon sends them
const SECONDS = 10;
const COLUMNS = (SECONDS * RATE) / COLUMN;

const canvas = document.querySelector("#picture");
const context = canvas.getContext("2d");
const still = matchMedia("(prefers-reduced-motion: reduce)");
const pause = document.querySelector("#pause");

const low = new Int16Array(COLUMNS);
const high = new Int16Array(COLUMNS);
let end = 0; // sample with which the newest column ends
let scores = []; // [sample, probability of each word ...]
let marks = []; // { sample, index }: words that fired
let words = [];
let colours = {};
let waiting = false;
let drawn = 0;
let held = false;

export function setWords(list) {
  words = list;
  const legend = document.querySelector("#legend");
  legend.replaceChildren(...list.map(({ word }, index) => {
    const item = document.createElement("li");
    const line = document.createElement("i");
    line.style.setProperty("--mark", `var(--word-${index % 6})`);
    item.append(line, word);
    return item;
  }));
  schedule();
}

export function mark(found) {
  const index = words.findIndex(({ word }) => word === found.word);
  marks.push({ sample: found.sample, index });
  marks = marks.slice(-30);
}

// Takes a frame; returns the loudest sample in it.
export function frame(data) {
  if (data.end < end) { // the daemon began anew
    scores = [];
    marks = [];
    low.fill(0);
    high.fill(0);
  }
  const gap = end ? Math.round((data.end - end) / COLUMN) - data.low.length : 0;
  const shift = Math.min(COLUMNS, data.low.length + Math.max(0, gap));
  for (const row of [low, high]) {
    row.copyWithin(0, shift);
    row.fill(0, COLUMNS - shift);
  }
  const kept = data.low.slice(-COLUMNS);
  low.set(kept, COLUMNS - kept.length);
  high.set(data.high.slice(-COLUMNS), COLUMNS - kept.length);
  end = data.end;
  scores.push(...data.scores);
  const first = end - SECONDS * RATE;
  scores = scores.filter(([sample]) => sample > first);
  marks = marks.filter(({ sample }) => sample > first);
  schedule();
  return Math.max(0, ...data.high, ...data.low.map((value) => -value));
}

// The highest score of a word in the last seconds.
export function peak(index, seconds = 2) {
  const first = end - seconds * RATE;
  return scores.reduce((top, row) => (row[0] > first ? Math.max(top, row[index + 1]) : top), 0);
}

pause.addEventListener("click", () => {
  held = !held;
  pause.setAttribute("aria-pressed", String(held));
  schedule();
});

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const get = (name) => style.getPropertyValue(name).trim();
  colours = { wave: get("--wave"), line: get("--line"), text: get("--soft") };
  colours.words = [0, 1, 2, 3, 4, 5].map((index) => get(`--word-${index}`));
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readColours();
  schedule();
});
new ResizeObserver(() => schedule()).observe(canvas);
readColours();

function schedule() {
  if (!waiting) {
    waiting = true;
    requestAnimationFrame(draw);
  }
}

function draw(now) {
  waiting = false;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (held || !width || (still.matches && now - drawn < 1000)) {
    return;
  }
  drawn = now;
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const split = Math.round(height * 0.58);
  drawScores(width, 10, split - 20);
  drawWave(width, split, height - split - 4);
}

function x(sample, width) {
  return ((sample - end) / (SECONDS * RATE) + 1) * width;
}

function drawWave(width, top, size) {
  const ratio = devicePixelRatio || 1;
  const snap = (value) => Math.round(value * ratio) / ratio; // to whole pixels: crisp, not grey
  const middle = snap(top + size / 2);
  // Square roots: a quiet room is seen, and a shout still fits.
  const scale = (value) => Math.sign(value) * Math.sqrt(Math.abs(value) / 32768) * (size / 2);
  context.fillStyle = colours.wave;
  const step = width / COLUMNS;
  for (let index = 0; index < COLUMNS; index += 1) {
    const left = snap(index * step);
    const from = snap(scale(high[index]));
    const to = snap(scale(low[index]));
    const wide = Math.max(1 / ratio, snap((index + 1) * step) - left);
    context.fillRect(left, middle - from, wide, Math.max(1, from - to));
  }
}

function drawScores(width, top, size) {
  const y = (value) => top + (1 - value) * size;
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = colours.text;
  context.strokeStyle = colours.line;
  context.lineWidth = 1;
  for (const level of [0, 0.5, 1]) {
    context.beginPath();
    context.moveTo(0, y(level));
    context.lineTo(width, y(level));
    context.stroke();
    context.fillText(String(level), 4, y(level) + (level ? 12 : -4));
  }
  words.forEach(({ threshold }, index) => {
    const colour = colours.words[index % 6];
    context.strokeStyle = colour;
    context.setLineDash([6, 4]);
    context.beginPath();
    context.moveTo(0, y(threshold));
    context.lineTo(width, y(threshold));
    context.stroke();
    context.setLineDash([]);
    context.lineWidth = 2;
    context.beginPath();
    scores.forEach((row, at) => {
      context[at ? "lineTo" : "moveTo"](x(row[0], width), y(row[index + 1] ?? 0));
    });
    context.stroke();
    context.lineWidth = 1;
  });
  for (const { sample, index } of marks) {
    const place = x(sample, width);
    context.fillStyle = colours.words[Math.max(0, index) % 6];
    context.beginPath();
    context.arc(place, top + 2, 5, 0, 7);
    context.fill();
    context.fillRect(place - 0.5, top, 1, size);
  }
}
