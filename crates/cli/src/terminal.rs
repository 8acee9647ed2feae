//! The terminal while a passphrase is typed: it shows nothing, and must show things again however the run ends.

use std::sync::Mutex;

#[cfg(unix)]
type Settings = rustix::termios::Termios;
#[cfg(not(unix))]
type Settings = ();

static BEFORE: Mutex<Option<Settings>> = Mutex::new(None);

/// Remembers the terminal's settings until it is dropped.
pub struct Kept(());

pub fn keep() -> Kept {
    set(current());
    Kept(())
}

impl Drop for Kept {
    fn drop(&mut self) {
        set(None);
    }
}

fn set(settings: Option<Settings>) {
    if let Ok(mut before) = BEFORE.lock() {
        *before = settings;
    }
}

#[cfg(unix)]
fn current() -> Option<Settings> {
    let terminal = std::fs::File::open("/dev/tty").ok()?;
    rustix::termios::tcgetattr(&terminal).ok()
}

#[cfg(not(unix))]
fn current() -> Option<Settings> {
    None
}

/// Puts the settings back, from the thread that a signal reached.
pub fn restore() {
    #[cfg(unix)]
    if let Ok(before) = BEFORE.lock()
        && let Some(settings) = before.as_ref()
        && let Ok(terminal) = std::fs::File::open("/dev/tty")
    {
        use rustix::termios::{OptionalActions, tcsetattr};
        let _ = tcsetattr(&terminal, OptionalActions::Now, settings);
    }
}
