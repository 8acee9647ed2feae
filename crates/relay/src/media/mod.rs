//! The embedded SFU: opaque RTP payloads from each publisher to everybody else in its visit.
//!
//! One UDP socket and one thread. Each participant has at most one *publish* connection (it offers) and one
//! *subscribe* connection (the relay makes a new offer whenever the published tracks change). Payloads are SFrame
//! ciphertext and pass unread; the relay looks at RTP headers, at codecs' payload descriptors, and at the few bytes
//! that say whether a frame is a key frame.
//!
//! | module | what |
//! |---|---|
//! | `peer` | how a peer connection is set up |
//! | `description` | what is read of a browser's description, and how much |
//! | `publish`, `subscribe` | one participant's two connections |
//! | `room` | one visit: forwarding, key frames, adaptation |
//! | `share`, `evidence` | how a slow line is shared out, and whether it is one |
//! | `rewrite`, `clock` | sequence numbers, timestamps and sender reports per subscriber |
//! | `keyframe` | where a key frame begins |
//! | `probe` | whether UDP gets through, for who is about to join |
//! | `tap` | test builds only: forwarded payloads to a file |

mod clock;
mod description;
mod evidence;
mod keyframe;
mod peer;
pub(crate) mod probe;
mod publish;
mod rewrite;
mod room;
mod share;
mod subscribe;
#[cfg(feature = "tap")]
pub mod tap;

use crate::limits;
use crate::stats::Stats;
use peer::PeerFactory;
use probe::Probes;
use room::Room;
use sealed_visit_protocol::wire::{ClientMessage, RelayMessage};
use sealed_visit_protocol::{ParticipantId, VisitId};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use str0m::Input;
use str0m::net::{Protocol, Receive, Transmit};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

const TICK: Duration = Duration::from_millis(250);
/// Datagrams taken in one go before connections are moved on.
const BATCH: usize = 64;
const MAX_DATAGRAM_BYTES: usize = 2048;
/// Room for a burst of key frames from everybody at once.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

#[derive(Debug, Clone)]
pub struct MediaConfig {
    /// The one UDP socket.
    pub bind: SocketAddr,
    /// Addresses at which browsers reach it, when it is behind an address translation or bound to all addresses.
    pub announce: Vec<IpAddr>,
    #[cfg(feature = "tap")]
    pub tap: Option<std::path::PathBuf>,
}

/// Why the media side did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    #[error("cannot use {address} for media: {source}")]
    Bind {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("a media socket on all addresses needs --announce with an address that browsers reach")]
    Unspecified,
    #[error("not an address that media can be sent to")]
    Address,
    #[error("no DTLS certificate could be made")]
    Certificate,
    #[error("the media thread did not start: {0}")]
    Thread(std::io::Error),
    #[cfg(feature = "tap")]
    #[error("cannot write the tap: {0}")]
    Tap(std::io::Error),
}

/// What the rest of the relay tells the media side.
#[derive(Debug)]
pub enum MediaCommand {
    /// `publish_offer`, `subscribe` or `subscribe_answer`.
    Signal(VisitId, ParticipantId, ClientMessage),
    /// The participant's WebSocket went away, perhaps for a moment.
    Suspend(VisitId, ParticipantId),
    /// It came back and goes on.
    Resume(VisitId, ParticipantId),
    /// It left, or starts over.
    Drop(VisitId, ParticipantId),
    DropVisit(VisitId),
}

/// What the media side tells a participant.
#[derive(Debug)]
pub struct MediaReply {
    pub visit: VisitId,
    pub participant: ParticipantId,
    pub message: RelayMessage,
}

/// Where commands go. Sending never blocks.
#[derive(Debug, Clone)]
pub struct MediaHandle {
    commands: mpsc::UnboundedSender<MediaCommand>,
    pending: Pending,
}

impl MediaHandle {
    pub fn send(&self, command: MediaCommand) {
        // Once the media thread has ended, the relay is stopping.
        let _ = self.commands.send(command);
    }

    /// Hands a description on; false when too many of this participant's wait already.
    pub fn signal(&self, visit: VisitId, from: ParticipantId, message: ClientMessage) -> bool {
        let has_room = self.pending.add(visit, from);
        if has_room {
            self.send(MediaCommand::Signal(visit, from, message));
        }
        has_room
    }
}

