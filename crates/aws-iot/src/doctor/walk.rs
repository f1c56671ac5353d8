//! The order of the steps.

use iot_transport::tls::Presented;
use iot_transport::{Attempt, BoxIo, ConnectError, ConnectErrorKind, Connector, Phase, Tcp};
use tokio::time::timeout;

#[cfg(feature = "websocket")]
use super::aws::Principal;
use super::aws::Who;
use super::connection::not_dialled;
use super::converse::converse;
use super::network::Whose;
use super::notes::{Notes, Stop};
use super::report::{Check, Finding, Outcome, Report, Step};
use super::settings::{Patient, place, settings};
use super::{network, tls};
use crate::door::Door;

pub(super) async fn examine(patient: Patient, observer: &mut (dyn FnMut(&Check) + Send)) -> Report {
    let mut notes = Notes::new(patient.subject(), observer);
    if walk(&patient, &mut notes).await.is_err() {
        notes.skip_before(None, "not reached");
    }
    notes.report
}

async fn walk(patient: &Patient, notes: &mut Notes<'_>) -> Result<(), Stop> {
    let mut who = settings(patient, notes).await?;
    let io = match &patient.door {
        Door::Own(connector) => {
            let dialled = timeout(patient.limit, connector.connect(&Attempt::within(1, patient.limit))).await;
            let error = match dialled {
                Ok(Ok(io)) => {
                    notes.skip_before(Some(Step::Connect), "the connector is the program's own");
                    return converse(patient, notes, &who, io).await;
                }
                Ok(Err(error)) => error,
                Err(_) => ConnectError::new(
                    Phase::Tcp,
                    ConnectErrorKind::TimedOut,
                    "the connector gave no stream in time",
                ),
            };
            let (step, mut finding) = not_dialled(&error, &who);
            finding.means = "the program's own connector gives no stream".into();
            notes.skip_before(Some(step), "the connector is the program's own");
            return Err(notes.fail(step, finding));
        }
        _ => {
            let address = place(patient, notes)?;
            who.region = who.region.or_else(|| iot_transport::region_of(&address.0).ok());
            network(patient, notes, &address, &who).await?;
            server(patient, notes, &address, &who).await?;
            dial(patient, notes, &address, &who).await?
        }
    };
    converse(patient, notes, &who, io).await
}

/// Name, addresses, proxy.
async fn network(
    patient: &Patient,
    notes: &mut Notes<'_>,
    (host, port): &(String, u16),
    who: &Who,
) -> Result<(), Stop> {
    let (whose, near) = (Whose::Endpoint, (host.as_str(), *port));
    #[cfg(feature = "proxy")]
    let (whose, near) = match &patient.way.proxy {
        Some(proxy) => (Whose::Proxy, proxy.address()),
        None => (whose, near),
    };
    let (outcome, addresses) = network::resolve(whose, near.0, near.1, patient.limit).await;
    notes.note(Step::Dns, outcome)?;
    let outcome = network::connect(whose, &addresses, patient.limit).await;
    notes.note(Step::Tcp, outcome)?;
    #[cfg(feature = "proxy")]
    if let Some(proxy) = &patient.way.proxy {
        let dialled = proxy.tunnel(host, *port).connect(&Attempt::within(1, patient.limit)).await;
        if let Err(error) = dialled {
            let (_, finding) = not_dialled(&error, who);
            return Err(notes.fail(Step::Proxy, finding));
        }
        return notes.pass(Step::Proxy, format!("{}:{} leads to {host}:{port}", near.0, near.1));
    }
    #[cfg(not(feature = "proxy"))]
    let _ = who;
    notes.skip(Step::Proxy, "there is none");
    Ok(())
}

