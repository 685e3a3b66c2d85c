// Puts the parts together: which one is shown, and the stream of messages from the daemon.

import { ask, attempt } from "./net.js";
import { frame } from "./live.js";
import { setKnown, showLevel, showNow, showRecord } from "./record.js";
import { heard, showAll, sound } from "./heard.js";
import { setReview, showReview } from "./review.js";
import { showMicrophone } from "./microphone.js";
import { showPeaks, showWords } from "./words.js";
import { showStatus } from "./status.js";

const VIEWS = ["listen", "record", "review", "status"];
const SILENT_MS = 3000;
const pill = document.querySelector("#pill");
let stream = null;
let lastFrame = 0;
let view = "";

function mood(kind, text) {
  if (pill.textContent !== text) {
    pill.textContent = text;
    pill.dataset.mood = kind;
  }
}

async function showState() {
  const state = await attempt(() => ask("/api/state"));
  if (!state) {
    return;
  }
  showWords(state);
  showMicrophone(state);
  setKnown(state.words);
  setReview(state);
  document.querySelector("#logout").hidden = !state.token;
}

async function showHeard() {
  const found = await attempt(() => ask("/api/detections"));
  if (found) {
    showAll(found.detections);
  }
}

function connect() {
  stream = new EventSource("/api/stream");
  const on = (kind, work) => stream.addEventListener(kind, (event) => work(JSON.parse(event.data)));
  stream.addEventListener("open", () => {
    mood("wait", "Waiting for sound");
    showState();
    showHeard();
  });
  stream.addEventListener("error", () => {
    mood("bad", "Not connected");
    if (stream.readyState === EventSource.CLOSED) {
      setTimeout(reconnect, 2000);
    }
  });
  on("frame", (data) => {
    lastFrame = performance.now();
    mood("good", "Listening");
    showLevel(frame(data));
    showPeaks();
  });
  on("heard", heard);
  on("sound", sound);
  on("record", showNow);
  on("changed", showState);
}

function disconnect() {
  stream?.close();
  stream = null;
}

function reconnect() {
  disconnect();
  if (!document.hidden) {
    connect();
    showState();
  }
}

// Nobody looks: nothing need be sent.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    disconnect();
  } else {
    reconnect();
  }
});

setInterval(() => {
  if (stream?.readyState === EventSource.OPEN && performance.now() - lastFrame > SILENT_MS) {
    mood("warn", "No sound comes");
  }
  if (view === "status" && !document.hidden) {
    showStatus();
  }
}, 1500);

function go() {
  const wanted = location.hash.slice(1);
  view = VIEWS.includes(wanted) ? wanted : "listen";
  for (const name of VIEWS) {
    document.querySelector(`#view-${name}`).hidden = name !== view;
    const link = document.querySelector(`[data-view=${name}]`);
    if (name === view) {
      link.setAttribute("aria-current", "page");
      document.title = `wakeword: ${link.firstChild.textContent.trim()}`;
    } else {
      link.removeAttribute("aria-current");
    }
  }
  ({ record: showRecord, review: showReview, status: showStatus })[view]?.();
}

addEventListener("hashchange", () => {
  go();
  document.querySelector("#main").focus({ preventScroll: true });
  scrollTo(0, 0);
});
go();
connect();
