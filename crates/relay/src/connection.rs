//! One WebSocket: challenge, hello, then messages both ways until it ends.

use crate::admission::{Admission, AdmissionError, Admitted, NONCE_BYTES};
use crate::budget::{Budgets, Exhausted};
use crate::hub::{Hub, now_ms};
use crate::limits;
use crate::log::to_text;
use crate::media::probe::Access;
use crate::queue::{CloseReason, Outbox, Outgoing, Outlet};
use crate::stats::Stats;
use crate::visit::Denied;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use sealed_visit_protocol::pass::PassClaims;
use sealed_visit_protocol::wire::{ClientMessage, HelloClaims, RelayErrorCode, RelayMessage};
use sealed_visit_protocol::{B64, Jws, VERSION};
use sealed_visit_serve::Client;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// What all connections share.
#[derive(Clone)]
pub struct Services {
    pub hub: Hub,
    pub admission: Arc<Admission>,
    pub stats: Arc<Stats>,
    pub budgets: Arc<Budgets>,
    /// How pages check before a visit that media gets here.
    pub line_check: Arc<Access>,
}

/// What the relay says first.
#[derive(serde::Serialize)]
struct Greeting<'a> {
    #[serde(flatten)]
    challenge: RelayMessage,
    /// For who only checks its connection; a member is told when it negotiates media.
    media: &'a Access,
}

/// Serves one connection to its end. Limits count by its client's address.
pub async fn serve(socket: WebSocket, services: Services, client: &Client) {
    let (sink, stream) = socket.split();
    let (outbox, outlet) = Outbox::new(services.stats.clone());
    let started = Instant::now();
    let heard = Arc::new(Heard::new(started));
    let writer = tokio::spawn(write(sink, outlet, heard.clone()));
    let connection = Connection {
        services: &services,
        client,
        outbox: &outbox,
        heard: &heard,
    };
    connection.read(stream).await;
    // Everything queued so far, an error in particular, is written before the socket goes.
    outbox.close(CloseReason::Refused);
    // The socket is written to for CLOSE_WITHIN at most, and until then this connection counts as one.
    let _ = writer.await;
}

/// When the other side last gave a sign of life.
struct Heard {
    start: Instant,
    last_ms: std::sync::atomic::AtomicU64,
    gone: OnceLock<()>,
    gone_notify: tokio::sync::Notify,
}

impl Heard {
    fn new(start: Instant) -> Self {
        Self {
            start,
            last_ms: 0.into(),
            gone: OnceLock::new(),
            gone_notify: tokio::sync::Notify::new(),
        }
    }

    fn now(&self) {
        let elapsed_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(elapsed_ms, Relaxed);
    }

    fn silent_for(&self) -> Duration {
        let last = Duration::from_millis(self.last_ms.load(Relaxed));
        self.start.elapsed().saturating_sub(last)
    }

    fn give_up(&self) {
        let _ = self.gone.set(());
        self.gone_notify.notify_one();
    }
}

/// The reading half of a connection, and what it needs.
struct Connection<'a> {
    services: &'a Services,
    client: &'a Client,
    outbox: &'a Outbox,
    heard: &'a Heard,
}

