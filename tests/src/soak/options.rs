//! What a soak was asked for.

use std::time::Duration;

use anyhow::{Context, Result, bail};

/// The words after `soak`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How long decoders are run, all together.
    pub fuzzing: Duration,
    /// The number of the first input.
    pub seed: u64,
    /// How often a machine loses power, each time in other work.
    pub cuts: u32,
}

impl Options {
    /// Reads the words; `seed` counts where none is named.
    ///
    /// # Errors
    /// The word that is not understood, or that lacks its value.
    pub fn parse(words: impl Iterator<Item = String>, seed: u64) -> Result<Self> {
        const MINUTES: u64 = 60;
        let mut options = Self {
            fuzzing: Duration::from_secs(60 * MINUTES),
            seed,
            cuts: 24,
        };
        let mut words = words;
        while let Some(word) = words.next() {
            let value = words.next();
            let value = value.with_context(|| format!("{word} needs a value"))?;
            let number = value.parse::<u64>();
            let number = number.with_context(|| format!("{word} {value}: not a number"))?;
            match word.as_str() {
                "--minutes" => options.fuzzing = Duration::from_secs(number * MINUTES),
                "--seed" => options.seed = number,
                "--cuts" => options.cuts = u32::try_from(number).context("--cuts: too many")?,
                _ => bail!("{word}: not an option of `soak`"),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Options> {
        Options::parse(words.split_whitespace().map(str::to_owned), 7)
    }

    #[test]
    fn words_are_read_or_refused() {
        let options = parse("--minutes 2 --cuts 0").unwrap();
        assert_eq!(options.fuzzing, Duration::from_secs(120));
        assert_eq!((options.cuts, options.seed), (0, 7));
        for wrong in ["--minutes", "--minutes x", "--hours 1", "--cuts -1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
