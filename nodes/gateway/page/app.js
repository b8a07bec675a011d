import { Connection, ask, Refusal } from "./connection.js";
import { Figures } from "./figures.js";
import { readMasks } from "./masks.js";
import { PromptList } from "./prompt_list.js";
import { Reconnector } from "./reconnect.js";
import { Recording, snapshot } from "./recording.js";
import { PromptMemory } from "./restore.js";
import { Sources } from "./sources.js";
import { Stage } from "./stage.js";
import { StatusBar } from "./status_bar.js";
import { endWords, overloadWords, promptWords, refusalWords, sourceWords } from "./words.js";

const TICK_MS = 500, LOST_MASKS_MS = 5000, NEXT_LOOK_MS = 3000, NOTICE_MS = 8000;
const FOUND_MS = 3000;  // what is found is read out, but not with every picture
const $ = (id) => document.getElementById(id);
const stage = globalThis.stageOfPage = new Stage($("stage"), $("video"));  // tests look at it
const bar = new StatusBar($("bar"), () => reconnector.tryNow());
const figures = new Figures({ rate: $("fps"), age: $("age"), latency: $("latency"), latencyText: $("latency-value") });
const list = new PromptList({ list: $("prompts"), template: $("prompt"), threshold: () => sources.info.threshold, command });
const reconnector = new Reconnector(connect);
const recording = new Recording($("stage"), (isOn) => {
  $("record").ariaPressed = String(isOn);
  $("record").textContent = isOn ? "Stop recording" : "Record";
});
const sources = new Sources((stream) => { list.forget(); showPrompts(stream.prompts); });
let own = null, viewer = null, memory = new PromptMemory();  // own: the stream in use
let sourceTrouble = "", isSaidReady = null;  // of this connection; null: nothing was said yet
let lostAt = null, lastFound = { text: "", at: -Infinity }, noticeTimer = 0;

// -- what is said

function notice({ text, detail }, stays = true) {
  clearTimeout(noticeTimer);
  $("notice").replaceChildren(text);
  if (detail) $("notice").append(Object.assign(document.createElement("small"), { textContent: detail }));
  if (!stays) noticeTimer = setTimeout(() => $("notice").replaceChildren(), NOTICE_MS);
}

function cover(text) {  // over the video; empty: nothing
  $("hint").hidden = !text;
  if ($("hint").textContent !== text) $("hint").textContent = text;
}

// -- sources

async function loadStreams() {
  const { linked } = sources;  // the stream that the address asks for
  let chosen = "";
  try {
    chosen = await sources.list();
  } catch (error) {
    const wasWrong = error.status === 401 && sources.token;
    $("token-form").hidden = error.status !== 401;
    bar.say("bad", wasWrong ? "This access token is not the right one." : refusalWords(error, linked).text);
    if (!(error instanceof Refusal)) setTimeout(loadStreams, NEXT_LOOK_MS);
    return;
  }
  $("token-form").hidden = true;
  if (reconnector.isWanted) return;
  if (chosen && sources.chosen.kind !== "camera") { start(); return; }
  bar.say("idle", "Choose a source and press Start.");
}

// -- start and stop

