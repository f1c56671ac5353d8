//! The layers of this crate as one, in their order.

use super::{
    OfflineQueue, OfflineQueueStage, Outbox, OutboxStage, Pacing, PacingStage, Reconnect, ReconnectStage,
    Resubscribe, ResubscribeStage, Retry, RetryStage,
};
use crate::stage::{Layer, Stage, stack};

/// All layers of this crate around an engine, in the order in which a session recovers, from the inside out: paced,
/// connected again, subscribed again, what was in flight sent again, what piled up drained.
///
/// ```
/// use iot_session::layers::{OfflineQueue, Pacing, Standard};
/// use iot_session::proto::{ConnectOptions, Engine};
/// use iot_session::{Version, stack};
///
/// let engine = Engine::new(ConnectOptions::new(Version::V5, "my-device")?);
/// let codec = engine.codec();
/// let layers = Standard {
///     queue: OfflineQueue::bounded(1_000).max_bytes(1024 * 1024),
///     pacing: Pacing::aws_iot_core(),
///     ..Standard::default()
/// };
/// let stage = stack(engine).layer(layers).into_stage();
/// # let _ = (stage, codec);
/// # Ok::<(), iot_session::OptionsError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Standard {
    /// How fast messages go out. Default: as fast as they come.
    pub pacing: Pacing,
    /// When to dial again.
    pub reconnect: Reconnect,
    /// How subscriptions are kept.
    pub resubscribe: Resubscribe,
    /// What was in flight when the session was lost.
    pub retry: Retry,
    /// What is published while there is no connection. Does nothing where there is an outbox.
    pub queue: OfflineQueue,
    /// What is kept on disk until it is acknowledged. Default: nothing.
    pub outbox: Option<Outbox>,
}

/// What [`Standard`] makes of a stage.
pub type StandardStage<S> =
    OutboxStage<OfflineQueueStage<RetryStage<ResubscribeStage<ReconnectStage<PacingStage<S>>>>>>;

impl<S: Stage> Layer<S> for Standard {
    type Stage = StandardStage<S>;

    fn layer(self, inner: S) -> Self::Stage {
        stack(inner)
            .layer(self.pacing)
            .layer(self.reconnect)
            .layer(self.resubscribe)
            .layer(self.retry)
            .layer(if self.outbox.is_some() { OfflineQueue::disabled() } else { self.queue })
            .layer(self.outbox)
            .into_stage()
    }
}
