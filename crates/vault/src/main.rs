//! `sealed-visit-vault`: the vault as a program. Says `listening http://ADDRESS` on stdout when it is ready; logs go to
//! stderr (`RUST_LOG` chooses how much).

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use sealed_visit_protocol::{Jws, PublicKey};
use sealed_visit_vault::auth::Readers;
use sealed_visit_vault::db::Db;
use sealed_visit_vault::quota::Quota;
use sealed_visit_vault::{
    Config, Identity, Origins, Vault, audit, deletion, key, private, router, system_clock,
};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use url::Url;

#[derive(Parser)]
#[command(
    version,
    about,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Option<Serve>,
    // Not in `Serve`: clap takes options that hold further options for absent, whatever was given.
    #[command(flatten)]
    http: sealed_visit_serve::Options,
}

#[derive(Subcommand)]
enum Command {
    /// Makes the vault's key file and prints the public key (the `x` of its JWK) for the clinic document.
    Keygen {
        /// The file to make; an existing one is not overwritten.
        #[arg(long, default_value = "vault.key")]
        key: PathBuf,
    },
    /// Prints the public key of a key file.
    PublicKey {
        #[arg(long)]
        key: PathBuf,
    },
    /// Follows the audit log's hash chain and prints its length and head.
    VerifyAudit {
        #[arg(long)]
        data: PathBuf,
        /// A file of signed heads, one a line, as receipts and answers hold them: the log must pass through each.
        #[arg(long, requires = "public_key")]
        heads: Option<PathBuf>,
        /// The vault's public key, for the heads.
        #[arg(long, allow_hyphen_values = true)]
        public_key: Option<String>,
    },
}

