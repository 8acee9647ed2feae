//! The limits of a server, as command-line options and environment variables.

use clap::Args;
use std::net::IpAddr;
use std::time::Duration;

/// Descriptors for listening, the log, the database and the runtime.
const RESERVED_DESCRIPTORS: usize = 32;
/// A connection may need a file or an upstream besides its own socket.
const DESCRIPTORS_PER_CONNECTION: usize = 2;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connections")]
pub struct Options {
    /// Connections in total; fewer when the descriptor limit allows fewer.
    #[arg(long, default_value_t = 4096, env = "HTTP_MAX_CONNECTIONS")]
    pub max_connections: usize,
    /// Connections of one address (IPv6: one /64), and at most half of all.
    #[arg(long, default_value_t = 512, env = "HTTP_MAX_CONNECTIONS_PER_ADDRESS")]
    pub max_connections_per_address: usize,
    /// Address of a proxy whose X-Forwarded-For header names the client; may be repeated. Its requests are limited by
    /// that address instead of its own.
    #[arg(long, env = "HTTP_TRUSTED_PROXY", value_delimiter = ',')]
    pub trusted_proxy: Vec<IpAddr>,
    /// Seconds that a request's headers may take, and that a connection may be idle.
    #[arg(long, default_value = "20", env = "HTTP_HEADER_TIMEOUT", value_parser = seconds)]
    pub header_timeout: Duration,
    /// Seconds without a byte after which a request's body or a response that nobody reads is given up.
    #[arg(long, default_value = "60", env = "HTTP_STALL_TIMEOUT", value_parser = seconds)]
    pub stall_timeout: Duration,
    /// Bytes a second at which a request's body must arrive, on average over the stall timeout.
    #[arg(long, default_value_t = 1024, env = "HTTP_MIN_BODY_RATE")]
    pub min_body_rate: u32,
    /// Seconds that a request's body may take in all, tus uploads excepted.
    #[arg(long, default_value = "300", env = "HTTP_BODY_TIMEOUT", value_parser = seconds)]
    pub body_timeout: Duration,
    /// Bytes of bodies of one address that are held until their requests are answered, tus uploads excepted.
    #[arg(long, default_value_t = 64 << 20, env = "HTTP_MAX_BODY_BYTES_PER_ADDRESS")]
    pub max_body_bytes_per_address: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            max_connections_per_address: 512,
            trusted_proxy: Vec::new(),
            header_timeout: Duration::from_secs(20),
            stall_timeout: Duration::from_secs(60),
            min_body_rate: 1024,
            body_timeout: Duration::from_secs(300),
            max_body_bytes_per_address: 64 << 20,
        }
    }
}

impl Options {
    /// The total within what the process may open.
    pub(crate) fn total(&self, descriptors: Option<usize>) -> usize {
        let allowed = descriptors.map_or(usize::MAX, |limit| {
            limit.saturating_sub(RESERVED_DESCRIPTORS) / DESCRIPTORS_PER_CONNECTION
        });
        self.max_connections.min(allowed).max(1)
    }

    /// One address can never shut out all others.
    pub(crate) fn per_address(&self, total: usize) -> usize {
        self.max_connections_per_address.min(total / 2).max(1)
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if seconds <= 0.0 {
        return Err("must be more than 0".to_owned());
    }
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// Raises the soft descriptor limit to the hard one and returns it; None when there is no limit.
#[cfg(unix)]
pub(crate) fn descriptor_limit() -> Option<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    let limit = if setrlimit(Resource::Nofile, raised).is_ok() {
        maximum
    } else {
        current
    };
    limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
pub(crate) fn descriptor_limit() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_the_descriptor_limit_and_one_address_gets_half_at_most() {
        let options = Options::default();
        assert_eq!(options.total(None), 4096);
        assert_eq!(options.total(Some(128)), 48);
        assert_eq!(options.per_address(48), 24);
        assert_eq!(options.per_address(4096), 512);
        assert_eq!(options.per_address(options.total(Some(10))), 1);
    }

    #[test]
    fn defaults_of_the_command_line_are_the_defaults_of_the_library() {
        #[derive(clap::Parser)]
        struct Program {
            #[command(flatten)]
            options: Options,
        }
        let parsed = <Program as clap::Parser>::parse_from(["program"]).options;
        assert_eq!(format!("{parsed:?}"), format!("{:?}", Options::default()));
    }

    #[test]
    fn a_time_limit_is_a_positive_number() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["0", "-1", "x", "nan", "1e99"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
