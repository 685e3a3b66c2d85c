// Which microphone is listened to.

import { ask, attempt, complain, order } from "./net.js";

const select = document.querySelector("#mic");
const save = document.querySelector("#mic-save");
let chosen = null;
let written = null;
let writable = false;
let known = [];

export function showMicrophone(state) {
  const microphone = state.source === "microphone";
  document.querySelector("#mic-choice").hidden = !microphone;
  const fixed = document.querySelector("#mic-fixed");
  fixed.hidden = microphone;
  fixed.textContent = {
    file: "A recording is heard, over and over.",
    stdin: "The sound comes from standard input.",
    none: "This daemon has no microphone of its own: it serves others.",
  }[state.source] ?? "";
  chosen = state.device;
  written = state.file.device;
  writable = state.file.path !== null;
  show();
  if (microphone && !known.length) {
    look();
  }
}

function show() {
  const options = [new Option("the system's default", "")];
  const names = [...new Set(known.map(({ name }) => name))];
  options.push(...names.map((name) => new Option(name, name)));
  if (chosen !== null) {
    const text = String(chosen);
    const match = names.find((name) => name === text)
      ?? names.find((name) => name.toLowerCase().includes(text.toLowerCase()));
    if (!match) {
      options.push(new Option(`${text} (in use)`, text));
    }
    select.replaceChildren(...options);
    select.value = match ?? text;
  } else {
    select.replaceChildren(...options);
    select.value = "";
  }
  save.hidden = !writable || chosen === written;
}

async function look() {
  const found = await attempt(() => ask("/api/microphones"));
  if (found) {
    known = found.microphones;
    show();
  }
}

async function change(store) {
  await attempt(() => order("/api/microphones", { device: select.value, save: store }));
  if (store) {
    complain("Written into the configuration.");
  }
}

document.querySelector("#mic-look").addEventListener("click", look);
select.addEventListener("change", () => change(false));
save.addEventListener("click", () => change(true));
