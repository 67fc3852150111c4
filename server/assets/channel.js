// The Device Presence Channel of this page: one socket, opened with a ticket. After every reconnect
// it sends the desired status again. The close codes of the server decide if it reconnects.

/** The longest wait between two attempts, in milliseconds. */
const MAX_WAIT = 60_000;
/** The time after which a connection counts as stable, so that the next wait is short again. */
const STABLE_AFTER = 10_000;
/** The time after which a connection without frames is checked, and the time limit of the reply. */
const CHECK_AFTER = 45_000;
const CHECK_TIMEOUT = 15_000;

/** The close codes after which the channel reconnects by itself. */
const RECONNECTABLE = new Set([1001, 1006, 1012, 1013, 4002, 4008]);
/** Those of them after which one short random wait is enough: the server is not overloaded. */
const SHORT_WAIT = new Set([1001, 4002]);
/** The reasons of the close codes that end the channel. */
const END_REASONS = new Map([[4001, "replaced"], [4003, "refused"], [4005, "ended"]]);
/** The errors that answer a first frame whose ticket is not valid. */
const TICKET_ERRORS = new Set([30, 32, 34, 35]);
/** The error of a client that sends too fast. */
const SLOW_DOWN = 20;
/** The error of a session that has ended. */
const SESSION_ENDED = 32;

/**
 * The channel reports its state by `onState({ name, reason, until })`: `connecting`, `connected`,
 * `waiting` (until a time, or for the network) or `ended` (with the reason `replaced`, `ended`,
 * `refused`, `signed-out` or `failed`).
 */
export class Channel {
  #options;
  #socket;
  #reconnectTimer;
  #checkTimer;
  #attempt = 0;
  #desired = { status: "offline", message: "" };
  #sent;
  #requestId = 0;
  #pending = new Map();
  #hasRetried = false;
  #connectionNumber = 0;
  #isWaiting = false;

  /**
   * The options are `url`, `device`, `ticket()`, `onState`, `onStatus(status or null)`,
   * `onError(errno)` and `onNotifications(items)`.
   */
  constructor(options) {
    this.#options = options;
    const reconnect = () => this.#isWaiting && !document.hidden && this.#open();
    addEventListener("online", reconnect);
    document.addEventListener("visibilitychange", reconnect);
    addEventListener("offline", () => this.#socket && this.#closed(1006));
    addEventListener("pagehide", () => this.#drop());
    addEventListener("pageshow", (event) => event.persisted && this.connect());
  }

  /** Returns true if frames can be sent now. */
  get isConnected() {
    return this.#sent !== undefined && this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Connects now, in any state. */
  connect() {
    this.#attempt = 0;
    this.#hasRetried = false;
    this.#open();
  }

  /** Sets the status, now and after every reconnect. */
  setStatus(status, message) {
    this.#desired = { status, message };
    if (this.isConnected) this.#sendStatus();
  }

  /** Acknowledges notifications that were shown. */
  acknowledge(ids) {
    if (this.isConnected && ids.length > 0) this.#send({ type: "ack", ids });
  }

  #reportState(name, more = {}) {
    this.#isWaiting = name === "waiting";
    this.#options.onState({ name, ...more });
    if (name !== "connected") this.#options.onStatus(null);
  }

  async #open() {
    this.#drop();
    if (!navigator.onLine) return this.#reportState("waiting", { reason: "network" });
    this.#reportState("connecting");
    const number = this.#connectionNumber;
    const { token, signedOut } = await this.#options.ticket();
    if (number !== this.#connectionNumber) return;
    if (signedOut) return this.#end("signed-out");
    if (!token) return this.#wait(1006);
    const socket = new WebSocket(this.#options.url);
    this.#socket = socket;
    const ifCurrent = (handle) => (event) => socket === this.#socket && handle(event);
    socket.onopen = ifCurrent(() => this.#authenticate(token));
    socket.onmessage = ifCurrent(({ data }) => this.#handleFrame(JSON.parse(data)));
    socket.onclose = ifCurrent(({ code }) => this.#closed(code));
  }

  #authenticate(token) {
    const { status, message } = this.#desired;
    const sending = this.#desired;
    this.#request({ token, device: this.#options.device, acks: true, status, message }, (reply) => {
      if (reply.result === "OK") {
        this.#sent = sending;
        this.#reportState("connected");
        this.#options.onStatus(sending);
        this.#scheduleCheck();
        this.#retryAfter({ retry_after: STABLE_AFTER / 1000 }, () => ((this.#attempt = 0), (this.#hasRetried = false)));
        if (sending !== this.#desired) this.#sendStatus();
      } else if (TICKET_ERRORS.has(reply.errno)) {
        this.#closed(4003);
      } else if (reply.errno === SLOW_DOWN) {
        this.#retryAfter(reply, () => this.#authenticate(token));
      } else {
        this.#options.onError(reply.errno);
      }
    });
  }

  #sendStatus() {
    const sending = this.#desired;
    const { status, message } = sending;
    this.#request({ type: "status", status, message }, (reply) => {
      if (reply.result === "OK") {
        this.#sent = sending;
        if (sending === this.#desired) this.#options.onStatus(sending);
      } else if (reply.errno === SLOW_DOWN) {
        this.#retryAfter(reply, () => sending === this.#desired && this.isConnected && this.#sendStatus());
      } else if (reply.errno === SESSION_ENDED) {
        this.#closed(4003);
      } else {
        this.#options.onError(reply.errno);
      }
    });
  }

  #retryAfter(reply, action) {
    const socket = this.#socket;
    setTimeout(() => socket === this.#socket && action(), (reply.retry_after ?? 1) * 1000 + 50);
  }

  #send(frame) {
    this.#socket.send(JSON.stringify(frame));
  }

  #request(frame, onReply) {
    const id = ++this.#requestId;
    this.#pending.set(id, onReply);
    this.#send({ ...frame, id });
  }

