//! A server in a process of its own, so that its CPU time is measured separately: this program, or
//! another one.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use presence_tests::child_command;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::process::{Child, Command};
use tokio_util::task::TaskTracker;

use crate::system::{Half, run_on};

/// A running server. Dropping it kills the process.
pub(crate) struct ChildServer {
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
    _child: Child,
}

impl ChildServer {
    /// Starts this program on the servers' half of the machine. `name` is its first argument.
    pub(crate) async fn start(name: &str) -> Self {
        let mut command = child_command(std::env::current_exe().unwrap());
        command.arg(name);
        Self::start_program(command).await
    }

    /// Starts a program there, whose first line is its address.
    pub(crate) async fn start_program(mut command: Command) -> Self {
        let mut child = spawn(command.stdout(Stdio::piped()));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.next_line().await.unwrap().unwrap().parse().unwrap();
        Self { address, pid: child.id().unwrap(), _child: child }
    }

    /// Starts a program there, and waits until it accepts connections at this address.
    pub(crate) async fn start_at(mut command: Command, address: SocketAddr) -> Self {
        let mut child = spawn(&mut command);
        while TcpStream::connect(address).await.is_err() {
            assert!(child.try_wait().unwrap().is_none(), "{command:?} has ended");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self { address, pid: child.id().unwrap(), _child: child }
    }
}

/// Starts a program on the servers' half of the machine.
fn spawn(command: &mut Command) -> Child {
    run_on(Half::Server);
    let child = command.stdin(Stdio::null()).spawn().unwrap();
    run_on(Half::Generator);
    child
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
