//! How a subscriber's line is shared out: sound first, then a screen, then cameras.
//!
//! Pure: an estimate and what flows in; for each video line, out comes a limit for its sender, or that it is
//! withheld because the line cannot carry it.

/// A video below this is worse than none: it is withheld instead.
pub const MIN_VIDEO_BPS: u64 = 70_000;
/// To come back, a withheld video must have this.
pub const RESUME_VIDEO_BPS: u64 = 120_000;
/// A slow subscriber lowers a sender's video no further than this for everybody else.
pub const FLOOR_VIDEO_BPS: u64 = 150_000;
/// Kept free for each audio track even in its silence.
const RESERVED_AUDIO_BPS: u64 = 40_000;
/// Retransmissions, RTCP and headers take their part of an estimate.
const USABLE_PERCENT: u64 = 92;

/// A video line as it is.
#[derive(Debug, Clone, Copy)]
pub struct VideoLine {
    pub is_screen: bool,
    pub is_withheld: bool,
    /// What its sender sends now.
    pub bps: u64,
}

/// What a video line may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    Limit(u64),
    Withheld,
}

impl Share {
    pub fn limit_bps(self) -> u64 {
        match self {
            Self::Limit(bps) => bps,
            Self::Withheld => 0,
        }
    }
}

/// Shares `estimate_bps` among the lines, in their order.
pub fn share_out(
    estimate_bps: u64,
    audio_lines: u64,
    audio_bps: u64,
    lines: &[VideoLine],
) -> Vec<Share> {
    let reserved = audio_bps.max(audio_lines * RESERVED_AUDIO_BPS);
    let available = (estimate_bps * USABLE_PERCENT / 100).saturating_sub(reserved);

    // Screens are kept longest, then videos that are on already; the first that does not fit ends it.
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by_key(|&index| (!lines[index].is_screen, lines[index].is_withheld));
    let mut kept = Vec::new();
    let mut needed = 0;
    for index in order {
        needed += if lines[index].is_withheld {
            RESUME_VIDEO_BPS
        } else {
            MIN_VIDEO_BPS
        };
        if needed > available {
            break;
        }
        kept.push(index);
    }

    let limits = fill(available, &kept, lines);
    let mut shares = vec![Share::Withheld; lines.len()];
    for (index, limit) in kept.into_iter().zip(limits) {
        shares[index] = Share::Limit(limit);
    }
    shares
}

/// Fair shares, weighted; what a line leaves unused goes to the others, yet every line may grow to its fair share.
fn fill(available: u64, kept: &[usize], lines: &[VideoLine]) -> Vec<u64> {
    let weight = |index: usize| if lines[index].is_screen { 2 } else { 1 };
    let total_weight: u64 = kept.iter().map(|&index| weight(index)).sum();
    let fair = |index: usize| available * weight(index) / total_weight.max(1);
    // A line wants a little more than it has, or it could not grow.
    let wanted = |index: usize| lines[index].bps * 13 / 10;
    let spare: u64 = kept
        .iter()
        .map(|&index| fair(index).saturating_sub(wanted(index)))
        .sum();
    let hungry_weight: u64 = kept
        .iter()
        .filter(|&&index| wanted(index) > fair(index))
        .map(|&index| weight(index))
        .sum();
    kept.iter()
        .map(|&index| {
            if wanted(index) > fair(index) {
                fair(index) + spare * weight(index) / hungry_weight.max(1)
            } else {
                fair(index)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(bps: u64) -> VideoLine {
        VideoLine {
            is_screen: false,
            is_withheld: false,
            bps,
        }
    }

    #[test]
    fn keeps_sound_and_lowers_the_picture_on_a_slow_line() {
        let shares = share_out(500_000, 1, 32_000, &[camera(1_500_000)]);
        assert_eq!(shares, [Share::Limit(420_000)]);
    }

    #[test]
    fn withholds_video_that_the_line_cannot_carry() {
        assert_eq!(
            share_out(100_000, 1, 32_000, &[camera(300_000)]),
            [Share::Withheld]
        );
        assert_eq!(
            share_out(0, 2, 0, &[camera(0), camera(0)]),
            [Share::Withheld; 2]
        );
    }

    #[test]
    fn keeps_a_screen_longer_than_a_camera() {
        let screen = VideoLine {
            is_screen: true,
            ..camera(500_000)
        };
        let shares = share_out(180_000, 1, 32_000, &[camera(500_000), screen]);
        assert_eq!(shares[0], Share::Withheld);
        assert!(matches!(shares[1], Share::Limit(bps) if bps > 100_000));
    }

    #[test]
    fn needs_more_to_bring_a_video_back_than_to_keep_it() {
        let withheld = VideoLine {
            is_withheld: true,
            ..camera(300_000)
        };
        let estimate = (40_000 + 100_000) * 100 / 92 + 1;
        assert_eq!(share_out(estimate, 1, 0, &[withheld]), [Share::Withheld]);
        assert!(matches!(
            share_out(estimate, 1, 0, &[camera(300_000)])[0],
            Share::Limit(_)
        ));
    }

    #[test]
    fn gives_what_one_line_leaves_to_the_others() {
        let shares = share_out(2_000_000, 0, 0, &[camera(100_000), camera(2_000_000)]);
        let fair = 920_000;
        assert_eq!(shares[0], Share::Limit(fair));
        assert_eq!(shares[1], Share::Limit(fair + fair - 130_000));
    }
}
