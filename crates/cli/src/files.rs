//! Reading: regular files only, and never more than a file of its kind may have.
//!
//! Invariant: nothing here waits for anybody. A FIFO, a device or a socket where a file should be is refused before
//! it is opened, and once more by its descriptor, in case it was exchanged in between.

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use crate::exit::{Exit, Failure};
use crate::text::shown;

/// A signed document has at most 1 MiB; the rest is for white space.
pub const MAX_DOCUMENT_BYTES: u64 = 2 << 20;
/// The vault's answer has several documents for each part.
pub const MAX_RECORDING_BYTES: u64 = 64 << 20;
/// One file of an audit log, or of heads kept from it.
pub const MAX_LOG_BYTES: u64 = 1 << 30;
/// Key files, public keys, passphrases.
pub const MAX_KEY_BYTES: u64 = 64 << 10;

/// Opens a regular file for reading.
pub fn open(path: &Path) -> anyhow::Result<File> {
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    check(path, &metadata)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        // The flags have few bits, of C's `int`.
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits() as i32);
    }
    let file = options
        .open(path)
        .map_err(|error| unreadable(path, &error))?;
    let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
    check(path, &metadata)?;
    Ok(file)
}

/// Reads a whole small file.
pub fn read(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    read_from(path, open(path)?, limit)
}

/// Reads a small text file, trimmed.
pub fn read_text(path: &Path, limit: u64) -> anyhow::Result<String> {
    let text = String::from_utf8(read(path, limit)?).map_err(|_| {
        Failure::new(
            Exit::Unreadable,
            format!("{} is not a text file", shown(path.display())),
        )
    })?;
    Ok(text.trim().to_owned())
}

/// Reads what an open file has left, up to `limit`.
pub fn read_from(path: &Path, file: impl Read, limit: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(path, &error))?;
    if bytes.len() as u64 > limit {
        let path = shown(path.display());
        let message = format!("{path} has more than {limit} bytes, too many for such a file");
        return Err(Failure::new(Exit::Unreadable, message).into());
    }
    Ok(bytes)
}

/// Says which file cannot be read, and why.
pub fn unreadable(path: &Path, error: &io::Error) -> anyhow::Error {
    let path = shown(path.display());
    let failure = match error.kind() {
        io::ErrorKind::NotFound => Failure::new(Exit::Unreadable, format!("{path} does not exist"))
            .next("Check the path, or fetch the file again."),
        _ => Failure::new(Exit::Unreadable, format!("cannot read {path}: {error}")),
    };
    failure.into()
}

fn check(path: &Path, metadata: &Metadata) -> Result<(), Failure> {
    if metadata.is_file() {
        return Ok(());
    }
    let message = format!(
        "{} is {}, not a file",
        shown(path.display()),
        kind(metadata.file_type())
    );
    Err(Failure::new(Exit::Unreadable, message))
}

fn kind(file_type: FileType) -> &'static str {
    if file_type.is_dir() {
        return "a folder";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if file_type.is_fifo() {
            return "a FIFO (named pipe)";
        }
        if file_type.is_socket() {
            return "a socket";
        }
        if file_type.is_char_device() || file_type.is_block_device() {
            return "a device";
        }
    }
    "something else"
}
