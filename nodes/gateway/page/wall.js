// All streams side by side: their newest pictures with masks, drawn by the server, and their prompts.

import { Refusal, ask } from "./connection.js";
import { PromptList } from "./prompt_list.js";
import { Reconnector } from "./reconnect.js";
import { StatusBar } from "./status_bar.js";
import { promptWords, refusalWords, streamWords } from "./words.js";

const ANSWER_MS = 10_000, NOTICE_MS = 8000, TICK_MS = 500, OLD_MS = 5000;
const TEXT = new TextDecoder();
const $ = (id) => document.getElementById(id);
const bar = new StatusBar($("bar"), () => reconnector.tryNow());
const reconnector = new Reconnector(connect);
const tiles = new Map();
let token = sessionStorage.getItem("ssa-token") ?? "";

// Asks again and again, for as long as the page is in sight. Events as of `Connection`; "look" with what came.
class Look extends EventTarget {
  isConnected = false; isClosed = false; #next = null; #stop = new AbortController();

  async open() {
    await this.#once();
    this.isConnected = true;
    this.#go();
  }

  check() {}  // an answer that does not come ends it soon anyway

  close() {
    this.isClosed = true;
    this.#stop.abort();
    return Promise.resolve(true);
  }

  async #go() {
    try {
      while (!this.isClosed) {
        await new Promise((go) => setTimeout(go, this.pause_ms));
        await inSight();
        if (!this.isClosed) await this.#once();
      }
    } catch (error) {
      if (this.isClosed) return;
      this.close();
      this.dispatchEvent(new CustomEvent("end", { detail: { code: "connection", text: "", error } }));
    }
  }

  async #once() {
    const begin = performance.now();
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(ANSWER_MS)]);
    const path = `api/wall${this.#next == null ? "" : `?after=${this.#next}`}`;
    const answer = readLook(await (await ask(path, token, { signal })).arrayBuffer());
    this.#next = answer.next;
    this.pause_ms = Math.max(50, 1000 / answer.pictures_per_s - (performance.now() - begin));
    if (!this.isClosed) this.dispatchEvent(new CustomEvent("look", { detail: answer }));
  }
}

// The length of the header, little-endian; the header, JSON; and the JPEG files that it tells of.
function readLook(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const answer = JSON.parse(TEXT.decode(new Uint8Array(buffer, 4, length)));
  let at = 4 + length;
  for (const { picture } of answer.streams) {
    if (!picture?.bytes) continue;
    picture.file = new Blob([new Uint8Array(buffer, at, picture.bytes)], { type: "image/jpeg" });
    at += picture.bytes;
  }
  return answer;
}

function inSight() {
  return new Promise((go) => {
    if (!document.hidden) { go(); return; }
    document.addEventListener("visibilitychange", () => inSight().then(go), { once: true });
  });
}

class Tile {
  #list; #find; #version = -1; #takenAt = null; #timer = 0; #stream;

  constructor(name) {
    this.root = $("tile").content.firstElementChild.cloneNode(true);
    this.name = name;
    this.root.dataset.stream = name;
    this.#find = (one) => this.root.querySelector(`.${one}`);
    this.#find("title").textContent = name;
    this.#find("text").ariaLabel = `Something new to look for in ${name}`;
    for (const link of this.root.querySelectorAll(".open")) link.href = `./#stream=${encodeURIComponent(name)}`;
    this.#list = new PromptList({ list: this.#find("prompts"), template: $("prompt"), threshold: () => 0,
                                  command: (body, before) => this.#command(body, before) });
    this.#find("add").onsubmit = (event) => { event.preventDefault(); this.#add(); };
  }

