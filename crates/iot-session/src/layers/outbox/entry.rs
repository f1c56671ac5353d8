//! One message of the outbox.

use std::time::Duration;

use crate::layers::waiting::Waiting;
use crate::stage::OpId;
use crate::time::Nanos;

/// How far it is.
///
/// ```text
///            Appended               handed on, if it lasts                      answered
///   Appending ───────► Stored ───────────────────────────────────────► issued ──────────► removed
///                        │ otherwise           Taken        handed on    │
///                        └──────────► Taking ───────► Taken ─────────────┤
///                        ▲                                               │ came back
///                        └───────────────────────────────────────────────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The store has not said that it has it.
    Appending,
    /// In the store.
    Stored,
    /// The store was told to forget it.
    Taking,
    /// In the store no more: only here.
    Taken,
}

/// What is known of a message, wherever its content is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) state: State,
    /// Whether it stays in the store until it is answered.
    pub(super) lasts: bool,
    /// Whether nobody may issue it again that may have been sent.
    pub(super) once: bool,
    /// Whether an earlier run of the program sent it.
    pub(super) sent: bool,
    /// Topic, properties and payload, in bytes.
    pub(super) size: usize,
    /// Who is told; `None`: an earlier run of the program published it.
    pub(super) waiter: Option<OpId>,
    /// Since when it waits in this run.
    pub(super) since: Nanos,
    /// How long it had waited before.
    pub(super) age: Duration,
    pub(super) expiry: Option<Nanos>,
}

/// A message that waits for its turn.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) entry: Entry,
    /// `None`: it is in the store only.
    pub(super) content: Option<Box<Waiting>>,
}