/// How many descriptions of each participant wait for the media thread.
#[derive(Debug, Clone, Default)]
struct Pending(Arc<Mutex<HashMap<(VisitId, ParticipantId), usize>>>);

impl Pending {
    fn add(&self, visit: VisitId, who: ParticipantId) -> bool {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = pending.entry((visit, who)).or_default();
        let has_room = *count < limits::MAX_PENDING_SIGNALS;
        *count += usize::from(has_room);
        has_room
    }

    fn remove(&self, visit: VisitId, who: ParticipantId) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = pending.get_mut(&(visit, who)) {
            *count -= 1;
            if *count == 0 {
                pending.remove(&(visit, who));
            }
        }
    }
}

/// The running media side.
#[derive(Debug)]
pub struct Media {
    addresses: Vec<SocketAddr>,
    handle: MediaHandle,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Media {
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Where browsers reach the socket; not empty.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub fn handle(&self) -> MediaHandle {
        self.handle.clone()
    }

    /// Ends the thread and waits for it.
    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Binds the socket and starts the thread.
pub fn start(
    config: MediaConfig,
    stats: Arc<Stats>,
) -> Result<(Media, mpsc::UnboundedReceiver<MediaReply>), MediaError> {
    let bind_error = |source| MediaError::Bind {
        address: config.bind,
        source,
    };
    let socket = bind(config.bind).map_err(bind_error)?;
    let bound = socket.local_addr().map_err(bind_error)?;
    let addresses = announced(bound, &config.announce)?;
    let factory = Arc::new(PeerFactory::new(&addresses)?);
    let pending = Pending::default();
    let (replies, reply_receiver) = mpsc::unbounded_channel();
    let effects = Effects {
        outgoing: Vec::new(),
        replies: Replies(replies),
        stats,
        #[cfg(feature = "tap")]
        tap: config
            .tap
            .as_deref()
            .map(tap::Tap::create)
            .transpose()
            .map_err(MediaError::Tap)?,
    };
    let (commands, command_receiver) = mpsc::unbounded_channel();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(MediaError::Thread)?;
    let of_thread = pending.clone();
    let known = addresses.clone();
    let thread = std::thread::Builder::new()
        .name("media".into())
        .spawn(move || {
            runtime.block_on(async move {
                let socket = match UdpSocket::from_std(socket) {
                    Ok(socket) => socket,
                    Err(error) => return tracing::error!(%error, "media socket"),
                };
                let sfu = Sfu {
                    factory,
                    pending: of_thread,
                    addresses,
                    rooms: HashMap::new(),
                    routes: Routes::default(),
                    probes: Probes::new(Instant::now()),
                    effects,
                };
                tokio::select! {
                    () = sfu.run(&socket, command_receiver) => {}
                    _ = stopped => {}
                }
            });
        })
        .map_err(MediaError::Thread)?;
    let media = Media {
        addresses: known,
        handle: MediaHandle { commands, pending },
        stop: Some(stop),
        thread: Some(thread),
    };
    Ok((media, reply_receiver))
}

fn bind(address: SocketAddr) -> std::io::Result<std::net::UdpSocket> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::DGRAM,
        Some(socket2::Protocol::UDP),
    )?;
    // The kernel may grant less; that is no reason not to start.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn announced(bound: SocketAddr, announce: &[IpAddr]) -> Result<Vec<SocketAddr>, MediaError> {
    if !announce.is_empty() {
        let with_port = |ip: &IpAddr| SocketAddr::new(*ip, bound.port());
        return Ok(announce.iter().map(with_port).collect());
    }
    if bound.ip().is_unspecified() {
        return Err(MediaError::Unspecified);
    }
    Ok(vec![bound])
}

/// Which of a participant's two connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Publish,
    Subscribe,
}

/// A room's effects outside of it.
pub(crate) struct Effects {
    outgoing: Vec<(SocketAddr, Vec<u8>)>,
    pub(crate) replies: Replies,
    pub(crate) stats: Arc<Stats>,
    #[cfg(feature = "tap")]
    tap: Option<tap::Tap>,
}

