//! A server of this program, in a process of its own, so that its CPU time is measured separately.

use std::net::SocketAddr;
use std::process::Stdio;

use presence_tests::child_command;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::process::Child;
use tokio_util::task::TaskTracker;

use crate::system::{Half, run_on};

/// A running server. Dropping it kills the process.
pub(crate) struct ChildServer {
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
    _child: Child,
}

impl ChildServer {
    /// Starts a server on the servers' half of the machine. `name` is the first argument of the
    /// program.
    pub(crate) async fn start(name: &str) -> Self {
        run_on(Half::Server);
        let mut child = child_command(std::env::current_exe().unwrap())
            .arg(name)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        run_on(Half::Generator);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.next_line().await.unwrap().unwrap().parse().unwrap();
        Self { address, pid: child.id().unwrap(), _child: child }
    }
}

/// Prints a free port for [`ChildServer::start`], and serves each connection there, forever.
pub(crate) async fn serve_each<F: Future<Output: Send> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F,
) {
    let (listener, tasks) = (listen(), TaskTracker::new());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tasks.spawn(serve(stream));
    }
}

/// Listens on a free port, and prints it.
fn listen() -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(4096).unwrap();
    println!("{}", listener.local_addr().unwrap());
    listener
}
