// Clips that the daemon kept: a person says what was said, and a threshold follows from it.

import { ask, attempt, clock, clone, element, order, play } from "./net.js";

const find = (name) => document.querySelector(name);
const list = find("#clips");
let found = null;
let writable = false;

export function setReview(state) {
  writable = state.file.path !== null;
  if (state.review) {
    showReview();
  }
}

export async function showReview() {
  const answer = await attempt(() => ask("/api/review"));
  if (answer) {
    found = answer;
    show();
  }
}

function show() {
  const todo = found.clips.filter(({ label }) => !label);
  find("#todo").hidden = !todo.length;
  find("#todo").textContent = todo.length;
  const shown = find("#judged").checked ? found.clips : todo;
  list.replaceChildren(...shown.map(row));
  const none = find("#clips-none");
  none.hidden = shown.length > 0;
  none.textContent = found.folder === null
    ? "No clips are kept. [review] in the configuration keeps what is heard and nearly heard."
    : `Nothing is left to judge; ${found.in_all} clips are in ${found.folder}.`;
  find("#advice").replaceChildren(...found.advice.map(card));
}

function row(clip) {
  const made = clone("#clip-row");
  const kind = clip.kind === "heard" ? "heard" : "nearly heard";
  const name = `${clip.word}, ${clock(clip.at)}`;
  made.querySelector("strong").textContent = clip.word;
  made.querySelector(".when").textContent = `${kind}, ${clock(clip.at)}`;
  made.querySelector(".score").textContent = clip.prob.toFixed(2);
  made.querySelector(".answers").setAttribute("aria-label", `Was ${name} said?`);
  const player = made.querySelector(".play");
  player.setAttribute("aria-label", `Play ${name}`);
  player.addEventListener("click", () => play(`/api/review/${clip.id}.wav`, player));
  for (const label of ["yes", "no", "drop"]) {
    const button = made.querySelector(`.${label}`);
    button.setAttribute("aria-label", `${button.textContent}: ${name}`);
    if (label !== "drop") {
      button.setAttribute("aria-pressed", String(clip.label === label));
    }
    button.addEventListener("click", () => judge(clip, label));
  }
  return made;
}

async function judge(clip, label) {
  const place = [...list.children].findIndex((item) => item.contains(document.activeElement));
  const answer = await attempt(() => order("/api/review", { id: clip.id, label }));
  if (answer) {
    found = answer;
    show();
    const next = list.children[Math.min(Math.max(place, 0), list.children.length - 1)];
    next?.querySelector(find("#judged").checked ? `.${label}` : ".play").focus();
  }
}

function card(one) {
  const made = element("section", "", "card");
  made.setAttribute("aria-label", `Threshold of ${one.word}`);
  made.append(element("h2", one.word));
  const table = element("table");
  const head = table.createTHead().insertRow();
  for (const text of ["Threshold", "Heard of said", "False"]) {
    head.append(element("th", text));
  }
  const body = table.createTBody();
  for (const [row, note] of [[one.now, "in force"], [one.better, "none false"]]) {
    if (row) {
      const line = body.insertRow();
      line.append(
        element("td", `${row.threshold.toFixed(3)}, ${note}`),
        element("td", `${row.yes} of ${one.yes}`),
        element("td", `${row.no} of ${one.no}`),
      );
    }
  }
  made.append(table);
  if (one.few.length) {
    const text = `Fewer than ${found.enough} are labelled ${one.few.join(" and ")}: too few to tell.`;
    made.append(element("p", text, "soft"));
  }
  if (one.poor) {
    const text = "It would miss many that were said: hear those labelled “no” again, or train anew with “wakeword train --from-review”.";
    made.append(element("p", text, "note"));
  }
  if (one.better) {
    const button = element("button", writable
      ? `Use ${one.better.threshold.toFixed(3)} and save`
      : `Use ${one.better.threshold.toFixed(3)}`, one.few.length || one.poor ? "" : "primary");
    button.type = "button";
    button.setAttribute("aria-label", `${button.textContent}, for ${one.word}`);
    button.addEventListener("click", () => attempt(async () => {
      const threshold = one.better.threshold;
      await order("/api/threshold", { word: one.word, threshold, save: writable });
    }));
    made.append(button);
  }
  made.append(element("p", "Clips are kept from near the threshold up: what scored lower is missed and not counted.", "soft"));
  return made;
}

find("#judged").addEventListener("change", show);
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea");
  if (find("#view-review").hidden || typing || event.ctrlKey || event.metaKey || event.altKey) {
    return;
  }
  const item = event.target.closest("#clips li") ?? list.firstElementChild;
  const target = { y: ".yes", n: ".no", p: ".play" }[event.key.toLowerCase()];
  if (item && target) {
    item.querySelector(target).click();
  }
});