pub(crate) struct Replies(mpsc::UnboundedSender<MediaReply>);

impl Replies {
    pub(crate) fn send(&self, reply: MediaReply) {
        let _ = self.0.send(reply);
    }
}

impl Effects {
    fn reply(&self, visit: VisitId, participant: ParticipantId, message: RelayMessage) {
        self.replies.send(MediaReply {
            visit,
            participant,
            message,
        });
    }

    fn transmit(&mut self, transmit: &Transmit) {
        let contents = transmit.contents.to_vec();
        self.outgoing.push((transmit.destination, contents));
    }

    #[cfg(feature = "tap")]
    fn tap(&mut self, publisher: ParticipantId, received: &publish::Received<'_>) {
        let packet = received.packet;
        let Some(tap) = &mut self.tap else {
            return;
        };
        let written = tap.write(&tap::Tapped {
            publisher,
            track: received.track,
            is_video: received.codec.codec.is_video(),
            payload_type: *packet.header.payload_type,
            marker: packet.header.marker,
            seq: *packet.seq_no,
            timestamp: packet.header.timestamp,
            payload: &packet.payload,
        });
        if let Err(error) = written {
            // A tap with a hole would let a test pass that should not.
            tracing::error!(%error, "the tap cannot be written");
            std::process::abort();
        }
    }
}

/// Runs one visit's media. None after a panic: its room is in no known state, and the caller drops it. Browsers notice
/// that their connections are gone and make new ones; other visits' media go on.
fn contained<T>(visit: VisitId, work: impl FnOnce() -> T) -> Option<T> {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    if outcome.is_err() {
        tracing::error!(%visit, "a visit's media panicked and is dropped");
    }
    outcome.ok()
}

struct Sfu {
    factory: Arc<PeerFactory>,
    pending: Pending,
    addresses: Vec<SocketAddr>,
    rooms: HashMap<VisitId, Room>,
    routes: Routes,
    probes: Probes,
    effects: Effects,
}

type Route = (VisitId, ParticipantId, Side);

/// Which connection an address belongs to. Forged source addresses replace only the forger's own.
#[derive(Debug, Default)]
struct Routes {
    by_source: HashMap<SocketAddr, Route>,
    /// Each connection's addresses, the oldest first.
    sources: HashMap<Route, VecDeque<SocketAddr>>,
}

impl Routes {
    fn get(&self, source: SocketAddr) -> Option<Route> {
        self.by_source.get(&source).copied()
    }

    fn insert(&mut self, source: SocketAddr, route: Route) {
        if let Some(before) = self.by_source.insert(source, route)
            && let Some(sources) = self.sources.get_mut(&before)
        {
            sources.retain(|it| *it != source);
        }
        let sources = self.sources.entry(route).or_default();
        sources.push_back(source);
        if sources.len() > limits::MAX_ROUTES
            && let Some(oldest) = sources.pop_front()
        {
            self.by_source.remove(&oldest);
        }
    }

    fn retain(&mut self, mut is_alive: impl FnMut(&Route) -> bool) {
        self.sources.retain(|route, _| is_alive(route));
        let sources = &self.sources;
        self.by_source
            .retain(|_, route| sources.contains_key(route));
    }
}

