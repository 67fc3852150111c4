// The smallest server on uWebSockets.js that does what the benchmark compares. It authenticates no
// user, checks nothing and stores nothing.
//
// - `/users/<name>`: a socket of a user. Each text is answered with OK, and published to the
//   sockets of `/app` with the name of the user. It receives the notifications for this user.
// - `/app`: a socket of an Application, which receives the statuses of all users.
// - `POST /users/<name>`: sends the body to the sockets of this user.
//
// It prints its address when it is ready.
"use strict";

const uws = require("@trufflesuite/uws-js-unofficial");

// The package falls back to a slow server in JavaScript if it has no binary for this Node.
const binary = `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`;
if (!Object.keys(require.cache).some((file) => file.endsWith(binary))) {
  console.error(`Node ${process.versions.node} has no binary of uWebSockets.js: use Node 16, 18 or 20`);
  process.exit(1);
}

const OK = '{"result":"OK"}';
const app = uws.App();

// No pings and no timeouts during a measurement, and no update is dropped.
const quiet = { idleTimeout: 0, sendPingsAutomatically: false, maxBackpressure: 16 << 20 };

app.ws("/users/:name", {
  ...quiet,
  upgrade(response, request, context) {
    const user = { name: request.getParameter(0) };
    const key = request.getHeader("sec-websocket-key");
    const protocol = request.getHeader("sec-websocket-protocol");
    response.upgrade(user, key, protocol, request.getHeader("sec-websocket-extensions"), context);
  },
  open(socket) {
    socket.subscribe(`user/${socket.name}`);
  },
  message(socket, message) {
    app.publish("app", `{"uid":"${socket.name}","update":${Buffer.from(message)}}`);
    socket.send(OK);
  },
});

app.ws("/app", {
  ...quiet,
  open(socket) {
    socket.subscribe("app");
  },
});

app.post("/users/:name", (response, request) => {
  const topic = `user/${request.getParameter(0)}`;
  let body = Buffer.alloc(0);
  response.onAborted(() => {});
  response.onData((chunk, isLast) => {
    body = Buffer.concat([body, Buffer.from(chunk)]);
    if (isLast) {
      app.publish(topic, body.toString());
      response.end(OK);
    }
  });
});

app.listen("127.0.0.1", 0, (listening) => {
  if (!listening) {
    throw new Error("no free port");
  }
  console.log(`127.0.0.1:${uws.us_socket_local_port(listening)}`);
});
