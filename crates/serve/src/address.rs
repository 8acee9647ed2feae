//! Who the client is, and how many places its address holds.
//!
//! Without a trusted proxy the client is the peer of the connection. A trusted proxy's peers are named by its
//! `X-Forwarded-For` header, read from the right: entries that trusted proxies added are skipped, the first other one
//! counts. What stands further left is the client's own word and is not read.

use crate::stall::ReadLimit;
use axum::http::HeaderMap;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Who sent a request: in the extensions of every request that [`serve`](crate::serve) hands on.
///
/// A handler that answers with an upgrade keeps it as long as the upgraded connection lives: behind a proxy it holds the
/// client's place.
#[derive(Debug, Clone)]
pub struct Client {
    address: IpAddr,
    _place: Option<Arc<Place>>,
    reads: ReadLimit,
}

impl Client {
    pub(crate) fn new(address: IpAddr, place: Option<Arc<Place>>, reads: ReadLimit) -> Self {
        Self {
            address: canonical(address),
            _place: place,
            reads,
        }
    }

    /// Fails the connection once it has brought so many more bytes: for an upgrade whose client is not known yet. `None`
    /// lifts the limit.
    pub fn limit_reads(&self, bytes: Option<usize>) {
        self.reads.set(bytes);
    }

    /// What limits count by: an IPv4 address, or the /64 that an IPv6 address is in.
    pub fn address(&self) -> IpAddr {
        network(self.address)
    }
}

/// The client behind `peer`.
pub(crate) fn client_of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|it| canonical(*it) == *address);
    let peer = canonical(peer);
    if !is_trusted(&peer) {
        return peer;
    }
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let entries = lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(','));
    let mut nearest = peer;
    for entry in entries {
        let Ok(address) = entry.trim().parse().map(canonical) else {
            break;
        };
        nearest = address;
        if !is_trusted(&address) {
            break;
        }
    }
    nearest
}

/// An IPv4 address in IPv6 notation is the IPv4 address.
pub(crate) fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// One person has a whole /64 of IPv6 addresses.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// How many places each address holds. Has as many entries as there are places held, at most.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Places {
    /// A place for the address; None when it holds `limit` already.
    pub fn take(&self, address: IpAddr, limit: usize) -> Option<Place> {
        let address = network(address);
        let mut held = lock(&self.held);
        let count = held.entry(address).or_insert(0);
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Place {
            address,
            size: 1,
            held: self.held.clone(),
        })
    }

    /// A place of no size yet.
    pub fn none(&self, address: IpAddr) -> Place {
        Place {
            address: network(address),
            size: 0,
            held: self.held.clone(),
        }
    }
}

/// Given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    address: IpAddr,
    size: usize,
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Place {
    /// Makes it larger; false when its address would hold more than `limit`.
    pub fn grow(&mut self, by: usize, limit: usize) -> bool {
        let mut held = lock(&self.held);
        let count = held.get(&self.address).copied().unwrap_or(0) + by;
        if by == 0 || count > limit {
            return by == 0;
        }
        held.insert(self.address, count);
        self.size += by;
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = lock(&self.held);
        if let Some(count) = held.get_mut(&self.address) {
            *count -= self.size;
            if *count == 0 {
                held.remove(&self.address);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> IpAddr {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, line.parse().expect("a header"));
        }
        let trusted: Vec<IpAddr> = trusted.iter().map(|it| ip(it)).collect();
        client_of(ip(peer), &headers, &trusted)
    }

    #[test]
    fn nobody_but_a_trusted_proxy_names_the_client() {
        assert_eq!(client("192.0.2.1", &["198.51.100.7"], &[]), ip("192.0.2.1"));
        let trusted = ["10.0.0.1", "10.0.0.2"];
        assert_eq!(
            client("192.0.2.1", &["198.51.100.7"], &trusted),
            ip("192.0.2.1")
        );
        assert_eq!(
            client("10.0.0.1", &["198.51.100.7"], &trusted),
            ip("198.51.100.7")
        );
        assert_eq!(
            client("::ffff:10.0.0.1", &["198.51.100.7"], &trusted),
            ip("198.51.100.7")
        );
    }

    #[test]
    fn what_a_client_writes_into_the_header_itself_does_not_count() {
        let trusted = ["10.0.0.1", "10.0.0.2"];
        // The outer proxy added the true address, the inner one the outer proxy's.
        for forged in ["203.0.113.9", "10.0.0.1", "nonsense"] {
            let line = format!("{forged}, 198.51.100.7, 10.0.0.2");
            assert_eq!(client("10.0.0.1", &[&line], &trusted), ip("198.51.100.7"));
            assert_eq!(
                client("10.0.0.1", &[forged, "198.51.100.7,10.0.0.2"], &trusted),
                ip("198.51.100.7")
            );
        }
    }

    #[test]
    fn a_proxy_that_names_nobody_is_the_client_itself() {
        for forwarded in [&[][..], &["nonsense"], &["203.0.113.9, nonsense"]] {
            assert_eq!(client("10.0.0.1", forwarded, &["10.0.0.1"]), ip("10.0.0.1"));
        }
    }

    #[test]
    fn an_address_gets_its_places_back_and_leaves_nothing_behind() {
        let places = Places::default();
        let first = places.take(ip("2001:db8::1"), 2);
        let second = places.take(ip("2001:db8::2"), 2);
        assert!(first.is_some() && second.is_some());
        assert!(places.take(ip("2001:db8::3"), 2).is_none(), "the same /64");
        assert!(places.take(ip("2001:db8:0:1::1"), 2).is_some());
        drop(first);
        assert!(places.take(ip("2001:db8::3"), 2).is_some());
        drop(second);
        assert!(lock(&places.held).is_empty());
    }
}
