import { Connection, ask, Refusal } from "./connection.js";
import { Graph } from "./graphs.js";
import { readMasks } from "./masks.js";
import { failureOf } from "./source.js";
import { Stage } from "./stage.js";

const $ = (id) => document.getElementById(id);
const stage = globalThis.stageOfPage = new Stage($("stage"), $("video"));  // tests look at it
const graphs = { fps: new Graph($("fps"), $("fps-value"), ""), age: new Graph($("age"), $("age-value"), " ms"),
                 latency: new Graph($("latency"), $("latency-value"), " ms") };
const looks = new Map();  // what this page does with each prompt, by id
let prompts = [], info = { streams: [], ice_servers: [], threshold: 0.5 };
const TICKS_PER_S = 2, SPAN_TICKS = 6;  // figures are of the last three seconds
let connection = null, viewer = null, camera = null, recorder = null, received = 0, recent = [], latency = null, lastSaid = "", isTroubled = false;
let token = sessionStorage.getItem("ssa-token") ?? "";

const say = (text) => { $("status").textContent = text; };

// -- sources

async function loadStreams() {
  const fromLink = new URLSearchParams(location.hash.slice(1)).get("token");
  if (fromLink) {
    sessionStorage.setItem("ssa-token", token = fromLink);
    history.replaceState(null, "", location.pathname);
  }
  try {
    info = await (await ask("api/streams", token)).json();
  } catch (error) {
    $("token-form").hidden = !(error instanceof Refusal && error.status === 401);
    say(error.message);
    return;
  }
  $("token-form").hidden = true;
  const names = { camera: "This browser's camera", scene: "Made-up scene", source: "Source" };
  $("source").replaceChildren(...info.streams.map((one) => new Option(
    one.kind === "camera" ? `${names.camera} (${one.name})` : `${names[one.kind]}: ${one.name} (${one.label})`, one.name)));
  chosen();
}

const stream = () => info.streams.find((one) => one.name === $("source").value);

async function chosen() {
  const own = stream();
  if (!own) return;
  setPrompts(own.prompts);
  const devices = await navigator.mediaDevices?.enumerateDevices?.().catch(() => []) ?? [];
  const cameras = devices.filter((one) => one.kind === "videoinput");
  $("camera-label").hidden = own.kind !== "camera" || cameras.length < 2;
  const before = $("camera").value;
  $("camera").replaceChildren(...cameras.map((one, i) => new Option(one.label || `Camera ${i + 1}`, one.deviceId)));
  if ([...$("camera").options].some((one) => one.value === before)) $("camera").value = before;
}

// -- start and stop

async function start() {
  const own = stream();
  if (!own) { await loadStreams(); return; }
  $("start").disabled = true;
  try {
    await open(own);
    $("start").textContent = "Stop";
    for (const id of ["source", "camera"]) $(id).disabled = true;
    for (const id of ["snapshot", "record"]) $(id).disabled = false;
  } catch (error) {
    stop(explain(error));
  }
  $("start").disabled = false;
}

async function open(own) {
  const isCamera = own.kind === "camera", video = $("video");
  stage.mode = $("mode").value;
  if (isCamera) {
    if (!navigator.mediaDevices) throw new Error("this browser gives its camera to https pages and to localhost only");
    say("Waiting for the camera...");
    const device = $("camera").value;
    camera = await navigator.mediaDevices.getUserMedia({ audio: false, video: {
      width: { ideal: 640, max: info.limits.edge_px }, height: { ideal: 360, max: info.limits.edge_px },
      frameRate: { ideal: 30 }, ...(device ? { deviceId: { ideal: device } } : {}) } });
    video.srcObject = camera;
    camera.getVideoTracks()[0].onended = () => stop("The camera was taken away.");
  }
  say("Connecting...");
  const own_connection = connection = new Connection({ role: isCamera ? "publish" : "watch", stream: own.name,
    track: camera?.getVideoTracks()[0], overlay: stage.mode === "server", token, iceServers: info.ice_servers });
  const show = (event) => { video.srcObject = new MediaStream([event.detail]); video.play().catch(() => {}); };
  connection.addEventListener("track", show);
  isTroubled = false;
  connection.addEventListener("connected", () => { if (!isTroubled) say(`Connected: ${own.label}.`); });
  connection.addEventListener("end", (event) => { if (connection === own_connection) stop(`Ended: ${event.detail}.`); });
  connection.addEventListener("prompts", (event) => setPrompts(event.detail.prompts));
  connection.addEventListener("state", (event) => saySource(own, event.detail));
  connection.addEventListener("video", (event) => { stage.rtpOrigin = event.detail.rtp_origin; });
  connection.addEventListener("masks", (event) => takeMasks(event.detail));
  stage.begin(!isCamera);
  video.play().catch(() => {});
  await connection.open();
  if (isCamera && stage.mode === "server") {  // the drawn pictures come back in a session of their own
    viewer = new Connection({ role: "watch", stream: own.name, overlay: true, token, iceServers: info.ice_servers });
    viewer.addEventListener("track", show);
    await viewer.open();
  }
  $("hint").hidden = true;
}

function saySource(own, state) {
  const before = isTroubled;
  isTroubled = Boolean(failureOf(state));
  if (isTroubled) say(own.kind === "camera" ? state.text : failureOf(state));  // nobody reconnects to a camera of ours
  else if (before) say(`Connected: ${own.label}.`);
}

