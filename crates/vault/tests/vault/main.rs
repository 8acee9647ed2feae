//! The vault as its clients meet it: every answer, every refusal, and crashes.

#[path = "../common/mod.rs"]
mod common;

mod at_rest;
mod deletion;
mod finish;
mod open;
mod process;
mod proof;
mod quota;
mod reading;
#[cfg(feature = "s3")]
mod s3;
mod tus;
mod tus_faults;
mod vectors;
mod wipe;
mod withdrawals;
