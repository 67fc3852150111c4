//! The quickstarts: for each language a whole program, which is a file of this repository that a
//! test runs.

/// A program in one language.
#[derive(Debug)]
pub(super) struct Quickstart {
    /// The name of the language or tool.
    pub(super) language: &'static str,
    /// The anchor for links.
    pub(super) anchor: &'static str,
    /// The file in the repository.
    pub(super) file: &'static str,
    /// The content of the file.
    pub(super) text: &'static str,
    /// The meaning in a sentence.
    pub(super) summary: &'static str,
    /// The command that runs it in a copy of the repository.
    pub(super) command: &'static str,
}

macro_rules! quickstarts {
    ($($language:literal ($anchor:literal): $file:literal, $summary:literal, $command:literal;)+) => {
        /// All quickstarts. A new one is a line of this list, and a test that runs its file.
        pub(super) static QUICKSTARTS: &[Quickstart] = &[$(Quickstart {
            language: $language,
            anchor: $anchor,
            file: $file,
            text: include_str!(concat!("../../../../", $file)),
            summary: $summary,
            command: $command,
        },)+];
    };
}

quickstarts! {
    "curl" ("curl"): "examples/curl/quickstart.sh",
        "A back end with curl alone: it registers an Application, asks for a grant, sends a notification and polls. presence-server has to be on the PATH.",
        "examples/curl/quickstart.sh";
    "Rust" ("rust"): "examples/src/bin/notify.rs",
        "A back end that sends a notification and waits for its receipt.",
        "cargo run -p presence-examples --bin notify alice \"Lunch?\"";
    "Rust, a device" ("rust-device"): "examples/src/bin/device.rs",
        "A device that reports a status and prints notifications.",
        "cargo run -p presence-examples --bin device alice";
    "Python" ("python"): "examples/python/notify.py",
        "A back end that sends a notification and waits for its receipt. It needs the package: pip install ./bindings/python, which builds the SDK in some minutes.",
        "python3 examples/python/notify.py alice \"Lunch?\"";
    "Kotlin" ("kotlin"): "bindings/kotlin/samples/src/Device.kt",
        "A device that reports a status and prints notifications.",
        "bindings/kotlin/test -Dtest=SampleTest";
    "Swift" ("swift"): "bindings/swift/Examples/device/PresenceDevice.swift",
        "A device that reports a status and prints notifications.",
        "bindings/swift/test --filter ExampleTests";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quickstart_is_a_whole_program() {
        let mut anchors: Vec<&str> = QUICKSTARTS.iter().map(|one| one.anchor).collect();
        for Quickstart { file, text, .. } in QUICKSTARTS {
            assert!(text.len() > 500 && text.ends_with('\n'), "{file}");
        }
        anchors.sort_unstable();
        anchors.dedup();
        assert_eq!(anchors.len(), QUICKSTARTS.len());
    }
}
