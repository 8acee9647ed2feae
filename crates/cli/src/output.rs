//! One result for each command: text for people, one line of JSON for programs.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

/// How a command ended, when nothing kept it from ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Well,
    Refused,
    Incomplete,
}

pub struct Output {
    pub json: bool,
}

impl Output {
    /// Prints the result: `json` as one line, or else what `text` writes.
    pub fn result(
        &self,
        json: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        let line = if self.json {
            serde_json::to_string(json)?
        } else {
            text()
        };
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{}", line.trim_end_matches('\n'))?;
        stdout.flush()?;
        Ok(())
    }

    /// Prints why a command failed.
    pub fn error(&self, error: &anyhow::Error) {
        if self.json {
            println!(
                "{}",
                serde_json::json!({ "ok": false, "error": format!("{error:#}") })
            );
        } else {
            eprintln!("sealed-visit: {error:#}");
        }
    }
}

/// Writes a new file that only its owner may read; refuses to replace one.
pub fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    write_new(path, bytes, 0o600)
}

/// Writes a new file that everybody may read; refuses to replace one.
pub fn write_public(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    write_new(path, bytes, 0o644)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let mut file = create(path, mode, false)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .with_context(|| format!("writing {}", path.display()))
}

/// Creates a file with these permissions, where the system has them.
pub fn create(path: &Path, mode: u32, replace: bool) -> anyhow::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    if replace {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options
        .open(path)
        .with_context(|| match path.exists() && !replace {
            true => format!("{} exists already and is not replaced", path.display()),
            false => format!("making {}", path.display()),
        })
}

/// Writes a file whole or not at all, in place of an older one.
pub fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut scratch = path.as_os_str().to_owned();
    scratch.push(".new");
    let scratch = Path::new(&scratch);
    let mut file = create(scratch, 0o644, true)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(scratch, path))
        .with_context(|| format!("writing {}", path.display()))
}

/// Reads a small text file, trimmed.
pub fn read_text(path: &Path) -> anyhow::Result<String> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(text.trim().to_owned())
}
