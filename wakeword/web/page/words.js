// A card for each word: its threshold, and what was measured there.

import { ask, attempt, clone, element, order } from "./net.js";
import { peak, setWords } from "./live.js";

const box = document.querySelector("#words");
const cards = new Map();
let writable = false;

export function showWords(state) {
  writable = state.file.path !== null;
  const names = state.words.map(({ word }) => word);
  for (const [name, card] of cards) {
    if (!names.includes(name)) {
      card.root.remove();
      cards.delete(name);
    }
  }
  state.words.forEach((found, index) => {
    const card = cards.get(found.word) ?? makeCard(found.word);
    card.root.style.setProperty("--mark", `var(--word-${index % 6})`);
    box.append(card.root);
    card.update(found, state.file.thresholds[found.word] ?? found.own, index);
  });
  setWords(state.words);
}

export function showPeaks() {
  for (const card of cards.values()) {
    card.peak.textContent = peak(card.index).toFixed(2);
  }
}

function makeCard(word) {
  const root = clone("#word-card");
  const find = (name) => root.querySelector(name);
  const [slider, number] = root.querySelectorAll("input");
  const card = { root, index: 0, peak: find(".peak") };
  let inForce = 0;
  let written = 0;
  let own = 0;
  let edits = 0; // by hand
  let applied = 0; // of these, in force
  find("h2").textContent = word;
  find(".slider-label").textContent = `Threshold of “${word}”`;
  find(".slider-label").htmlFor = slider.id = `threshold-${cards.size}-${Date.now()}`;
  number.setAttribute("aria-label", `Threshold of “${word}”, as a number`);
  find(".save").setAttribute("aria-label", `Save the threshold of “${word}”`);
  find(".undo").setAttribute("aria-label", `Undo the threshold of “${word}”`);

  const show = (value, from) => {
    if (from !== slider) {
      slider.value = value;
    }
    if (from !== number) {
      number.value = Number(value).toFixed(3).replace(/0$/, "");
    }
    slider.setAttribute("aria-valuetext", Number(value).toFixed(2));
    figures(word, Number(value), find(".figures"));
  };
  const tell = () => {
    const dirty = Math.abs(inForce - written) > 5e-4;
    find(".save").disabled = !dirty || !writable;
    find(".undo").disabled = !dirty;
    find(".saved").textContent = dirty
      ? (writable ? "in force, not saved" : "in force until the end: started without --config")
      : "";
    const button = find(".own");
    button.textContent = `Bundle's ${own}`;
    button.disabled = Math.abs(own - inForce) < 5e-4;
  };
  const apply = (value, save) => attempt(async () => {
    if (!(value >= 0.001 && value <= 1)) {
      throw new Error("A threshold lies between 0.001 and 1.");
    }
    const edit = edits;
    const done = await order("/api/threshold", { word, threshold: value, save });
    applied = edit;
    inForce = done.threshold;
    if (save) {
      written = inForce;
    }
    if (edits === applied) {
      show(inForce);
    }
    tell();
    if (save) {
      find(".saved").textContent = "saved";
    }
  });
  slider.addEventListener("input", () => { edits += 1; show(slider.value, slider); });
  number.addEventListener("input", () => { edits += 1; show(number.value, number); });
  slider.addEventListener("change", () => apply(Number(slider.value), false));
  number.addEventListener("change", () => apply(Number(number.value), false));
  find(".save").addEventListener("click", () => apply(inForce, true));
  find(".undo").addEventListener("click", () => apply(written, false));
  find(".own").addEventListener("click", () => apply(own, false));
  card.update = (found, fromFile, index) => {
    card.index = index;
    inForce = found.threshold;
    written = fromFile;
    own = found.own;
    if (edits === applied) {
      show(inForce);
    }
    tell();
  };
  cards.set(word, card);
  return card;
}

const NAMES = {
  clean: "quiet", "10dB": "noise, 10 dB", "0dB": "noise, 0 dB", reverb: "in a room", all: "in all",
  talk: "after talk", "talk-10dB": "after talk, noise, 10 dB",
};
const asked = new Map(); // word: { value, busy }