  take(stream) {
    const { picture } = this.#stream = stream;
    this.#prompts(stream);
    if (picture?.file) this.#show(picture.file);
    if (!picture) this.#find("shown").hidden = true;
    this.#takenAt = picture ? performance.now() - picture.age_ms : null;
    for (const id of this.#list.ids) this.#list.counted(id, picture?.found[id] ?? null);
    this.tick();
  }

  // What changes by time alone.
  tick() {
    const { picture, rate_hz } = this.#stream, age_ms = picture && performance.now() - this.#takenAt;
    const { level, text, why } = streamWords(this.#stream, age_ms), isBare = this.#find("shown").hidden;
    this.root.dataset.level = level;
    this.root.classList.toggle("is-old", age_ms != null && age_ms > OLD_MS);
    this.#put("state", isBare || level === "good" ? text : why);
    this.#put("hint", isBare ? why : "");
    this.#find("hint").hidden = !this.#find("hint").textContent;
    this.#put("rate", rate_hz ? rate_hz.toFixed(1) : "–");
    this.#put("age", age_ms == null ? "–" : age_ms < 1000 ? `${Math.round(age_ms / 10) * 10} ms` : `${(age_ms / 1000).toFixed(1)} s`);
  }

  // Another connection: it may be to a server that counts anew.
  begin() { this.#version = -1; }

  #prompts({ version, prompts }) {
    if (version < this.#version) return;  // older than the answer to a change of ours
    this.#version = version;
    this.#list.show(prompts);
  }

  #show(file) {
    const image = this.#find("shown"), before = image.src, address = URL.createObjectURL(file);
    image.onload = image.onerror = () => { if (before) URL.revokeObjectURL(before); };
    image.src = address;
    image.hidden = false;
  }

  async #add() {
    const field = this.#find("text"), text = field.value.trim();
    if (!text) return;
    field.value = "";
    if (!await this.#command({ type: "add", text }) && !field.value) field.value = text;
  }

  async #command(body, before = "") {
    const same = this.#list.same(body);
    if (same != null) { this.#say(promptWords({ code: "same", message: same }), false); return null; }
    let answer;
    try {
      const headers = { "Content-Type": "application/json" };
      const path = `api/streams/${encodeURIComponent(this.name)}/prompts`;
      answer = await (await ask(path, token, { method: "POST", headers, body: JSON.stringify(body) })).json();
    } catch (error) {
      this.#say(error instanceof Refusal ? refusedWords(error) : promptWords({ code: "closed" }));
      return null;
    }
    this.#prompts(answer);
    if (body.type === "add") {
      const one = answer.prompts.find(({ id }) => id === body.prompt_id) ?? answer.prompts.at(-1);
      this.#list.hint(one.id, answer.hint ?? "");
    }
    this.#say({ text: body.type === "remove" ? `No longer looking for “${before}”.`
      : `Now looking for “${body.text}”${before ? ` instead of “${before}”` : ""}.` }, false);
    return answer;
  }

  #say({ text, detail }, stays = true) {
    clearTimeout(this.#timer);
    const note = this.#find("note");
    note.replaceChildren(text);
    if (detail) note.append(Object.assign(document.createElement("small"), { textContent: detail }));
    if (!stays) this.#timer = setTimeout(() => note.replaceChildren(), NOTICE_MS);
  }

  #put(name, text) {
    const element = this.#find(name);
    if (element.textContent !== text) element.textContent = text;
  }
}

// What the server refused: its body is a message such as those on the data channel, unless the request itself was wrong.
function refusedWords(error) {
  try {
    const { code, text } = JSON.parse(error.message);
    return promptWords({ code, message: text });
  } catch {
    return refusalWords(error);
  }
}

async function connect() {
  const look = new Look();
  for (const tile of tiles.values()) tile.begin();
  look.addEventListener("look", ({ detail }) => take(detail.streams));
  await look.open();
  return look;
}

function take(streams) {
  for (const stream of streams) {
    if (!tiles.has(stream.name)) tiles.set(stream.name, new Tile(stream.name));
    tiles.get(stream.name).take(stream);
  }
  for (const name of tiles.keys()) if (!streams.some((one) => one.name === name)) tiles.delete(name);
  const wanted = streams.map(({ name }) => tiles.get(name).root), shown = [...$("wall").children];
  if (wanted.length !== shown.length || wanted.some((one, i) => one !== shown[i])) $("wall").replaceChildren(...wanted);
}

reconnector.addEventListener("phase", ({ detail: { phase, error, end, in_s } }) => {
  const why = error ?? end?.error, text = why ? refusalWords(why).text : "The connection was lost.";
  if (phase === "connected") bar.say("good", tiles.size === 1 ? "One stream" : `${tiles.size} streams`);
  else if (phase === "connecting") bar.say("busy", tiles.size ? "Connecting again…" : "Connecting…");
  else if (phase === "waiting") { bar.say("bad", text); bar.retry(in_s); }
  else if (error) {
    bar.say("bad", error.status === 401 && token ? "This access token is not the right one." : text);
    $("token-form").hidden = error.status !== 401;
  }
});

function keepToken(given) {
  sessionStorage.setItem("ssa-token", token = given);
  $("token-form").hidden = true;
  reconnector.start();
}

$("token-form").onsubmit = (event) => { event.preventDefault(); keepToken($("token").value.trim()); };
setInterval(() => { for (const tile of tiles.values()) tile.tick(); }, TICK_MS);
const linked = new URLSearchParams(location.hash.slice(1)).get("token");
if (linked) { history.replaceState(null, "", location.pathname); keepToken(linked); } else reconnector.start();
