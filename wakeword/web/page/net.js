// Talking to the daemon: questions, orders, sounds.

const toast = document.querySelector("#toast");
let hide = 0;

export function complain(text) {
  toast.textContent = text;
  toast.hidden = false;
  clearTimeout(hide);
  hide = setTimeout(() => { toast.hidden = true; }, 8000);
}

async function request(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The daemon does not answer.");
  }
  if (answer.status === 401) {
    location.assign("/login");
  }
  if (!answer.ok) {
    const found = await answer.json().catch(() => ({}));
    throw new Error(found.error ?? `The daemon answers ${answer.status}.`);
  }
  return answer;
}

export async function ask(path) {
  return (await request(path)).json();
}

export async function order(path, body) {
  const headers = { "Content-Type": "application/json" };
  return (await request(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

// Runs something that talks to the daemon; what goes wrong is shown.
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    complain(error.message);
    return undefined;
  }
}

const player = new Audio();
let button = null;
let source = "";

function stop() {
  player.pause();
  button?.classList.remove("playing");
  button = null;
  if (source) {
    URL.revokeObjectURL(source);
    source = "";
  }
}
player.addEventListener("ended", stop);

// Plays a WAV of the daemon's; pressed again, the button stops it.
export async function play(path, pressed) {
  const again = button === pressed;
  stop();
  if (again) {
    return;
  }
  await attempt(async () => {
    // As a blob: a phone's player asks for pieces of a file, and these are small.
    source = URL.createObjectURL(await (await request(path)).blob());
    button = pressed;
    pressed.classList.add("playing");
    player.src = source;
    await player.play();
  });
}

export function clone(id) {
  return document.querySelector(id).content.firstElementChild.cloneNode(true);
}

export function element(tag, text = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) {
    made.className = className;
  }
  return made;
}

export function clock(at) {
  const when = new Date(at);
  const today = when.toDateString() === new Date().toDateString();
  const time = when.toLocaleTimeString();
  return today ? time : `${when.toLocaleDateString()} ${time}`;
}
