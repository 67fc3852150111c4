//! The quickstarts: for each language a whole program, whose files are in this repository and are
//! run by a test.

/// A program in one language.
#[derive(Debug)]
pub(super) struct Quickstart {
    /// The name of the language or tool.
    pub(super) language: &'static str,
    /// The anchor for links.
    pub(super) anchor: &'static str,
    /// The file of the program.
    pub(super) program: SourceFile,
    /// The other files that the program uses, besides the SDK.
    pub(super) helpers: &'static [SourceFile],
    /// The meaning in a sentence.
    pub(super) summary: &'static str,
    /// The tools that it needs.
    pub(super) needs: &'static str,
    /// The command that installs the SDK from a copy of the repository; empty if there is none.
    pub(super) install: &'static str,
    /// The command that runs it in a copy of the repository, against a server that is running.
    pub(super) command: &'static str,
}

/// A file of the repository.
#[derive(Debug)]
pub(super) struct SourceFile {
    /// The path in the repository.
    pub(super) path: &'static str,
    /// The content.
    pub(super) text: &'static str,
}

macro_rules! source_file {
    ($path:literal) => {
        SourceFile { path: $path, text: include_str!(concat!("../../../../", $path)) }
    };
}

/// All quickstarts. A new one needs a test that runs its program.
pub(super) static QUICKSTARTS: &[Quickstart] = &[
    Quickstart {
        language: "curl",
        anchor: "curl",
        program: source_file!("examples/curl/quickstart.sh"),
        helpers: &[],
        summary: "A back end with curl alone: it registers an Application, asks for a grant, sends a notification and polls.",
        needs: "bash, curl, and presence-server on the PATH",
        install: "",
        command: "examples/curl/quickstart.sh",
    },
    Quickstart {
        language: "Rust",
        anchor: "rust",
        program: source_file!("examples/src/bin/notify.rs"),
        helpers: RUST_HELPERS,
        summary: "A back end that sends a notification and waits for its receipt.",
        needs: RUST_NEEDS,
        install: "",
        command: "cargo run -p presence-examples --bin notify alice \"Lunch?\"",
    },
    Quickstart {
        language: "Rust, a device",
        anchor: "rust-device",
        program: source_file!("examples/src/bin/device.rs"),
        helpers: RUST_HELPERS,
        summary: "A device that reports a status and prints notifications.",
        needs: RUST_NEEDS,
        install: "",
        command: "cargo run -p presence-examples --bin device alice",
    },
    Quickstart {
        language: "Python",
        anchor: "python",
        program: source_file!("examples/python/notify.py"),
        helpers: &[source_file!("examples/python/development.py")],
        summary: "A back end that sends a notification and waits for its receipt.",
        needs: "Python 3.11, and to build the SDK rustup and a C compiler. That takes about five minutes, once",
        install: "pip install ./bindings/python",
        command: "python3 examples/python/notify.py alice \"Lunch?\"",
    },
    Quickstart {
        language: "Kotlin",
        anchor: "kotlin",
        program: source_file!("bindings/kotlin/samples/src/Device.kt"),
        helpers: &[],
        summary: "A device that reports a status and prints notifications.",
        needs: "rustup, a C compiler, a JDK from 17 on and Maven. The command builds the SDK first, in some minutes",
        install: "",
        command: "bindings/kotlin/sample http://127.0.0.1:8080 alice@dev.localhost phone",
    },
    Quickstart {
        language: "Swift",
        anchor: "swift",
        program: source_file!("bindings/swift/Examples/device/PresenceDevice.swift"),
        helpers: &[],
        summary: "A device that reports a status and prints notifications.",
        needs: "Linux, rustup, a C compiler and Swift 6.0. The command builds the SDK first, in some minutes",
        install: "",
        command: "bindings/swift/sample http://127.0.0.1:8080 alice@dev.localhost phone",
    },
];

/// The files of the crate `presence_examples`, which both programs in Rust use.
const RUST_HELPERS: &[SourceFile] = &[
    source_file!("examples/src/development.rs"),
    source_file!("examples/src/settings.rs"),
    source_file!("examples/src/lib.rs"),
    source_file!("examples/Cargo.toml"),
];
const RUST_NEEDS: &str = "rustup and a C compiler. The command builds the SDK first, in some minutes. A package of your own depends on the crate presence-client in the folder client-sdk";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The files of the repository.
    fn files() -> impl Iterator<Item = &'static SourceFile> {
        QUICKSTARTS.iter().flat_map(|one| std::iter::once(&one.program).chain(one.helpers))
    }

    #[test]
    fn every_quickstart_is_a_whole_program_with_an_anchor_of_its_own() {
        let mut anchors: Vec<&str> = QUICKSTARTS.iter().map(|one| one.anchor).collect();
        for SourceFile { path, text } in files() {
            assert!(text.len() > 100 && text.ends_with('\n'), "{path}");
        }
        anchors.sort_unstable();
        anchors.dedup();
        assert_eq!(anchors.len(), QUICKSTARTS.len());
    }

    #[test]
    fn a_file_that_a_program_imports_is_shown_too() {
        for Quickstart { program, helpers, .. } in QUICKSTARTS {
            let has = |name: &str| helpers.iter().any(|helper| helper.path.ends_with(name));
            for module in ["development", "settings"] {
                let python = program.text.contains(&format!("\nimport {module}\n"));
                let rust = program.text.contains("presence_examples::")
                    && program.text.contains(&format!("{module}::"));
                assert!(!python || has(&format!("/{module}.py")), "{}", program.path);
                assert!(!rust || has(&format!("/{module}.rs")), "{}", program.path);
            }
        }
    }

    #[test]
    fn every_command_runs_a_program_of_the_repository_and_no_test() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for Quickstart { command, .. } in QUICKSTARTS {
            let words: Vec<&str> = command.split(' ').collect();
            for path in words.iter().filter(|word| word.contains('/') && !word.contains("://")) {
                assert!(root.join(path).is_file(), "{command}");
            }
            assert!(!command.contains("test") && !command.contains("Test"), "{command}");
        }
    }
}
