//! What commands print: JSON for programs, or text and tables for people.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use time::OffsetDateTime;

/// Prints `value` as JSON, or what `people` says.
pub(crate) fn show<T: Serialize>(
    json: bool,
    value: &T,
    people: impl FnOnce() -> String,
) -> Result<()> {
    let text = match json {
        true => serde_json::to_string_pretty(value)?,
        false => people(),
    };
    line(text.trim_end())
}

/// Prints one line; a closed pipe is the reader's choice, not our failure.
pub(crate) fn line(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// A JSON array that is written while its elements are found.
pub(crate) struct JsonList<W: Write> {
    out: W,
    any: bool,
}

impl<W: Write> JsonList<W> {
    /// Opens the array.
    pub(crate) fn begin(mut out: W) -> Result<Self> {
        out.write_all(b"[")?;
        Ok(Self { out, any: false })
    }

    /// Writes an element, in a line of its own.
    pub(crate) fn add<T: Serialize>(&mut self, value: &T) -> std::io::Result<()> {
        let separator: &[u8] = if self.any { b",\n" } else { b"\n" };
        self.any = true;
        self.out.write_all(separator)?;
        // Its errors become those of the pipe below, if they are.
        serde_json::to_writer(&mut self.out, value).map_err(std::io::Error::from)
    }

    /// Closes the array.
    pub(crate) fn end(mut self) -> Result<()> {
        self.out
            .write_all(if self.any { b"\n]\n" } else { b"]\n" })?;
        Ok(self.out.flush()?)
    }
}

/// A table: columns as wide as their widest cell.
pub(crate) fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = heading.iter().map(|text| text.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let heading: Vec<String> = heading.iter().map(|&word| word.to_uppercase()).collect();
    for row in std::iter::once(&heading).chain(rows) {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell:<width$}"))
            .collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// Bytes for people, in decimal units.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut unit = 0;
    let mut tenths = u128::from(count) * 10;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    match unit {
        0 => format!("{count} B"),
        _ => format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]),
    }
}

/// Seconds since 1970 as `2026-11-21 23:47 UTC`.
pub(crate) fn moment(seconds: u64) -> String {
    let rest = seconds % 86_400;
    format!(
        "{} {:02}:{:02} UTC",
        day(seconds),
        rest / 3600,
        rest / 60 % 60
    )
}

/// Seconds since 1970 as `2026-11-21 23:47:05`.
pub(crate) fn to_the_second(seconds: u64) -> String {
    let rest = seconds % 86_400;
    let (hours, minutes) = (rest / 3600, rest / 60 % 60);
    format!("{} {hours:02}:{minutes:02}:{:02}", day(seconds), rest % 60)
}

/// The day of a moment, as `2026-11-21`; as a number where no calendar has it.
fn day(seconds: u64) -> String {
    let moment = i64::try_from(seconds).map(OffsetDateTime::from_unix_timestamp);
    match moment {
        Ok(Ok(moment)) => moment.date().to_string(),
        _ => seconds.to_string(),
    }
}

/// A line on a terminal that shows how far long work has come.
pub(crate) struct ProgressLine {
    shown: Option<Instant>,
    on: bool,
}

impl ProgressLine {
    /// Shown only where a person looks.
    pub(crate) fn new(json: bool) -> Self {
        Self {
            shown: None,
            on: !json && std::io::stderr().is_terminal(),
        }
    }

    /// Replaces the line, a few times a second at most.
    pub(crate) fn update(&mut self, text: impl FnOnce() -> String) {
        let due = self
            .shown
            .is_none_or(|shown| shown.elapsed() > Duration::from_millis(250));
        if self.on && due {
            eprint!("\r\u{1b}[K{}", text());
            self.shown = Some(Instant::now());
        }
    }

    /// Clears the line.
    pub(crate) fn finish(&mut self) {
        if self.shown.take().is_some() {
            eprint!("\r\u{1b}[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates_people_know() {
        assert_eq!(moment(0), "1970-01-01 00:00 UTC");
        assert_eq!(moment(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(moment(1_795_305_600 + 3599), "2026-11-22 00:59 UTC");
    }

    #[test]
    fn sizes_are_rounded_down_to_a_tenth() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1000), "1.0 kB");
        assert_eq!(bytes(1_234_567_890), "1.2 GB");
        assert_eq!(bytes(u64::MAX), "18446744.0 TB");
    }
}
