// How a source that is in failure is, in words, as `ssa-stream status` has them; empty if it is not.

export function failureOf({ status, text, code, attempt, retry_in_s }) {
  if (!text && !code) return "";
  const state = { lost: "reconnecting", starting: "connecting" }[status] ?? status;
  const parts = [state];
  if (attempt) parts.push(`attempt ${attempt}`);
  if (retry_in_s != null) parts.push(`next in ${Math.ceil(retry_in_s)} s`);
  return parts.join(", ") + (text ? `: ${text}` : "") + (code ? ` (${code})` : "");
}
