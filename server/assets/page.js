// The script of every page: shows times in the time zone of the reader, and clears the browser's
// storage on signing out.

/** The language of the pages, for times and numbers: English with the day before the month. */
export const LANGUAGE = "en-GB";
const full = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(LANGUAGE, { timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(LANGUAGE, { numeric: "auto" });
const steps = [["second", 60], ["minute", 60], ["hour", 24], ["day", 7]];

/** Returns how long ago a time was; the date if that is more than a week. */
export function ago(at, now = Date.now()) {
  let amount = (at - now) / 1000;
  if (amount > -45 && amount < 5) return relative.format(0, "second");
  for (const [unit, size] of steps) {
    if (Math.abs(amount) < size) return relative.format(Math.round(amount), unit);
    amount /= size;
  }
  return full.format(at);
}

/** The maximum number of characters of a name in a heading. */
const MAX_NAME = 60;

/** Returns a name as headings show it: unchanged, or its beginning with an ellipsis. */
export function shortened(name) {
  const characters = [...name];
  return characters.length > MAX_NAME ? `${characters.slice(0, MAX_NAME - 1).join("").trimEnd()}…` : name;
}

/** Returns the time of day, with seconds. */
export function timeOfDay(at = Date.now()) {
  return clock.format(at);
}

/** Shows every time below a node in the time zone of the reader. */
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

for (const form of document.querySelectorAll("form[data-clear-storage]")) {
  form.addEventListener("submit", () => {
    localStorage.removeItem("presence");
    sessionStorage.clear();
  });
}

// A page that answers a form names its own path, so that a reload does not send the form again.
const pagePath = document.querySelector("[data-page-path]")?.dataset.pagePath;
if (pagePath) history.replaceState(null, "", pagePath);
