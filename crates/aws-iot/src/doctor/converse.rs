//! MQTT, from CONNECT to the good-bye.

use iot_session::{Message, TopicFilter};
use iot_transport::BoxIo;
use tokio::time::timeout;

use super::aws::{Principal, Who};
use super::connection::{not_connected, session};
use super::notes::{Notes, Stop};
use super::report::{Outcome, Step};
use super::settings::{Patient, test_topic};
use super::talk::Talk;
use crate::start;

/// MQTT, up to the good-bye.
pub(super) async fn converse(
    patient: &Patient,
    notes: &mut Notes<'_>,
    who: &Who,
    io: BoxIo,
) -> Result<(), Stop> {
    let (Ok(options), Ok(topic)) = (&patient.options, test_topic(patient)) else { return Err(Stop) };
    let client = session(io, options.clone(), patient.limit);
    let connected = timeout(patient.limit, client.connect()).await;
    let connected = connected.unwrap_or(Err(iot_session::OpError::TimedOut));
    if let Err(error) = &connected
        && let (Step::ClientCertificate, finding) = not_connected(error, who)
    {
        return Err(notes.fail(Step::ClientCertificate, finding));
    }
    if who.principal == Principal::Certificate {
        let detail = if connected.is_ok() { "accepted" } else { "shown, and not refused by TLS" };
        notes.pass(Step::ClientCertificate, detail)?;
    }
    notes.skip_before(Some(Step::Connect), "this door needs none");
    match connected {
        Ok(connected) => {
            let kept = if connected.session_present { "the session that was left" } else { "a new session" };
            let detail = format!("{}, {kept}, keep-alive {} s", connected.version, connected.keep_alive);
            notes.pass(Step::Connect, detail)?;
        }
        Err(error) => return Err(notes.fail(Step::Connect, not_connected(&error, who).1)),
    }
    let talk = Talk { client: &client, who, limit: patient.limit };
    // What one topic is refused says nothing of the others: on as long as there is a connection.
    let _ = message(&talk, notes, &topic).await;
    if talk.is_up() {
        let outcome = shadow(patient, &talk).await;
        let _ = notes.note(Step::Shadow, outcome);
    }
    if talk.is_up() {
        let outcome = talk.disconnect().await;
        let _ = notes.note(Step::Disconnect, outcome);
    }
    notes.skip_before(None, "the connection has ended");
    Ok(())
}

async fn message(talk: &Talk<'_>, notes: &mut Notes<'_>, topic: &str) -> Result<(), Stop> {
    let payload = format!("examination {:016x}", start::random());
    let (Ok(filter), Ok(message)) = (TopicFilter::try_from(topic), Message::new(topic, payload.clone()))
    else {
        return Err(Stop);
    };
    let (outcome, messages) = talk.subscribe(&filter).await;
    let subscribed = notes.note(Step::Subscribe, outcome);
    if !talk.is_up() {
        return Err(Stop);
    }
    let outcome = talk.publish(message).await;
    notes.note(Step::Publish, outcome)?;
    match messages {
        Some(mut messages) => {
            let outcome = talk.receive(&mut messages, topic, payload.as_bytes()).await;
            notes.note(Step::Receive, outcome)
        }
        None => {
            notes.skip(Step::Receive, "nothing is subscribed");
            subscribed
        }
    }
}

async fn shadow(patient: &Patient, talk: &Talk<'_>) -> Outcome {
    let skipped = |why: &str| Outcome::Skipped { why: why.into() };
    match &patient.thing_name {
        None => skipped("no thing is named"),
        #[cfg(feature = "shadow")]
        Some(thing) => talk.shadow(thing).await,
        #[cfg(not(feature = "shadow"))]
        Some(_) => {
            let _ = talk;
            skipped("the program is built without the feature `shadow`")
        }
    }
}
