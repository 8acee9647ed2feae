//! Writes every forwarded RTP payload to a file, so that a test can look for plaintext in what an SFU sees.
//!
//! Only in builds with the feature `tap`. The payload is what remains after SRTP: the packet as the sender's
//! encoder and encryption made it, cut by the packetiser.
//!
//! Format, all integers big-endian. The file begins with the 8 bytes `svtap\0\0\1`. Then records:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of the rest of the record |
//! | 16 | publisher's participant id |
//! | 1 | length of the track's name, *n* |
//! | *n* | the track's name in UTF-8 |
//! | 1 | kind: 0 audio, 1 video |
//! | 1 | RTP payload type, as received |
//! | 1 | marker bit |
//! | 8 | extended sequence number, as received |
//! | 4 | RTP timestamp, as received |
//! | the rest | the payload |
//!
//! A packet is written once, however many subscribers it goes to.

use sealed_visit_protocol::ParticipantId;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

#[derive(Debug)]
pub struct Tap {
    file: BufWriter<File>,
}

/// What a record says beside the payload.
#[derive(Debug)]
pub struct Tapped<'a> {
    pub publisher: ParticipantId,
    pub track: &'a str,
    pub is_video: bool,
    pub payload_type: u8,
    pub marker: bool,
    pub seq: u64,
    pub timestamp: u32,
    pub payload: &'a [u8],
}

impl Tap {
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(b"svtap\0\0\x01")?;
        Ok(Self { file })
    }

    pub fn write(&mut self, packet: &Tapped<'_>) -> io::Result<()> {
        let name = &packet.track.as_bytes()[..packet.track.len().min(255)];
        let mut record = Vec::with_capacity(36 + name.len() + packet.payload.len());
        record.extend_from_slice(&[0; 4]);
        record.extend_from_slice(packet.publisher.as_bytes());
        record.push(name.len() as u8);
        record.extend_from_slice(name);
        record.extend_from_slice(&[
            u8::from(packet.is_video),
            packet.payload_type,
            u8::from(packet.marker),
        ]);
        record.extend_from_slice(&packet.seq.to_be_bytes());
        record.extend_from_slice(&packet.timestamp.to_be_bytes());
        record.extend_from_slice(packet.payload);
        let length = (record.len() - 4) as u32;
        record[..4].copy_from_slice(&length.to_be_bytes());
        self.file.write_all(&record)
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
