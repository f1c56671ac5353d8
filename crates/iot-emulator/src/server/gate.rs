//! What stands between a transport connection and the broker: who may connect, and for how long.

use std::sync::Arc;
use std::time::Duration;

use mqtt_codec::ReasonCode;
use mqtt_codec::packet::Connect;

use super::hub::End;
use super::service::Service;
use crate::access::{HttpContext, Origin};

/// How long a WebSocket may last at most: a day, as AWS IoT Core has it.
const WEBSOCKET_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The gate of one connection.
#[derive(Debug)]
pub(super) struct Gate {
    service: Arc<Service>,
    origin: Origin,
    asks: Asks,
    /// What is known before CONNECT.
    lifetime: Option<Duration>,
    end_of_stream: End,
}

/// Who is asked about CONNECT.
#[derive(Debug)]
enum Asks {
    /// Nobody: the client has shown who it is, or need not.
    Nobody,
    /// The custom authorizer, which also sees the request for a WebSocket.
    Authorizer(Option<HttpContext>),
}

/// What becomes of a CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The broker sees it; the connection may last that long from now on.
    Pass(Option<Duration>),
    /// It does not, and the client is told the reason, if there is one.
    TurnAway(Option<ReasonCode>),
}

impl Gate {
    /// For a client with a certificate, or one that needs none.
    pub(super) fn open(service: Arc<Service>, origin: Origin) -> Self {
        Self { service, origin, asks: Asks::Nobody, lifetime: None, end_of_stream: End::Cut }
    }

    /// For a client whose CONNECT is to convince the custom authorizer.
    pub(super) fn authorizer(service: Arc<Service>, origin: Origin) -> Self {
        Self { asks: Asks::Authorizer(None), ..Self::open(service, origin) }
    }

    /// For a WebSocket whose request has been accepted, or left to CONNECT (`ask`).
    pub(super) fn websocket(
        service: Arc<Service>,
        origin: Origin,
        ask: Option<HttpContext>,
        lifetime: Option<Duration>,
    ) -> Self {
        Self {
            asks: ask.map_or(Asks::Nobody, |http| Asks::Authorizer(Some(http))),
            lifetime: shorter(Some(WEBSOCKET_LIFETIME), lifetime),
            // A WebSocket ends with a close frame, or with an error.
            end_of_stream: End::Left,
            ..Self::open(service, origin)
        }
    }

    /// How long the connection may last, as far as is known before CONNECT.
    pub(super) fn lifetime(&self) -> Option<Duration> {
        self.lifetime
    }

    /// What the end of the stream means.
    pub(super) fn end_of_stream(&self) -> End {
        self.end_of_stream
    }

    /// Decides about a CONNECT.
    pub(super) fn admit(&self, connect: &Connect) -> Verdict {
        if self.origin.certificate.as_ref().is_some_and(|own| !self.service.certificates.is_active(own)) {
            return Verdict::TurnAway(None);
        }
        match &self.asks {
            Asks::Nobody => Verdict::Pass(self.lifetime),
            Asks::Authorizer(http) => {
                let authorizer = &self.service.authorizer;
                match authorizer.authorize_connect(connect, &self.origin, http.clone()) {
                    Ok(lifetime) => Verdict::Pass(shorter(self.lifetime, lifetime)),
                    Err(_) => Verdict::TurnAway(Some(ReasonCode::NotAuthorized)),
                }
            }
        }
    }
}

fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}
