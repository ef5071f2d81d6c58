//! Where a share is: a folder, a single file, or a server.
//!
//! `--share` takes all three. A server is `https://ADDRESS[:PORT]/NAME`; who it
//! is and who asks stands in the file of `mimeo share login`, or in two
//! variables of the environment, for scripts and for the boot environment.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use api::PublicKey;
use api::client::{Client, Outage, Patience, RemoteStore};
use image_format::file::is_single_file;
use image_format::{DirStore, Share, Store, UnreadableRef};
use serde::{Deserialize, Serialize};

const SCHEME: &str = "https://";
const PORT: u16 = 8443;
const KEY_VARIABLE: &str = "MIMEO_SERVER_KEY";
const TOKEN_VARIABLE: &str = "MIMEO_TOKEN_FILE";

/// What is known of one server's share.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Login {
    /// The server's public key.
    pub(crate) key: PublicKey,
    /// The token that opens the share.
    pub(crate) token: String,
}

/// A share, a single file or a server's share, opened to be read.
pub(crate) fn open(share: &Path) -> Result<Share<Box<dyn Store>>> {
    let opening = || format!("opening {}", share.display());
    let opened = Share::open(store(share)?).with_context(opening)?;
    warn_of_refs(opened.unreadable(), share);
    Ok(opened)
}

/// Tells which versions are left out because their refs cannot be used.
pub(crate) fn warn_of_refs<'r>(
    unreadable: impl IntoIterator<Item = &'r UnreadableRef>,
    share: &Path,
) {
    for lost in unreadable {
        eprintln!(
            "mimeo: warning: {} is left out, its ref cannot be used: {}: {}; {}",
            lost.at.typed(),
            share.join(lost.at.file()).display(),
            lost.reason,
            lost.next_step()
        );
    }
}

/// What lies there, as a store.
pub(crate) fn store(share: &Path) -> Result<Box<dyn Store>> {
    let opening = || format!("opening {}", share.display());
    if let Some(address) = server_in(share) {
        return Ok(Box::new(remote(address).with_context(opening)?));
    }
    let (store, warning) = image_format::file::open_any(share).with_context(opening)?;
    if let Some(warning) = warning {
        eprintln!("mimeo: warning: {warning}");
    }
    Ok(store)
}

/// As [`store`], to put images of these names there: a server says now whether
/// the token may, and not when everything was read.
pub(crate) fn store_to_capture(
    share: &Path,
    names: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<Box<dyn Store>> {
    let Some(address) = server_in(share) else {
        return store(share);
    };
    let opening = || format!("opening {}", share.display());
    let remote = remote(address).with_context(opening)?;
    for name in names {
        remote.may_capture(name.as_ref()).with_context(opening)?;
    }
    Ok(Box::new(remote))
}

/// The share in a folder of this machine, for work that is done where it lies.
pub(crate) fn folder(share: &Path) -> Result<DirStore> {
    on_this_machine(share)?;
    let shown = share.display();
    if is_single_file(share) {
        bail!("{shown} is a single file: only a share's folder can be worked on");
    }
    DirStore::open(share).with_context(|| format!("opening the share {shown}"))
}

/// Refuses a server's share.
pub(crate) fn on_this_machine(share: &Path) -> Result<()> {
    match server_in(share) {
        Some(_) => bail!(
            "{} is on a server: do this there, on the share's folder",
            share.display()
        ),
        None => Ok(()),
    }
}

/// What follows `https://`.
fn server_in(share: &Path) -> Option<&str> {
    share.to_str()?.strip_prefix(SCHEME)
}

fn remote(address: &str) -> Result<RemoteStore> {
    let (server, name) = parts(address)?;
    let login = login_of(&server, &name)?;
    connect(&server, &name, &login)
}

/// How many refs the share has, if it can be opened at all.
pub(crate) fn try_login(server: &str, name: &str, login: &Login) -> Result<usize> {
    Ok(connect(server, name, login)?.list_refs()?.len())
}

fn connect(server: &str, name: &str, login: &Login) -> Result<RemoteStore> {
    let client = Client::new(server, login.key)?.with_token(login.token.trim());
    let patience = Patience::for_ever(Arc::new(move |outage: &Outage<'_>| match outage {
        Outage::Waiting { gone, error } => {
            eprintln!(
                "mimeo: {error}; waiting since {} s, nothing is lost",
                gone.as_secs()
            );
        }
        Outage::Over { .. } => eprintln!("mimeo: the server is back"),
    }));
    let store = RemoteStore::new(client, patience, name);
    Ok(match cache() {
        Some(folder) => store.with_cache(folder),
        None => store,
    })
}

