// What was heard, newest first, to be played again.

import { clock, clone, play } from "./net.js";
import { mark } from "./live.js";

const list = document.querySelector("#heard");
const none = document.querySelector("#heard-none");
const news = document.querySelector("#news");
const MOST = 30;

export function showAll(found) {
  list.replaceChildren();
  for (const one of found) {
    add(one);
  }
}

export function heard(one) {
  add(one);
  mark(one);
  list.firstElementChild.classList.add("fresh");
  news.textContent = `Heard ${one.word}, ${one.prob.toFixed(2)}.`;
}

// The sound of a detection is whole now.
export function sound({ id }) {
  const row = document.getElementById(`heard-${id}`);
  if (row) {
    row.querySelector("button").disabled = false;
  }
}

function add(one) {
  const row = clone("#heard-row");
  const button = row.querySelector("button");
  row.id = `heard-${one.id}`;
  row.querySelector("strong").textContent = one.word;
  row.querySelector(".when").textContent = clock(one.at);
  row.querySelector(".score").textContent = one.prob.toFixed(2);
  row.querySelector(".score").title = `threshold ${one.threshold}`;
  row.querySelector(".note").textContent = one.why_not ? `nothing done: ${one.why_not}` : "";
  button.setAttribute("aria-label", `Play ${one.word}, ${clock(one.at)}`);
  button.disabled = !one.sound;
  button.addEventListener("click", () => play(`/api/detections/${one.id}.wav`, button));
  list.prepend(row);
  while (list.children.length > MOST) {
    list.lastElementChild.remove();
  }
  none.hidden = true;
}
