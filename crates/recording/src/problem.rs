//! What can be wrong with a recording, as codes: the clinic tool, the browser and every other reader say the same.
//!
//! FORMAT.md lists them. A code says one of two things. *Altered*: something here is not what the recorder or the vault
//! signed, or does not belong here. *Missing*: what is here is genuine, and something is not here.

use sealed_visit_protocol::TrackId;
use serde::Serialize;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Stable, for programs.
    pub code: ProblemCode,
    /// For people.
    pub message: String,
    /// The track it concerns, if one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track: Option<TrackId>,
}

/// What a problem means for the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemClass {
    /// Not what was signed, or not of this recording.
    Altered,
    /// Genuine as far as it goes.
    Missing,
}

macro_rules! problem_codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $class:ident;)*) => {
        /// A stable code for each kind of problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        #[non_exhaustive]
        pub enum ProblemCode { $($(#[$doc])* #[serde(rename = $text)] $name,)* }

        impl ProblemCode {
            /// Every code, as FORMAT.md lists them.
            pub const ALL: &[ProblemCode] = &[$(Self::$name,)*];

            /// As it is written in reports.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What it means for the recording.
            pub fn class(self) -> ProblemClass {
                match self { $(Self::$name => ProblemClass::$class,)* }
            }
        }
    };
}

problem_codes! {
    /// The part was recorded under another clinic document than the one given.
    OtherClinicDocument = "other-clinic-document", Altered;
    /// The clinic document was not valid when the part began.
    ClinicDocumentNotValid = "clinic-document-not-valid", Altered;
    /// Listed under another recording or part than was signed.
    ListedElsewhere = "listed-elsewhere", Altered;
    /// The parts belong to different recordings.
    OtherRecording = "other-recording", Altered;
    /// A part stands here twice.
    PartTwice = "part-twice", Altered;
    /// A part names another part, or other tracks, as the one before it.
    PreviousDiffers = "previous-differs", Altered;
    /// A track that the open statement does not name.
    UnknownTrack = "unknown-track", Altered;
    /// A track stands here twice.
    TrackTwice = "track-twice", Altered;
    /// A track's bytes are not what was signed.
    TrackAltered = "track-altered", Altered;
    /// Bytes after the end that was signed.
    BytesAfterEnd = "bytes-after-end", Altered;
    /// An envelope of no track of this part, or listed with another track.
    EnvelopeElsewhere = "envelope-elsewhere", Altered;
    /// An envelope that is not genuine.
    EnvelopeInvalid = "envelope-invalid", Altered;
    /// A manifest that is not the recorder's.
    ManifestInvalid = "manifest-invalid", Altered;
    /// A manifest of another part.
    ManifestElsewhere = "manifest-of-another-part", Altered;
    /// A closing record that is not the vault's.
    ClosingInvalid = "closing-invalid", Altered;
    /// A closing record of another part.
    ClosingElsewhere = "closing-of-another-part", Altered;
    /// The manifest or closing record does not name every track of the part exactly once.
    EndTracksDiffer = "end-tracks-differ", Altered;
    /// A track is not as the manifest or closing record says.
    EndDiffers = "end-differs", Altered;
    /// A gap or a time in the manifest or closing record cannot be.
    EndTimesInvalid = "end-times-invalid", Altered;
    /// The withdrawal in the manifest or closing record is not one of this part's round.
    WithdrawalInvalid = "withdrawal-invalid", Altered;
    /// A confirmed place that is not genuine, or of another round.
    PlaceInvalid = "place-invalid", Altered;
    /// A receipt that is not the vault's.
    ReceiptInvalid = "receipt-invalid", Altered;
    /// A receipt for something else.
    ReceiptDiffers = "receipt-differs", Altered;
    /// There is no part.
    NoPart = "no-part", Altered;
    /// A part is not here.
    PartMissing = "part-missing", Missing;
    /// The last part ends in a pause.
    EndsInPause = "ends-in-pause", Missing;
    /// A part does not name the part before it.
    PreviousMissing = "previous-missing", Missing;
    /// A track is shorter than the recorder of the next part knew it.
    PreviousHeadMissing = "previous-head-missing", Missing;
    /// A track is not here.
    TrackMissing = "track-missing", Missing;
    /// A track is shorter than was signed.
    TrackTruncated = "track-truncated", Missing;
    /// A track's file ends inside its header.
    TrackWithoutHeader = "track-without-header", Missing;
    /// Nobody can open a track.
    EnvelopeMissing = "envelope-missing", Missing;
    /// The vault's receipt is for more of a track than is here.
    ReceiptCoversMore = "receipt-covers-more", Missing;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_lists_every_code_with_its_class() {
        let format = include_str!("../../../docs/FORMAT.md");
        for code in ProblemCode::ALL {
            let class = match code.class() {
                ProblemClass::Altered => "altered",
                ProblemClass::Missing => "missing",
            };
            let row = format!("| `{}` | {class} |", code.as_str());
            assert!(format.contains(&row), "{row}");
        }
    }

    /// Tests and vectors name requirements by number: a number must not change hands.
    #[test]
    fn every_requirement_of_the_format_has_a_number_of_its_own() {
        let format = include_str!("../../../docs/FORMAT.md");
        let label = |line: &str| {
            let (_, rest) = line.split_once("- [R-")?;
            rest.split_once("] ")?.0.parse::<usize>().ok()
        };
        let mut numbers = Vec::new();
        let mut numbered = false;
        for line in format.lines().skip_while(|line| !line.starts_with("## ")) {
            // A requirement is a list item, and may go on in the lines after it.
            if line.starts_with("- ") || !line.starts_with("  ") {
                numbered = label(line).is_some();
            }
            numbers.extend(label(line));
            assert!(
                numbered || !line.contains("MUST"),
                "without a number: {line}"
            );
        }
        numbers.sort_unstable();
        let expected: Vec<usize> = (1..=numbers.len()).collect();
        assert_eq!(numbers, expected, "a number is missing, or used twice");
    }
}
