//! Nothing that holds something is destroyed before somebody named it.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Result, bail};

/// Has the target's id from the command line, or typed on a terminal.
///
/// # Errors
/// Another id, or nobody to ask.
pub(super) fn agree(identity: &str, lost: &[String], given: Option<&str>) -> Result<()> {
    if let Some(given) = given {
        return match given == identity {
            true => Ok(()),
            false => bail!(
                "--yes-destroy names {given}, but the target is {identity}; nothing was changed"
            ),
        };
    }
    let input = std::io::stdin();
    if !input.is_terminal() {
        bail!(
            "{identity} holds {}; --yes-destroy {identity} destroys it without asking",
            lost.join("; ")
        );
    }
    eprintln!("This destroys: {}", lost.join("; "));
    eprint!("Type the id of the target to go on: ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer)?;
    match answer.trim() == identity {
        true => Ok(()),
        false => bail!("that is not {identity}; nothing was changed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_target_s_own_id_agrees() {
        let lost = [String::from("partition 1")];
        assert!(agree("S1", &lost, Some("S1")).is_ok());
        for wrong in ["S2", "", "s1", "S1 "] {
            let error = agree("S1", &lost, Some(wrong)).unwrap_err();
            assert!(error.to_string().contains("nothing was changed"));
        }
    }
}
