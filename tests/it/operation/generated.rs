//! Completions, the manual page and the settings file, made from the definitions of the server.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use presence_tests::run;
use tempfile::tempdir;

/// Returns the words that bash offers for the last word of a line.
fn completed(directory: &Path, line: &[&str]) -> Vec<String> {
    let script = r#"
        source ./completions
        function=$(complete -p presence-server | sed 's/.*-F \([^ ]*\).*/\1/')
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*"
        "$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", script, "bash"]).args(line).current_dir(directory);
    let output = bash.output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn bash_completes_commands_flags_and_values() {
    let directory = tempdir().unwrap();
    let script = run(directory.path(), &["completions", "bash"], &[]).await;
    assert_eq!((script.code, script.err.as_str()), (Some(0), ""));
    std::fs::write(directory.path().join("completions"), script.out).unwrap();
    for (line, expected) in [
        (vec!["presence-server", "back"], "backup"),
        (vec!["presence-server", "--grace"], "--grace-seconds"),
        (vec!["presence-server", "backup", "--t"], "--to"),
        (vec!["presence-server", "--log-format", "js"], "json"),
        (vec!["presence-server", "completions", "zs"], "zsh"),
    ] {
        let words = completed(directory.path(), &line);
        assert!(words.iter().any(|word| word == expected), "{line:?}: {words:?}");
    }
}

#[tokio::test]
async fn each_shell_has_completions_also_while_the_settings_are_wrong() {
    let directory = tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let wrong = [("PRESENCE_STATUS_BURST", "many")];
        let output = run(directory.path(), &["completions", shell], &wrong).await;
        assert_eq!(output.code, Some(0), "{output:?}");
        assert!(output.out.contains("admin-token"), "{shell}");
    }
    run(directory.path(), &["completions", "csh"], &[]).await.failed(2, "csh");
}

#[tokio::test]
async fn the_manual_page_has_all_commands_and_groups() {
    let directory = tempdir().unwrap();
    let page = run(directory.path(), &["man"], &[]).await;
    assert_eq!((page.code, page.err.as_str()), (Some(0), ""));
    assert!(page.out.contains(".TH presence-server 1"), "{}", page.out);
    for command in [
        "serve",
        "check",
        "backup",
        "admin\\-token",
        "init",
        "completions",
        "man",
        "device",
        "listen",
    ] {
        assert!(page.out.contains(&format!("\\fB{command}\\fR")), "{command}");
    }
    // A flag without a value has none in its usage.
    let usage = |text: &str| page.out.lines().any(|line| line.ends_with(text));
    assert!(usage("\\fBcheck\\fR [\\fB\\-\\-offline\\fR]"), "{}", page.out);
    for heading in ["SERVER", "TLS", "LIMITS OF RATES", "EXIT STATUS"] {
        let lines = [format!(".SH {heading}"), format!(".SH \"{heading}\"")];
        assert!(page.out.lines().any(|line| lines.iter().any(|other| other == line)), "{heading}");
    }
}

#[tokio::test]
async fn the_new_settings_file_changes_nothing_and_overwrites_nothing() {
    let directory = tempdir().unwrap();
    let written = run(directory.path(), &["init"], &[]).await;
    assert_eq!((written.code, written.err.as_str()), (Some(0), ""), "{written:?}");
    let file = directory.path().join("presence.toml");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let defaults = run(directory.path(), &["config"], &[]).await;
    let loaded = run(directory.path(), &["config", "--config", "presence.toml"], &[]).await;
    assert_eq!(loaded, defaults);

    std::fs::write(&file, "status_burst = 9\n").unwrap();
    run(directory.path(), &["init"], &[]).await.failed(1, "presence.toml exists already");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "status_burst = 9\n");
    run(directory.path(), &["init", "--out", "nowhere/a.toml"], &[]).await.failed(1, "nowhere");
    let other = run(directory.path(), &["init", "--out", "other.toml"], &[]).await;
    assert_eq!(other.code, Some(0));
    assert!(directory.path().join("other.toml").exists());
}

#[tokio::test]
async fn a_misspelled_name_has_a_suggestion_wherever_it_is_given() {
    let directory = tempdir().unwrap();
    let run = |arguments| run(directory.path(), arguments, &[]);
    run(&["config", "--lisen=a"]).await.failed(2, "did you mean --listen?");
    run(&["bakup"]).await.failed(2, "did you mean backup?");
    run(&["-dev"]).await.failed(2, "did you mean --dev?");
    run(&["listen", "--listen=127.0.0.1:1"]).await.failed(2, "is a setting of the server");
    run(&["config", "--log-format=jsn"]).await.failed(2, "did you mean json?");
    std::fs::write(directory.path().join("a.toml"), "lisen = \"a\"").unwrap();
    run(&["config", "--config=a.toml"]).await.failed(2, "did you mean listen?");
    let misspelled = [("PRESENCE_LISTN", "127.0.0.1:1")];
    let checked = presence_tests::run(directory.path(), &["check"], &misspelled).await;
    assert!(checked.out.contains("did you mean PRESENCE_LISTEN?"), "{checked:?}");
}

#[tokio::test]
async fn the_help_has_the_groups_and_defaults_of_the_settings() {
    let directory = tempdir().unwrap();
    let help = run(directory.path(), &["--help"], &[]).await.out;
    let place = |text: &str| help.find(text).unwrap_or_else(|| panic!("no {text} in {help}"));
    let order =
        ["Server:", "--listen <LISTEN>", "[default: 127.0.0.1:8080]", "--public-url", "TLS:"];
    assert!(order.map(place).is_sorted(), "{help}");
    for text in ["Limits of rates:", "[default: 5]", "[default: sqlite://presence.db?mode=rwc]"] {
        place(text);
    }
}
