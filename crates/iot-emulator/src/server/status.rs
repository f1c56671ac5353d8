//! What the page in the browser shows, as one JSON document.

use serde_json::{Value, json};

use super::history::Seen;
use super::hub::Hub;

/// The most of each list; the document says how many are left out.
const CONNECTIONS: usize = 1_000;
const SUBSCRIPTIONS: usize = 5_000;

/// How long all shadows together may become, in bytes; the one that crosses the line is the last.
const SHADOWS: usize = 1024 * 1024;

impl Hub {
    /// Everything there is to see, with bounds for whatever clients can make more of.
    pub(super) fn status(&self, endpoint: &str, port: u16) -> Value {
        let connections: Vec<Value> = self
            .broker
            .connections()
            .take(CONNECTIONS)
            .map(|(id, client_id, version)| {
                json!({
                    "clientId": client_id,
                    "version": if version.is_v5() { "5" } else { "3.1.1" },
                    "connectedSeconds": self.age(id).as_secs_f64(),
                })
            })
            .collect();
        let (sessions, more_sessions) = self.sessions();
        let (shadows, more_shadows) = self.shadow_documents();
        let stats = self.broker.stats();
        json!({
            "endpoint": endpoint,
            "port": port,
            "uptimeSeconds": self.clock.now().as_secs_f64(),
            "leftOut": {
                "connections": self.broker.connections().count().saturating_sub(connections.len()),
                "subscriptions": more_sessions,
                "shadows": more_shadows,
            },
            "connections": connections,
            "sessions": sessions,
            "shadows": shadows,
            "messages": self.history.iter().map(|seen| self.message(seen)).collect::<Vec<_>>(),
            "dropped": {
                "queueFull": stats.queue_full,
                "tooLarge": stats.too_large,
                "expired": stats.expired,
                "retainedFull": stats.retained_full,
            },
        })
    }

    /// Sessions with their subscriptions, and how many of the subscriptions are left out.
    fn sessions(&self) -> (Vec<Value>, usize) {
        let mut room = SUBSCRIPTIONS;
        let mut left_out = 0;
        let mut sessions = Vec::new();
        for session in self.broker.sessions() {
            let all = session.subscriptions().count();
            if room == 0 {
                left_out += all.max(1);
                continue;
            }
            let subscriptions: Vec<Value> = session
                .subscriptions()
                .take(room)
                .map(|(filter, qos)| json!({ "filter": filter.as_str(), "qos": qos as u8 }))
                .collect();
            left_out += all.saturating_sub(subscriptions.len());
            // One without any is a row of the page too.
            room = room.saturating_sub(subscriptions.len().max(1));
            sessions.push(json!({
                "clientId": session.client_id(),
                "connected": session.is_connected(),
                "subscriptions": subscriptions,
                "queued": session.queued(),
            }));
        }
        (sessions, left_out)
    }

    /// Shadows, and how many of them are left out.
    fn shadow_documents(&self) -> (Vec<Value>, usize) {
        let mut room = SHADOWS;
        let mut shadows = Vec::new();
        for id in self.shadows.ids() {
            if room == 0 {
                break;
            }
            let Some(mut document) = self.shadows.document(id) else { continue };
            room = room.saturating_sub(document.to_string().len());
            if let Some(fields) = document.as_object_mut() {
                fields.insert("thing".to_owned(), id.thing().into());
                fields.insert("name".to_owned(), id.name().into());
            }
            shadows.push(document);
        }
        let left_out = self.shadows.ids().count().saturating_sub(shadows.len());
        (shadows, left_out)
    }

    fn message(&self, seen: &Seen) -> Value {
        let cut = seen.payload.len() < seen.len;
        let text = match std::str::from_utf8(&seen.payload) {
            Ok(text) => Some(text),
            // Cut in the middle of a character.
            Err(error) if cut && error.error_len().is_none() => {
                seen.payload.get(..error.valid_up_to()).and_then(|whole| std::str::from_utf8(whole).ok())
            }
            Err(_) => None,
        };
        let hex = || seen.payload.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        json!({
            "number": seen.number,
            "secondsAgo": self.clock.now().saturating_sub(seen.at).as_secs_f64(),
            "from": seen.from,
            "topic": seen.topic,
            "qos": seen.qos as u8,
            "payload": text,
            "payloadHex": text.is_none().then(hex),
            "bytes": seen.len,
            "cut": cut,
        })
    }
}
