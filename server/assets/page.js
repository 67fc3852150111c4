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
    const shown = time.hasAttribute("data-ago") ? ago(at) : full.format(at);
    if (time.textContent !== shown) time.textContent = shown;
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

// A page that answers a form says where it is found again, so that a reload sends nothing twice.
const at = document.querySelector("[data-at]")?.dataset.at;
if (at) history.replaceState(null, "", at);
