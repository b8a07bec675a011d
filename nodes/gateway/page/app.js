import { Connection, ask, Refusal } from "./connection.js";
import { Graph } from "./graphs.js";
import { readMasks } from "./masks.js";
import { PromptList } from "./prompt_list.js";
import { Reconnector } from "./reconnect.js";
import { Recording, snapshot } from "./recording.js";
import { PromptMemory } from "./restore.js";
import { Stage } from "./stage.js";
import { StatusBar } from "./status_bar.js";
import { endWords, promptWords, refusalWords, sourceWords } from "./words.js";

const TICK_MS = 500, RATE_TICKS = 6, LOST_MASKS_MS = 5000, NEXT_LOOK_MS = 3000, NOTICE_MS = 8000;
const $ = (id) => document.getElementById(id);
const stage = globalThis.stageOfPage = new Stage($("stage"), $("video"));  // tests look at it
const bar = new StatusBar($("bar"), () => reconnector.tryNow());
const graphs = { fps: new Graph($("fps")), age: new Graph($("age")), latency: new Graph($("latency"), $("latency-value"), " ms") };
const list = new PromptList({ list: $("prompts"), template: $("prompt"), threshold: () => info.threshold, command });
const reconnector = new Reconnector(connect);
const recording = new Recording($("stage"), (isOn) => {
  $("record").ariaPressed = String(isOn);
  $("record").textContent = isOn ? "Stop recording" : "Record";
});
let info = { streams: [], ice_servers: [], threshold: 0.5 };
let own = null, camera = null, viewer = null, memory = new PromptMemory();  // own: the stream in use
let counted = [], received = 0, latency = null, lostAt = null, lastSaid = "", noticeTimer = 0;
let token = sessionStorage.getItem("ssa-token") ?? "";

// -- what is said

function notice({ text, detail }, stays = true) {
  clearTimeout(noticeTimer);
  $("notice").replaceChildren(text);
  if (detail) $("notice").append(Object.assign(document.createElement("small"), { textContent: detail }));
  if (!stays) noticeTimer = setTimeout(() => $("notice").replaceChildren(), NOTICE_MS);
}

function cover(text) {  // over the video; empty: nothing
  $("hint").hidden = !text;
  $("hint").textContent = text;
}

// -- sources

async function loadStreams() {
  const fromLink = new URLSearchParams(location.hash.slice(1)).get("token");
  if (fromLink) {
    sessionStorage.setItem("ssa-token", token = fromLink);
    history.replaceState(null, "", location.pathname);
  }
  try {
    await fetchInfo();
  } catch (error) {
    const isRefused = error instanceof Refusal, words = refusalWords(error);
    const wasWrong = error.status === 401 && token;
    $("token-form").hidden = error.status !== 401;
    bar.say("bad", wasWrong ? "This access token is not the right one." : words.text);
    if (!isRefused) setTimeout(loadStreams, NEXT_LOOK_MS);
    return;
  }
  $("token-form").hidden = true;
  bar.say("idle", "Choose a source and press Start.");
  const label = { camera: () => "this device's camera", scene: () => "made-up scene", source: (one) => one.label };
  $("source").replaceChildren(...info.streams.map((one) => new Option(`${one.name}: ${label[one.kind](one)}`, one.name)));
  chosen();
}

async function fetchInfo() {
  info = await (await ask("api/streams", token)).json();
  const { examples = [] } = info.checkpoint ?? {};
  $("text").placeholder = `for example: ${examples[0] ?? "the red cup on the left"}`;
  $("examples").hidden = !examples.length;
  $("examples").replaceChildren(...examples.slice(0, 6).map((text) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
    button.onclick = () => { $("text").value = text; $("text").focus(); };
    return button;
  }));
}

async function chosen() {
  const one = info.streams.find(({ name }) => name === $("source").value);
  if (!one) return;
  list.forget();
  list.show(one.prompts);
  const { name, domain } = info.checkpoint ?? {};
  $("domain").hidden = !domain || one.kind === "scene";
  $("domain").textContent = `The model of this server (${name}) knows ${domain} only. In other pictures it finds nothing, or the wrong thing.`;
  const devices = await navigator.mediaDevices?.enumerateDevices?.().catch(() => []) ?? [];
  const cameras = devices.filter(({ kind }) => kind === "videoinput");
  $("camera-label").hidden = one.kind !== "camera" || cameras.length < 2;
  const before = $("camera").value;
  $("camera").replaceChildren(...cameras.map((device, i) => new Option(device.label || `Camera ${i + 1}`, device.deviceId)));
  if ([...$("camera").options].some(({ value }) => value === before)) $("camera").value = before;
}