  #handleFrame(frame) {
    if (frame.notifications) this.#options.onNotifications(frame.notifications);
    if (frame.expires_in) this.#reportState("connected", { reason: "expires" });
    const onReply = this.#pending.get(frame.id);
    this.#pending.delete(frame.id);
    onReply?.(frame);
  }

  /**
   * Checks a connection without frames at intervals, since scripts cannot see pings: a laptop
   * that wakes up would show a connection that no longer exists.
   */
  #scheduleCheck() {
    clearTimeout(this.#checkTimer);
    const socket = this.#socket;
    this.#checkTimer = setTimeout(() => {
      if (socket !== this.#socket) return;
      this.#checkTimer = setTimeout(() => socket === this.#socket && this.#closed(1006), CHECK_TIMEOUT);
      this.#request({ type: "ack", ids: [] }, () => this.#scheduleCheck());
    }, CHECK_AFTER);
  }

  /** Closes the connection, and forgets all pending requests. */
  #drop() {
    this.#connectionNumber += 1;
    clearTimeout(this.#reconnectTimer);
    clearTimeout(this.#checkTimer);
    const socket = this.#socket;
    this.#socket = undefined;
    this.#sent = undefined;
    this.#pending.clear();
    if (socket?.readyState === WebSocket.OPEN) socket.close();
    else if (socket?.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
  }

  #closed(code) {
    this.#drop();
    if (code === 4003 && !this.#hasRetried) {
      // The ticket may have expired. If the session has ended, the server issues no other ticket.
      this.#hasRetried = true;
      return this.#open();
    }
    if (RECONNECTABLE.has(code)) return this.#wait(code);
    this.#end(END_REASONS.get(code) ?? "failed");
  }

  #end(reason) {
    this.#drop();
    this.#reportState("ended", { reason });
  }

  #wait(code) {
    if (!navigator.onLine) return this.#reportState("waiting", { reason: "network" });
    const longest = SHORT_WAIT.has(code) ? 2_000 : Math.min(MAX_WAIT, 1_000 * 2 ** this.#attempt);
    this.#attempt = Math.min(this.#attempt + 1, 10);
    const wait = longest / 2 + (Math.random() * longest) / 2;
    this.#reportState("waiting", { until: Date.now() + wait });
    this.#reconnectTimer = setTimeout(() => this.#open(), wait);
  }
}
