//! Tests of the state machine: several of them over the relay's real ordering code.

mod adversaries;
mod away;
mod consent;
mod interpreter;
mod life;
mod meeting;
mod memory;
mod model;
mod outside;
mod pause;
mod rules;
mod sim;
mod strangers;
