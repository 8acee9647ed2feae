//! `sealed-visit-relay`: the relay as a program.

use anyhow::Context as _;
use clap::Parser;
use sealed_visit_protocol::RootKey;
use sealed_visit_relay::hub::Retention;
use sealed_visit_relay::media::MediaConfig;
use sealed_visit_relay::{Config, Relay};
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// MLS delivery, signalling and an embedded SFU for Sealed Visit. Sees ciphertext and opaque ids only.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// HTTP and WebSocket address. TLS belongs to a proxy in front.
    #[arg(long, default_value = "127.0.0.1:0", env = "RELAY_LISTEN")]
    listen: SocketAddr,
    /// UDP address for all media. Firefox and phones need an address of this host, not loopback.
    #[arg(long, default_value = "127.0.0.1:0", env = "RELAY_MEDIA_ADDRESS")]
    media_address: SocketAddr,
    /// Address that browsers reach the media socket at, when it is another one; may be repeated.
    #[arg(long, env = "RELAY_ANNOUNCE", value_delimiter = ',')]
    announce: Vec<IpAddr>,
    /// The clinic's root public key: `x` of its JWK, 32 bytes in base64url.
    #[arg(long, env = "RELAY_ROOT_KEY", allow_hyphen_values = true)]
    root_key: String,
    /// File with the clinic document; read again when it changes.
    #[arg(long, env = "RELAY_CLINIC_DOCUMENT")]
    clinic_document: PathBuf,
    /// Minutes after which a visit ends that nobody is connected to; one that never began is only forgotten.
    #[arg(long, default_value_t = 30, env = "RELAY_END_EMPTY_AFTER_MINUTES")]
    end_empty_after_minutes: u64,
    #[command(flatten)]
    http: sealed_visit_serve::Options,
    /// Writes every forwarded RTP payload to this file: for tests that look for plaintext.
    #[cfg(feature = "tap")]
    #[arg(long)]
    tap: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| EnvFilter::new("sealed_visit_relay=info,str0m=warn")),
        )
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    let root_key = RootKey::parse(&arguments.root_key)
        .context("--root-key: expected 32 bytes of an Ed25519 key in base64url")?;
    let relay = Relay::start(Config {
        listen: arguments.listen,
        root_key,
        clinic_document: arguments.clinic_document,
        media: MediaConfig {
            bind: arguments.media_address,
            announce: arguments.announce,
            #[cfg(feature = "tap")]
            tap: arguments.tap,
        },
        retention: Retention {
            empty: Duration::from_secs(arguments.end_empty_after_minutes * 60),
            ..Retention::default()
        },
        http: arguments.http,
    })
    .await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "media udp://{}", relay.media_address())?;
    writeln!(stdout, "listening http://{}", relay.address())?;
    stdout.flush()?;

    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => result?,
    }
    tracing::info!("stopping");
    relay.stop().await;
    Ok(())
}
