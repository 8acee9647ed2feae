//! Says to a page that is about to join that UDP gets through: answers ICE connectivity checks (RFC 8445, section 7.3) that
//! were made under credentials which everybody is told with the challenge.
//!
//! Input: a datagram and its source. Output: the answer, or nothing. It keeps no state of a sender, and opens no route: a
//! check leads to no media. Source addresses can be forged, so it is of no use to whoever wants others to be flooded: a request
//! has at most one answer, which is never longer than the request, and all together get no more than [`ANSWERS_PER_S`].

use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use str0m::crypto::CryptoProvider;
use str0m::ice::StunMessage;

/// Far more than people who check their devices at once: a browser asks some twenty times in ten seconds.
const ANSWERS_PER_S: f64 = 200.0;
const ANSWERS_BURST: f64 = 400.0;
/// A browser's check has some 100 bytes.
const MAX_REQUEST_BYTES: usize = 256;

const UFRAG: &str = "check";
/// At least 22 characters of ICE's. It protects nothing.
const PASSWORD: &str = "everybodyMayCheckItsLine";

/// What a page needs for the check.
#[derive(Debug, Clone, Serialize)]
pub struct Access {
    /// Where media goes; not empty.
    pub addresses: Vec<SocketAddr>,
    pub ufrag: &'static str,
    pub pwd: &'static str,
}

impl Access {
    pub fn at(addresses: &[SocketAddr]) -> Self {
        Self {
            addresses: addresses.to_vec(),
            ufrag: UFRAG,
            pwd: PASSWORD,
        }
    }
}

/// A bucket of answers.
pub(super) struct Probes {
    crypto: Arc<CryptoProvider>,
    left: f64,
    filled_at: Instant,
}

impl Probes {
    pub fn new(now: Instant) -> Self {
        Self {
            crypto: Arc::new(str0m::crypto::from_feature_flags()),
            left: ANSWERS_BURST,
            filled_at: now,
        }
    }

    /// None for whatever is no such check, and when too many came.
    pub fn answer(&mut self, datagram: &[u8], source: SocketAddr, now: Instant) -> Option<Vec<u8>> {
        // RFC 7983, section 7: nothing of STUN, and most of all no media, is parsed here for nothing.
        if datagram.first().is_none_or(|first| *first > 3) || datagram.len() > MAX_REQUEST_BYTES {
            return None;
        }
        let request = StunMessage::parse(datagram).ok()?;
        let hmac = |key: &[u8], data: &[&[u8]]| self.crypto.sha1_hmac_provider.sha1_hmac(key, data);
        let is_check = request.is_binding_request()
            && matches!(request.split_username(), Some((UFRAG, _)))
            && request.verify(PASSWORD.as_bytes(), hmac);
        if !is_check {
            return None;
        }
        let mut answer = vec![0; MAX_REQUEST_BYTES];
        let mapped = SocketAddr::new(source.ip().to_canonical(), source.port());
        let length = StunMessage::binding_reply(request.trans_id(), mapped)
            .to_bytes(Some(PASSWORD.as_bytes()), &mut answer, hmac)
            .ok()?;
        answer.truncate(length);
        let may = length <= datagram.len() && self.take(now);
        may.then_some(answer)
    }

    fn take(&mut self, now: Instant) -> bool {
        let passed_s = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.left = (self.left + passed_s * ANSWERS_PER_S).min(ANSWERS_BURST);
        self.filled_at = now;
        let has_one = self.left >= 1.0;
        if has_one {
            self.left -= 1.0;
        }
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use str0m::ice::TransId;

    fn hmac(key: &[u8], data: &[&[u8]]) -> [u8; 20] {
        str0m::crypto::from_feature_flags()
            .sha1_hmac_provider
            .sha1_hmac(key, data)
    }

    /// As a browser makes it.
    fn check(username: &str, password: &str) -> Vec<u8> {
        let mut bytes = vec![0; 256];
        let request =
            StunMessage::binding_request(username, TransId::new(), true, 1, 1_845_501_695, true);
        let length = request
            .to_bytes(Some(password.as_bytes()), &mut bytes, hmac)
            .unwrap();
        bytes.truncate(length);
        bytes
    }

    fn ask(datagram: &[u8], source: &str) -> Option<Vec<u8>> {
        let now = Instant::now();
        Probes::new(now).answer(datagram, source.parse().unwrap(), now)
    }

    #[test]
    fn a_check_is_answered_with_its_address_and_no_more_bytes_than_it_has() {
        for (source, seen) in [
            ("192.0.2.1:32853", "192.0.2.1:32853"),
            ("[2001:db8::11]:32853", "[2001:db8::11]:32853"),
            ("[::ffff:192.0.2.1]:32853", "192.0.2.1:32853"),
        ] {
            let request = check("check:abcd", PASSWORD);
            let bytes = ask(&request, source).unwrap();
            assert!(bytes.len() <= request.len());
            let answer = StunMessage::parse(&bytes).unwrap();
            assert!(answer.is_successful_binding_response());
            assert!(answer.verify(PASSWORD.as_bytes(), hmac));
            assert_eq!(
                answer.trans_id(),
                StunMessage::parse(&request).unwrap().trans_id()
            );
            assert_eq!(answer.mapped_address(), Some(seen.parse().unwrap()));
        }
    }

    #[test]
    fn says_nothing_to_anything_else() {
        let good = check("check:abcd", PASSWORD);
        for cut in 0..good.len() {
            assert_eq!(ask(&good[..cut], "192.0.2.1:1"), None, "{cut}");
        }
        // The last eight bytes are a checksum for who shares the port, which the library does not judge.
        for at in 0..good.len() - 8 {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            assert_eq!(ask(&bad, "192.0.2.1:1"), None, "byte {at}");
        }
        // A visit's own checks are its room's to answer.
        let others = check("abcd:efgh", "a visit's own password.");
        assert_eq!(ask(&others, "192.0.2.1:1"), None);
        assert_eq!(ask(&check("check:abcd", "guessed"), "192.0.2.1:1"), None);
        // An answer is no request: two relays do not talk to each other.
        let answer = ask(&good, "192.0.2.1:1").unwrap();
        assert_eq!(ask(&answer, "192.0.2.1:1"), None);
    }

    #[test]
    fn forged_sources_get_no_more_than_the_budget() {
        let start = Instant::now();
        let mut probes = Probes::new(start);
        let request = check("check:abcd", PASSWORD);
        let mut answers = 0;
        // Ten seconds.
        for number in 0..10_000_u32 {
            let source = SocketAddr::from((number.to_be_bytes(), 1));
            let now = start + Duration::from_millis(u64::from(number));
            answers += u32::from(probes.answer(&request, source, now).is_some());
        }
        assert!((2_398..=2_400).contains(&answers), "{answers}");
        let later = start + Duration::from_secs(60);
        assert!(
            probes
                .answer(&request, "192.0.2.1:1".parse().unwrap(), later)
                .is_some()
        );
    }
}
