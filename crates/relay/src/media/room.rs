//! One visit's media: who sends, who receives, and what passes between them.
//!
//! Sans-IO like str0m itself: datagrams and times come in, [`Effects`] go out. After every change to a connection
//! its `due_at` is pulled forward; [`Room::run`] then moves it on and drains it.

use super::description::Description;
use super::peer::{self, PeerFactory};
use super::publish::{self, Publication, Unserved};
use super::share::{FLOOR_VIDEO_BPS, Share};
use super::subscribe::{Forwarded, HeldBack, Subscription, TrackRef};
use super::{Effects, MediaReply, Side};
use crate::limits;
use sealed_visit_protocol::wire::{
    ClientMessage, MediaKind, PictureOnLine, PublishedTrack, RelayErrorCode, RelayMessage,
};
use sealed_visit_protocol::{ParticipantId, VisitId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use str0m::{Event, IceConnectionState, Input, Output, Rtc};

/// How long a connection may be without a working path before it is given up.
const DISCONNECTED_FOR: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub struct Room {
    visit: VisitId,
    factory: Arc<PeerFactory>,
    parties: BTreeMap<ParticipantId, Party>,
    adapted_at: Instant,
    /// Panics when it is run the next time.
    #[cfg(test)]
    pub panics: bool,
}

#[derive(Debug, Default)]
struct Party {
    publication: Option<Driven<Publication>>,
    subscription: Option<Driven<Subscription>>,
    /// Grows over all subscriptions, so that no two offers share a number.
    generation: u32,
    /// Since when its WebSocket is away.
    suspended_at: Option<Instant>,
}

/// A connection and when it wants to be moved on.
#[derive(Debug)]
struct Driven<T> {
    inner: T,
    due_at: Instant,
    disconnected_at: Option<Instant>,
}

impl<T> Driven<T> {
    fn new(inner: T, now: Instant) -> Self {
        Self {
            inner,
            due_at: now,
            disconnected_at: Some(now),
        }
    }
}

impl Room {
    pub fn new(visit: VisitId, factory: Arc<PeerFactory>, now: Instant) -> Self {
        Self {
            visit,
            factory,
            parties: BTreeMap::new(),
            adapted_at: now,
            #[cfg(test)]
            panics: false,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.parties.is_empty()
    }

    pub fn connection_count(&self) -> u64 {
        self.parties
            .values()
            .map(|party| {
                u64::from(party.publication.is_some()) + u64::from(party.subscription.is_some())
            })
            .sum()
    }

    /// A description from a participant.
    pub fn signal(
        &mut self,
        from: ParticipantId,
        message: ClientMessage,
        effects: &mut Effects,
        now: Instant,
    ) {
        let mut offered = None;
        if let ClientMessage::PublishOffer { sdp, tracks } = &message {
            match self.check(from, sdp, tracks) {
                Ok(description) => offered = Some(description),
                // What is published already goes on.
                Err(unserved) => return self.refuse(from, unserved, effects),
            }
        }
        let factory = &self.factory;
        let party = self.parties.entry(from).or_default();
        let outcome = match message {
            ClientMessage::PublishOffer { tracks, .. } => {
                let Some(offered) = offered else {
                    return;
                };
                let current = party.publication.take().map(|driven| driven.inner);
                let outcome = Publication::negotiate(current, factory, &offered, &tracks, now);
                let outcome = outcome.map(|(publication, sdp)| {
                    party.publication = Some(Driven::new(publication, now));
                    effects.reply(self.visit, from, RelayMessage::PublishAnswer { sdp });
                });
                self.offer_to_all(effects, now);
                outcome
            }
            ClientMessage::Subscribe {} => {
                // Always a new connection: a client that asks again has lost the old one.
                party.subscription = Some(Driven::new(Subscription::new(factory, now), now));
                self.offer_to(from, effects, now);
                Ok(())
            }
            ClientMessage::SubscribeAnswer { generation, sdp } => {
                let Some(subscription) = &mut party.subscription else {
                    return;
                };
                subscription.due_at = now;
                let outcome = if sdp.len() > limits::MAX_ANSWER_BYTES {
                    Err(Unserved("too large a description".into()))
                } else {
                    subscription.inner.answer(generation, &sdp)
                };
                match outcome {
                    Ok(is_stale) => {
                        if is_stale {
                            self.offer_to(from, effects, now);
                        }
                        Ok(())
                    }
                    Err(error) => {
                        party.subscription = None;
                        Err(error)
                    }
                }
            }
            _ => Ok(()),
        };
        if let Err(unserved) = outcome {
            self.refuse(from, unserved, effects);
        }
    }

    fn refuse(&self, who: ParticipantId, unserved: Unserved, effects: &Effects) {
        tracing::info!(visit = %self.visit, participant = %who, %unserved, "media refused");
        let error = RelayMessage::Error {
            code: RelayErrorCode::Media,
            detail: unserved.0,
        };
        effects.reply(self.visit, who, error);
    }

    /// Whether an offer keeps to what one participant, and the visit as a whole, may have.
    fn check(
        &self,
        from: ParticipantId,
        sdp: &str,
        tracks: &[PublishedTrack],
    ) -> Result<Description, Unserved> {
        let offered = publish::check(sdp, tracks)?;
        let party = self.parties.get(&from);
        let current = party.and_then(|party| party.publication.as_ref());
        let is_crowded = match current {
            Some(current) => current.inner.is_crowded_by(&offered),
            None => offered.streams.len() > limits::MAX_STREAMS,
        };
        if is_crowded {
            return Err(Unserved("too many streams in one connection".into()));
        }
        let others = self.parties.iter().filter(|(other, _)| **other != from);
        let publications = others.filter_map(|(_, party)| party.publication.as_ref());
        let of_others: usize = publications.map(|it| it.inner.tracks().len()).sum();
        if tracks.len() > limits::FAIR_TRACKS
            && tracks.len() + of_others > limits::MAX_TRACKS_OF_VISIT
        {
            return Err(Unserved("the visit has too many tracks".into()));
        }
        Ok(offered)
    }

    /// Its WebSocket went away; media goes on for a while.
    pub fn suspend(&mut self, who: ParticipantId, now: Instant) {
        if let Some(party) = self.parties.get_mut(&who) {
            party.suspended_at = Some(now);
        }
    }

    pub fn resume(&mut self, who: ParticipantId) {
        if let Some(party) = self.parties.get_mut(&who) {
            party.suspended_at = None;
        }
    }

    pub fn remove(&mut self, who: ParticipantId, effects: &mut Effects, now: Instant) {
        if let Some(party) = self.parties.remove(&who)
            && party.publication.is_some()
        {
            self.offer_to_all(effects, now);
        }
    }

    /// The connection that a datagram belongs to, if any is in this room.
    pub fn find(&self, input: &Input<'_>) -> Option<(ParticipantId, Side)> {
        self.parties.iter().find_map(|(who, party)| {
            [Side::Publish, Side::Subscribe]
                .into_iter()
                .find(|side| party.rtc(*side).is_some_and(|rtc| rtc.accepts(input)))
                .map(|side| (*who, side))
        })
    }

    pub fn has_connection(&self, who: ParticipantId, side: Side) -> bool {
        self.rtc(who, side).is_some()
    }

    pub fn accepts(&self, who: ParticipantId, side: Side, input: &Input<'_>) -> bool {
        self.rtc(who, side).is_some_and(|rtc| rtc.accepts(input))
    }

    /// Passes a datagram to the connection that accepts it, and collects the results.
    ///
    /// str0m holds one received packet at a time: without draining after each, all but the last would be lost.
    pub fn receive(
        &mut self,
        who: ParticipantId,
        side: Side,
        input: Input<'_>,
        effects: &mut Effects,
        now: Instant,
    ) {
        let party = self.parties.get_mut(&who);
        let Some((rtc, due_at)) = party.and_then(|party| party.driven(side)) else {
            return;
        };
        if let Err(error) = rtc.handle_input(input) {
            tracing::debug!(%error, "connection failed");
            rtc.disconnect();
        }
        let mut events = Vec::new();
        *due_at = drain(rtc, effects, |event| events.push(event), now);
        for event in events {
            self.on_event(who, side, event, effects, now);
        }
    }

    /// Moves everything that is due on, and forwards; returns when to come again.
    pub fn run(&mut self, effects: &mut Effects, now: Instant) -> Instant {
        #[cfg(test)]
        assert!(!self.panics, "on purpose");
        loop {
            let mut events = Vec::new();
            for (who, party) in &mut self.parties {
                for side in [Side::Publish, Side::Subscribe] {
                    let Some((rtc, due_at)) = party.driven(side) else {
                        continue;
                    };
                    if *due_at > now {
                        continue;
                    }
                    peer::advance(rtc, now);
                    *due_at = drain(rtc, effects, |event| events.push((*who, side, event)), now);
                }
            }
            if events.is_empty() {
                break;
            }
            for (who, side, event) in events {
                self.on_event(who, side, event, effects, now);
            }
        }
        let due = self.parties.values_mut().flat_map(|party| {
            let publication = party.publication.as_ref().map(|it| it.due_at);
            publication
                .into_iter()
                .chain(party.subscription.as_ref().map(|it| it.due_at))
        });
        // Never in the past: a connection that is due for ever must not starve the others.
        due.min()
            .unwrap_or(now + Duration::from_secs(3600))
            .max(now + Duration::from_millis(1))
    }

    /// Everything that happens a few times a second: rates, limits, key frames, quality, what is gone.
    pub fn tick(&mut self, effects: &mut Effects, now: Instant) {
        self.drop_gone(effects, now);
        let elapsed = now.duration_since(self.adapted_at);
        self.adapted_at = now;
        let mut bps = HashMap::new();
        for (who, party) in &mut self.parties {
            let Some(publication) = &mut party.publication else {
                continue;
            };
            publication.inner.measure(elapsed);
            for track in publication.inner.tracks() {
                bps.insert((*who, track.name.clone()), track.bps);
            }
        }
        let mut limits: HashMap<(ParticipantId, String), u64> = HashMap::new();
        let mut slow_for: HashMap<ParticipantId, BTreeSet<ParticipantId>> = HashMap::new();
        let mut wanted = Vec::new();
        for (who, party) in &mut self.parties {
            let Some(subscription) = &mut party.subscription else {
                continue;
            };
            if !subscription.inner.rtc.is_connected() {
                continue;
            }
            subscription.inner.adapt(
                now,
                |track| {
                    let key = (track.participant, track.name.clone());
                    bps.get(&key).copied().unwrap_or(0)
                },
                |track, share, picture| {
                    if picture != PictureOnLine::Full {
                        slow_for.entry(track.participant).or_default().insert(*who);
                    }
                    // A receiver that gets no video does not limit the sender for the others, but keeps it low
                    // enough to get something again.
                    let bps = match share {
                        Share::Limit(bps) => bps.max(FLOOR_VIDEO_BPS),
                        Share::Withheld => FLOOR_VIDEO_BPS,
                    };
                    limits
                        .entry((track.participant, track.name.clone()))
                        .and_modify(|least| *least = bps.min(*least))
                        .or_insert(bps);
                },
            );
            wanted.extend(subscription.inner.awaited().cloned());
            subscription.due_at = now;
        }
        for (who, party) in &mut self.parties {
            let mut held_back = HeldBack::default();
            if let Some(publication) = &mut party.publication {
                let total: Option<u64> = publication
                    .inner
                    .tracks()
                    .iter()
                    .filter(|track| track.kind == MediaKind::Video)
                    .filter_map(|track| limits.get(&(*who, track.name.clone())).copied())
                    .reduce(|sum, bps| sum + bps);
                publication.inner.limit(total, now);
                let sent = publication.inner.send_wanted_key_frames(now);
                effects.stats.key_frames_requested.fetch_add(sent, Relaxed);
                publication.due_at = now;
                held_back.limit_bps = total;
                held_back.slow_for = slow_for
                    .remove(who)
                    .map(|slow| slow.into_iter().collect())
                    .unwrap_or_default();
            }
            if let Some(subscription) = &mut party.subscription
                && subscription.inner.rtc.is_connected()
                && let Some(message) = subscription.inner.quality(held_back, now)
            {
                effects.reply(self.visit, *who, message);
            }
        }
        for track in wanted {
            self.request_key_frame(&track, effects, now);
        }
    }

    fn on_event(
        &mut self,
        who: ParticipantId,
        side: Side,
        event: Event,
        effects: &mut Effects,
        now: Instant,
    ) {
        match (side, event) {
            (Side::Publish, Event::RtpPacket(packet)) => self.forward(who, &packet, effects, now),
            (Side::Subscribe, Event::KeyframeRequest(request)) => {
                let track = self
                    .subscription(who)
                    .and_then(|it| it.inner.track_of(request.mid).cloned());
                if let Some(track) = track {
                    self.request_key_frame(&track, effects, now);
                }
            }
            (Side::Subscribe, Event::EgressBitrateEstimate(kind)) => {
                if let Some(subscription) = self.subscription(who) {
                    subscription.inner.on_estimate(&kind);
                }
            }
            (Side::Subscribe, Event::PeerStats(stats)) => {
                if let Some(subscription) = self.subscription(who) {
                    subscription.inner.on_stats(&stats, now);
                }
            }
            (Side::Subscribe, Event::Connected) => {
                let awaited: Vec<TrackRef> = self
                    .subscription(who)
                    .map(|it| it.inner.awaited().cloned().collect())
                    .unwrap_or_default();
                for track in awaited {
                    self.request_key_frame(&track, effects, now);
                }
            }
            (side, Event::IceConnectionStateChange(state)) => {
                tracing::debug!(visit = %self.visit, participant = %who, ?side, ?state, "ice");
                let is_gone = matches!(state, IceConnectionState::Disconnected);
                let is_there = matches!(
                    state,
                    IceConnectionState::Connected | IceConnectionState::Completed
                );
                let Some(party) = self.parties.get_mut(&who) else {
                    return;
                };
                let disconnected_at = match side {
                    Side::Publish => party.publication.as_mut().map(|it| &mut it.disconnected_at),
                    Side::Subscribe => party
                        .subscription
                        .as_mut()
                        .map(|it| &mut it.disconnected_at),
                };
                if let Some(disconnected_at) = disconnected_at {
                    if is_gone {
                        disconnected_at.get_or_insert(now);
                    } else if is_there {
                        *disconnected_at = None;
                    }
                }
            }
            _ => {}
        }
    }

    fn forward(
        &mut self,
        from: ParticipantId,
        packet: &str0m::rtp::RtpPacket,
        effects: &mut Effects,
        now: Instant,
    ) {
        effects.stats.packets_received.fetch_add(1, Relaxed);
        // Out of the map while its packet goes to the others: no two borrows of one party.
        let Some(mut publication) = self
            .parties
            .get_mut(&from)
            .and_then(|party| party.publication.take())
        else {
            return;
        };
        if let Some(received) = publication.inner.receive(packet) {
            let mut copies = 0;
            for (who, party) in &mut self.parties {
                let Some(subscription) = party.subscription.as_mut().filter(|_| *who != from)
                else {
                    continue;
                };
                match subscription.inner.forward(from, &received, now) {
                    Forwarded::Yes => {
                        copies += 1;
                        subscription.due_at = now;
                    }
                    Forwarded::Withheld => {
                        effects.stats.packets_withheld.fetch_add(1, Relaxed);
                    }
                    Forwarded::No => {}
                }
            }
            if copies > 0 {
                let size_bytes = packet.payload.len() as u64;
                effects.stats.packets_forwarded.fetch_add(copies, Relaxed);
                effects
                    .stats
                    .bytes_forwarded
                    .fetch_add(copies * size_bytes, Relaxed);
                #[cfg(feature = "tap")]
                effects.tap(from, &received);
            }
        }
        if let Some(party) = self.parties.get_mut(&from) {
            party.publication = Some(publication);
        }
    }

    fn request_key_frame(&mut self, track: &TrackRef, effects: &mut Effects, now: Instant) {
        let publication = self
            .parties
            .get_mut(&track.participant)
            .and_then(|party| party.publication.as_mut());
        if let Some(publication) = publication
            && publication.inner.request_key_frame(&track.name, now)
        {
            effects.stats.key_frames_requested.fetch_add(1, Relaxed);
            publication.due_at = now;
        }
    }

    fn drop_gone(&mut self, effects: &mut Effects, now: Instant) {
        let mut tracks_changed = false;
        self.parties.retain(|_, party| {
            let is_away = party
                .suspended_at
                .is_some_and(|at| now.duration_since(at) >= limits::MEDIA_GRACE);
            let had_publication = party.publication.is_some();
            party
                .publication
                .take_if(|it| is_away || is_gone(&it.inner.rtc, it.disconnected_at, now));
            party.subscription.take_if(|it| {
                // A subscription without an offer has nobody to connect to: it may wait.
                is_away
                    || is_gone(
                        &it.inner.rtc,
                        it.disconnected_at.filter(|_| it.inner.rtc.is_connected()),
                        now,
                    )
            });
            tracks_changed |= had_publication && party.publication.is_none();
            party.publication.is_some() || party.subscription.is_some()
        });
        if tracks_changed {
            self.offer_to_all(effects, now);
        }
    }

    fn offer_to_all(&mut self, effects: &mut Effects, now: Instant) {
        let everybody: Vec<ParticipantId> = self.parties.keys().copied().collect();
        for who in everybody {
            self.offer_to(who, effects, now);
        }
    }

    fn offer_to(&mut self, who: ParticipantId, effects: &mut Effects, now: Instant) {
        let published: Vec<TrackRef> = self
            .parties
            .iter()
            .filter(|(participant, _)| **participant != who)
            .flat_map(|(participant, party)| {
                let tracks = party.publication.iter().flat_map(|it| it.inner.tracks());
                tracks.map(|track| TrackRef {
                    participant: *participant,
                    name: track.name.clone(),
                    kind: track.kind,
                    source: track.source,
                })
            })
            .collect();
        let Some(party) = self.parties.get_mut(&who) else {
            return;
        };
        let Some(subscription) = &mut party.subscription else {
            return;
        };
        if subscription.inner.is_worn(&published) {
            *subscription = Driven::new(Subscription::new(&self.factory, now), now);
        }
        subscription.due_at = now;
        if let Some(offer) = subscription.inner.offer(&published, &mut party.generation) {
            effects.replies.send(MediaReply {
                visit: self.visit,
                participant: who,
                message: offer,
            });
        }
    }

    fn rtc(&self, who: ParticipantId, side: Side) -> Option<&Rtc> {
        self.parties.get(&who)?.rtc(side)
    }

    fn subscription(&mut self, who: ParticipantId) -> Option<&mut Driven<Subscription>> {
        self.parties.get_mut(&who)?.subscription.as_mut()
    }
}

impl Party {
    fn rtc(&self, side: Side) -> Option<&Rtc> {
        match side {
            Side::Publish => self.publication.as_ref().map(|it| &it.inner.rtc),
            Side::Subscribe => self.subscription.as_ref().map(|it| &it.inner.rtc),
        }
    }

    fn driven(&mut self, side: Side) -> Option<(&mut Rtc, &mut Instant)> {
        match side {
            Side::Publish => self
                .publication
                .as_mut()
                .map(|it| (&mut it.inner.rtc, &mut it.due_at)),
            Side::Subscribe => self
                .subscription
                .as_mut()
                .map(|it| (&mut it.inner.rtc, &mut it.due_at)),
        }
    }
}

fn is_gone(rtc: &Rtc, disconnected_at: Option<Instant>, now: Instant) -> bool {
    !rtc.is_alive() || disconnected_at.is_some_and(|at| now.duration_since(at) >= DISCONNECTED_FOR)
}

/// Takes out everything a connection has to say; returns when it wants to be moved on.
fn drain(
    rtc: &mut Rtc,
    effects: &mut Effects,
    mut on_event: impl FnMut(Event),
    now: Instant,
) -> Instant {
    loop {
        match rtc.poll_output() {
            Ok(Output::Timeout(due_at)) => return due_at,
            Ok(Output::Transmit(transmit)) => effects.transmit(&transmit),
            Ok(Output::Event(event)) => on_event(event),
            Err(error) => {
                tracing::debug!(%error, "connection failed");
                rtc.disconnect();
                return now + Duration::from_secs(3600);
            }
        }
    }
}
