// Shows the members, as the page gets them from /events.
const list = document.getElementById("members");
const names = document.getElementById("names");

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

new EventSource("/events").onmessage = (event) => {
  const members = JSON.parse(event.data);
  list.replaceChildren(...members.map(({ name, status, text, receipt }) =>
    element("li", [`${name} is ${status}`, text, receipt && `(notification: ${receipt})`].filter(Boolean).join(" "))));
  const chosen = names.value;
  names.replaceChildren(...members.map(({ name }) => element("option", name)));
  if (chosen) names.value = chosen;
};
