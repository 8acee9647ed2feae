//! Background work that survives its own panics.

use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

const PAUSE: Duration = Duration::from_secs(1);

/// Runs work that should never end, and starts it again after a panic. Ends when the work returns.
///
/// What the work shares must survive a panic in the middle of a change: databases with transactions do, and locks whose
/// holders accept poison.
pub async fn restarted<F: Future<Output = ()>>(name: &'static str, mut start: impl FnMut() -> F) {
    while AssertUnwindSafe(start()).catch_unwind().await.is_err() {
        tracing::error!(name, "background work panicked; it starts again");
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_panics_starts_again() {
        let mut runs = 0;
        restarted("test", || {
            runs += 1;
            let run = runs;
            async move { assert!(run >= 2, "on purpose") }
        })
        .await;
        assert_eq!(runs, 2);
    }
}