impl Connection<'_> {
    async fn read(&self, mut stream: SplitStream<WebSocket>) {
        let Services {
            hub,
            stats,
            budgets,
            ..
        } = self.services;
        let Some(who) = self.hello(&mut stream).await else {
            return;
        };
        loop {
            let text = tokio::select! {
                text = next_text(&mut stream, self.heard) => text,
                () = self.heard.gone_notify.notified() => break,
            };
            let text = match text {
                Ok(Some(text)) => text,
                Ok(None) => break,
                Err(denied) => {
                    self.refuse(denied.code, denied.detail);
                    break;
                }
            };
            stats.messages_received.fetch_add(1, Relaxed);
            let Ok(wait) = budgets.message(&who, self.client.address(), text.len(), Instant::now())
            else {
                self.refuse(TOO_MANY.code, TOO_MANY.detail);
                break;
            };
            if !self.handle(&who, &text) || !self.wait(wait).await {
                break;
            }
        }
        hub.disconnect(&who, self.outbox);
        tracing::info!(visit = %who.visit, participant = %who.participant, "disconnected");
    }

    /// False when the connection is to end.
    fn handle(&self, who: &Admitted, text: &str) -> bool {
        let outcome = match serde_json::from_str::<ClientMessage>(text) {
            // A bug met by one message ends this connection, in order; others never wait for a participant who is gone.
            Ok(message) => {
                let handle = || self.services.hub.handle(who, self.outbox, message);
                match catch_unwind(AssertUnwindSafe(handle)) {
                    Ok(outcome) => outcome,
                    Err(_) => {
                        tracing::error!(visit = %who.visit, "handling a message panicked");
                        return false;
                    }
                }
            }
            Err(_) => Err(MALFORMED),
        };
        let Err(denied) = outcome else {
            return true;
        };
        tracing::debug!(visit = %who.visit, participant = %who.participant, %denied, "refused a message");
        self.refuse(denied.code, denied.detail);
        !matches!(
            denied.code,
            RelayErrorCode::VisitOver | RelayErrorCode::ReplacedByAnother
        )
    }

    /// Sends the challenge, judges the answer, and registers the connection.
    async fn hello(&self, stream: &mut SplitStream<WebSocket>) -> Option<Admitted> {
        match self.try_hello(stream).await {
            Ok(who) => who,
            Err(denied) => {
                self.refuse(denied.code, &denied.detail);
                None
            }
        }
    }

    /// None when the other side went away first.
    async fn try_hello(
        &self,
        stream: &mut SplitStream<WebSocket>,
    ) -> Result<Option<Admitted>, RefusedHello> {
        let Services { hub, budgets, .. } = self.services;
        let mut nonce = [0; NONCE_BYTES];
        if getrandom::fill(&mut nonce).is_err() {
            tracing::error!("no randomness for a challenge");
            return Ok(None);
        }
        let greeting = Greeting {
            challenge: RelayMessage::Challenge {
                v: VERSION,
                nonce: B64(nonce.to_vec()),
            },
            media: &self.services.line_check,
        };
        self.outbox.send_text(to_text(&greeting));
        let next = timeout(limits::HELLO_TIMEOUT, next_text(stream, self.heard));
        let Ok(text) = next.await else {
            return Err(RefusedHello::new(
                RelayErrorCode::NotAdmitted,
                "no hello in time",
            ));
        };
        let Some(text) = text? else {
            return Ok(None);
        };
        if text.len() > limits::MAX_HELLO_BYTES {
            return Err(TOO_LARGE.into());
        }
        let wait = budgets.hello(self.client.address(), text.len(), Instant::now())?;
        if !self.wait(wait).await {
            return Ok(None);
        }
        let Ok(ClientMessage::Hello {
            v,
            pass,
            proof,
            after_seq,
        }) = serde_json::from_str(&text)
        else {
            return Err(RefusedHello::new(
                RelayErrorCode::Malformed,
                "expected a hello",
            ));
        };
        if v != VERSION {
            return Err(RefusedHello::new(
                RelayErrorCode::Malformed,
                "this relay speaks version 1; use a page of the same version",
            ));
        }
        let who = self.admit(&pass, &proof, &nonce)?;
        let wait = budgets.admitted(&who, Instant::now())?;
        if !self.wait(wait).await {
            return Ok(None);
        }
        hub.connect(&who, after_seq, self.outbox.clone())?;
        self.client.limit_reads(None);
        tracing::info!(visit = %who.visit, participant = %who.participant, "connected");
        Ok(Some(who))
    }

    fn admit(
        &self,
        pass: &Jws<PassClaims>,
        proof: &Jws<HelloClaims>,
        nonce: &[u8; NONCE_BYTES],
    ) -> Result<Admitted, RefusedHello> {
        let now_ms = now_ms();
        let admitted = self.services.admission.admit(pass, proof, nonce, now_ms);
        admitted.map_err(|error| {
            // The error names key ids and times only.
            tracing::info!(%error, "not admitted");
            let over = match &error {
                AdmissionError::Expired(expired) => self.services.hub.over(expired.visit, now_ms),
                _ => None,
            };
            let Some(reason) = over else {
                return RefusedHello {
                    code: RelayErrorCode::NotAdmitted,
                    detail: error.to_string(),
                };
            };
            self.outbox.send(&RelayMessage::Ended { reason });
            RefusedHello::new(RelayErrorCode::VisitOver, "the visit is over")
        })
    }

    /// Not reading slows the sender down; the time spent so is no silence of theirs. False when the connection is gone.
    async fn wait(&self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(limits::DEAD_AFTER / 2)) => self.heard.now(),
                () = self.heard.gone_notify.notified() => return false,
            }
        }
    }

    fn refuse(&self, code: RelayErrorCode, detail: &str) {
        self.outbox.send(&RelayMessage::Error {
            code,
            detail: detail.to_owned(),
        });
    }
}