/// `$XDG_CACHE_HOME/mimeo/index`, or below `~/.cache`. None where there is no
/// home: the first program after a kernel, as in the boot environment, has `/`.
fn cache() -> Option<PathBuf> {
    let given = |name| env::var_os(name).map(PathBuf::from);
    let home = given("HOME").filter(|home| home != Path::new("/"));
    let folder = given("XDG_CACHE_HOME").filter(|folder| folder.is_absolute());
    let folder = folder.or_else(|| Some(home?.join(".cache")));
    let folder = folder.filter(|folder| folder.is_absolute())?;
    Some(folder.join("mimeo/index"))
}

/// `server:port` and the share's name.
pub(crate) fn parts(address: &str) -> Result<(String, String)> {
    let address = address.strip_prefix(SCHEME).unwrap_or(address);
    let parts = address.trim_end_matches('/').split_once('/');
    let Some((server, name)) =
        parts.filter(|(server, name)| !server.is_empty() && !name.contains('/'))
    else {
        bail!(
            "expected https://SERVER/SHARE, found {SCHEME}{address}; the server's own share is called main"
        );
    };
    let server = match server.contains(':') {
        true => server.to_owned(),
        false => format!("{server}:{PORT}"),
    };
    Ok((server, name.to_owned()))
}

fn login_of(server: &str, name: &str) -> Result<Login> {
    if let (Ok(key), Ok(file)) = (env::var(KEY_VARIABLE), env::var(TOKEN_VARIABLE)) {
        let token = fs::read_to_string(&file).with_context(|| format!("reading {file}"))?;
        let key = key
            .parse()
            .with_context(|| format!("reading {KEY_VARIABLE}"))?;
        return Ok(Login { key, token });
    }
    let known = logins()?.remove(&format!("{server}/{name}"));
    known.with_context(|| {
        format!(
            "who that server is, and who asks, is not known: run `mimeo share login {SCHEME}{server}/{name} --key HEX --token FILE`, or set {KEY_VARIABLE} and {TOKEN_VARIABLE}"
        )
    })
}

/// Remembers how a share is opened, readable by nobody else.
pub(crate) fn remember(server: &str, name: &str, login: Login) -> Result<PathBuf> {
    let path = file()?;
    let mut all = logins()?;
    all.insert(format!("{server}/{name}"), login);
    let folder = path.parent().context("the file of logins has no folder")?;
    let writing = || format!("writing {}", path.display());
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(writing)?;
    let mut new = tempfile_in(folder).with_context(writing)?;
    new.1
        .write_all(serde_json::to_string_pretty(&all)?.as_bytes())
        .with_context(writing)?;
    new.1.sync_all().with_context(writing)?;
    fs::rename(&new.0, &path).with_context(writing)?;
    Ok(path)
}

fn tempfile_in(folder: &Path) -> std::io::Result<(PathBuf, fs::File)> {
    let path = folder.join(format!(".shares.{}", std::process::id()));
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)?;
    Ok((path, file))
}

fn logins() -> Result<BTreeMap<String, Login>> {
    let path = file()?;
    match fs::read(&path) {
        Ok(text) => {
            serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

/// `$XDG_CONFIG_HOME/mimeo/shares.json`, or below `~/.config`.
fn file() -> Result<PathBuf> {
    let folder = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".config")));
    let folder = folder.with_context(|| {
        format!("neither HOME nor XDG_CONFIG_HOME is set; set {KEY_VARIABLE} and {TOKEN_VARIABLE}")
    })?;
    Ok(folder.join("mimeo/shares.json"))
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn a_server_has_a_port_and_a_share_a_name() {
        let main = Ok::<_, String>(("10.0.0.1:8443".to_owned(), "main".to_owned()));
        assert_eq!(
            parts("https://10.0.0.1/main").map_err(|e| e.to_string()),
            main
        );
        assert_eq!(
            parts("10.0.0.1:8443/main/").map_err(|e| e.to_string()),
            main
        );
        for wrong in ["10.0.0.1", "10.0.0.1/", "/main", "a/b/c"] {
            assert!(parts(wrong).is_err(), "{wrong}");
        }
    }
}
