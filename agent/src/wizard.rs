//! What nobody has decided yet is asked here, in plain lines.
//!
//! Every question repeats until its answer can be used; nothing is written to
//! a disk before the last one. With nobody at the machine it waits for ever.

use anyhow::{Context, Result, bail};
use api::messages::machine::{Choice, ImageChoice, Questions};

use crate::screen::Screen;

/// The word that destroys what a disk holds.
const ERASE: &str = "ERASE";
/// The word that agrees to a plan for an empty disk.
const YES: &str = "YES";
/// Wrong answers after which a question is put down as unanswerable by what is
/// at the other end, such as a serial line that babbles.
const PATIENCE: usize = 1000;

/// Asks which image and which name.
pub(crate) fn choose(screen: &Screen, questions: &Questions) -> Result<Choice> {
    if questions.images.is_empty() {
        bail!("the server has no image to choose; capture one, then start this machine again");
    }
    screen.gap();
    let image = choose_image(screen, &questions.images)?;
    let name = choose_name(screen, &questions.suggested_name)?;
    screen.say(format!(
        "This machine will be {name} with the image {image}."
    ));
    Ok(Choice { image, name })
}

fn choose_image(screen: &Screen, images: &[ImageChoice]) -> Result<String> {
    screen.say("Which image shall this machine get?");
    for (number, image) in (1..).zip(images) {
        screen.say(format!(
            "  {number:>2}  {}  {}",
            image.name, image.description
        ));
    }
    for _ in 0..PATIENCE {
        let answer = question(screen, "Number or name:")?;
        let by_number = answer
            .parse::<usize>()
            .ok()
            .and_then(|n| images.get(n.checked_sub(1)?));
        if let Some(image) = by_number.or_else(|| images.iter().find(|i| i.name == answer)) {
            return Ok(image.name.clone());
        }
        screen.say(format!(
            "{answer:?} is none of them; type a number from 1 to {}.",
            images.len()
        ));
    }
    bail!("no usable answer came")
}

fn choose_name(screen: &Screen, suggested: &str) -> Result<String> {
    for _ in 0..PATIENCE {
        let hint = if suggested.is_empty() {
            String::new()
        } else {
            format!(" [{suggested}]")
        };
        let answer = question(screen, &format!("Name of this machine{hint}:"))?;
        let name = if answer.is_empty() {
            suggested
        } else {
            &answer
        };
        if is_host_name(name) {
            return Ok(name.to_owned());
        }
        screen.say("A name has 1 to 63 letters, digits and dashes, and no dash at either end.");
    }
    bail!("no usable answer came")
}

/// Shows what would be lost and returns once somebody typed the word.
pub(crate) fn confirm_erase(screen: &Screen, disk: &str, holds: &[String]) -> Result<()> {
    screen.gap();
    screen.say(format!("{disk} is not empty. It holds:"));
    for line in holds {
        screen.say(format!("  {line}"));
    }
    screen.say("All of it will be lost. Nothing has been written yet.");
    for _ in 0..PATIENCE {
        if question(screen, &format!("Type {ERASE} to overwrite this disk:"))? == ERASE {
            return Ok(());
        }
        screen.say("The disk is left as it is. Switch the machine off to keep it so.");
    }
    bail!("nobody agreed to overwrite {disk}")
}

/// Returns once somebody agreed to the plan that was shown.
pub(crate) fn confirm_plan(screen: &Screen) -> Result<()> {
    for _ in 0..PATIENCE {
        if question(screen, &format!("Type {YES} to write this to the disk:"))? == YES {
            return Ok(());
        }
        screen.say("Nothing has been written.");
    }
    bail!("nobody agreed to the plan")
}

fn question(screen: &Screen, text: &str) -> Result<String> {
    screen
        .ask(text)
        .context("nobody can answer: this machine has no usable console")
}

/// One label of a host name (RFC 1123, section 2.1).
pub(crate) fn is_host_name(name: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(sound)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::tests::scripted;

    fn questions() -> Questions {
        let image = |name: &str| ImageChoice {
            name: name.into(),
            description: "Debian".into(),
        };
        Questions {
            images: vec![image("office"), image("lab")],
            suggested_name: "pc-007".to_owned(),
        }
    }

    #[test]
    fn a_number_and_the_suggested_name_are_enough() {
        let (screen, said) = scripted(&["2", ""]);
        let choice = choose(&screen, &questions()).unwrap();
        assert_eq!(
            choice,
            Choice {
                image: "lab".into(),
                name: "pc-007".into()
            }
        );
        assert!(said.text().contains("1  office  Debian"));
    }

    #[test]
    fn unusable_answers_are_asked_again() {
        let (screen, _) = scripted(&["3", "0", "x", "office", "-bad-", "a b", "good"]);
        let choice = choose(&screen, &questions()).unwrap();
        assert_eq!(
            choice,
            Choice {
                image: "office".into(),
                name: "good".into()
            }
        );
    }

    #[test]
    fn a_plan_is_agreed_to_by_its_word_alone() {
        let (screen, _) = scripted(&["y", "yes", "", "YES"]);
        confirm_plan(&screen).unwrap();
        let (screen, _) = scripted(&["y"]);
        assert!(confirm_plan(&screen).is_err());
    }

    #[test]
    fn only_the_word_itself_erases() {
        let (screen, said) = scripted(&["erase", "y", "ERASE!", "", "ERASE"]);
        confirm_erase(&screen, "/dev/vda", &["Debian 12".to_owned()]).unwrap();
        assert!(said.text().contains("  Debian 12"));
        let (screen, _) = scripted(&["yes"]);
        assert!(confirm_erase(&screen, "/dev/vda", &[]).is_err());
    }

    #[test]
    fn names_are_labels_of_host_names() {
        for good in ["a", "pc-007", &"x".repeat(63)] {
            assert!(is_host_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a.b", "a_b", "a/b", "a\nb", &"x".repeat(64)] {
            assert!(!is_host_name(bad), "{bad}");
        }
    }
}
