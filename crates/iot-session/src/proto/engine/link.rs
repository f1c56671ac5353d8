//! The link comes up, CONNACK comes, the link goes.

use std::sync::Arc;

use mqtt_codec::packet::ConnAck;
use mqtt_codec::{ReasonCode, Text};

use super::super::keep_alive::KeepAlive;
use super::server::{Server, text};
use super::{Engine, State};
use crate::error::{ConnectionError, OpError};
use crate::stage::{Disconnected, Event, LinkUp, Output, Receipt};
use crate::time::Now;

impl Engine {
    pub(super) fn link_up(&mut self, now: Now, link: LinkUp) {
        if self.state != State::Down {
            return;
        }
        // A session that was opened here is taken up again if it lasts.
        let clean_start = self.options.clean_start && !(self.had_session && self.server.session_lasts());
        let Ok(connect) = self.options.connect(self.client_id.as_ref(), clean_start) else {
            let what = "the options make no CONNECT; ConnectOptions::validate says why";
            return self.fail(now, ConnectionError::Protocol(what));
        };
        let own = now.mono.after(self.options.connect_timeout);
        let deadline = link.deadline.map_or(own, |deadline| deadline.min(own));
        self.state = State::Connecting { deadline };
        self.clean_start = clean_start;
        self.incoming.restart();
        self.from_server.restart();
        self.send_connect(now, connect.into());
    }

    /// Hangs up and tells why.
    pub(super) fn fail(&mut self, now: Now, error: ConnectionError) {
        self.out.push_back(Output::Hangup);
        self.lost(now, error);
    }

    /// The link is gone, by our hand or another's.
    pub(super) fn lost(&mut self, now: Now, error: ConnectionError) {
        let was = std::mem::replace(&mut self.state, State::Down);
        let was_up = was == State::Up;
        // A refusal is an answer.
        let refused = matches!(error, ConnectionError::Refused { .. });
        self.unanswered |= matches!(was, State::Connecting { .. }) && !refused;
        self.keep_alive = KeepAlive::off();
        let lasts = self.server.session_lasts();
        if !lasts {
            self.incoming.session_lost();
        }
        let by_server = was_up && may_be_the_fault_of_a_message(&error);
        let ended = self.outgoing.link_lost(now.mono, by_server, lasts);
        self.tell(ended);
        if let Some(keeping) = &mut self.keeping {
            keeping.link_lost();
            keeping.doubtful(self.unanswered);
            self.note();
        }
        self.event(Event::Disconnected(Disconnected::new(error.clone())));
        if let Some(op) = self.connect.take() {
            self.done(op, Err(OpError::Connect(error)));
        }
    }

    pub(super) fn connack(&mut self, now: Now, connack: &ConnAck) {
        if self.keeping.as_ref().is_some_and(|keeping| keeping.holds_connect()) {
            return self.fail(now, ConnectionError::Protocol("CONNACK before CONNECT"));
        }
        if connack.reason != ReasonCode::Success {
            let says = connack.properties.as_ref();
            return self.fail(
                now,
                ConnectionError::Refused {
                    reason: connack.reason,
                    message: text(says.reason_string()),
                    server_reference: says.server_reference().map(Arc::from),
                },
            );
        }
        if connack.session_present && self.clean_start {
            // [MQTT-3.2.2-2]
            return self.fail(
                now,
                ConnectionError::Protocol("a session is present although a clean start was asked for"),
            );
        }
        let keep_alive = connack.properties.as_ref().server_keep_alive().unwrap_or(self.options.keep_alive);
        self.server = Server::new(connack, &self.options);
        self.keep_alive = KeepAlive::new(keep_alive, now.mono);
        self.state = State::Up;
        self.had_session = true;
        let assigned = text(connack.properties.as_ref().assigned_client_identifier());
        self.client_id = assigned.or(self.client_id.take());
        if let Some(keeping) = &mut self.keeping {
            let client_id = self.client_id.clone().or_else(|| Text::try_from(self.options.client_id()).ok());
            keeping.session(client_id);
            keeping.doubtful(false);
            if !connack.session_present {
                keeping.session_lost();
            }
        }
        self.to_server.restart(self.server.topic_aliases);
        let certain = !std::mem::take(&mut self.unanswered);
        let connected = self.server.connected(connack, keep_alive, certain);
        if connack.session_present {
            if !certain {
                let ended = self.outgoing.session_doubted();
                self.tell(ended);
            }
            self.outgoing.session_resumed();
        } else {
            // Before the news of the connection: whoever issues them again knows by then what there is.
            self.incoming.session_lost();
            let ended = self.outgoing.session_lost(now.mono);
            self.tell(ended);
        }
        self.note();
        self.event(Event::Connected(connected.clone()));
        if let Some(op) = self.connect.take() {
            self.done(op, Ok(Receipt::Connected(connected)));
        }
        self.send_publications(now);
    }
}

/// Whether a server that ends the connection like this may have meant something that it was sent.
fn may_be_the_fault_of_a_message(error: &ConnectionError) -> bool {
    match error {
        ConnectionError::Link(error) => error.is_by_peer(),
        ConnectionError::Server { reason, .. } => !matches!(
            reason,
            // The server says that it has other reasons.
            ReasonCode::SessionTakenOver
                | ReasonCode::ServerShuttingDown
                | ReasonCode::KeepAliveTimeout
                | ReasonCode::UseAnotherServer
                | ReasonCode::ServerMoved
                | ReasonCode::MaximumConnectTime
        ),
        _ => false,
    }
}
