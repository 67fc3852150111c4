// Buttons that copy a text of the page: <button data-copy="id" hidden>. They show themselves where they can work.

const said = document.createElement("span");
said.className = "visually-hidden";
said.setAttribute("role", "status");
document.body.append(said);

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
    said.textContent = copied ? "Copied." : "Selected: copy it with your keyboard.";
    clearTimeout(timer);
    timer = setTimeout(() => { button.textContent = label; said.textContent = ""; }, 2500);
  });
}
