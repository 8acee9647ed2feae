//! How the servers take HTTP connections.
//!
//! Every connection has time limits: for its headers (an idle connection counts as waiting for headers), for a body that
//! arrives too slowly, and for a peer that reads nothing. There are limits on what one connection's head and one
//! address's unanswered bodies take up, and on connections in total and per address; the
//! total also fits into the process's descriptor limit, and no address gets more than half of it. Accepting goes on
//! after errors such as running out of descriptors. A panic ends its own request or task.
//!
//! | module | what |
//! |---|---|
//! | [`options`] | the limits as command-line options |
//! | [`accept`] | the accept loop, one task per connection, graceful stop |
//! | [`address`] | who the client is, also behind a trusted proxy; what one address holds |
//! | `pace` | a request body that ends when it arrives too slowly |
//! | [`stall`] | a stream that ends when its peer stops reading |
//! | [`task`] | background work that survives its own panics |
//!
//! Invariant: whatever a client sends or does not send, its connection ends by itself, and until then it costs one
//! of its address's places.

pub mod accept;
pub mod address;
pub mod options;
mod pace;
pub mod stall;
pub mod task;

pub use accept::serve;
pub use address::Client;
pub use options::Options;
