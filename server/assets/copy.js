// Buttons that copy a text of the page: <button data-copy="id" hidden>. The script shows them.

const announcement = document.createElement("span");
announcement.className = "visually-hidden";
announcement.setAttribute("role", "status");
document.body.append(announcement);

async function copy(node) {
  const text = "value" in node ? node.value : node.textContent;
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    if ("select" in node) node.select();
    else getSelection().selectAllChildren(node);
    return false;
  }
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  const node = document.getElementById(button.dataset.copy);
  if (!node) continue;
  const label = button.textContent;
  let timer;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const copied = await copy(node);
    button.textContent = copied ? "Copied" : "Selected";
    announcement.textContent = copied ? "Copied." : "Selected. Copy the text with your keyboard.";
    clearTimeout(timer);
    timer = setTimeout(() => { button.textContent = label; announcement.textContent = ""; }, 2500);
  });
}
