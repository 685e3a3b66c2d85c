// How the daemon is.

import { ask, attempt, element } from "./net.js";

const find = (name) => document.querySelector(name);

function span(seconds) {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  if (days) {
    return `${days} d ${hours % 24} h`;
  }
  if (hours) {
    return `${hours} h ${minutes % 60} min`;
  }
  return minutes ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${seconds.toFixed(0)} s`;
}

function rows(table, list) {
  table.tBodies[0].replaceChildren(...list.map((cells) => {
    const row = element("tr");
    row.append(...cells.map((cell, at) => element("td", cell, at ? "number" : "")));
    return row;
  }));
}

export async function showStatus() {
  const now = await attempt(() => ask("/api/status"));
  if (!now) {
    return;
  }
  const age = now.last_audio_age_s;
  const numbers = [
    ["Running for", span(now.uptime_s)],
    ["Sound heard", span(now.audio_s)],
    ["Last sound", age === null ? "none yet" : `${age.toFixed(1)} s ago`],
    ["Lost", `${now.dropped_s.toFixed(2)} s`],
    ["Overflows", now.overflows],
    ["Device came back", now.restarts],
    ["Configurations taken over", now.reloads],
    ["Processor", `${(100 * now.load).toFixed(1)} % of a core`],
    ["Open pages", now.pages],
    ...Object.entries(now.versions),
  ];
  find("#numbers").replaceChildren(...numbers.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  rows(find("#counts"), now.words.map((row) => [row.word, row.heard, row.quiet + row.left]));
  find("#queues-card").hidden = !now.actions.length;
  rows(find("#queues"), now.actions.map((row) => [row.name, row.pending, row.delivered, row.dropped]));
  const log = find("#log");
  const low = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
  log.replaceChildren(...now.log.map(({ at, level, text }) => {
    const line = element("li", "", level);
    const time = element("time", new Date(at).toLocaleTimeString());
    time.dateTime = at;
    line.append(time, element("span", text));
    return line;
  }));
  if (low) {
    log.scrollTop = log.scrollHeight;
  }
}