// -- start and stop

async function start() {
  own = info.streams.find(({ name }) => name === $("source").value);
  if (!own) { await loadStreams(); return; }
  memory = new PromptMemory();
  $("start").disabled = true;
  try {
    if (own.kind === "camera") await openCamera();
  } catch (error) {
    halt(refusalWords(error));
    return;
  } finally {
    $("start").disabled = false;
  }
  $("start").textContent = "Stop";
  for (const id of ["source", "camera"]) $(id).disabled = true;
  for (const id of ["snapshot", "record"]) $(id).disabled = false;
  stage.mode = $("mode").value;
  reconnector.start();
}

async function openCamera() {
  if (!navigator.mediaDevices) throw new Error("Browsers give their camera to https pages and to this machine's own pages only.");
  bar.say("busy", "Waiting for the camera. Allow it if the browser asks.");
  const device = $("camera").value, edge = info.limits.edge_px;
  camera = await navigator.mediaDevices.getUserMedia({ audio: false, video: {
    width: { ideal: 640, max: edge }, height: { ideal: 360, max: edge },
    frameRate: { ideal: 30 }, ...(device ? { deviceId: { ideal: device } } : {}) } });
  $("video").srcObject = camera;
  camera.getVideoTracks()[0].onended = () => halt({ text: "The camera was taken away. Press Start to use it again." });
}

// Of the reconnector: one attempt. The camera stays open between them.
async function connect() {
  viewer?.close();
  viewer = null;
  if (lostAt != null) {  // the server may be another one now
    await fetchInfo();
    const now = info.streams.find(({ name }) => name === own.name);
    if (now?.kind !== own.kind) throw new Refusal(404, `there is no ${own.kind} ${own.name} any more`);
    own = now;
  }
  const isCamera = own.kind === "camera", isDrawn = stage.mode === "server";
  const common = { stream: own.name, token, iceServers: info.ice_servers };
  const connection = new Connection({
    ...common, role: isCamera ? "publish" : "watch", track: camera?.getVideoTracks()[0], overlay: isDrawn });
  connection.addEventListener("track", show);
  connection.addEventListener("prompts", (event) => takePrompts(connection, event.detail));
  connection.addEventListener("state", (event) => takeState(event.detail));
  connection.addEventListener("video", (event) => { stage.rtpOrigin = event.detail.rtp_origin; });
  connection.addEventListener("masks", (event) => takeMasks(event.detail));
  stage.begin(!isCamera);
  $("video").play().catch(() => {});
  try {
    await connection.open();
    if (isCamera && isDrawn) {  // the drawn pictures come back in a session of their own
      const second = viewer = new Connection({ ...common, role: "watch", overlay: true });
      second.addEventListener("track", show);
      second.addEventListener("end", (event) => connection.lose(event.detail.code, event.detail.text));
      await second.open();
    }
  } catch (error) {
    connection.close();
    viewer?.close();
    throw error;
  }
  return connection;
}

function show(event) {
  $("video").srcObject = new MediaStream([event.detail]);
  $("video").play().catch(() => {});
}

reconnector.addEventListener("phase", ({ detail: { phase, error, end, in_s } }) => {
  if (phase === "connected") {
    lostAt = null;
    cover("");
    bar.say("good", `Connected to ${own.name}.`);
  } else if (phase === "connecting") {
    cover(lostAt == null ? "Connecting…" : "Connecting again…");
    bar.say("busy", lostAt == null ? "Connecting…" : "Connecting again…");
  } else if (phase === "waiting") {
    if (lostAt == null) lostAt = performance.now();
    const { text } = error ? refusalWords(error, own.name) : endWords(end);
    cover("Not connected");
    bar.trouble("");
    bar.say("bad", text);
    bar.retry(in_s);
  } else if (error || end) {
    $("token-form").hidden = error?.status !== 401;
    halt(error ? refusalWords(error, own.name) : endWords(end));
  }
});

// Stopped, by the user or because it makes no sense to go on.
function halt({ text, detail = "" }, level = "bad") {
  recording.stop();
  viewer?.close();
  reconnector.stop();
  camera?.getTracks().forEach((track) => { track.onended = null; track.stop(); });
  viewer = camera = lostAt = null;
  $("video").srcObject = null;
  stage.end();
  for (const graph of Object.values(graphs)) graph.clear();
  for (const id of list.ids) list.counted(id, null);
  counted = [];
  cover("No video yet");
  $("start").textContent = "Start";
  for (const id of ["source", "camera"]) $(id).disabled = false;
  for (const id of ["snapshot", "record"]) $(id).disabled = true;
  $("found").textContent = lastSaid = "";
  bar.figures(null, null);
  bar.trouble("");
  bar.say(level, text);
  notice(detail ? { text: "The server says:", detail } : { text: "" });
}

