//! One track of a part during verification: its bytes against the signatures over them.

use super::problem::ProblemCode;
use super::report::TrackReport;
use sealed_visit_protocol::recording::{EnvelopeClaims, ReceiptClaims, TrackSummary};
use sealed_visit_protocol::track::{Header, TrackState, first_head};
use sealed_visit_protocol::{Hash32, Jws};

pub(super) struct VerifiedTrack {
    pub(super) header: Header,
    pub(super) state: TrackState,
    pub(super) unverified_bytes: u64,
    /// Named by the caller, with or without its bytes.
    pub(super) listed: bool,
    /// Its bytes were handed in.
    pub(super) seen: bool,
    /// What stopped the state.
    pub(super) error: Option<String>,
    /// The chain head before the first segment, and after each good one.
    pub(super) heads: Vec<Hash32>,
    pub(super) envelopes: Vec<Jws<EnvelopeClaims>>,
}

impl VerifiedTrack {
    /// A track of which nothing was handed in yet.
    pub(super) fn expected(header: &Header) -> Self {
        Self {
            header: header.clone(),
            state: TrackState::expecting(header.hash()),
            unverified_bytes: 0,
            listed: false,
            seen: false,
            error: None,
            heads: vec![first_head(&header.hash())],
            envelopes: Vec::new(),
        }
    }

    /// At most one problem: the first that applies, in the order in which FORMAT.md lists them.
    pub(super) fn judge_bytes(
        &self,
        summary: Option<&TrackSummary>,
    ) -> Option<(ProblemCode, String)> {
        if !self.seen {
            // The vault closed a part of which it never had a byte.
            if summary.is_some_and(|signed| signed.length_bytes == 0) {
                return None;
            }
            let message = "the open statement names a track that is not here";
            return Some((ProblemCode::TrackMissing, message.to_owned()));
        }
        let has_header = self.state.header().is_some();
        let unverified = self.unverified_bytes;
        if has_header && summary.is_some_and(|signed| signed.describes(&self.header, &self.state)) {
            // Reading stopped after the signed end, at a segment that does not open, even if nothing was counted.
            let more = unverified > 0 || self.error.is_some();
            let message = "bytes after the end that was signed".to_owned();
            return more.then_some((ProblemCode::BytesAfterEnd, message));
        }
        if let Some(error) = &self.error {
            return Some((ProblemCode::TrackAltered, error.clone()));
        }
        if !has_header {
            let message = "the file ends inside its header".to_owned();
            return Some((ProblemCode::TrackWithoutHeader, message));
        }
        let signed = summary?;
        let (segments, here) = (self.state.segments(), self.state.offset());
        Some(if segments >= signed.segments {
            let message = "the track is not as its signed summary says".to_owned();
            (ProblemCode::EndDiffers, message)
        } else if here >= signed.length_bytes {
            // All bytes are here, and not all of them are good.
            let message = format!(
                "good up to segment {segments} of {}, and altered after that",
                signed.segments
            );
            (ProblemCode::TrackAltered, message)
        } else {
            let message = format!(
                "good up to segment {segments} of the {} that were signed",
                signed.segments
            );
            (ProblemCode::TrackTruncated, message)
        })
    }

    pub(super) fn report(&self, summaries: &[TrackSummary]) -> TrackReport {
        let said = self.header.claims();
        let gaps = summaries
            .iter()
            .find(|summary| summary.track == said.track)
            .map(|summary| summary.gaps.clone())
            .unwrap_or_default();
        TrackReport {
            track: said.track,
            content: said.content.clone(),
            media_type: said.media_type.clone(),
            share_required: said.share_required,
            segments: self.state.segments(),
            verified_bytes: self.state.verified_bytes(),
            unverified_bytes: self.unverified_bytes,
            media_end_us: self.state.media_end_us(),
            last_at_ms: self.state.last_at_ms(),
            gaps,
            envelope: !self.envelopes.is_empty(),
            heads: self.heads.clone(),
        }
    }

    pub(super) fn differs_from_receipt(&self, receipt: &ReceiptClaims) -> Option<String> {
        let track = self.header.claims().track;
        let Some(said) = receipt.tracks.iter().find(|said| said.track == track) else {
            return Some(format!("the receipt does not name track {track}"));
        };
        let same = (said.length_bytes, said.segments, said.head)
            == (
                self.state.verified_bytes(),
                self.state.segments(),
                self.state.head(),
            );
        let nothing_was_here = !self.seen && said.length_bytes == 0;
        if !same && !nothing_was_here && !self.is_shorter_than(receipt) {
            return Some(format!("the receipt is for other bytes of track {track}"));
        }
        // More may have been added since.
        let is_named = |envelope: &Jws<_>| envelope.hash() == said.envelope;
        let other = !self.envelopes.is_empty() && !self.envelopes.iter().any(is_named);
        other.then(|| format!("the receipt is for another envelope of track {track}"))
    }

    pub(super) fn is_shorter_than(&self, receipt: &ReceiptClaims) -> bool {
        let track = self.header.claims().track;
        let said = receipt.tracks.iter().find(|said| said.track == track);
        said.is_some_and(|said| {
            let has_header = self.state.header().is_some();
            let nothing_was_here = !self.seen && said.length_bytes == 0;
            !nothing_was_here && (!has_header || self.state.segments() < said.segments)
        })
    }
}
