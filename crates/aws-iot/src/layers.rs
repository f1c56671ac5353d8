//! What goes around the stack of a client.

use iot_session::layers::StandardStage;
use iot_session::proto::Engine;
use iot_session::{Layer, Stage};

/// Layers that can go around a client's own: whatever is a [`Layer`] there. For functions that take a
/// [`Builder`](crate::Builder) with any.
pub trait Layers {
    /// What comes of it.
    type Stage: Stage + Send + 'static;

    /// Puts it around the client's own layers.
    fn around(self, standard: StandardStage<Engine>) -> Self::Stage;
}

impl<L> Layers for L
where
    L: Layer<StandardStage<Engine>>,
    L::Stage: Send + 'static,
{
    type Stage = L::Stage;

    fn around(self, standard: StandardStage<Engine>) -> L::Stage {
        self.layer(standard)
    }
}