// -- what the server tells

function takeState(state) {
  const isCamera = own.kind === "camera";  // nobody reconnects to a camera of ours
  bar.trouble((isCamera ? state.text : sourceWords(state)) || state.overload || "");
}

function takePrompts(connection, message) {
  // An answer may come later than what others changed after it; only what is published is in order.
  if (message.id != null && message.version < (memory.newest ?? memory.last)?.version) return;
  const commands = message.id == null ? memory.take(message) : [];
  list.show(message.prompts);
  stage.forget(list.ids);
  if (commands.length) restore(connection, commands);
}

async function restore(connection, commands) {
  let failure = null;
  for (const body of commands) {
    try { await connection.command(body); }
    catch (error) { if (error.code !== "unknown_prompt") failure = error; }
  }
  memory.finish(!connection.isClosed);
  if (connection.isClosed) return;
  if (failure) notice({ ...promptWords(failure), text: "The server started anew, and not all prompts could be set again." });
  else notice({ text: "The server started anew. Your prompts were set again." });
}

async function command(body, before = "") {
  const { connection } = reconnector;
  if (!connection) {
    notice({ text: reconnector.isWanted ? promptWords({ code: "closed" }).text : "Press Start first, then say what to look for." });
    return null;
  }
  try {
    const answer = await connection.command(body);
    if (body.type === "add") {
      const one = answer.prompts.find(({ id }) => id === body.prompt_id) ?? answer.prompts.at(-1);
      memory.own.add(one.text);
      takePrompts(connection, answer);
      list.hint(one.id, answer.hint ?? "");
    }
    const words = body.type === "remove" ? `No longer looking for “${before}”.`
      : `Now looking for “${body.text}”${before ? ` instead of “${before}”` : ""}.`;
    notice({ text: words }, false);
    return answer;
  } catch (error) {
    notice(promptWords(error));
    return null;
  }
}

stage.look = (id) => list.look(id);

function takeMasks(data) {
  let masks;
  try { masks = readMasks(data); } catch { notice({ text: "Some masks were damaged on their way." }); return; }
  received += 1 / Math.max(1, list.prompts.length);
  latency = masks.latency_ms;
  stage.take(masks, list.ids);
}

function tick() {
  if (!reconnector.isWanted) return;
  if (!reconnector.connection) {
    if (lostAt != null && performance.now() - lostAt > LOST_MASKS_MS) loseMasks();
    bar.figures(null, null);
    received = 0;
    counted = [];
    for (const graph of Object.values(graphs)) graph.add(null);
    return;
  }
  counted = [...counted, received].slice(-RATE_TICKS);
  received = 0;
  const rate = counted.reduce((sum, one) => sum + one, 0) / counted.length * 1000 / TICK_MS;
  const age = stage.shown.index < 0 ? null : stage.age;
  bar.figures(rate, age);
  graphs.fps.add(rate);
  graphs.age.add(age);
  graphs.latency.add(latency);
  const found = list.prompts.map((one) => {
    const masks = stage.shown.masks.get(one.id), count = masks ? stage.visible(masks).length : null;
    list.counted(one.id, count);
    return `${one.text}: ${count || "none"}`;
  }).join("; ");
  if (found !== lastSaid) $("found").textContent = lastSaid = found;
}

// Old masks say nothing of what is there now.
function loseMasks() {
  if (stage.mode === "server") stage.end(); else stage.forget([]);
  for (const id of list.ids) list.counted(id, null);
}

// -- what the user does

$("start").onclick = () => (reconnector.isWanted ? halt({ text: "Stopped." }, "idle") : start());
$("source").onchange = chosen;
$("mode").onchange = () => {
  const isOther = ($("mode").value === "server") !== (stage.mode === "server");
  stage.mode = $("mode").value;
  if (!reconnector.isWanted || !isOther) return;
  if (camera) $("video").srcObject = camera;
  reconnector.start();  // the server draws in another session
};
$("add").onsubmit = async (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  $("text").value = "";  // at once: the next one may be typed before the answer comes
  if (!await command({ type: "add", text }) && !$("text").value) $("text").value = text;
};
$("token-form").onsubmit = (event) => {
  event.preventDefault();
  sessionStorage.setItem("ssa-token", token = $("token").value.trim());
  loadStreams();
};
$("snapshot").onclick = () => snapshot($("stage"));
$("record").onclick = () => recording.toggle();
addEventListener("pagehide", () => viewer?.close());
setInterval(tick, TICK_MS);
loadStreams();
