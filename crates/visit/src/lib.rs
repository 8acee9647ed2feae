//! A visit: who is in it, what they agreed to, and everything that follows from both.
//!
//! | module | what | standard |
//! |---|---|---|
//! | [`group`] | the visit's group and its consent gate | RFC 9420 |
//! | [`visit`] | the state machine over group, relay and people: `Input` in, `Output` out | |
//!
//! Sans-IO: no clock, socket or disk. Time and bytes come in as arguments, what is to be done goes out as values, so the
//! same source runs natively in tests and as WebAssembly in a page's worker. `group` does not know `visit`.

#![warn(missing_docs)]

pub mod group;
#[cfg(test)]
mod sabotage;
pub mod visit;