/// TLS and ALPN.
async fn server(
    patient: &Patient,
    notes: &mut Notes<'_>,
    (host, port): &(String, u16),
    who: &Who,
) -> Result<(), Stop> {
    let presented = Presented::default();
    let options = patient.door.tls(&patient.way, *port).presented(presented.clone());
    let asked = patient.door.protocol(*port);
    let direct = || Tcp::new(host.as_str(), *port);
    #[cfg(feature = "proxy")]
    let shaken = match &patient.way.proxy {
        Some(proxy) => tls::handshake(proxy.tunnel(host, *port), options, patient.limit).await,
        None => tls::handshake(direct(), options, patient.limit).await,
    };
    #[cfg(not(feature = "proxy"))]
    let shaken = tls::handshake(direct(), options, patient.limit).await;
    let shaken = match shaken {
        Ok(shaken) => shaken,
        Err(error) => {
            let (part, finding) = tls::failed(&error, host, asked, &presented, who);
            return Err(match part {
                tls::Part::Server => notes.fail(Step::Tls, finding),
                tls::Part::Protocol => {
                    notes.skip(Step::Tls, "the server ended the handshake before it showed its certificate");
                    notes.fail(Step::Alpn, finding)
                }
                tls::Part::ClientCertificate => {
                    if presented.chain().is_empty() {
                        notes.skip(
                            Step::Tls,
                            "the server ended the handshake before it showed its certificate",
                        );
                    } else {
                        notes.pass(Step::Tls, "the server's certificate is good")?;
                    }
                    notes.skip(Step::Alpn, "the server ended the handshake");
                    notes.fail(Step::ClientCertificate, finding)
                }
            });
        }
    };
    notes.pass(Step::Tls, shaken.detail)?;
    match (asked, shaken.protocol) {
        (None, _) => notes.skip(Step::Alpn, "this port needs none"),
        (Some(_), Some(chosen)) => notes.pass(Step::Alpn, chosen)?,
        (Some(asked), None) if asked == iot_transport::alpn::HTTP => {
            notes.pass(Step::Alpn, "the server chose none, and WebSocket needs none")?;
        }
        (Some(asked), None) => {
            let finding = Finding::new(
                format!("the server chose no protocol, where {asked} was offered"),
                "without it port 443 speaks HTTP: something on the way ends TLS and begins it anew, or this is not AWS IoT Core; \
                 an endpoint whose domain configuration names one protocol does without",
                "if CONNECT fails, too: use port 8883, or have TLS inspection leave this host alone",
            );
            notes.note(Step::Alpn, Outcome::Doubtful(finding))?;
        }
    }
    Ok(())
}

/// The stream that the program would get.
async fn dial(
    patient: &Patient,
    notes: &mut Notes<'_>,
    (host, port): &(String, u16),
    who: &Who,
) -> Result<BoxIo, Stop> {
    let dialled = match patient.door.connector(&patient.way, (host, *port), true) {
        Ok(connector) => connector.connect(&Attempt::within(1, patient.limit)).await,
        // Files were good a moment ago.
        Err(error) => {
            let finding =
                Finding::new(error.to_string(), "the settings are good no more", "examine once more");
            return Err(notes.fail(Step::Settings, finding));
        }
    };
    let io = match dialled {
        Ok(io) => io,
        Err(error) => {
            let (step, finding) = not_dialled(&error, who);
            if step == Step::Upgrade {
                notes.skip_before(Some(Step::Credentials), "no client certificate is shown at this door");
                credentials(notes, who)?;
            }
            notes.skip_before(Some(step), "no client certificate is shown at this door");
            return Err(notes.fail(step, finding));
        }
    };
    #[cfg(feature = "websocket")]
    if who.principal == Principal::Iam || matches!(patient.door, Door::WebSocketCustomAuthorizer(_)) {
        notes.skip(Step::ClientCertificate, "no client certificate is shown at this door");
        credentials(notes, who)?;
        notes.pass(Step::Upgrade, "the server switched to WebSocket")?;
    }
    Ok(io)
}

fn credentials(notes: &mut Notes<'_>, who: &Who) -> Result<(), Stop> {
    #[cfg(feature = "websocket")]
    if who.principal == Principal::Iam {
        return notes.pass(Step::Credentials, "there are some, and the request is signed");
    }
    let _ = who;
    notes.skip(Step::Credentials, "this door needs none");
    Ok(())
}