// One question at a time for each word; the newest value wins.
async function figures(word, value, place) {
  const entry = asked.get(word) ?? { busy: false, next: null };
  asked.set(word, entry);
  if (!(value > 0 && value <= 1)) {
    return;
  }
  entry.next = value;
  if (entry.busy) {
    return;
  }
  entry.busy = true;
  while (entry.next !== null) {
    const threshold = entry.next;
    entry.next = null;
    const query = new URLSearchParams({ word, threshold });
    const found = await attempt(() => ask(`/api/figures?${query}`));
    if (found) {
      showFigures(found, place);
    }
  }
  entry.busy = false;
}

function showFigures(found, place) {
  const open = place.querySelector("details")?.open ?? false;
  place.replaceChildren();
  if (found.basis === "none") {
    place.append(element("p", "Nothing was measured of this word: “wakeword evaluate” does.", "soft"));
    return;
  }
  const big = element("div", "", "big");
  const [misses] = nearest(found.misses);
  const [alarms] = nearest(found.alarms);
  if (misses) {
    big.append(figure("Missed", misses, percent, `of ${misses.trials} clips`));
  }
  if (alarms) {
    big.append(figure("False alarms", alarms, perHour, `in ${alarms.trials.toFixed(1)} h`));
  }
  place.append(big);
  const details = element("details");
  details.open = open;
  details.append(element("summary", "All that was measured"));
  const scroll = element("div", "", "scroll");
  scroll.append(rowsOf("Missed", found.misses, percent), rowsOf("False alarms per hour", found.alarms, plain));
  details.append(scroll);
  const basis = found.basis === "report"
    ? `From its report${found.tested && `: ${found.tested}`}. Ranges: exact 95 % intervals.`
    : "The bundle was measured at one threshold only: elsewhere these are bounds. Ranges: exact 95 % intervals.";
  details.append(element("p", basis, "soft"));
  place.append(details);
}

// The easiest condition first, and of two bounds the one that says most.
function nearest(rows) {
  return rows.filter((row) => row.name === rows[0]?.name)
    .sort((a, b) => (a.bound === "most" ? -1 : 0) - (b.bound === "most" ? -1 : 0));
}

function percent(value) {
  return `${(100 * value).toFixed(value < 0.0995 ? 1 : 0)}\u00a0%`;
}

function plain(value) {
  return value.toFixed(value < 9.95 ? 2 : 0);
}

function perHour(value) {
  return `${plain(value)}\u00a0/\u00a0h`;
}

function said(row, say) {
  return { most: "at most ", least: "at least ", "": "" }[row.bound] + say(row.rate);
}

function range(row, say) {
  if (row.bound === "most") {
    return `up to ${say(row.high)}`;
  }
  return row.bound === "least" ? `from ${say(row.low)}` : `${say(row.low)} to ${say(row.high)}`;
}

function name(row, say) {
  const short = row.name.replace(/^test, /, "");
  if (say !== percent && NAMES[short]) { // the word was heard so, the rest was not
    return NAMES.all;
  }
  return NAMES[short] ?? short.replace(/^clean, /, "");
}

function figure(title, row, say, of) {
  const box = element("div");
  const where = row.bound ? `, at ${row.at}` : "";
  box.append(
    element("small", title === "Missed" ? `${title}, ${name(row, say)}` : title),
    element("b", said(row, say)),
    element("small", `${range(row, say)}; ${row.events} ${of}${where}`),
  );
  return box;
}

function rowsOf(title, rows, say) {
  const table = element("table");
  const head = table.createTHead().insertRow();
  for (const [text, number] of [[title], ["", true], ["95 %", true], ["counted", true]]) {
    const cell = element("th", text, number ? "number" : "");
    cell.scope = "col";
    head.append(cell);
  }
  const body = table.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    const trials = say === percent ? row.trials : `${row.trials.toFixed(2)} h`;
    line.append(
      element("td", name(row, say)),
      element("td", said(row, say), "number"),
      element("td", range(row, say), "number"),
      element("td", `${row.events} of ${trials}`, "number"),
    );
  }
  return table;
}
