//! The server put together, started and stopped.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use anyhow::{Context, Result};
use pxe::{BootParts, Finding, Heard, Loaders, Mode, Pool, Scripts};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tracing::{error, info};

use crate::config::{AddressRange, Config, DhcpMode};
use crate::db::Database;
use crate::db::sqlite::Sqlite;
use crate::http::boot::{BootTree, ClearPort};
use crate::http::{self, listen};
use crate::service::House;
use crate::service::leases::DbLeases;
use crate::service::policy::Policy;
use crate::service::share::ShareRoom;
use crate::sign;

const DATABASE: &str = "mimeo.db";

/// Runs the server until `shutdown` is done.
///
/// # Errors
/// Key, database, share or a port cannot be had, or the boot services cannot
/// start; the chain says which, and what to do.
pub async fn run(config: Config, shutdown: impl Future<Output = ()> + Send) -> Result<()> {
    Bound::bind(config).await?.serve(shutdown).await
}

/// A server with its state open and its ports taken, not yet answering.
pub struct Bound {
    pub(crate) house: Arc<House>,
    tls: TlsAcceptor,
    https: TcpListener,
    http: TcpListener,
    addresses: (SocketAddr, SocketAddr),
}

impl Bound {
    /// Opens key, database and share, and takes both TCP ports. Port 0 takes
    /// any free one.
    ///
    /// # Errors
    /// As [`run`], but for the boot services.
    pub async fn bind(mut config: Config) -> Result<Self> {
        let key = sign::server_key(&config).context("opening the server's key")?;
        let tls = sign::tls(&config).context("making the server's certificate")?;
        let token = sign::operator_token(&config).context("opening the operator's token")?;
        let db = open_database(&config).await?;
        let share = open_share(&config).await?;
        let https = listen_on(&config, config.server.https_port, "https_port").await?;
        let http = listen_on(&config, config.server.http_port, "http_port").await?;
        let addresses = (https.local_addr()?, http.local_addr()?);
        (config.server.https_port, config.server.http_port) =
            (addresses.0.port(), addresses.1.port());
        let house = Arc::new(House::new(config, key, &token, db, share));
        house
            .refresh_roster()
            .await
            .context("reading machines and runs")?;
        let tls = TlsAcceptor::from(Arc::new(tls));
        Ok(Self {
            house,
            tls,
            https,
            http,
            addresses,
        })
    }

    /// Where agents and operators reach it.
    pub fn https(&self) -> SocketAddr {
        self.addresses.0
    }

    /// Where loaders reach it.
    pub fn http(&self) -> SocketAddr {
        self.addresses.1
    }

    /// Answers until `shutdown` is done.
    ///
    /// # Errors
    /// The boot services cannot start.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) -> Result<()> {
        info!(https = %self.addresses.0, http = %self.addresses.1, key = %self.house.key.public(),
              "server started");
        let (close, closing) = watch::channel(false);
        let wire = Wire::new(&self.house);
        let clear = http::boot::router(ClearPort {
            tree: Arc::clone(&wire.tree),
            scripts: wire.scripts.clone(),
        });
        let routes = http::router(Arc::clone(&self.house));
        let https = tokio::spawn(listen::serve(
            self.https,
            Some(self.tls),
            routes,
            closing.clone(),
        ));
        let http = tokio::spawn(listen::serve(self.http, None, clear, closing.clone()));
        let mut services = pin!(wire.run(Arc::clone(&self.house), closing));
        let outcome = tokio::select! {
            ended = services.as_mut() => ended,
            () = shutdown => {
                info!("server stops");
                close.send_replace(true);
                services.await
            }
        };
        close.send_replace(true);
        https.await.context("the TLS port's task")?;
        http.await.context("the clear port's task")?;
        outcome
    }
}

/// What the boot services and the clear port share.
struct Wire {
    tree: Arc<BootTree>,
    scripts: Scripts,
}

impl Wire {
    fn new(house: &House) -> Self {
        let server = &house.config.server;
        let scripts = Scripts {
            policy: Arc::new(Policy::new(&house.config, Arc::clone(&house.roster))),
            heard: Arc::new(Heard::default()),
            server: pxe::BootServer {
                address: server.address,
                http_port: server.http_port,
            },
            loaders: Loaders::default(),
        };
        Self {
            tree: Arc::new(BootTree::new(server.boot.clone())),
            scripts,
        }
    }

    /// DHCP or proxyDHCP and TFTP, unless they are off.
    async fn run(&self, house: Arc<House>, mut closing: watch::Receiver<bool>) -> Result<()> {
        let (server, dhcp) = (&house.config.server, &house.config.dhcp);
        let mode = match (dhcp.mode, house.config.address_range()) {
            (DhcpMode::Off, _) => {
                let _ = closing.wait_for(|closing| *closing).await;
                return Ok(());
            }
            (DhcpMode::Server, Some(range)) => Mode::Server(vec![pool(&range)]),
            (DhcpMode::Server | DhcpMode::Proxy, _) => Mode::Proxy,
        };
        let interface = dhcp.interface.clone().unwrap_or_default();
        let config = pxe::BootConfig::new(&interface, server.address, server.http_port, mode);
        let told = Arc::clone(&house);
        let parts = BootParts {
            policy: Arc::clone(&self.scripts.policy),
            files: Arc::clone(&self.tree) as Arc<dyn pxe::TftpFiles>,
            leases: Arc::new(DbLeases::new(Arc::clone(&house.db))?),
            heard: Arc::clone(&self.scripts.heard),
            findings: Arc::new(move |finding: Finding| told.found(finding.to_string())),
        };
        info!(interface, mode = ?dhcp.mode, "boot services started");
        let stop = async move {
            let _ = closing.wait_for(|closing| *closing).await;
        };
        pxe::net::boot::run(config, parts, stop)
            .await
            .context("the boot services")
    }
}

fn pool(range: &AddressRange) -> Pool {
    let prefix = u32::from(range.netmask).leading_ones();
    Pool {
        network: std::net::Ipv4Addr::from(u32::from(range.first) & u32::from(range.netmask)),
        prefix: u8::try_from(prefix).unwrap_or(32),
        first: range.first,
        last: range.last,
        router: range.router,
        dns: range.dns.clone(),
        lease_seconds: range.lease_seconds,
    }
}

async fn open_database(config: &Config) -> Result<Arc<dyn Database>> {
    let file = config.server.state.join(DATABASE);
    let opening = || format!("opening the database {}", file.display());
    let db = Sqlite::open(&file).await.with_context(opening)?;
    match db.check_audit().await {
        Ok(rows) => info!(rows, "audit log checked"),
        // Refusing to start would leave machines waiting: people must be told.
        Err(broken @ crate::db::DbError::AuditBroken { .. }) => error!("{broken}"),
        Err(other) => return Err(other).with_context(opening),
    }
    Ok(Arc::new(db))
}

async fn open_share(config: &Config) -> Result<ShareRoom> {
    let folder = config.server.share.clone();
    let opened = tokio::task::spawn_blocking(move || ShareRoom::open(&folder)).await?;
    opened.with_context(|| {
        format!(
            "opening the deployment share {}",
            config.server.share.display()
        )
    })
}

async fn listen_on(config: &Config, port: u16, key: &str) -> Result<TcpListener> {
    let address = SocketAddr::from((config.server.address, port));
    TcpListener::bind(address).await.with_context(|| {
        format!("listening on {address}: is the address on this machine, and server.{key} free?")
    })
}