impl Sfu {
    async fn run(
        mut self,
        socket: &UdpSocket,
        mut commands: mpsc::UnboundedReceiver<MediaCommand>,
    ) {
        let mut buffer = [0; MAX_DATAGRAM_BYTES];
        let mut due_at = Instant::now();
        let mut tick_at = Instant::now() + TICK;
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(command) => self.handle(command, Instant::now()),
                    None => return,
                },
                result = socket.readable() => {
                    if result.is_ok() {
                        for _ in 0..BATCH {
                            match socket.try_recv_from(&mut buffer) {
                                Ok((length, source)) => self.receive(&buffer[..length], source),
                                // Nothing more; or an ICMP error of an earlier send, which is no error of ours.
                                Err(_) => break,
                            }
                        }
                    }
                }
                () = tokio::time::sleep_until(due_at.min(tick_at).into()) => {}
            }
            let now = Instant::now();
            if now >= tick_at {
                self.tick(now);
                tick_at = now + TICK;
            }
            due_at = self.advance(now);
            for (destination, contents) in self.effects.outgoing.drain(..) {
                // A full send buffer loses a packet, as any network may.
                let _ = socket.try_send_to(&contents, destination);
            }
        }
    }

    /// Moves every room on; returns when to come again.
    fn advance(&mut self, now: Instant) -> Instant {
        let mut due_at = now + TICK;
        let effects = &mut self.effects;
        self.rooms.retain(|visit, room| {
            let next = contained(*visit, || room.run(effects, now));
            due_at = due_at.min(next.unwrap_or(due_at));
            next.is_some()
        });
        due_at
    }

    fn handle(&mut self, command: MediaCommand, now: Instant) {
        let effects = &mut self.effects;
        match command {
            MediaCommand::Signal(visit, from, message) => {
                self.pending.remove(visit, from);
                let factory = &self.factory;
                let room = self
                    .rooms
                    .entry(visit)
                    .or_insert_with(|| Room::new(visit, factory.clone(), now));
                if contained(visit, || room.signal(from, message, effects, now)).is_none() {
                    self.rooms.remove(&visit);
                }
            }
            MediaCommand::Suspend(visit, who) => {
                if let Some(room) = self.rooms.get_mut(&visit) {
                    room.suspend(who, now);
                }
            }
            MediaCommand::Resume(visit, who) => {
                if let Some(room) = self.rooms.get_mut(&visit) {
                    room.resume(who);
                }
            }
            MediaCommand::Drop(visit, who) => {
                if let Some(room) = self.rooms.get_mut(&visit)
                    && contained(visit, || room.remove(who, effects, now)).is_none()
                {
                    self.rooms.remove(&visit);
                }
            }
            MediaCommand::DropVisit(visit) => {
                self.rooms.remove(&visit);
            }
        }
    }

    fn receive(&mut self, datagram: &[u8], source: SocketAddr) {
        let now = Instant::now();
        if let Some(answer) = self.probes.answer(datagram, source, now) {
            self.effects.outgoing.push((source, answer));
            return;
        }
        let Ok(contents) = datagram.try_into() else {
            return;
        };
        let input = Input::Receive(
            now,
            Receive {
                proto: Protocol::Udp,
                source,
                destination: self.destination(source),
                contents,
            },
        );
        if let Some((visit, who, side)) = self.routes.get(source)
            && let Some(room) = self.rooms.get_mut(&visit)
            && room.accepts(who, side, &input)
        {
            self.hand_over(visit, who, side, input, now);
            return;
        }
        // Only a connectivity check (RFC 7983 section 7) opens a route; anything else from nowhere is dropped.
        if datagram.first().is_none_or(|first| *first > 3) {
            return;
        }
        let found = self.rooms.iter().find_map(|(visit, room)| {
            let (who, side) = room.find(&input)?;
            Some((*visit, who, side))
        });
        if let Some((visit, who, side)) = found {
            self.routes.insert(source, (visit, who, side));
            self.hand_over(visit, who, side, input, now);
        }
    }

    fn hand_over(
        &mut self,
        visit: VisitId,
        who: ParticipantId,
        side: Side,
        input: Input<'_>,
        now: Instant,
    ) {
        let effects = &mut self.effects;
        if let Some(room) = self.rooms.get_mut(&visit)
            && contained(visit, || room.receive(who, side, input, effects, now)).is_none()
        {
            self.rooms.remove(&visit);
        }
    }

    /// The address that the datagram was sent to, as far as one socket can tell.
    fn destination(&self, source: SocketAddr) -> SocketAddr {
        let of_family = self
            .addresses
            .iter()
            .find(|address| address.is_ipv4() == source.is_ipv4());
        *of_family.unwrap_or(&self.addresses[0])
    }

    fn tick(&mut self, now: Instant) {
        let effects = &mut self.effects;
        self.rooms.retain(|visit, room| {
            contained(*visit, || room.tick(effects, now)).is_some() && !room.is_empty()
        });
        let rooms = &self.rooms;
        self.routes.retain(|(visit, who, side)| {
            rooms
                .get(visit)
                .is_some_and(|room| room.has_connection(*who, *side))
        });
        let connections = rooms.values().map(Room::connection_count).sum();
        self.effects
            .stats
            .media_connections
            .store(connections, Relaxed);
        #[cfg(feature = "tap")]
        if let Some(tap) = &mut self.effects.tap
            && let Err(error) = tap.flush()
        {
            tracing::error!(%error, "the tap cannot be written");
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sfu() -> (Sfu, mpsc::UnboundedReceiver<MediaReply>) {
        let addresses = vec![SocketAddr::from(([127, 0, 0, 1], 4000))];
        let (replies, receiver) = mpsc::unbounded_channel();
        let sfu = Sfu {
            factory: Arc::new(PeerFactory::new(&addresses).unwrap()),
            pending: Pending::default(),
            addresses,
            rooms: HashMap::new(),
            routes: Routes::default(),
            probes: Probes::new(Instant::now()),
            effects: Effects {
                outgoing: Vec::new(),
                replies: Replies(replies),
                stats: Arc::default(),
                #[cfg(feature = "tap")]
                tap: None,
            },
        };
        (sfu, receiver)
    }

    fn visit(number: u8) -> VisitId {
        VisitId::from_bytes([number; 16])
    }

    fn person(number: u8) -> ParticipantId {
        ParticipantId::from_bytes([number; 16])
    }

    #[test]
    fn a_panic_in_one_visits_media_leaves_the_others_alone() {
        let (mut sfu, mut replies) = sfu();
        let now = Instant::now();
        for number in 0..3 {
            let subscribe = ClientMessage::Subscribe {};
            sfu.handle(
                MediaCommand::Signal(visit(number), person(number), subscribe),
                now,
            );
        }
        sfu.advance(now);
        sfu.rooms.get_mut(&visit(1)).unwrap().panics = true;
        sfu.advance(now);
        sfu.tick(now);
        assert_eq!(sfu.rooms.len(), 2);
        assert!(sfu.rooms[&visit(0)].has_connection(person(0), Side::Subscribe));
        assert!(sfu.rooms[&visit(2)].has_connection(person(2), Side::Subscribe));
        // The visit can start over, and others are still served.
        while replies.try_recv().is_ok() {}
        for number in 0..3 {
            let nonsense = ClientMessage::PublishOffer {
                sdp: "nonsense".into(),
                tracks: Vec::new(),
            };
            sfu.handle(
                MediaCommand::Signal(visit(number), person(number), nonsense),
                now,
            );
            let reply = replies.try_recv().unwrap();
            assert_eq!(
                (reply.visit, reply.participant),
                (visit(number), person(number))
            );
            assert!(matches!(reply.message, RelayMessage::Error { .. }));
        }
    }

    #[test]
    fn forged_source_addresses_do_not_add_up() {
        let mut routes = Routes::default();
        let source = |port: u16| SocketAddr::from(([192, 0, 2, 1], port));
        let attacker = (visit(1), person(1), Side::Publish);
        let other = (visit(1), person(2), Side::Publish);
        routes.insert(source(1), other);
        for port in 2..5000 {
            routes.insert(source(port), attacker);
        }
        assert_eq!(routes.by_source.len(), limits::MAX_ROUTES + 1);
        assert_eq!(routes.get(source(1)), Some(other));
        assert_eq!(routes.get(source(4999)), Some(attacker));
        assert_eq!(routes.get(source(2)), None);
        // Whose address moves to another connection is counted there.
        routes.insert(source(4999), other);
        assert_eq!(routes.sources[&attacker].len(), limits::MAX_ROUTES - 1);
        routes.retain(|route| *route == other);
        assert_eq!(routes.by_source.len(), 2);
        routes.retain(|_| false);
        assert!(routes.by_source.is_empty() && routes.sources.is_empty());
    }

    #[test]
    fn descriptions_of_one_participant_that_wait_have_a_bound() {
        let pending = Pending::default();
        for _ in 0..limits::MAX_PENDING_SIGNALS {
            assert!(pending.add(visit(1), person(1)));
        }
        assert!(!pending.add(visit(1), person(1)));
        assert!(pending.add(visit(1), person(2)));
        pending.remove(visit(1), person(1));
        assert!(pending.add(visit(1), person(1)));
        pending.remove(visit(1), person(2));
        assert_eq!(pending.0.lock().unwrap().len(), 1);
    }
}
