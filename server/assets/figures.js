// The status page of the operator: loads the figures every two seconds while the page is visible,
// and draws those that it has loaded.

import { LANGUAGE, timeOfDay } from "./page.js";

const PERIOD = 2000;
const MAX_SAMPLES = 150;
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 320, HEIGHT = 96, LEFT = 4, TOP = 8;

const whole = new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 1 });
const byId = (id) => document.getElementById(id);

/** The lines of each chart: a name, and a function of a sample and the sample before. */
const level = (name) => (now) => now.levels[name];
const rate = (name) => (now, before) => {
  if (!before || now.totals[name] < before.totals[name]) return undefined;
  return (now.totals[name] - before.totals[name]) / ((now.at - before.at) / 1000);
};
const CHARTS = {
  connections: [["devices", level("device_connections")], ["AppServices", level("app_connections")]],
  updates: [["updates", rate("updates")]],
  notifications: [["accepted", rate("notifications")], ["delivered", rate("deliveries")]],
  frames: [["received", rate("received")], ["sent", rate("sent")]],
  queue: [["requests", level("writer_queue")]],
  errors: [["errors", rate("errors")]],
};

const history = [];
let timer;

function svg(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** Returns the least of the numbers 1, 2, 5, 10, … that is not below a value. */
function scaleTop(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value) ?? 10 * power;
}

function line(values, top) {
  const step = (WIDTH - 2 * LEFT) / (MAX_SAMPLES - 1);
  const first = MAX_SAMPLES - values.length;
  let path = "", pen = "M";
  for (const [place, value] of values.entries()) {
    if (value === undefined) { pen = "M"; continue; }
    const x = LEFT + (first + place) * step;
    const y = HEIGHT - (value / top) * (HEIGHT - TOP);
    path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = "L";
  }
  return path;
}

function draw(figure, lines) {
  const series = lines.map(([name, find]) => [name, history.map((now, place) => find(now, history[place - 1]))]);
  const top = scaleTop(1.1 * Math.max(0, ...series.flatMap(([, values]) => values.filter((value) => value !== undefined))));
  const newest = series.map(([name, values]) => [name, values.at(-1)]);
  const description = newest.map(([name, value]) => `${name}: ${value === undefined ? "no value yet" : short.format(value)}`).join(", ");
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + 4}`, role: "img", "aria-label": `${description}. The scale ends at ${short.format(top)}.` });
  for (const share of [0, 0.5, 1]) {
    const y = HEIGHT - share * (HEIGHT - TOP);
    drawing.append(svg("line", { class: "grid", x1: LEFT, x2: WIDTH - LEFT, y1: y, y2: y }));
  }
  const scale = svg("text", { class: "scale", x: LEFT, y: TOP + 11 });
  scale.textContent = short.format(top);
  drawing.append(scale);
  series.forEach(([, values], place) => drawing.append(svg("path", { class: `line line-${place}`, d: line(values, top) })));
  const legend = document.createElement("p");
  legend.className = "legend";
  newest.forEach(([name, value], place) => {
    const entry = document.createElement("span");
    entry.className = `legend-entry legend-entry-${place}`;
    entry.textContent = `${name} ${value === undefined ? "–" : short.format(value)}`;
    legend.append(entry);
  });
  figure.querySelector("svg")?.remove();
  figure.querySelector(".legend")?.remove();
  figure.append(drawing, legend);
}

function showState(text, status) {
  if (byId("state").textContent !== text) byId("state").textContent = text;
  byId("state").className = `status ${status}`;
}

function cell(text, className) {
  const element = document.createElement("td");
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

/** Shows the servers that share the database, and the sums of their connections. */
function showServers(servers) {
  byId("servers").hidden = servers.length === 0;
  byId("servers").querySelector("tbody").replaceChildren(...servers.map((server) => {
    const row = document.createElement("tr");
    const labelled = (label, text, className) => {
      const element = cell(text, className);
      element.dataset.label = label;
      row.append(element);
    };
    labelled("Server", server.is_this ? `${server.name} (this one)` : server.name);
    labelled("Version", server.version);
    labelled("State", server.state);
    labelled("Heard of", `${whole.format(server.silent_seconds)} s ago`, "number");
    labelled("Devices", whole.format(server.devices), "number");
    labelled("AppServices", whole.format(server.app_sockets), "number");
    return row;
  }));
  const sum = (name) => whole.format(servers.reduce((total, server) => total + server[name], 0));
  byId("all-devices").textContent = sum("devices");
  byId("all-app-sockets").textContent = sum("app_sockets");
}

function show(now) {
  history.push(now);
  if (history.length > MAX_SAMPLES) history.shift();
  byId("figures").hidden = false;
  byId("database").textContent = now.database.answers ? `answers in ${now.database.milliseconds} ms` : "does not answer";
  byId("database").className = now.database.answers ? "" : "problem";
  byId("phase").textContent = now.draining ? "stopping" : now.warming_up ? "warming up" : "running";
  for (const name of ["device_connections", "app_connections", "users"]) byId(name).textContent = whole.format(now.levels[name]);
  byId("version").textContent = now.version;
  showServers(now.servers);
  for (const figure of document.querySelectorAll("[data-chart]")) draw(figure, CHARTS[figure.dataset.chart]);
  const errors = Object.entries(now.errors).filter(([, count]) => count > 0).sort((one, other) => other[1] - one[1]);
  byId("no-errors").hidden = errors.length > 0;
  byId("errors").hidden = errors.length === 0;
  byId("errors").querySelector("tbody").replaceChildren(...errors.map(([name, count]) => {
    const row = document.createElement("tr");
    row.append(cell(name.replaceAll("_", " ")), cell(whole.format(count), "number"));
    return row;
  }));
  byId("updated-at").textContent = `as of ${timeOfDay(now.at)}`;
}

async function load() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    const response = await fetch("/admin/figures", { headers: { accept: "application/json" }, cache: "no-store" });
    if (response.status === 401) {
      showState("Your session has expired. Reload the page to sign in again.", "offline");
      return;
    }
    const body = await response.json();
    if (response.ok) {
      show(body);
      if (!body.database.answers) showState("The database does not answer", "unavailable");
      else if (body.draining) showState("Stopping: closing connections", "unavailable");
      else showState(body.warming_up ? "Warming up after a restart" : "Running", body.warming_up ? "unavailable" : "online");
    } else showState(body.errno === 52 ? "The server is stopping" : `Error: ${body.error}`, "unavailable");
  } catch {
    showState("The server cannot be reached", "offline");
  }
  timer = setTimeout(load, PERIOD);
}

document.addEventListener("visibilitychange", load);
load();
