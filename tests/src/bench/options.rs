//! What a run of the bench was asked for.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// The words after `bench image`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Three rounds in place of five.
    pub quick: bool,
    /// The peers alone, one round each: nothing is judged.
    pub peers_only: bool,
    /// Ids of rows, or their numbers; empty means all.
    pub only: Vec<String>,
    /// A tree to use in place of both system and desktop.
    pub corpus: Option<PathBuf>,
    /// The program to measure, in place of the one built here.
    pub mimeo: Option<PathBuf>,
}

impl Options {
    /// Reads the words.
    ///
    /// # Errors
    /// The word that is not understood, or that lacks its value.
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words;
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} needs a value"))
            };
            match word.as_str() {
                "--quick" => options.quick = true,
                "--peers" => options.peers_only = true,
                "--only" => options.only.push(value()?),
                "--corpus" => options.corpus = Some(value()?.into()),
                "--mimeo" => options.mimeo = Some(value()?.into()),
                _ => bail!("{word}: not an option of `bench image`"),
            }
        }
        Ok(options)
    }

    /// Whether the row `id` ("4-desktop") is asked for, by that or by "4".
    pub fn wants(&self, id: &str) -> bool {
        let number = id.split('-').next();
        let named = |only: &String| only == id || Some(only.as_str()) == number;
        self.only.is_empty() || self.only.iter().any(named)
    }

    /// How many times a tool is timed.
    pub fn rounds(&self) -> usize {
        match (self.peers_only, self.quick) {
            (true, _) => 1,
            (false, true) => 3,
            (false, false) => 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn parse(words: &[&str]) -> anyhow::Result<Options> {
        Options::parse(words.iter().map(|&word| word.to_owned()))
    }

    #[test]
    fn a_number_names_all_its_rows_and_an_id_one() -> anyhow::Result<()> {
        let number = parse(&["--only", "4"])?;
        assert!(number.wants("4-system") && number.wants("4-desktop") && !number.wants("1"));
        let one = parse(&["--only", "4-system", "--quick"])?;
        assert!(one.wants("4-system") && !one.wants("4-desktop") && one.quick);
        assert!(parse(&[])?.wants("8-list"));
        Ok(())
    }

    #[test]
    fn a_word_that_is_no_option_is_refused() {
        assert!(parse(&["--fast"]).is_err());
        assert!(parse(&["--only"]).is_err());
    }
}
