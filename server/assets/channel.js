// The Device Presence Channel of this page: one socket that is opened with a ticket, says again after every gap what was wished
// last, and obeys the close codes of the server.

/** The longest wait between two attempts, in milliseconds. */
const LONGEST = 60_000;
/** A connection that has lasted so long makes the next wait short again. */
const PROVED = 10_000;
/** How often a quiet connection is asked whether it lives, and how long it may take to answer. */
const ASK = 45_000;
const ANSWER = 15_000;

/** After which close codes to come back by oneself; all others mean that something else must happen first. */
const COMES_BACK = new Set([1001, 1006, 1012, 1013, 4002, 4008]);
/** Of these, the ones where the server is not in trouble: one short random wait will do. */
const SOON = new Set([1001, 4002]);
/** Why a connection ended for good. */
const ENDED = new Map([[4001, "replaced"], [4003, "refused"], [4005, "ended"]]);
/** What a first frame is refused with where the ticket is no good. */
const NOT_ME = new Set([30, 32, 34, 35]);

/**
 * Where it stands is told by `onState({ name, reason, until })`: `connecting`, `connected`, `waiting` (until a time, or for the
 * network), `ended` (with a reason: `replaced`, `ended`, `refused`, `signed-out`, `failed`).
 */
export class Channel {
  #options;
  #socket;
  #timer;
  #pulse;
  #attempt = 0;
  #wish = { status: "offline", message: "" };
  #said;
  #number = 0;
  #asked = new Map();
  #retried = false;
  #turn = 0;
  #waiting = false;

  /** `options`: `url`, `device`, `ticket()`, `onState`, `onSeen(status or null)`, `onRefused(text)`, `onNotifications(items)`. */
  constructor(options) {
    this.#options = options;
    const again = () => this.#waiting && !document.hidden && this.#open();
    addEventListener("online", again);
    document.addEventListener("visibilitychange", again);
    addEventListener("offline", () => this.#socket && this.#lost(1006));
    addEventListener("pagehide", () => this.#drop());
    addEventListener("pageshow", (event) => event.persisted && this.connect());
  }

  /** Whether frames can be sent now. */
  get isConnected() {
    return this.#said !== undefined && this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Connects now, whatever was the matter. */
  connect() {
    this.#attempt = 0;
    this.#retried = false;
    this.#open();
  }

  /** From now on this is my status, here and after every reconnect. */
  say(status, message) {
    this.#wish = { status, message };
    if (this.isConnected) this.#sayWish();
  }

  /** These notifications were shown. */
  acknowledge(ids) {
    if (this.isConnected && ids.length > 0) this.#send({ type: "ack", ids });
  }

  #state(name, more = {}) {
    this.#waiting = name === "waiting";
    this.#options.onState({ name, ...more });
    if (name !== "connected") this.#options.onSeen(null);
  }

  async #open() {
    this.#drop();
    if (!navigator.onLine) return this.#state("waiting", { reason: "network" });
    this.#state("connecting");
    const turn = this.#turn;
    const { token, signedOut } = await this.#options.ticket();
    if (turn !== this.#turn) return;
    if (signedOut) return this.#end("signed-out");
    if (!token) return this.#wait(1006);
    const socket = new WebSocket(this.#options.url);
    this.#socket = socket;
    const mine = (act) => (event) => socket === this.#socket && act(event);
    socket.onopen = mine(() => this.#introduce(token));
    socket.onmessage = mine(({ data }) => this.#hear(JSON.parse(data)));
    socket.onclose = mine(({ code }) => this.#lost(code));
  }

  #introduce(token) {
    const { status, message } = this.#wish;
    const told = this.#wish;
    this.#ask({ token, device: this.#options.device, acks: true, status, message }, (reply) => {
      if (reply.result === "OK") {
        this.#said = told;
        this.#state("connected");
        this.#options.onSeen(told);
        this.#beat();
        this.#later({ retry_after: PROVED / 1000 }, () => ((this.#attempt = 0), (this.#retried = false)));
        if (told !== this.#wish) this.#sayWish();
      } else if (NOT_ME.has(reply.errno)) {
        this.#lost(4003);
      } else if (reply.errno === 20) {
        this.#later(reply, () => this.#introduce(token));
      } else {
        this.#options.onRefused(reply.error);
      }
    });
  }

  #sayWish() {
    const told = this.#wish;
    const { status, message } = told;
    this.#ask({ type: "status", status, message }, (reply) => {
      if (reply.result === "OK") {
        this.#said = told;
        if (told === this.#wish) this.#options.onSeen(told);
      } else if (reply.errno === 20) {
        this.#later(reply, () => told === this.#wish && this.isConnected && this.#sayWish());
      } else if (reply.errno === 32) {
        this.#lost(4003);
      } else {
        this.#options.onRefused(reply.error);
      }
    });
  }

  #later(reply, act) {
    const socket = this.#socket;
    setTimeout(() => socket === this.#socket && act(), (reply.retry_after ?? 1) * 1000 + 50);
  }

  #send(frame) {
    this.#socket.send(JSON.stringify(frame));
  }

  #ask(frame, answered) {
    const id = ++this.#number;
    this.#asked.set(id, answered);
    this.#send({ ...frame, id });
  }

  #hear(frame) {
    if (frame.notifications) this.#options.onNotifications(frame.notifications);
    if (frame.expires_in) this.#state("connected", { reason: "expires" });
    const answered = this.#asked.get(frame.id);
    this.#asked.delete(frame.id);
    answered?.(frame);
  }

  /** A browser shows no pings, so a quiet connection is asked now and then; else a laptop that slept would look connected. */
  #beat() {
    clearTimeout(this.#pulse);
    const socket = this.#socket;
    this.#pulse = setTimeout(() => {
      if (socket !== this.#socket) return;
      this.#pulse = setTimeout(() => socket === this.#socket && this.#lost(1006), ANSWER);
      this.#ask({ type: "ack", ids: [] }, () => this.#beat());
    }, ASK);
  }

  /** Lets go of the connection, and of whatever was on its way. */
  #drop() {
    this.#turn += 1;
    clearTimeout(this.#timer);
    clearTimeout(this.#pulse);
    const socket = this.#socket;
    this.#socket = undefined;
    this.#said = undefined;
    this.#asked.clear();
    if (socket?.readyState === WebSocket.OPEN) socket.close();
    else if (socket?.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
  }

  #lost(code) {
    this.#drop();
    if (code === 4003 && !this.#retried) {
      // Perhaps only the ticket was too old. Whether the session has ended is told where the next one is fetched.
      this.#retried = true;
      return this.#open();
    }
    if (COMES_BACK.has(code)) return this.#wait(code);
    this.#end(ENDED.get(code) ?? "failed");
  }

  #end(reason) {
    this.#drop();
    this.#state("ended", { reason });
  }

  #wait(code) {
    if (!navigator.onLine) return this.#state("waiting", { reason: "network" });
    const most = SOON.has(code) ? 2_000 : Math.min(LONGEST, 1_000 * 2 ** this.#attempt);
    this.#attempt = Math.min(this.#attempt + 1, 10);
    const wait = most / 2 + (Math.random() * most) / 2;
    this.#state("waiting", { until: Date.now() + wait });
    this.#timer = setTimeout(() => this.#open(), wait);
  }
}
