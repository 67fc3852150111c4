//! Starts programs that do not outlive the test process.

use std::ffi::OsStr;
use std::process::Stdio;
use std::sync::OnceLock;

use tokio::process::Command;

/// The program of util-linux that sets the signal at the death of the parent, with its arguments.
const SETPRIV: [&str; 3] = ["setpriv", "--pdeathsig", "KILL"];

/// Returns a command whose process is killed at its drop, and by the kernel if the thread that
/// spawned it ends first, so that a killed test process leaves no process behind. Systems without
/// `setpriv` (from util-linux) do only the first.
pub fn child_command(program: impl AsRef<OsStr>) -> Command {
    let mut command = if has_setpriv() {
        let [setpriv, arguments @ ..] = SETPRIV;
        let mut command = Command::new(setpriv);
        command.args(arguments).arg("--").arg(program);
        command
    } else {
        Command::new(program)
    };
    command.kill_on_drop(true);
    command
}

fn has_setpriv() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let [setpriv, arguments @ ..] = SETPRIV;
        let mut command = std::process::Command::new(setpriv);
        command.args(arguments).args(["--", "true"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}
