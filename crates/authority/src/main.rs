//! The visit authority as a program.

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use sealed_visit_authority::{Config, router};
use sealed_visit_protocol::bytes::from_base64url;
use sealed_visit_protocol::{Hash32, SigningKey};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Admits people to visits: makes visits and links, redeems links for passes.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes the authority's key file and prints its public key, for the clinic document.
    Keygen { file: PathBuf },
    /// Serves the API.
    Serve {
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// Key file made by `keygen`.
        #[arg(long)]
        key: PathBuf,
        /// File whose content is the scheduler's bearer token.
        #[arg(long)]
        scheduler_token_file: PathBuf,
        /// Where visits are kept; in memory when not given.
        #[arg(long)]
        data: Option<PathBuf>,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    match Arguments::parse().command {
        Command::Keygen { file } => keygen(&file),
        Command::Serve {
            listen,
            key,
            scheduler_token_file,
            data,
        } => {
            let text = std::fs::read_to_string(&key)
                .with_context(|| format!("reading {}", key.display()))?;
            let seed =
                read_seed(&text).with_context(|| format!("{} is not a key file", key.display()))?;
            let scheduler_token = std::fs::read_to_string(&scheduler_token_file)
                .with_context(|| format!("reading {}", scheduler_token_file.display()))?
                .trim()
                .to_owned();
            if scheduler_token.len() < 16 {
                bail!("the scheduler's token needs at least 16 characters");
            }
            let key = SigningKey::from_seed(&seed);
            let app = router(Config {
                key,
                scheduler_token,
                file: data,
            })?;
            let listener = tokio::net::TcpListener::bind(listen).await?;
            println!("listening http://{}", listener.local_addr()?);
            axum::serve(listener, app)
                .with_graceful_shutdown(stopped())
                .await?;
            Ok(())
        }
    }
}

/// A key file holds the 32-byte Ed25519 seed in base64url.
fn read_seed(text: &str) -> Option<[u8; 32]> {
    from_base64url(text.trim())?.try_into().ok()
}

fn keygen(file: &Path) -> anyhow::Result<()> {
    if file.exists() {
        bail!(
            "{} exists already; a key is never overwritten",
            file.display()
        );
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    write_private(file, &Hash32(seed).to_string())?;
    println!(
        "{}",
        serde_json::to_string(&SigningKey::from_seed(&seed).public())?
    );
    Ok(())
}

#[cfg(unix)]
fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut out = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()
}

#[cfg(not(unix))]
fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(file, text)
}

async fn stopped() {
    let _ = tokio::signal::ctrl_c().await;
}