#[derive(Args)]
struct Serve {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8482", env = "VAULT_LISTEN")]
    listen: SocketAddr,
    /// Folder for the database, growing uploads and finished tracks.
    #[arg(long, env = "VAULT_DATA")]
    data: PathBuf,
    /// Where finished tracks go: `file:///folder`, or `s3://bucket/prefix` in builds with the feature `s3` (credentials
    /// from AWS_ variables). Default: the folder `tracks` in the data folder.
    #[arg(long, env = "VAULT_STORE")]
    store: Option<Url>,
    /// The clinic's root public key: the `x` of its JWK, or a file that holds it.
    #[arg(long, env = "VAULT_ROOT_KEY", allow_hyphen_values = true)]
    root_key: String,
    /// The clinic document (a file; read again when it changes).
    #[arg(long, env = "VAULT_CLINIC_DOCUMENT")]
    clinic_document: PathBuf,
    /// The vault's key file; its public key must stand in the clinic document.
    #[arg(long, env = "VAULT_KEY")]
    key: PathBuf,
    /// The key file under which shred shares are stored; made at the first start. Keep a copy apart from the data folder:
    /// without it no recording opens. Default: `share.key` in the data folder.
    #[arg(long, env = "VAULT_SHARE_KEY")]
    share_key: Option<PathBuf>,
    /// Delete only by the clinic's order (`sealed-visit clinic wipe`), also where the consent said that a withdrawal
    /// deletes. The consent texts that come with Sealed Visit are then not true.
    #[arg(long, env = "VAULT_DELETE_BY_ORDER_ONLY")]
    delete_by_order_only: bool,
    /// Readers: a file with one `LABEL TOKEN` a line. Without it nobody can list or open recordings.
    #[arg(long, env = "VAULT_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// The vault's address as clients see it. Without it, URLs in answers are relative to it.
    #[arg(long, env = "VAULT_PUBLIC_URL")]
    public_url: Option<Url>,
    /// An origin whose pages may call the vault, or `*`. Can be repeated.
    #[arg(long, env = "VAULT_ALLOW_ORIGIN", value_delimiter = ',')]
    allow_origin: Vec<String>,
    /// Seconds without a new byte after which a part is closed as unfinished.
    #[arg(long, default_value_t = 24 * 3600, env = "VAULT_UNFINISHED_AFTER")]
    unfinished_after: u64,
    /// Bytes that a track may have.
    #[arg(long, default_value_t = 64 << 30, env = "VAULT_MAX_TRACK_BYTES")]
    max_track_bytes: u64,
    /// Recordings that one recorder may begin in a visit.
    #[arg(long, default_value_t = Quota::PASS.recordings, env = "VAULT_PASS_RECORDINGS")]
    pass_recordings: u32,
    /// Parts that one recorder may begin in a visit: one for each start, also after a crash.
    #[arg(long, default_value_t = Quota::PASS.parts, env = "VAULT_PASS_PARTS")]
    pass_parts: u32,
    /// Bytes that one recorder may upload in a visit.
    #[arg(long, default_value_t = Quota::PASS.bytes, env = "VAULT_PASS_BYTES")]
    pass_bytes: u64,
    /// Recordings that a visit may have.
    #[arg(long, default_value_t = Quota::VISIT.recordings, env = "VAULT_VISIT_RECORDINGS")]
    visit_recordings: u32,
    /// Parts that a visit may have.
    #[arg(long, default_value_t = Quota::VISIT.parts, env = "VAULT_VISIT_PARTS")]
    visit_parts: u32,
    /// Bytes that a visit may have.
    #[arg(long, default_value_t = Quota::VISIT.bytes, env = "VAULT_VISIT_BYTES")]
    visit_bytes: u64,
    /// Seconds that a download URL is good for.
    #[arg(long, default_value_t = 900, env = "VAULT_URL_LIFETIME")]
    url_lifetime: u64,
    /// Seconds without a byte after which a newer request may take an upload over.
    #[arg(long, default_value_t = 2.0, env = "VAULT_STALLED_AFTER")]
    stalled_after: f64,
    /// Log as JSON lines.
    #[arg(long, env = "VAULT_LOG_JSON")]
    log_json: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match (cli.command, cli.serve) {
        (Some(Command::Keygen { key }), _) => {
            println!("{}", public_x(&key::create(&key)?.public()));
            Ok(())
        }
        (Some(Command::PublicKey { key }), _) => {
            println!("{}", public_x(&key::read(&key)?.public()));
            Ok(())
        }
        (
            Some(Command::VerifyAudit {
                data,
                heads,
                public_key,
            }),
            _,
        ) => {
            let chain = match (heads, public_key) {
                (Some(heads), Some(key)) => chain_through(&heads, &PublicKey::parse(key.trim())?)?,
                _ => audit::Chain::default(),
            };
            let db = Db::open(&data.join("vault.sqlite")).await?;
            let chain = audit::verify(&db, chain).await?;
            println!("{} entries, head {}", chain.len(), chain.head());
            Ok(())
        }
        (None, Some(options)) => serve(options, cli.http).await,
        (None, None) => anyhow::bail!("nothing to do; see --help"),
    }
}