function stop(text = "Stopped.") {
  if (recorder) toggleRecording();
  viewer?.close();
  connection?.close();
  camera?.getTracks().forEach((track) => { track.onended = null; track.stop(); });
  connection = viewer = camera = null;
  $("video").srcObject = null;
  stage.end();
  for (const graph of Object.values(graphs)) graph.clear();
  recent = [];
  $("hint").hidden = false;
  $("start").textContent = "Start";
  for (const id of ["source", "camera"]) $(id).disabled = false;
  for (const id of ["snapshot", "record"]) $(id).disabled = true;
  $("found").textContent = "";
  say(text);
}

function explain(error) {
  if (error instanceof Refusal && error.status === 401) { $("token-form").hidden = false; return "A token is needed."; }
  if (error.name === "NotAllowedError") return "The camera was not allowed. Allow it in the browser's settings and press Start.";
  if (error.name === "NotFoundError") return "There is no camera. Choose another source.";
  return `That did not work: ${error.message}`;
}

// -- prompts

function setPrompts(list) {
  prompts = list;
  for (const id of looks.keys()) if (!list.some((one) => one.id === id)) looks.delete(id);
  for (const [place, one] of list.entries()) {
    const look = looks.get(one.id) ?? { isShown: true, isSingle: false, threshold: info.threshold };
    looks.set(one.id, Object.assign(look, { place, colour: one.colour, text: one.text }));
  }
  stage.forget(list.map((one) => one.id));
  const rows = new Map([...$("prompts").children].map((row) => [row.dataset.id, row]));
  $("prompts").replaceChildren(...list.map((one) => rows.get(one.id) ?? newRow(one.id)));
  for (const row of $("prompts").children) {
    const look = looks.get(row.dataset.id);
    row.querySelector(".name").textContent = look.text;
    row.querySelector(".swatch").style.background = `rgb(${look.colour})`;
  }
}

function newRow(id) {
  const row = $("prompt").content.firstElementChild.cloneNode(true), look = looks.get(id);
  const find = (name) => row.querySelector(`.${name}`);
  row.dataset.id = id;
  const range = find("threshold");
  range.min = info.threshold;
  range.value = look.threshold;
  find("least").textContent = look.threshold.toFixed(2);
  find("on").onchange = (event) => { look.isShown = event.target.checked; };
  find("many").onchange = (event) => { look.isSingle = event.target.value === "single"; };
  range.oninput = () => { look.threshold = Number(range.value); find("least").textContent = look.threshold.toFixed(2); };
  find("remove").ariaLabel = `Remove ${look.text}`;
  find("remove").onclick = () => command({ type: "remove", prompt_id: id });
  return row;
}

async function command(body) {
  if (!connection) { say("Press Start first: prompts belong to a running stream."); return false; }
  try {
    const answer = await connection.command(body);
    say(`Applies from frame ${answer.applies_from.index ?? answer.applies_from.seq} on.`);
    return true;
  } catch (error) {
    say(error.message);
    return false;
  }
}

// -- masks

stage.look = (id) => looks.get(id) ?? null;

function takeMasks(data) {
  let masks;
  try { masks = readMasks(data); } catch (error) { say(error.message); return; }
  received += 1 / Math.max(1, prompts.length);
  latency = masks.latency_ms;
  stage.take(masks, prompts.map((one) => one.id));
}

function tick() {
  if (!connection) return;
  recent = [...recent, received].slice(-SPAN_TICKS);
  received = 0;
  const frames = recent.reduce((sum, one) => sum + one, 0);
  graphs.fps.add(frames * TICKS_PER_S / recent.length);
  graphs.age.add(stage.shown.index < 0 ? null : stage.age);
  graphs.latency.add(frames ? latency : null);
  const found = prompts.map((one) => {
    const masks = stage.shown.masks.get(one.id), row = [...$("prompts").children].find((row) => row.dataset.id === one.id);
    const count = masks ? stage.visible(masks).length : 0;
    if (row) row.querySelector(".count").textContent = masks ? `${count} found` : "";
    return `${one.text}: ${count || "none"}`;
  }).join("; ");
  if (found !== lastSaid) $("found").textContent = lastSaid = found;
}

// -- files

function save(blob, ending) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `ssa-${new Date().toISOString().replace(/[:.]/g, "-")}.${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function toggleRecording() {
  if (recorder) { recorder.stop(); return; }
  const type = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm", "video/mp4"].find((one) => MediaRecorder.isTypeSupported(one));
  const parts = [], own = recorder = new MediaRecorder($("stage").captureStream(30), { mimeType: type });
  own.ondataavailable = (event) => parts.push(event.data);
  own.onstop = () => {
    recorder = null;
    $("record").ariaPressed = "false";
    $("record").textContent = "Record";
    save(new Blob(parts, { type }), type.includes("mp4") ? "mp4" : "webm");
  };
  own.start(1000);
  $("record").ariaPressed = "true";
  $("record").textContent = "Stop recording";
}

// -- what the user does

$("start").onclick = () => (connection ? stop() : start());
$("source").onchange = chosen;
$("mode").onchange = () => {
  const isServer = $("mode").value === "server";
  if (connection && isServer !== (stage.mode === "server")) { stop("Press Start again: the server draws in another session."); return; }
  stage.mode = $("mode").value;
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
$("snapshot").onclick = () => $("stage").toBlob((blob) => save(blob, "png"));
$("record").onclick = toggleRecording;
addEventListener("pagehide", () => { viewer?.close(); connection?.close(); });
setInterval(tick, 500);
loadStreams();
