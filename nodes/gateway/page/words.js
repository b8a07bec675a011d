// What the page says, in words for people who have never seen the project. What the server said in its own words is kept
// as `detail`, for those who run it.

// A connection could not be made: an error of `Connection.open`, or of the camera.
export function refusalWords(error, stream = "") {
  const words = {
    400: "The server did not understand this browser. Another browser, or a newer one, may help.",
    401: "This server asks for an access token. Type it below.",
    403: "The server does not accept requests from this page. Open the page at the server's own address.",
    404: `There is no stream called “${stream}” on this server any more. Choose another source.`,
    409: `Another camera is sending to “${stream}”. Press Start again when it has stopped, or choose another source.`,
    413: "What this browser sent is too long for the server.",
    421: "The server does not know itself by the name in the address bar. Open the page under its proper address.",
    429: "The server gets too many requests.",
    500: "The server made a mistake. Its log says more.",
    502: "The server does not answer.",
    503: "All places on this server are taken, or it is starting.",
    504: "The server does not answer.",
  };
  if (error?.status) return { text: words[error.status] ?? "The server refused this.", detail: error.message };
  switch (error?.name) {
    case "NotAllowedError": return { text: "The camera was not allowed. Allow it in the browser's settings and press Start." };
    case "NotFoundError": return { text: "This device has no camera. Choose another source." };
    case "NotReadableError": return { text: "The camera is used by another program. Close that and press Start." };
    case "TimeoutError": case "AbortError": return { text: "The server does not answer." };
    case "TypeError": return { text: navigator.onLine ? "The server cannot be reached." : "This device is offline." };
    default: return { text: error?.message || "That did not work." };
  }
}

// A connection ended: the code and text of the server's message, or of our own.
export function endWords({ code, text }) {
  const words = {
    gateway: "The server stopped or is starting again.",
    session: "The longest time for one visit is over.",
    silence: "The connection was silent for too long.",
    connect: "No video connection came about. A firewall may be in the way.",
    connection: "The connection was lost.",
    camera: "The camera's pictures stopped.",
    bitrate: "The camera sends more than this server takes. Choose a smaller picture for it.",
    edge: "The camera's picture is larger than this server takes. Choose a smaller one.",
  };
  return { text: words[code] ?? "The connection ended.", detail: words[code] && code !== "bitrate" && code !== "edge" ? "" : text };
}

// A change of the prompts was refused, by the server or, as "same", by ourselves.
export function promptWords({ code, message }) {
  switch (code) {
    case "too_many": return { text: "This stream has as many prompts as it can take. Remove one first.", detail: message };
    case "unknown_prompt": return { text: "Somebody has removed this prompt already." };
    case "busy": return { text: "Those were many changes at once. Wait a moment and try again." };
    case "too_large": return { text: "This sentence is too long. Say it in fewer words." };
    case "unavailable": case "timeout": return { text: "The server did not answer. Try again in a moment.", detail: message };
    case "same": return { text: `You are looking for “${message}” already.` };
    case "closed": return { text: "There is no connection just now. Try again when there is one." };
    case "invalid": return { text: "This sentence cannot be used.", detail: message };
    default: return { text: "The server refused this change.", detail: message };
  }
}

// What is wrong with the source of a stream; empty if nothing is. `state` is the server's message.
export function sourceWords({ status, text, code, attempt, retry_in_s }) {
  if (status === "ended") return "The video has come to its end.";
  if (status === "failed") return `The source cannot be used: ${text || code}`;
  if (status === "stalled") return "The source is connected, but sends no pictures.";
  if (!text && !code) return "";
  const tries = retry_in_s != null ? ` Next try in ${Math.ceil(retry_in_s)} s` : attempt ? " Trying" : "";
  const count = attempt ? ` (attempt ${attempt})` : "";
  return `No pictures from the source: ${text || code}${/[.!?]$/.test(text) ? "" : "."}${tries}${tries ? `${count}.` : ""}`;
}

// A stream is too much for its server: the server's message, or null. Its own words are for those who run it.
export function overloadWords(state) {
  const { overload = "", source_hz = null, masks_hz = null } = state ?? {};
  if (!overload) return { text: "", detail: "" };
  const rate = (hz) => (hz < 1 ? Number(hz.toFixed(1)) : Math.round(hz));
  const numbers = source_hz == null || masks_hz == null ? "." : `: ${rate(masks_hz)} of ${rate(source_hz)} pictures a second get masks.`;
  return { text: `The server is too slow for this video${numbers}`, detail: overload };
}

// Equal for sentences that ask for the same, as `sentence_key` in ssa_stream/sentences.py.
export const sentenceKey = (text) => text.trim().split(/\s+/).join(" ").toLowerCase();

// How a stream fares, for a page of many: `stream` as the server tells of it, age_ms of its picture or null. `text` is a
// word or two, `why` all that is known.
export function streamWords({ kind, busy, state, prompts }, age_ms) {
  const status = state?.status ?? "starting", why = state ? sourceWords(state) : "";
  const say = (level, short, long = "") => ({ level, text: short, why: long || why || `${short}.` });
  if (kind === "camera" && !busy) return say("idle", "No camera", "No camera is sending to this stream.");
  if (status === "ended") return say("idle", "Ended");
  if (status === "lost" && kind !== "camera") return say("bad", "Reconnecting");
  if (status === "failed") return say("bad", "Failed");
  if (status === "stalled") return say("bad", "Stalled");
  if (state?.overload) return say("bad", "Too much work", state.overload);
  if (age_ms != null && age_ms < 5000) return say("good", "Live");
  if (status !== "running") return say("busy", "Starting");  // also a scene that begins when somebody looks
  if (!prompts.length) return say("idle", "Nothing to look for", "Add something to look for: pictures come with what is found.");
  return say("busy", "Waiting", "No pictures with masks yet.");
}
