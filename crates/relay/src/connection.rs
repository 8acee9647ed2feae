//! One WebSocket: challenge, hello, then messages both ways until it ends.

use crate::admission::{Admission, AdmissionError, Admitted, NONCE_BYTES};
use crate::hub::{CloseReason, Hub, Outbox, Outgoing, Outlet, now_ms};
use crate::limits::{self, Pace};
use crate::stats::Stats;
use crate::visit::Denied;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use sealed_visit_protocol::wire::{ClientMessage, RelayErrorCode, RelayMessage};
use sealed_visit_protocol::{B64, VERSION};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Serves one connection to its end.
pub async fn serve(socket: WebSocket, hub: Hub, admission: Arc<Admission>, stats: Arc<Stats>) {
    let (sink, stream) = socket.split();
    let (outbox, outlet) = Outbox::new();
    let started = Instant::now();
    let heard = Arc::new(Heard::new(started));
    let writer = tokio::spawn(write(sink, outlet, heard.clone()));
    read(stream, &hub, &admission, &stats, &outbox, &heard).await;
    // Everything queued so far, an error in particular, is written before the socket goes.
    outbox.close(CloseReason::Refused);
    drop(outbox);
    let _ = timeout(Duration::from_secs(2), writer).await;
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

async fn read(
    mut stream: SplitStream<WebSocket>,
    hub: &Hub,
    admission: &Admission,
    stats: &Stats,
    outbox: &Outbox,
    heard: &Heard,
) {
    let Some(who) = hello(&mut stream, hub, admission, outbox, heard).await else {
        return;
    };
    let mut pace = Pace::new(Instant::now());
    loop {
        let text = tokio::select! {
            text = next_text(&mut stream, heard) => text,
            () = heard.gone_notify.notified() => break,
        };
        let text = match text {
            Ok(Some(text)) => text,
            Ok(None) => break,
            Err(denied) => {
                refuse(outbox, denied.code, denied.detail);
                break;
            }
        };
        stats.messages_received.fetch_add(1, Relaxed);
        let wait = pace.spend(text.len(), Instant::now());
        let outcome = match serde_json::from_str::<ClientMessage>(&text) {
            // A bug met by one message ends this connection, in order; others never wait for a participant who is gone.
            Ok(message) => {
                match catch_unwind(AssertUnwindSafe(|| hub.handle(&who, outbox, message))) {
                    Ok(outcome) => outcome,
                    Err(_) => {
                        tracing::error!(visit = %who.visit, "handling a message panicked");
                        break;
                    }
                }
            }
            Err(_) => Err(MALFORMED),
        };
        if let Err(denied) = outcome {
            tracing::debug!(visit = %who.visit, participant = %who.participant, %denied, "refused a message");
            refuse(outbox, denied.code, denied.detail);
            if denied.code == RelayErrorCode::VisitOver {
                break;
            }
        }
        if !wait.is_zero() {
            // Not reading slows the sender down; the time spent so is no silence of theirs.
            tokio::time::sleep(wait.min(limits::DEAD_AFTER / 2)).await;
            heard.now();
        }
    }
    hub.disconnect(&who, outbox);
    tracing::info!(visit = %who.visit, participant = %who.participant, "disconnected");
}

const MALFORMED: Denied = Denied {
    code: RelayErrorCode::Malformed,
    detail: "a message that cannot be read",
};

/// Sends the challenge, judges the answer, and registers the connection.
async fn hello(
    stream: &mut SplitStream<WebSocket>,
    hub: &Hub,
    admission: &Admission,
    outbox: &Outbox,
    heard: &Heard,
) -> Option<Admitted> {
    let mut nonce = [0; NONCE_BYTES];
    if getrandom::fill(&mut nonce).is_err() {
        tracing::error!("no randomness for a challenge");
        return None;
    }
    outbox.send(&RelayMessage::Challenge {
        v: VERSION,
        nonce: B64(nonce.to_vec()),
    });
    let text = match timeout(limits::HELLO_TIMEOUT, next_text(stream, heard)).await {
        Ok(Ok(Some(text))) => text,
        Ok(Ok(None)) => return None,
        Ok(Err(denied)) => {
            refuse(outbox, denied.code, denied.detail);
            return None;
        }
        Err(_) => {
            refuse(outbox, RelayErrorCode::NotAdmitted, "no hello in time");
            return None;
        }
    };
    let Ok(ClientMessage::Hello {
        v,
        pass,
        proof,
        after_seq,
    }) = serde_json::from_str(&text)
    else {
        refuse(outbox, RelayErrorCode::Malformed, "expected a hello");
        return None;
    };
    if v != VERSION {
        refuse(
            outbox,
            RelayErrorCode::Malformed,
            "this relay speaks version 1: a page of another version needs another relay",
        );
        return None;
    }
    let now_ms = now_ms();
    let who = match admission.admit(&pass, &proof, &nonce, now_ms) {
        Ok(who) => who,
        Err(error) => {
            // The error names key ids and times only.
            tracing::info!(%error, "not admitted");
            let over = match &error {
                AdmissionError::Expired(expired) => hub.over(expired.visit, now_ms),
                _ => None,
            };
            if let Some(reason) = over {
                outbox.send(&RelayMessage::Ended { reason });
                refuse(outbox, RelayErrorCode::VisitOver, "the visit is over");
            } else {
                refuse(outbox, RelayErrorCode::NotAdmitted, &error.to_string());
            }
            return None;
        }
    };
    if let Err(denied) = hub.connect(&who, after_seq, outbox.clone()) {
        refuse(outbox, denied.code, denied.detail);
        return None;
    }
    tracing::info!(visit = %who.visit, participant = %who.participant, "connected");
    Some(who)
}

/// The next text message; None at the end of the connection.
async fn next_text(
    stream: &mut SplitStream<WebSocket>,
    heard: &Heard,
) -> Result<Option<Utf8Bytes>, Denied> {
    loop {
        let message = match stream.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) if is_too_large(&error) => {
                return Err(Denied {
                    code: RelayErrorCode::TooMuch,
                    detail: "a message that is too large",
                });
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

fn refuse(outbox: &Outbox, code: RelayErrorCode, detail: &str) {
    outbox.send(&RelayMessage::Error {
        code,
        detail: detail.to_owned(),
    });
}

/// Writes what is queued, and pings; a connection that stays silent is given up.
async fn write(mut sink: SplitSink<WebSocket, Message>, mut outlet: Outlet, heard: Arc<Heard>) {
    let mut pings = interval(limits::PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.tick().await;
    loop {
        // A peer that reads nothing blocks the write: the same silence ends it.
        let step = async {
            tokio::select! {
                outgoing = outlet.receiver.recv() => match outgoing {
                    Some(Outgoing::Text(text)) => {
                        outlet.queued_bytes.fetch_sub(text.len(), Relaxed);
                        sink.send(Message::Text(text)).await.is_ok()
                    }
                    Some(Outgoing::Close(reason)) => {
                        let _ = sink.send(Message::Close(Some(close_frame(reason)))).await;
                        false
                    }
                    None => false,
                },
                _ = pings.tick() => sink.send(Message::Ping(Default::default())).await.is_ok(),
            }
        };
        let went_on = timeout(limits::DEAD_AFTER, step).await.unwrap_or(false);
        if !went_on || heard.silent_for() >= limits::DEAD_AFTER {
            break;
        }
    }
    heard.give_up();
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
