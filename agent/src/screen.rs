//! Plain lines on every console there is: a monitor, a serial port, or both.
//!
//! Nothing is drawn. What a technician reads on the monitor and what the lab
//! reads on the serial port are the same lines, at most 80 columns wide.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Columns of a text console.
const WIDTH: usize = 80;
/// Longest line taken from a person; the rest of it is dropped.
const LONGEST_LINE: usize = 200;
/// Lines typed ahead that are kept.
const TYPED_AHEAD: usize = 16;

/// Lines that people type.
pub(crate) trait Typed: Send {
    /// Forgets what was typed so far.
    fn forget(&mut self);
    /// The next line; `None` when nobody can type any more.
    fn next(&mut self) -> Option<String>;
    /// The next line, if it comes within `limit`.
    fn next_within(&mut self, limit: Duration) -> Option<String>;
}

impl Typed for Receiver<String> {
    fn forget(&mut self) {
        while self.try_recv().is_ok() {}
    }

    fn next(&mut self) -> Option<String> {
        self.recv().ok()
    }

    fn next_within(&mut self, limit: Duration) -> Option<String> {
        let start = Instant::now();
        match self.recv_timeout(limit) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(limit.saturating_sub(start.elapsed()));
                None
            }
        }
    }
}

/// Where lines go to and come from; clones share it.
#[derive(Clone)]
pub(crate) struct Screen {
    writers: Arc<Mutex<Vec<Box<dyn Write + Send>>>>,
    typed: Arc<Mutex<Box<dyn Typed>>>,
}

impl Screen {
    /// All consoles the kernel writes to, or `/dev/console` when it does not say.
    pub(crate) fn of_kernel() -> Self {
        let active = std::fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
        let mut consoles: Vec<File> = active
            .split_ascii_whitespace()
            .filter_map(|name| open(&Path::new("/dev").join(name)))
            .collect();
        if consoles.is_empty() {
            consoles.extend(open(Path::new("/dev/console")));
        }
        let (sender, typed) = sync_channel(TYPED_AHEAD);
        for console in &consoles {
            if let Ok(reader) = console.try_clone() {
                let sender = sender.clone();
                std::thread::spawn(move || read_lines(BufReader::new(reader), &sender));
            }
        }
        let writers = consoles
            .into_iter()
            .map(|file| Box::new(file) as Box<dyn Write + Send>);
        Self::over(writers.collect(), Box::new(typed))
    }

    /// Standard output, for a program that nobody answers.
    pub(crate) fn of_service() -> Self {
        let (_, typed) = sync_channel::<String>(1);
        Self::over(vec![Box::new(std::io::stdout())], Box::new(typed))
    }

    /// Any writers, and lines from anywhere.
    pub(crate) fn over(writers: Vec<Box<dyn Write + Send>>, typed: Box<dyn Typed>) -> Self {
        Self {
            writers: Arc::new(Mutex::new(writers)),
            typed: Arc::new(Mutex::new(typed)),
        }
    }

    /// Writes `text`, wrapped, each line on its own.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        for line in text.as_ref().lines() {
            for part in wrapped(line) {
                self.write(&format!("{part}\r\n"));
            }
        }
    }

    /// Writes an empty line.
    pub(crate) fn gap(&self) {
        self.write("\r\n");
    }

    /// Asks for a line: what was typed before the question is not its answer.
    /// Waits for ever; `None` when there is nobody to ask.
    pub(crate) fn ask(&self, question: &str) -> Option<String> {
        let mut typed = self.typed.lock().unwrap_or_else(PoisonError::into_inner);
        typed.forget();
        self.write(&format!("{question} "));
        typed.next()
    }

    /// Waits for a line, at most `limit`.
    pub(crate) fn line_within(&self, limit: Duration) -> Option<String> {
        self.typed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next_within(limit)
    }

    fn write(&self, text: &str) {
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        for writer in writers.iter_mut() {
            // A console that cannot be written to is one nobody looks at.
            let _ = writer
                .write_all(text.as_bytes())
                .and_then(|()| writer.flush());
        }
    }
}

fn open(path: &Path) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = i32::try_from(rustix::fs::OFlags::NOCTTY.bits()).ok()?;
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags)
        .open(path)
        .ok()
}

