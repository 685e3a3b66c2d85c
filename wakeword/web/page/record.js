// Recording samples: the daemon says what to do, a person says what is good.

import { ask, attempt, element, order, play } from "./net.js";

const find = (name) => document.querySelector(name);
const form = find("#plan");
const booth = find("#booth");
const ANSWERS = ["keep", "again", "skip", "stop"];
let running = false;

export function setKnown(words) {
  find("#known").replaceChildren(...words.map(({ word }) => new Option(word)));
  if (!find("#phrase").value && words.length) {
    find("#phrase").value = words[0].word;
  }
}

export async function showRecord() {
  const found = await attempt(() => ask("/api/record"));
  if (found) {
    showShelf(found);
    showNow(found.now);
  }
}

function showShelf({ folder, kept }) {
  find("#shelf-folder").textContent = folder;
  const body = find("#shelf").tBodies[0];
  body.replaceChildren(...kept.map(({ phrase, speaker, count }) => {
    const row = element("tr");
    row.append(element("td", phrase || "ordinary sound"), element("td", speaker), element("td", count, "number"));
    return row;
  }));
  find("#shelf").hidden = find("#shelf-train").hidden = !kept.length;
  find("#shelf-none").hidden = kept.length > 0;
  const phrase = find("#phrase").value || (kept.find((row) => row.phrase)?.phrase ?? "PHRASE");
  const room = kept.some((row) => !row.phrase) ? ` --negatives "${folder}"` : "";
  find("#shelf-command").textContent = `wakeword train "${phrase}" --positives "${folder}"${room}`;
}

export function showNow(now) {
  const before = running;
  running = now.running;
  if (!running && !now.phrase && now.phrase !== "") {
    booth.hidden = true;
    return;
  }
  booth.hidden = false;
  form.querySelector("[type=submit]").disabled = running;
  const word = now.phrase !== "";
  find("#booth-title").textContent = running ? "Recording" : "Done";
  find("#said").textContent = now.waiting ? `Good? ${now.waiting}` : now.said || `${now.have} in all.`;
  find("#complaint").textContent = now.complaint ?? "";
  find("#complaint").hidden = !now.complaint;
  find("#progress").hidden = !word;
  find("#progress").max = now.wanted;
  find("#progress").value = now.have;
  find("#progress-text").textContent = word ? `${now.have} of ${now.wanted}` : `${now.have} pieces of half a minute`;
  for (const what of ANSWERS) {
    find(`#take-${what}`).disabled = !running || (what === "stop" ? false : !word);
  }
  find("#take-play").disabled = !now.waiting;
  find("#take-keep").disabled = !now.waiting;
  find("#take-again").disabled = !now.waiting;
  find("#kept").replaceChildren(...now.kept.map((file) => element("li", file)));
  if (before && !running) {
    showRecord();
  }
}

// The loudest sample of a moment, for the meter.
export function showLevel(loudest) {
  if (!booth.hidden) {
    find("#level").style.transform = `scaleX(${Math.sqrt(loudest / 32768)})`;
  }
}

form.addEventListener("change", () => {
  const word = new FormData(form).get("kind") === "word";
  find("#phrase-field").hidden = !word;
  find("#phrase").required = word;
  const count = find("#count");
  const label = word ? "Clips in the end" : "Minutes";
  if (find("#count-label").textContent !== label) {
    find("#count-label").textContent = label;
    count.value = word ? 20 : 5;
    count.max = word ? 500 : 120;
  }
});
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const word = new FormData(form).get("kind") === "word";
  await attempt(async () => {
    showNow(await order("/api/record", {
      do: "start",
      phrase: word ? find("#phrase").value : "",
      speaker: find("#speaker").value,
      count: Number(find("#count").value),
    }));
    find("#take-stop").focus();
    booth.scrollIntoView({ block: "nearest" });
  });
});
for (const what of ANSWERS) {
  find(`#take-${what}`).addEventListener("click", () => attempt(() => order("/api/record", { do: what })));
}
find("#take-play").addEventListener("click", (event) => play("/api/record/take.wav", event.currentTarget));
