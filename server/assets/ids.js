// Ids in texts that scripts show. A line never breaks inside one.

const ID = /\b([0-9a-f]{32})\b/;

/** Returns the parts of a text, with each id of 128 bits as an element of its own. */
export function withIds(text) {
  return text.split(ID).map((part, place) =>
    place % 2 === 0 ? part : Object.assign(document.createElement("code"), { className: "id", textContent: part }));
}
