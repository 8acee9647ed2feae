//! Descriptions (SDP, RFC 8866) by browsers, before the WebRTC library reads them.
//!
//! Reading takes the library time that grows with every line, on the one thread that moves all visits' media, and each
//! stream (`a=ssrc`) that a description names costs it memory and time for as long as the connection lives. So
//! [`Description::read`] leaves out what means nothing to the relay, and refuses what no browser sends.
//!
//! Candidates are left out too: the relay's own address is known to everybody, so a client's checks reach it; what
//! addresses the client has is nothing the relay needs to know, nor should anybody be able to send its checks elsewhere.

use super::publish::Unserved;
use std::collections::BTreeSet;

/// Attributes that the library understands; it skips all others, at a price. Not among them: candidates, and `rid`, which
/// goes with simulcast.
const KEPT: [&str; 24] = [
    "extmap",
    "fingerprint",
    "fmtp",
    "group",
    "ice-lite",
    "ice-options",
    "ice-pwd",
    "ice-ufrag",
    "inactive",
    "max-message-size",
    "mid",
    "msid",
    "msid-semantic",
    "recvonly",
    "rtcp-fb",
    "rtcp-mux",
    "rtcp-mux-only",
    "rtcp-rsize",
    "rtpmap",
    "sctp-port",
    "sendonly",
    "sendrecv",
    "setup",
    "ssrc",
];
const SSRC_GROUP: &str = "ssrc-group";

/// The longest that browsers send names all sections in one line.
const MAX_LINE_BYTES: usize = 8 << 10;
/// A browser names two streams in a section, with up to four lines each.
const MAX_STREAM_LINES_OF_SECTION: usize = 32;

/// A description in which every line means something.
#[derive(Debug, PartialEq, Eq)]
pub struct Description {
    pub text: String,
    /// SSRCs that it names.
    pub streams: BTreeSet<u32>,
}

impl Description {
    /// Refuses one that keeps more than `max_lines` lines.
    pub fn read(sdp: &str, max_lines: usize) -> Result<Self, Unserved> {
        let too_large = || Unserved("too large a description".to_owned());
        let mut text = String::new();
        let mut streams = BTreeSet::new();
        let (mut lines, mut stream_lines) = (0, 0);
        for line in sdp.lines().map(str::trim_end) {
            if line.starts_with("m=") {
                stream_lines = 0;
            }
            if let Some(attribute) = line.strip_prefix("a=") {
                let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
                let is_of_stream = name == "ssrc" || name == SSRC_GROUP;
                if is_of_stream {
                    stream_lines += 1;
                    let numbers = value.split(' ').map(str::parse::<u32>);
                    // Of a line about one stream the first, of a group all.
                    let named = if name == "ssrc" { 1 } else { usize::MAX };
                    streams.extend(numbers.take(named).filter_map(Result::ok));
                }
                if !is_of_stream && !KEPT.contains(&name) {
                    continue;
                }
            } else if line.is_empty() {
                continue;
            }
            lines += 1;
            if lines > max_lines
                || stream_lines > MAX_STREAM_LINES_OF_SECTION
                || line.len() > MAX_LINE_BYTES
            {
                return Err(too_large());
            }
            text.push_str(line);
            text.push_str("\r\n");
        }
        Ok(Self { text, streams })
    }
}

/// What distinguishes a browser's peer connections: the session id of the `o=` line (RFC 8829 section 5.2.1).
pub fn session_id(sdp: &str) -> Option<&str> {
    let origin = sdp.lines().find_map(|line| line.strip_prefix("o="))?;
    origin.split(' ').nth(1)
}

/// The number of media sections.
pub fn section_count(sdp: &str) -> usize {
    sdp.lines().filter(|line| line.starts_with("m=")).count()
}

pub fn has_simulcast(sdp: &str) -> bool {
    sdp.lines().any(|line| line.starts_with("a=simulcast:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
        a=candidate:1 1 udp 2113937151 abc.local 50000 typ host\r\na=end-of-candidates\r\na=sendonly\r\n\
        a=ssrc-group:FID 7 8\r\na=ssrc:7 cname:a\r\na=ssrc:8 cname:9\r\n";
    const MANY: usize = 10_000;

    #[test]
    fn takes_candidates_out_and_leaves_the_rest() {
        let Description { text, streams } = Description::read(SDP, 100).unwrap();
        assert!(!text.contains("candidate"));
        assert!(text.contains("a=mid:0\r\na=sendonly\r\n"));
        assert_eq!(text.lines().count(), SDP.lines().count() - 2);
        assert_eq!(streams, BTreeSet::from([7, 8]));
        assert_eq!(session_id(&text), Some("4611731400430051336"));
        assert_eq!(section_count(&text), 1);
    }

    #[test]
    fn what_means_nothing_is_not_read() {
        let padded = format!("{SDP}{}", "a=x\r\n\r\na=rid:a send\r\n".repeat(MANY));
        assert_eq!(Description::read(&padded, 100), Description::read(SDP, 100));
    }

    #[test]
    fn a_description_that_would_take_the_media_thread_long_is_refused() {
        let lines = |line: &dyn Fn(usize) -> String| (0..MANY).map(line).collect::<String>();
        for more in [
            lines(&|number| format!("a=ssrc:{number} cname:a\r\n")),
            lines(&|number| format!("a=ssrc-group:FID {number} {}\r\n", number + MANY)),
            lines(&|_| "a=rtcp-fb:96 nack\r\n".into()),
            lines(&|_| "a=fmtp:96 apt=96\r\n".into()),
            lines(&|_| "b=AS:1\r\n".into()),
            format!("m=video 9 UDP/TLS/RTP/SAVPF {}\r\n", "96 ".repeat(MANY)),
            format!("a=fmtp:96 {}\r\n", "a=1;".repeat(MANY)),
        ] {
            let refused = Description::read(&format!("{SDP}{more}"), 4096);
            assert!(refused.is_err(), "{}", &more[..20]);
        }
    }
}