async function start() {
  own = sources.chosen;
  if (!own) { await loadStreams(); return; }
  memory = new PromptMemory();
  $("start").disabled = true;
  try {
    if (own.kind === "camera") {
      bar.say("busy", "Waiting for the camera. Allow it if the browser asks.");
      $("video").srcObject = await sources.openCamera(
        () => halt({ text: "The camera was taken away. Press Start to use it again." }));
    }
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

// Of the reconnector: one attempt. The camera stays open between them.
async function connect() {
  viewer?.close();
  viewer = null;
  if (lostAt != null) own = await sources.again(own);
  const isCamera = own.kind === "camera", isDrawn = stage.mode === "server";
  const common = { stream: own.name, token: sources.token, iceServers: sources.info.ice_servers };
  const connection = new Connection({
    ...common, role: isCamera ? "publish" : "watch", track: sources.camera?.getVideoTracks()[0], overlay: isDrawn });
  connection.addEventListener("track", show);
  connection.addEventListener("prompts", (event) => takePrompts(connection, event.detail));
  connection.addEventListener("state", (event) => takeState(event.detail));
  connection.addEventListener("video", (event) => { stage.rtpOrigin = event.detail.rtp_origin; });
  connection.addEventListener("masks", (event) => takeMasks(event.detail));
  stage.begin(!isCamera);
  sourceTrouble = "";
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
    isSaidReady = null;
    sayReady();
  } else if (phase === "connecting") {
    notice({ text: "" });  // what was said of the connection before
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

// Connected, but the model may still load: that is not ready, and nothing is known of what is there.
function sayReady() {
  const hasMasks = stage.shown.index >= 0, isReady = hasMasks || !list.prompts.length || Boolean(sourceTrouble);
  const isBlack = !hasMasks && sourceTrouble && !$("video").videoWidth;
  cover(isReady ? isBlack ? "No video yet" : "" : "Waiting for the first masks…");
  if (isReady === isSaidReady) return;
  isSaidReady = isReady;
  bar.say(isReady ? "good" : "busy", isReady ? `Connected to ${own.name}.` : "Connected. Waiting for the first masks…");
}

// Stopped, by the user or because it makes no sense to go on.
function halt({ text, detail = "" }, level = "bad") {
  recording.stop();
  viewer?.close();
  reconnector.stop();
  sources.closeCamera();
  viewer = lostAt = null;
  $("video").srcObject = null;
  stage.end();
  figures.clear();
  for (const id of list.ids) list.counted(id, null);
  cover("No video yet");
  $("start").textContent = "Start";
  for (const id of ["source", "camera"]) $(id).disabled = false;
  for (const id of ["snapshot", "record"]) $(id).disabled = true;
  $("found").textContent = "";
  bar.figures(null, null);
  bar.trouble("");
  bar.say(level, text);
  notice(detail ? { text: "The server says:", detail } : { text: "" });
}

// -- what the server tells

function takeState(state) {
  const isCamera = own.kind === "camera";  // nobody reconnects to a camera of ours
  sourceTrouble = (isCamera ? state.text : sourceWords(state)) || "";
  const { text, detail } = sourceTrouble ? { text: sourceTrouble } : overloadWords(state);
  bar.trouble(text, detail);
  if (reconnector.connection) sayReady();
}

function showPrompts(prompts) {
  list.show(prompts);
  sources.offer(prompts);
}

function takePrompts(connection, message) {
  // An answer may come later than what others changed after it; only what is published is in order.
  if (message.id != null && message.version < (memory.newest ?? memory.last)?.version) return;
  const commands = message.id == null ? memory.take(message) : [];
  showPrompts(message.prompts);
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
    notice({ text: reconnector.isWanted ? promptWords({ code: "closed" }).text : "Press Start first, then say what to look for." },
           !reconnector.isWanted);
    return null;
  }
  const same = list.same(body);
  if (same != null) { notice(promptWords({ code: "same", message: same }), false); return null; }
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
  figures.count(1 / Math.max(1, list.prompts.length), masks.latency_ms);
  stage.take(masks, list.ids);
}

function tick() {
  if (!reconnector.isWanted) return;
  const isConnected = reconnector.connection != null;
  const { rate_hz, age_ms } = figures.tick(isConnected, stage.shown.index < 0 ? null : stage.age);
  bar.figures(rate_hz, age_ms);
  if (!isConnected) {
    if (lostAt != null && performance.now() - lostAt > LOST_MASKS_MS) loseMasks();
    return;
  }
  sayReady();
  const found = list.prompts.flatMap((one) => {
    const masks = stage.shown.masks.get(one.id), count = masks ? stage.visible(masks).length : null;
    list.counted(one.id, count);
    return count == null ? [] : [`${one.text}: ${count || "none"}`];  // nobody has looked for it yet
  }).join("; ");
  if (found === lastFound.text || performance.now() - lastFound.at < FOUND_MS) return;
  lastFound = { text: found, at: performance.now() };
  $("found").textContent = found;
}

// Old masks say nothing of what is there now.
function loseMasks() {
  if (stage.mode === "server") stage.end(); else stage.forget([]);
  for (const id of list.ids) list.counted(id, null);
}

// -- what the user does

$("start").onclick = () => (reconnector.isWanted ? halt({ text: "Stopped." }, "idle") : start());
$("mode").onchange = () => {
  const isOther = ($("mode").value === "server") !== (stage.mode === "server");
  stage.mode = $("mode").value;
  if (!reconnector.isWanted || !isOther) return;
  if (sources.camera) $("video").srcObject = sources.camera;
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
  sources.keepToken($("token").value.trim());
  loadStreams();
};
$("snapshot").onclick = () => snapshot($("stage"));
$("record").onclick = () => recording.toggle();
addEventListener("pagehide", () => viewer?.close());
setInterval(tick, TICK_MS);
loadStreams();
