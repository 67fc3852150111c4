//! A gate on the instructions of the hot paths, which do not depend on how busy the machine is.

use std::process::Command;

#[test]
fn no_hot_path_needs_more_instructions_than_known() {
    let run = Command::new(env!("CARGO_BIN_EXE_presence-bench"))
        .arg("instructions")
        .env("PRESENCE_TEST_SERVER", presence_tests::server_binary())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{printed}{}", String::from_utf8_lossy(&run.stderr));
}