/// Why a hello was refused.
struct RefusedHello {
    code: RelayErrorCode,
    detail: String,
}

impl RefusedHello {
    fn new(code: RelayErrorCode, detail: &str) -> Self {
        Self {
            code,
            detail: detail.to_owned(),
        }
    }
}

impl From<Denied> for RefusedHello {
    fn from(denied: Denied) -> Self {
        Self::new(denied.code, denied.detail)
    }
}

impl From<Exhausted> for RefusedHello {
    fn from(_: Exhausted) -> Self {
        TOO_MANY.into()
    }
}

const MALFORMED: Denied = Denied {
    code: RelayErrorCode::Malformed,
    detail: "a message that cannot be read",
};
const TOO_LARGE: Denied = Denied {
    code: RelayErrorCode::TooMuch,
    detail: "a message that is too large",
};
const TOO_MANY: Denied = Denied {
    code: RelayErrorCode::TooMuch,
    detail: "too many messages: try again later",
};

/// The next text message; None at the end of the connection.
async fn next_text(
    stream: &mut SplitStream<WebSocket>,
    heard: &Heard,
) -> Result<Option<Utf8Bytes>, Denied> {
    loop {
        let message = match stream.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) if is_too_large(&error) => {
                return Err(TOO_LARGE);
            }
            Some(Err(_)) | None => return Ok(None),
        };
        heard.now();
        match message {
            Message::Text(text) => return Ok(Some(text)),
            Message::Close(_) => return Ok(None),
            Message::Binary(_) => return Err(MALFORMED),
            Message::Ping(_) | Message::Pong(_) => {}
        }
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    // axum hides the WebSocket library's error type; its text is all there is.
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if error.to_string().contains("too long") || error.to_string().contains("too big") {
            return true;
        }
        source = error.source();
    }
    false
}

/// Writes what is queued, and pings; a connection that stays silent is given up.
async fn write(mut sink: SplitSink<WebSocket, Message>, outlet: Outlet, heard: Arc<Heard>) {
    let mut pings = interval(limits::PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.tick().await;
    loop {
        // A peer that reads nothing blocks the write: the same silence ends it.
        let step = async {
            tokio::select! {
                outgoing = outlet.next() => match outgoing {
                    Outgoing::Text(text) => send(&mut sink, Message::Text(text), &heard).await,
                    Outgoing::Close(reason) => {
                        let close = Message::Close(Some(close_frame(reason)));
                        let _ = send(&mut sink, close, &heard).await;
                        false
                    }
                },
                _ = pings.tick() => send(&mut sink, Message::Ping(Default::default()), &heard).await,
            }
        };
        let left = match outlet.closing_for() {
            Some(closing_for) => limits::CLOSE_WITHIN.saturating_sub(closing_for),
            None => limits::DEAD_AFTER,
        };
        let went_on = timeout(left.min(limits::DEAD_AFTER), step)
            .await
            .unwrap_or(false);
        if !went_on || heard.silent_for() >= limits::DEAD_AFTER {
            break;
        }
    }
    heard.give_up();
}

/// False when the connection is gone.
///
/// A write that had to wait and then went on says that the other side is reading: on a slow line its answers to pings are
/// behind everything that was sent before.
async fn send(sink: &mut SplitSink<WebSocket, Message>, message: Message, heard: &Heard) -> bool {
    let mut sending = sink.send(message);
    // Outside of the task's budget: it must be the socket that made it wait.
    if let Some(sent) = tokio::task::unconstrained(&mut sending).now_or_never() {
        return sent.is_ok();
    }
    let sent = sending.await.is_ok();
    if sent {
        heard.now();
    }
    sent
}

fn close_frame(reason: CloseReason) -> CloseFrame {
    let (code, reason) = match reason {
        CloseReason::Left => (1000, "left"),
        CloseReason::Ended => (1000, "ended"),
        CloseReason::Replaced => (1008, "replaced_by_another"),
        CloseReason::Refused => (1008, "refused"),
        CloseReason::TooSlow => (1013, "too_slow"),
        CloseReason::ShuttingDown => (1001, "shutting_down"),
    };
    CloseFrame {
        code,
        reason: reason.into(),
    }
}
