// What this page asks for again after the server began anew and forgot. The rule is in docs/browser.md.

export class PromptMemory {
  // last: { version, prompts } as last seen here; known: every prompt that was ever seen; own: sentences asked for here.
  constructor() { Object.assign(this, { last: null, known: new Set(), own: new Set(), newest: null }); }

  // Take what the server says is in force. Returns the commands that bring back what was lost, in order; mostly none.
  // After commands comes finish(); what is published meanwhile is their effect.
  take({ version, prompts }) {
    const now = { version, prompts }, isRestoring = this.newest != null;
    const commands = isRestoring ? [] : commandsToRestore(this.last, now, this);
    for (const one of prompts) this.known.add(keyOf(one));
    if (isRestoring || commands.length) this.newest = now; else this.last = now;
    return commands;
  }

  // isDone: false if the connection was lost; then the next one compares with what was there before.
  finish(isDone) {
    if (isDone) this.last = this.newest;
    this.newest = null;
  }
}

export function commandsToRestore(before, now, { known, own }) {
  if (!before || now.version >= before.version) return [];  // the server went on: what differs, others have changed
  const isUntouched = now.version <= 1;  // as the server began: nobody has changed it since
  const texts = new Map(now.prompts.map((one) => [one.id, one.text]));
  const isThere = (text) => [...texts.values()].includes(text);
  const removals = !isUntouched ? [] : now.prompts
    .filter((one) => known.has(keyOf(one)) && !before.prompts.some(({ id }) => id === one.id))
    .map(({ id }) => ({ type: "remove", prompt_id: id }));
  const additions = before.prompts.flatMap(({ id, text }) => {
    const other = texts.get(id);
    if (isThere(text) || !(isUntouched || own.has(text))) return [];
    if (other === undefined || (isUntouched && known.has(keyOf({ id, text: other })))) return [{ type: "add", text, prompt_id: id }];
    return [{ type: "add", text }];  // somebody else has given this id another sentence: that stays
  });
  return [...removals, ...additions];
}

const keyOf = ({ id, text }) => `${id}\n${text}`;