/// Hands on lines until the console ends. The tty's own line mode echoes and
/// rubs out.
fn read_lines(mut reader: impl BufRead, sender: &SyncSender<String>) {
    let mut line = Vec::new();
    loop {
        let Ok(bytes) = reader.fill_buf() else { return };
        if bytes.is_empty() {
            return;
        }
        let read = bytes.len();
        for &byte in bytes {
            match byte {
                b'\r' | b'\n' => {
                    let text = tidy(&line);
                    line.clear();
                    if let Err(TrySendError::Disconnected(_)) = sender.try_send(text) {
                        return;
                    }
                }
                _ if line.len() < LONGEST_LINE => line.push(byte),
                _ => {}
            }
        }
        reader.consume(read);
    }
}

/// A typed line without what the keyboard left in it: backspaces rub out,
/// other control characters vanish.
fn tidy(line: &[u8]) -> String {
    let mut text = String::new();
    for character in String::from_utf8_lossy(line).chars() {
        match character {
            '\u{8}' | '\u{7f}' => drop(text.pop()),
            character if character.is_control() => {}
            character => text.push(character),
        }
    }
    text.trim().to_owned()
}

/// `line` cut at spaces into parts of at most [`WIDTH`] columns; what follows
/// the first is indented like it.
fn wrapped(line: &str) -> Vec<String> {
    let indent: String = line
        .chars()
        .take_while(|&c| c == ' ')
        .take(WIDTH / 2)
        .collect();
    let mut parts = vec![indent.clone()];
    for word in line.split(' ').filter(|word| !word.is_empty()) {
        let last = parts.last().map_or(0, |part| part.chars().count());
        let fresh = last == indent.len();
        if !fresh && last + 1 + word.chars().count() > WIDTH - 1 {
            parts.push(format!("{indent}{word}"));
        } else if let Some(part) = parts.last_mut() {
            if !fresh {
                part.push(' ');
            }
            part.push_str(word);
        }
    }
    // Lines that fit keep their columns, tables included.
    if parts.len() == 1 {
        vec![line.to_owned()]
    } else {
        parts
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// What was said on a screen.
    #[derive(Clone, Default)]
    pub(crate) struct Said(Arc<Mutex<Vec<u8>>>);

    impl Said {
        pub(crate) fn text(&self) -> String {
            String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
        }
    }

    impl Write for Said {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Typed for VecDeque<String> {
        fn forget(&mut self) {}

        fn next(&mut self) -> Option<String> {
            self.pop_front()
        }

        fn next_within(&mut self, _limit: Duration) -> Option<String> {
            self.pop_front()
        }
    }

    /// A screen whose person answers each question with the next of `answers`
    /// and then goes away.
    pub(crate) fn scripted(answers: &[&str]) -> (Screen, Said) {
        let said = Said::default();
        let answers: VecDeque<String> = answers.iter().map(|&text| text.to_owned()).collect();
        (
            Screen::over(vec![Box::new(said.clone())], Box::new(answers)),
            said,
        )
    }

    #[test]
    fn long_lines_are_wrapped_at_spaces_and_keep_their_indent() {
        let line = format!("  {}", "word ".repeat(40));
        let parts = wrapped(&line);
        assert!(parts.len() > 2);
        assert!(
            parts
                .iter()
                .all(|part| part.len() < WIDTH && part.starts_with("  word"))
        );
        assert_eq!(wrapped("a   b"), ["a   b"]);
        assert_eq!(wrapped(""), [""]);
        assert_eq!(wrapped(&"x".repeat(100)).len(), 1);
    }

    #[test]
    fn typed_lines_end_with_either_key_and_can_be_rubbed_out() {
        let (sender, typed) = sync_channel(8);
        read_lines(&b"ab\x7fc\rERA\x08ASE\n\n"[..], &sender);
        let lines: Vec<_> = typed.try_iter().collect();
        assert_eq!(lines, ["ac", "ERASE", ""]);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let (sender, typed) = sync_channel(8);
        let mut bytes = vec![b'x'; 10_000];
        bytes.push(b'\n');
        read_lines(&bytes[..], &sender);
        assert_eq!(typed.recv().unwrap().len(), LONGEST_LINE);
    }
}
