// What every page does where scripts run: times in the reader's own zone and language, forgetting on signing out.

const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const steps = [["second", 60], ["minute", 60], ["hour", 24], ["day", 7]];

/** How long ago something was, or its date where that is more than a week. */
export function ago(at, now = Date.now()) {
  let amount = (at - now) / 1000;
  if (amount > -45 && amount < 5) return relative.format(0, "second");
  for (const [unit, size] of steps) {
    if (Math.abs(amount) < size) return relative.format(Math.round(amount), unit);
    amount /= size;
  }
  return full.format(at);
}

/** Shows every time below a node in the reader's own zone. */
export function showTimes(root = document) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = Date.parse(time.dateTime);
    if (Number.isNaN(at)) continue;
    time.title = full.format(at);
    time.textContent = time.hasAttribute("data-ago") ? ago(at) : full.format(at);
  }
}

showTimes();
setInterval(showTimes, 30_000);

for (const form of document.querySelectorAll("form[data-forgets]")) {
  form.addEventListener("submit", () => {
    localStorage.removeItem("presence");
    sessionStorage.clear();
  });
}
