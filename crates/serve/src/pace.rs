//! A request body that must arrive at a pace.
//!
//! Waiting for the client uses up its credit; bytes give it back, so many a second. The credit never exceeds one window.
//! So a line may be silent for a window, or slow on average, but a body that drips for longer than a window ends, however
//! often a byte comes. Ordinary requests also have a limit on all their waiting together. Uploads have none: a long one
//! over a slow line is no attack. Time in which the server itself does not read is nobody's waiting.

use crate::address::Place;
use axum::body::HttpBody;
use axum::http::{HeaderMap, Method, header};
use hyper::body::{Buf, Frame, SizeHint};
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// What tus uploads send (tus 1.0, PATCH).
const UPLOAD: &str = "application/offset+octet-stream";

/// Whether a request uploads by tus, also where another method stands in for PATCH. The content type alone is anybody's to
/// claim, for a body that is kept whole.
pub(crate) fn is_upload(method: &Method, headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    let stands_in = headers.get("x-http-method-override");
    content_type.is_some_and(|value| value == UPLOAD)
        && (method == Method::PATCH || stands_in.is_some_and(|value| value == "PATCH"))
}

/// How long the client may be waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pace {
    window: Duration,
    bytes_per_second: u32,
    credit: Duration,
    /// None without a limit.
    total: Option<Duration>,
}

impl Pace {
    /// `total` is for ordinary requests.
    pub fn new(window: Duration, bytes_per_second: u32, total: Option<Duration>) -> Self {
        Self {
            window,
            bytes_per_second: bytes_per_second.max(1),
            credit: window,
            total,
        }
    }

    fn left(&self) -> Duration {
        self.total
            .map_or(self.credit, |total| total.min(self.credit))
    }

    fn waited(&mut self, time: Duration) {
        self.credit = self.credit.saturating_sub(time);
        self.total = self.total.map(|total| total.saturating_sub(time));
    }

    fn got(&mut self, bytes: usize) {
        let earned = bytes as f64 / f64::from(self.bytes_per_second);
        let earned = Duration::try_from_secs_f64(earned).unwrap_or(Duration::MAX);
        self.credit = self.credit.saturating_add(earned).min(self.window);
    }
}

/// What an address holds in bodies, of which this is one; given back when the last copy is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    place: Arc<Mutex<Place>>,
    limit: usize,
}

impl Account {
    pub fn new(place: Place, limit: usize) -> Self {
        let place = Arc::new(Mutex::new(place));
        Self { place, limit }
    }

    fn book(&self, bytes: usize) -> bool {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        place.grow(bytes, self.limit)
    }
}

/// Why a body was given up.
#[derive(Debug)]
pub(crate) struct TooMuch;

impl std::fmt::Display for TooMuch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the address has too many bodies under way")
    }
}

impl Error for TooMuch {}

/// Why a body was given up.
#[derive(Debug)]
pub(crate) struct TooSlow;

impl std::fmt::Display for TooSlow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the request's body arrives too slowly")
    }
}

impl Error for TooSlow {}

/// A body that fails when it falls behind its pace.
pub(crate) struct Paced<B> {
    body: B,
    pace: Pace,
    account: Option<Account>,
    /// While the client is waited for: since when, and until when at most.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<B> Paced<B> {
    pub fn new(body: B, pace: Pace, account: Option<Account>) -> Self {
        Self {
            body,
            pace,
            account,
            waiting: None,
        }
    }
}

impl<B> HttpBody for Paced<B>
where
    B: HttpBody + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = B::Data;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            if let Some((since, _)) = this.waiting.take() {
                this.pace.waited(since.elapsed());
            }
            let data = frame.as_ref().and_then(|frame| frame.as_ref().ok());
            if let Some(data) = data.and_then(Frame::data_ref) {
                let size = data.remaining();
                this.pace.got(size);
                if this.account.as_ref().is_some_and(|it| !it.book(size)) {
                    return Poll::Ready(Some(Err(TooMuch.into())));
                }
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let left = this.pace.left();
        let (_, sleep) = this.waiting.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now + left)))
        });
        sleep
            .as_mut()
            .poll(context)
            .map(|()| Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;

    const SECOND: Duration = Duration::from_secs(1);
    const LARGEST_DOCUMENT_BYTES: usize = 1 << 20;

    fn default_pace(content_type: &str) -> Pace {
        let options = Options::default();
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        let Options {
            stall_timeout,
            min_body_rate,
            body_timeout,
            ..
        } = options;
        let total = (!is_upload(&Method::PATCH, &headers)).then_some(body_timeout);
        Pace::new(stall_timeout, min_body_rate, total)
    }

    /// After how many rounds of waiting so long and getting so many bytes the body is given up.
    fn given_up(mut pace: Pace, each: Duration, bytes: usize) -> Option<u32> {
        for round in 0..100_000 {
            if pace.left() < each {
                return Some(round);
            }
            pace.waited(each);
            pace.got(bytes);
        }
        None
    }

    #[test]
    fn an_upload_over_32_kbit_a_second_goes_on_without_end() {
        assert_eq!(given_up(default_pace(UPLOAD), SECOND, 4_000), None);
        // Also when nothing comes through for most of a minute, again and again.
        assert_eq!(given_up(default_pace(UPLOAD), 50 * SECOND, 200_000), None);
        // And when media take three quarters of the line.
        assert_eq!(given_up(default_pace(UPLOAD), 4 * SECOND, 4_096), None);
    }

    #[test]
    fn an_upload_in_drips_ends_soon_also_after_a_long_fast_stretch() {
        for earlier in [0, 1_000_000_000] {
            let mut pace = default_pace(UPLOAD);
            pace.got(earlier);
            let seconds = given_up(pace, SECOND, 1);
            assert!(seconds.is_some_and(|seconds| seconds <= 61), "{seconds:?}");
        }
    }

    #[test]
    fn an_ordinary_body_has_its_whole_time_and_no_more() {
        let json = || default_pace("application/json");
        // The largest signed document that the vault takes still gets through at 32 kbit/s.
        let seconds = given_up(json(), SECOND, 4_000).unwrap();
        assert!(
            seconds as usize * 4_000 >= LARGEST_DOCUMENT_BYTES,
            "{seconds}"
        );
        assert!(seconds <= 301, "{seconds}");
        let seconds = given_up(json(), SECOND, 1).unwrap();
        assert!(seconds <= 61, "{seconds}");
    }
}
