//! In the installed system: what is left of the run is done, then the run's
//! token is removed.

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use api::client::{Client, ClientError, Outage, Patience};
use task_sequences::Phase;
use winpe_assets::first_run;

use crate::hardware::facts;
use crate::job::Job;
use crate::journal::Journal;
use crate::run_file::RunFile;
use crate::screen::Screen;
use crate::steps;
use crate::work::{Outcome, work};

/// Goes on with the run. An error makes systemd try again.
pub(crate) fn run() -> Result<()> {
    let screen = Screen::of_service();
    let path = Path::new("/").join(first_run::RUN_PATH);
    if !path.exists() {
        screen.say("There is no run to go on with.");
        return Ok(());
    }
    let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
    let file: RunFile = serde_json::from_slice(&bytes).with_context(|| {
        format!(
            "{} is damaged; remove it to give the run up",
            path.display()
        )
    })?;
    let outcome = go_on(&file, &screen);
    if let Some(ClientError::Refused {
        status: 401 | 403,
        body,
    }) = outcome
        .as_ref()
        .err()
        .and_then(|error| error.downcast_ref())
    {
        screen.say(format!(
            "The run is over for this machine: {}",
            body.message
        ));
        return forget(&path);
    }
    match outcome? {
        Outcome::Finished => screen.say(format!("Run {} has succeeded.", file.run)),
        Outcome::Ended(reason) => screen.say(format!("Run {} has ended: {reason}", file.run)),
        Outcome::Elsewhere(phase) => {
            // Another start, such as one from the network, does the rest.
            screen.say(format!("Run {} goes on elsewhere ({phase:?}).", file.run));
            return Ok(());
        }
    }
    forget(&path)
}

fn go_on(file: &RunFile, screen: &Screen) -> Result<Outcome> {
    let told = screen.clone();
    let patience = Patience::for_ever(Arc::new(move |outage: &Outage<'_>| {
        if let Outage::Waiting { gone, error } = outage {
            told.say(format!("waiting for {} s: {error}", gone.as_secs()));
        }
    }));
    let client = Client::new(&file.server, file.key)?.with_token(&file.token);
    let assignment = patience.call(|| client.assignment())?;
    let mut journal = Journal::open(
        Box::new(client.clone()),
        assignment.sequence.clone(),
        patience.clone(),
    )?;
    let job = Job {
        assignment,
        client,
        token: file.token.clone(),
        key: None,
        facts: facts::without_disks(Path::new("/")),
        chosen_here: false,
        started: steps::now(),
        disk: OnceLock::new(),
        screen: screen.clone(),
        patience,
    };
    work(&job, &mut journal, Phase::Installed, "installed system")
}

/// Removes the token for good, durably: the machine may be switched off next.
fn forget(path: &Path) -> Result<()> {
    fs::remove_file(path).with_context(|| path.display().to_string())?;
    if let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}
