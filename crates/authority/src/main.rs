//! The visit authority as a program.

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use sealed_visit_authority::{Config, files, router};
use sealed_visit_protocol::bytes::from_base64url;
use sealed_visit_protocol::{Hash32, SigningKey};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
        /// File whose content is the scheduler's bearer token: 16 random characters or more.
        #[arg(long)]
        scheduler_token_file: PathBuf,
        /// Where visits are kept: in FILE with the ending `.sqlite`, beside it the key of its hashes (`.hashkey`; back up
        /// both). A JSON file of an earlier version is imported. In memory when not given.
        #[arg(long, value_name = "FILE")]
        data: Option<PathBuf>,
        /// Days after a visit's booked end until everything about it is deleted.
        #[arg(long, default_value_t = 30)]
        forget_after_days: u32,
        #[command(flatten)]
        http: sealed_visit_serve::Options,
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
            forget_after_days,
            http,
        } => {
            let text = files::read_secret(&key)?;
            let seed =
                read_seed(&text).with_context(|| format!("{} is not a key file", key.display()))?;
            let scheduler_token = files::read_secret(&scheduler_token_file)?.trim().to_owned();
            if scheduler_token.len() < 16 {
                bail!("the scheduler's token needs at least 16 characters");
            }
            let key = SigningKey::from_seed(&seed);
            let app = router(Config {
                key,
                scheduler_token,
                data,
                forget_after: Duration::from_secs(u64::from(forget_after_days) * 24 * 60 * 60),
            })
            .await?;
            let listener = tokio::net::TcpListener::bind(listen).await?;
            println!("listening http://{}", listener.local_addr()?);
            sealed_visit_serve::serve(listener, app, http, stopped()).await;
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
    files::create_secret(file, &Hash32(seed).to_string())?;
    println!(
        "{}",
        serde_json::to_string(&SigningKey::from_seed(&seed).public())?
    );
    Ok(())
}

async fn stopped() {
    let _ = tokio::signal::ctrl_c().await;
}
