//! `mimeo share login|token`: who opens a share over the network.

use anyhow::{Context, Result};
use api::messages::share::{NewShareToken, ShareToken};

use super::connect;
use crate::args::{LoginArgs, TokenCommand};
use crate::location::{self, Login};
use crate::output::{self, moment};

/// Remembers how a server's share is opened, once it was opened.
pub(crate) fn login(args: &LoginArgs, json: bool) -> Result<()> {
    let (server, name) = location::parts(&args.share)?;
    let reading = || format!("reading {}", args.token.display());
    let token = std::fs::read_to_string(&args.token).with_context(reading)?;
    let login = Login {
        key: args.key,
        token: token.trim().to_owned(),
    };
    let images = location::try_login(&server, &name, &login)
        .with_context(|| format!("opening share {name} of {server}"))?;
    let file = location::remember(&server, &name, login)?;
    let value = serde_json::json!({ "server": server, "share": name, "file": file });
    output::show(json, &value, || {
        format!(
            "share {name} of {server} has {images} refs; how to open it is kept in {}",
            file.display()
        )
    })
}

/// Runs `mimeo share token ...`.
pub(crate) fn token(command: TokenCommand, json: bool) -> Result<()> {
    match command {
        TokenCommand::New {
            label,
            share,
            names,
            server,
        } => {
            let new = NewShareToken {
                label,
                share,
                writes: names,
            };
            let made = connect(&server)?.make_share_token(&new)?;
            output::show(json, &made, || made.token.clone())
        }
        TokenCommand::List { server } => {
            let list = connect(&server)?.share_tokens()?;
            output::show(json, &list, || {
                let rows: Vec<_> = list.tokens.iter().map(row).collect();
                output::table(&["label", "share", "captures", "made"], &rows)
            })
        }
        TokenCommand::Remove { label, server } => {
            connect(&server)?.remove_share_token(&label)?;
            output::show(json, &serde_json::json!({ "removed": label }), || {
                format!("{label} opens nothing any more")
            })
        }
    }
}

fn row(token: &ShareToken) -> Vec<String> {
    let names = token.writes.clone();
    vec![
        token.label.clone(),
        token.share.clone(),
        names.unwrap_or_else(|| "nothing, it only reads".to_owned()),
        moment(token.created),
    ]
}
