//! (The sealed fixtures of released versions.)
