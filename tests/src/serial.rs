//! A machine's serial line: its screen, and its keyboard.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Screen and keyboard of one machine.
pub struct Serial {
    log: PathBuf,
    socket: PathBuf,
    keyboard: Option<UnixStream>,
}

impl Serial {
    /// The line whose output QEMU writes to `log` and whose other end is `socket`.
    pub fn new(log: &Path, socket: &Path) -> Self {
        Self {
            log: log.to_owned(),
            socket: socket.to_owned(),
            keyboard: None,
        }
    }

    /// Everything the machine has shown so far, control sequences removed.
    pub fn screen(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        plain(&String::from_utf8_lossy(&bytes))
    }

    /// Waits until the screen, from character `from` on, shows `text`; returns
    /// the position behind it.
    ///
    /// # Errors
    /// After `limit`: what was last on the screen.
    pub fn wait_for(&self, from: usize, text: &str, limit: Duration) -> Result<usize> {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            // The end of a screen may have been half a control sequence.
            let from = screen.floor_char_boundary(from);
            if let Some(found) = screen[from..].find(text) {
                return Ok(from + found + text.len());
            }
            if start.elapsed() > limit {
                bail!(
                    "{text:?} did not appear within {limit:?}; last lines:\n{}",
                    last(&screen)
                );
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Types `text` as the keyboard would.
    ///
    /// # Errors
    /// When the machine is gone.
    pub fn type_text(&mut self, text: &str) -> Result<()> {
        if self.keyboard.is_none() {
            let stream = UnixStream::connect(&self.socket);
            let stream = stream.context("connecting to the machine's serial line")?;
            // The screen is read from the log; but a line nobody listens on
            // fills up and stops the machine.
            let mut screen = stream.try_clone().context("listening to the serial line")?;
            std::thread::spawn(move || std::io::copy(&mut screen, &mut std::io::sink()));
            self.keyboard = Some(stream);
        }
        if let Some(keyboard) = &mut self.keyboard {
            for key in text.as_bytes() {
                keyboard.write_all(&[*key]).context("typing")?;
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }
}

/// `text` without terminal control sequences.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' if characters.peek() == Some(&'[') => {
                characters.next();
                for parameter in characters.by_ref() {
                    if parameter.is_ascii_alphabetic() {
                        break;
                    }
                }
            }
            '\r' | '\u{1b}' => {}
            other => out.push(other),
        }
    }
    out
}

/// The last lines of a screen.
pub fn last(screen: &str) -> String {
    let lines: Vec<&str> = screen
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let first = lines.len().saturating_sub(25);
    lines[first..]
        .iter()
        .map(|line| format!("  | {line}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_are_not_text() {
        assert_eq!(
            plain("\u{1b}[2J\u{1b}[01;32mhello\r\n\u{1b}7there"),
            "hello\n7there"
        );
    }
}
