//! A writer that never waits and never fails: lines wait in a bounded buffer, and a thread writes
//! them.
//!
//! If the buffer is full, new lines are dropped and counted. So are lines that cannot be written.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The maximum number of bytes that wait to be written.
const CAPACITY: usize = 1024 * 1024;
/// The pause before a write is repeated for which the output had no room.
const RETRY_DELAY: Duration = Duration::from_millis(20);

/// A writer of whole lines. Each call of `write` is one line. Clones share the buffer.
#[derive(Clone)]
pub(crate) struct BackgroundWriter(Arc<Shared>);

struct Shared {
    buffer: Mutex<Buffer>,
    changed: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Buffer {
    waiting: Vec<u8>,
    /// Set while the thread writes lines that it has taken.
    is_writing: bool,
}

impl BackgroundWriter {
    /// Starts the thread that writes to a stream. The stream is duplicated, since the locks of the
    /// standard streams would be held while a write waits for its reader.
    ///
    /// # Errors
    ///
    /// An error of the operating system.
    pub(crate) fn start(stream: impl AsFd) -> io::Result<Self> {
        Self::start_on(File::from(stream.as_fd().try_clone_to_owned()?))
    }

    fn start_on(output: impl Write + Send + 'static) -> io::Result<Self> {
        let (buffer, changed, dropped) = (Mutex::default(), Condvar::new(), AtomicU64::new(0));
        let shared = Arc::new(Shared { buffer, changed, dropped });
        let thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || thread.run(LineOutput::new(output)))?;
        Ok(Self(shared))
    }

    /// Writes a line in the background, or drops it if too many wait.
    pub(crate) fn write_line(&self, line: &str) {
        self.push(format!("{line}\n").as_bytes());
    }

    /// Returns the number of lines that were dropped.
    pub(crate) fn dropped_lines(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Waits until all lines are written or dropped, at most for `timeout`.
    pub(crate) fn flush(&self, timeout: Duration) {
        let is_busy = |buffer: &mut Buffer| buffer.is_writing || !buffer.waiting.is_empty();
        // A timeout needs no action: the lines that are left are lost with the process.
        drop(self.0.changed.wait_timeout_while(self.0.buffer(), timeout, is_busy));
    }

    fn push(&self, line: &[u8]) {
        let mut buffer = self.0.buffer();
        if buffer.waiting.len() + line.len() > CAPACITY {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        buffer.waiting.extend_from_slice(line);
        drop(buffer);
        self.0.changed.notify_all();
    }
}

impl Write for BackgroundWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    /// Writes lines as they come, as long as the process runs.
    fn run(&self, mut output: LineOutput<impl Write>) {
        let mut lines = Vec::new();
        loop {
            self.take_lines(&mut lines);
            let lost = output.write(&lines);
            self.dropped.fetch_add(lost, Ordering::Relaxed);
            lines.clear();
        }
    }

    /// Waits for lines, and exchanges them for an empty buffer.
    fn take_lines(&self, lines: &mut Vec<u8>) {
        let mut buffer = self.buffer();
        buffer.is_writing = false;
        self.changed.notify_all();
        let is_empty = |buffer: &mut Buffer| buffer.waiting.is_empty();
        let mut buffer =
            self.changed.wait_while(buffer, is_empty).unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(lines, &mut buffer.waiting);
        buffer.is_writing = true;
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The output of the thread.
struct LineOutput<W> {
    output: W,
    /// Set after a failed write that may have left a part of a line.
    is_torn: bool,
}

impl<W: Write> LineOutput<W> {
    fn new(output: W) -> Self {
        Self { output, is_torn: false }
    }

    /// Writes lines. Returns the number of those that could not be written.
    fn write(&mut self, mut lines: &[u8]) -> u64 {
        if self.is_torn && self.write_some(b"\n").is_ok() {
            self.is_torn = false;
        }
        while !lines.is_empty() {
            if let Ok(written) = self.write_some(lines) {
                lines = lines.get(written..).unwrap_or_default();
            } else {
                self.is_torn = true;
                return lines.split_inclusive(|byte| *byte == b'\n').count() as u64;
            }
        }
        0
    }

    /// Writes at least one byte, and waits for an output that has no room at the moment.
    #[expect(clippy::disallowed_methods, reason = "the thread does nothing else")]
    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.output.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => return Ok(written),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    std::thread::sleep(RETRY_DELAY);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// An output whose writes have the results that a test sends, and then succeed.
    struct ScriptedOutput {
        results: Receiver<io::Result<usize>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for ScriptedOutput {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let written = self.results.recv().unwrap_or(Ok(bytes.len()))?.min(bytes.len());
            let mut all = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend_from_slice(&bytes[..written]);
            Ok(written)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Scenario {
        writer: BackgroundWriter,
        results: Option<Sender<io::Result<usize>>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Scenario {
        fn new() -> Self {
            let ((results, scripted), written) = (channel(), Arc::default());
            let output = ScriptedOutput { results: scripted, written: Arc::clone(&written) };
            let writer = BackgroundWriter::start_on(output).unwrap();
            Self { writer, results: Some(results), written }
        }

        fn log(&mut self, line: &str) {
            self.writer.write_all(line.as_bytes()).unwrap();
        }

        fn on_write(&self, result: io::Result<usize>) {
            self.results.as_ref().unwrap().send(result).unwrap();
        }

        /// Lets all writes succeed from now on, and returns what was written.
        fn finish(&mut self) -> String {
            self.results = None;
            self.writer.flush(PATIENCE);
            String::from_utf8(self.written.lock().unwrap().clone()).unwrap()
        }
    }

    #[test]
    fn a_line_is_written_whole_although_the_output_takes_it_in_parts() {
        let mut scenario = Scenario::new();
        scenario.log("one line\n");
        scenario.on_write(Ok(3));
        scenario.on_write(Err(ErrorKind::Interrupted.into()));
        scenario.on_write(Err(ErrorKind::WouldBlock.into()));
        scenario.log("another\n");
        assert_eq!(scenario.finish(), "one line\nanother\n");
        assert_eq!(scenario.writer.dropped_lines(), 0);
    }

    #[test]
    fn a_stuck_output_stops_nobody_and_lines_beyond_the_bound_are_counted() {
        let mut scenario = Scenario::new();
        let line = format!("{}\n", "x".repeat(1023));
        for _ in 0..5000 {
            scenario.log(&line);
        }
        let kept = 5000 - scenario.writer.dropped_lines();
        assert!((1024..=2049).contains(&kept), "{kept} lines are kept");
        scenario.writer.flush(Duration::from_millis(1));
        assert_eq!(scenario.finish().lines().count() as u64, kept);
    }

    #[test]
    fn a_failed_write_loses_its_lines_and_no_later_one() {
        let mut scenario = Scenario::new();
        scenario.log("before\n");
        scenario.on_write(Ok(4));
        scenario.on_write(Err(ErrorKind::StorageFull.into()));
        scenario.writer.flush(PATIENCE);
        scenario.log("after\n");
        assert_eq!(scenario.finish(), "befo\nafter\n");
        assert_eq!(scenario.writer.dropped_lines(), 1);
    }

    #[test]
    fn a_closed_pipe_ends_nothing() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut log = BackgroundWriter::start(&writer).unwrap();
        log.write_all(b"to nobody\n").unwrap();
        log.flush(PATIENCE);
        assert_eq!(log.dropped_lines(), 1);
    }
}