fn chain_through(heads: &std::path::Path, key: &PublicKey) -> anyhow::Result<audit::Chain> {
    let text = std::fs::read_to_string(heads)
        .with_context(|| format!("cannot read the heads in {}", heads.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let heads: Vec<_> = lines.map(Jws::from_text).collect();
    Ok(audit::Chain::through(&heads, key)?)
}

async fn serve(options: Serve, http: sealed_visit_serve::Options) -> anyhow::Result<()> {
    start_log(options.log_json);
    let identity = Identity {
        key: key::read(&options.key)?,
        root: root_key(&options.root_key)?,
        clinic_document: options.clinic_document,
        readers: match &options.token_file {
            Some(file) => Readers::from_file(file)?,
            None => {
                tracing::warn!("no token file: nobody can list or open recordings");
                Readers::default()
            }
        },
    };
    let defaults = Config::new(options.data);
    let config = Config {
        share_key: options.share_key.unwrap_or(defaults.share_key.clone()),
        delete_on_withdrawal: !options.delete_by_order_only,
        store: options.store,
        public_url: options.public_url,
        allow_origins: Origins::from_options(&options.allow_origin),
        unfinished_after: Duration::from_secs(options.unfinished_after),
        max_track_bytes: options.max_track_bytes,
        url_lifetime: Duration::from_secs(options.url_lifetime),
        pass_quota: Quota {
            recordings: options.pass_recordings,
            parts: options.pass_parts,
            bytes: options.pass_bytes,
        },
        visit_quota: Quota {
            recordings: options.visit_recordings,
            parts: options.visit_parts,
            bytes: options.visit_bytes,
        },
        stalled_after: Duration::try_from_secs_f64(options.stalled_after)?,
        ..defaults
    };
    private::folder(&config.data)?;
    // Held until the program ends.
    let _lock = private::lock(&config.data)?;
    let vault = Vault::open(config, identity, system_clock()).await?;
    in_background("recover uploads", &vault, Vault::recover_uploads);
    in_background("close idle parts", &vault, Vault::close_idle_parts);
    in_background("resume deletions", &vault, deletion::resume_forever);
    let listener = tokio::net::TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("cannot listen on {}", options.listen))?;
    println!("listening http://{}", listener.local_addr()?);
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let stop = async move {
        told_to_stop().await;
        // The receiver lives until serving ends.
        let _ = stopping.send(());
    };
    tokio::select! {
        () = sealed_visit_serve::serve(listener, router(vault.clone()), http, stop) => {}
        // A connection that hangs must not keep the program from ending; what arrived by it is recovered like after a
        // crash.
        () = patience(stopped) => {}
    }
    // Whoever copies the database of a stopped vault copies all of it. Nothing is lost without: SQLite reads its log again.
    match tokio::time::timeout(PATIENCE, vault.db.forget_overwritten()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(message = error.message, "the write-ahead log stays");
        }
        Err(_) => tracing::warn!("the write-ahead log stays: the database is busy"),
    }
    Ok(())
}

/// How long a stop waits for what hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts work that goes on after a panic of its own.
fn in_background<F>(name: &'static str, vault: &Arc<Vault>, work: fn(Arc<Vault>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let vault = vault.clone();
    tokio::spawn(sealed_visit_serve::task::restarted(name, move || {
        work(vault.clone())
    }));
}

/// Ends some time after the program was asked to stop.
async fn patience(stopped: tokio::sync::oneshot::Receiver<()>) {
    if stopped.await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(PATIENCE).await;
}

fn start_log(json: bool) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if json {
        log.json().init();
    } else {
        log.init();
    }
}

/// The key itself, or the path of a file with it.
fn root_key(text: &str) -> anyhow::Result<PublicKey> {
    if let Ok(key) = PublicKey::parse(text.trim()) {
        return Ok(key);
    }
    let content = std::fs::read_to_string(text)
        .with_context(|| format!("the root key is neither a public key nor a file: {text}"))?;
    PublicKey::parse(content.trim()).context("the root key file does not hold a public key")
}

fn public_x(key: &PublicKey) -> String {
    sealed_visit_protocol::bytes::to_base64url(key.as_bytes())
}

async fn told_to_stop() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMUM: [&str; 9] = [
        "sealed-visit-vault",
        "--data",
        "vault",
        "--root-key",
        "x",
        "--clinic-document",
        "clinic.jws",
        "--key",
        "vault.key",
    ];

    #[test]
    fn a_vault_with_its_options_and_no_command_serves() {
        let given = Cli::try_parse_from(MINIMUM).unwrap();
        assert!(given.command.is_none() && given.serve.is_some());
    }

    #[test]
    fn limits_on_connections_reach_the_server() {
        let given =
            Cli::try_parse_from(MINIMUM.into_iter().chain(["--trusted-proxy", "127.0.0.1"]))
                .unwrap();
        assert!(given.serve.is_some());
        assert_eq!(given.http.trusted_proxy.len(), 1);
    }

    #[test]
    fn a_command_needs_none_of_the_servers_options() {
        let given = Cli::try_parse_from(["sealed-visit-vault", "keygen"]).unwrap();
        assert!(given.command.is_some());
    }
}
