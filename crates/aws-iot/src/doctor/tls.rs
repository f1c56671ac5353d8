//! A TLS handshake of its own, and what its failure means.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use iot_transport::tls::rustls::{AlertDescription, CertificateError, Error as TlsError};
use iot_transport::tls::{CertificateFacts, Presented, TlsSetupErrorKind as Setup};
use iot_transport::{
    Attempt, ConnectError, ConnectErrorKind as Kind, Connector, Tls, TlsOptions, TlsSetupError,
};
use tokio::io::AsyncWrite;
use tokio::time::timeout;

use super::aws::{Principal, Who};
use super::endpoint::is_aws;
use super::report::Finding;

/// What a handshake came to.
pub(super) struct Shaken {
    /// In words.
    pub(super) detail: String,
    pub(super) protocol: Option<String>,
}

/// Shakes hands and closes.
pub(super) async fn handshake(
    inner: impl Connector,
    options: TlsOptions,
    limit: Duration,
) -> Result<Shaken, ConnectError> {
    let mut stream = Tls::new(inner, options).connect(&Attempt::within(1, limit)).await?;
    let (_, session) = stream.get_ref();
    let version = session.protocol_version().map_or("TLS", |version| match version.as_str() {
        Some("TLSv1_3") => "TLS 1.3",
        Some("TLSv1_2") => "TLS 1.2",
        _ => "TLS",
    });
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    let facts = certificate.and_then(|certificate| CertificateFacts::of(certificate));
    let detail = facts.map_or_else(|| version.to_owned(), |facts| format!("{version}, {facts}"));
    let protocol =
        session.alpn_protocol().map(|name| String::from_utf8_lossy(name).escape_debug().to_string());
    // Who does not take the good-bye in time has been told enough.
    let _ = timeout(limit, poll_fn(|context| Pin::new(&mut stream).poll_shutdown(context))).await;
    Ok(Shaken { detail, protocol })
}

/// What is wrong with files and settings of TLS.
pub(super) fn wrong_setup(error: &TlsSetupError) -> Finding {
    let sentence = error.to_string();
    match error.kind() {
        Setup::KeyMismatch => Finding::of(
            &sentence,
            "certificate and key are of two different devices or renewals: whoever shows this certificate cannot prove \
             that it is theirs",
            "",
        ),
        Setup::ExpiredCertificate | Setup::CertificateNotYetValid => Finding::new(
            sentence,
            "AWS IoT Core refuses certificates that are outside their dates; if the dates are right, it is this device's clock \
             that is wrong",
            "set the clock (NTP); if it is right, have a new certificate issued, registered and activated, and its policy \
             attached",
        ),
        Setup::Missing | Setup::Unreadable | Setup::Empty | Setup::TooLarge | Setup::Malformed => {
            Finding::of(&sentence, "the program cannot read what it is to connect with", "")
        }
        Setup::Provider | Setup::PlatformVerifier => {
            Finding::of(&sentence, "TLS does not work in this program as it is built and installed", "")
        }
        _ => Finding::of(
            &sentence,
            "it is not what it has to be: the files may be swapped, or of another kind",
            "",
        ),
    }
}

/// Which part of TLS failed.
pub(super) enum Part {
    Server,
    Protocol,
    ClientCertificate,
}

/// What a handshake's failure means.
pub(super) fn failed(
    error: &ConnectError,
    host: &str,
    protocol: Option<&str>,
    presented: &Presented,
    who: &Who,
) -> (Part, Finding) {
    match tls_error(error) {
        Some(TlsError::InvalidCertificate(wrong)) => {
            (Part::Server, certificate(error, wrong, host, presented))
        }
        Some(TlsError::AlertReceived(AlertDescription::NoApplicationProtocol)) => (
            Part::Protocol,
            Finding::of(
                error.reason(),
                format!(
                    "this endpoint does not speak {} at this port: it may be set up (domain configuration) for another \
                     way to log in",
                    protocol.unwrap_or("this protocol")
                ),
                "check the port; look at `aws iot describe-domain-configuration`: its authenticationType and \
                 applicationProtocol must fit the way you connect",
            ),
        ),
        Some(TlsError::AlertReceived(alert)) => match refused_certificate(*alert, error.reason(), who) {
            Some(finding) => (Part::ClientCertificate, finding),
            None => (Part::Server, other_alert(*alert, error.reason())),
        },
        Some(TlsError::FailedToGetCurrentTime) => {
            (Part::Server, Finding::of(error.reason(), "without a clock no certificate can be checked", ""))
        }
        Some(
            TlsError::InappropriateMessage { .. }
            | TlsError::InappropriateHandshakeMessage { .. }
            | TlsError::InvalidMessage(_)
            | TlsError::PeerMisbehaved(_)
            | TlsError::DecryptError,
        ) if error.kind() != Kind::Protocol => (
            Part::Server,
            Finding::of(
                error.reason(),
                "it is not AWS IoT Core that answers: what comes is not what a server of TLS says",
                "check endpoint and port: 8883, or 443; find out who answers there",
            ),
        ),
        _ => (Part::Server, no_tls(error)),
    }
}

fn certificate(error: &ConnectError, wrong: &CertificateError, host: &str, presented: &Presented) -> Finding {
    use CertificateError as Wrong;
    let chain = presented.chain();
    let issuer = chain.last().map(CertificateFacts::issuer).unwrap_or_default();
    let shown = chain.first().map(|facts| format!(" (it is of {facts})")).unwrap_or_default();
    let what = format!("{}{shown}", error.reason().split("; ").next().unwrap_or_default());
    match wrong {
        Wrong::UnknownIssuer | Wrong::BadSignature if is_aws(host) && is_amazons(issuer) => Finding::new(
            what,
            "the server is AWS's, and the CA that was given is another one",
            "leave the CA out (Builder::root_ca), since Amazon's are built in, or give Amazon Root CA 1 to 4; a legacy \
             endpoint, without -ats in its name, has a CA that is no longer trusted",
        ),
        Wrong::UnknownIssuer | Wrong::BadSignature if is_aws(host) => Finding::new(
            what,
            "somebody on the way answers in the place of AWS: a company's proxy that looks into TLS, a captive portal, a name \
             server that leads elsewhere; if a CA was given, it may just not be Amazon's",
            "have TLS inspection leave this host alone (client certificates cannot pass it), or find out who answers there",
        ),
        Wrong::UnknownIssuer | Wrong::BadSignature => Finding::new(
            what,
            "the CA that signed the server's certificate is not the one that was given, or a proxy that looks into TLS answers \
             instead",
            "give the CA of this server (Builder::root_ca); without one, Amazon's are trusted",
        ),
        Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => Finding::new(
            what,
            "another server answers than the one that is meant: the endpoint is of another name, type or region, or an \
             address, or a name server or proxy leads elsewhere",
            "connect by the name that `aws iot describe-endpoint --endpoint-type iot:Data-ATS` prints; for a custom domain \
             look at its server certificate",
        ),
        Wrong::Expired
        | Wrong::ExpiredContext { .. }
        | Wrong::NotValidYet
        | Wrong::NotValidYetContext { .. } => Finding::new(
            what,
            "this device's clock is wrong, most probably: AWS renews its certificates in time",
            "set the clock (NTP); if it is right, the server's certificate has to be renewed",
        ),
        _ => Finding::of(
            error.reason(),
            "who answers there is not to be trusted, or not set up well",
            "find out who answers there",
        ),
    }
}

fn is_amazons(issuer: &str) -> bool {
    ["Amazon", "Starfield"].iter().any(|name| issuer.contains(name))
}

/// What it means that the server refuses the client certificate by this alert; `None`: that is not what it says.
fn refused_certificate(alert: AlertDescription, sentence: &str, who: &Who) -> Option<Finding> {
    use AlertDescription as Alert;
    let usual = || who.not_let_in("").remedy;
    let (means, remedy) = match alert {
        Alert::CertificateRequired | Alert::NoCertificate if who.principal == Principal::Certificate => (
            "the server wants a client certificate of another CA or kind than the one that the program has, which was therefore \
             not shown; or something on the way ends TLS",
            usual(),
        ),
        Alert::CertificateRequired | Alert::NoCertificate => (
            "this door is for client certificates, and none was shown: it is another door than the one that was chosen",
            "connect by certificate (mutual_tls), or check port and domain configuration".to_owned(),
        ),
        Alert::CertificateExpired => (
            "AWS IoT Core takes no expired certificate",
            "have a new certificate issued, registered and activated, and its policy attached".to_owned(),
        ),
        Alert::CertificateRevoked => ("the certificate was revoked or deactivated", usual()),
        Alert::UnknownCA => (
            "the certificate is of a CA that is not registered in the account and region of this endpoint: it may be of \
             another account, or of a test",
            usual(),
        ),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateUnknown
        | Alert::AccessDenied => (
            "the certificate is not registered in the account and region of this endpoint, or not active",
            usual(),
        ),
        // That key and certificate belong together was seen before, but for keys that stay in a secure element.
        Alert::DecryptError => (
            "the certificate is not registered with this server, which knows another CA of the same name; or a key in a secure \
             element is not the certificate's",
            usual(),
        ),
        _ => return None,
    };
    Some(Finding::of(sentence, means, &remedy))
}

/// An alert that comes after the handshake: with TLS 1.3 a client certificate is refused only then.
pub(super) fn late_alert(error: &(dyn Error + 'static), sentence: &str, who: &Who) -> Option<Finding> {
    match tls_error(error) {
        Some(TlsError::AlertReceived(alert)) => refused_certificate(*alert, sentence, who),
        _ => None,
    }
}

fn other_alert(alert: AlertDescription, sentence: &str) -> Finding {
    match alert {
        AlertDescription::UnrecognisedName => Finding::of(
            sentence,
            "the server is none of this name: the endpoint is of another account or region, or the name leads elsewhere",
            "connect by the name that `aws iot describe-endpoint --endpoint-type iot:Data-ATS` prints",
        ),
        AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity => Finding::of(
            sentence,
            "the endpoint's security policy and this program have no version or cipher of TLS in common",
            "look at the endpoint's securityPolicy (`aws iot describe-domain-configuration`)",
        ),
        _ => Finding::of(
            sentence,
            "the server ends the handshake: it may ask for a client certificate, serve another name, or not be AWS IoT Core",
            "check endpoint, port, certificate and key",
        ),
    }
}

fn no_tls(error: &ConnectError) -> Finding {
    match error.kind() {
        Kind::TimedOut => Finding::of(
            error.reason(),
            "something takes the connection and says nothing: a firewall that lets only the beginning pass, or a port that \
             is not one of TLS",
            "check the port; have the firewall let TLS to this host pass",
        ),
        Kind::Closed => Finding::of(
            error.reason(),
            "a firewall that looks at names (SNI) cut the connection, or the port is not one of TLS",
            "check endpoint and port; have the firewall let TLS to this host pass",
        ),
        Kind::Protocol => Finding::of(
            error.reason(),
            "it is not AWS IoT Core that answers: a port without TLS, or a captive portal or proxy that answers by itself",
            "check endpoint and port: 8883, or 443",
        ),
        _ => Finding::of(error.reason(), "the TLS connection cannot be set up", "check endpoint and port"),
    }
}

/// The TLS error underneath, however deep.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TlsError> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref() {
            return Some(found);
        }
        let inside = current.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = inside.map(|inner| inner as &(dyn Error + 'static)).or_else(|| current.source());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use iot_transport::Phase;

    fn met(error: TlsError, host: &str) -> (Part, Finding) {
        let io = io::Error::new(io::ErrorKind::InvalidData, error);
        let error = ConnectError::new(Phase::Tls, Kind::Other, "what was met; what to do").with_source(io);
        let who = Who {
            principal: Principal::Certificate,
            client_id: "device".into(),
            certificate_id: Some("0123abcd".into()),
            region: Some("eu-west-1".into()),
        };
        failed(&error, host, Some("mqtt"), &Presented::default(), &who)
    }

    #[test]
    fn dates_of_the_server_that_are_off_mean_this_devices_clock() {
        for wrong in [CertificateError::Expired, CertificateError::NotValidYet] {
            let (part, finding) =
                met(TlsError::InvalidCertificate(wrong), "abc-ats.iot.eu-west-1.amazonaws.com");
            assert!(matches!(part, Part::Server) && finding.means.contains("clock"), "{finding:?}");
            assert_eq!(finding.what, "what was met");
        }
    }

    #[test]
    fn an_unknown_issuer_at_a_name_of_aws_is_somebody_on_the_way() {
        let (_, finding) = met(
            TlsError::InvalidCertificate(CertificateError::UnknownIssuer),
            "abc-ats.iot.eu-west-1.amazonaws.com",
        );
        assert!(finding.means.contains("somebody on the way"), "{finding:?}");
        let (_, finding) =
            met(TlsError::InvalidCertificate(CertificateError::UnknownIssuer), "broker.example");
        assert!(finding.remedy.contains("Builder::root_ca"), "{finding:?}");
        assert!(is_amazons("CN=Amazon Root CA 1, O=Amazon") && !is_amazons("CN=Inspection"));
    }

    #[test]
    fn alerts_are_told_apart_by_whom_they_mean() {
        use AlertDescription as Alert;
        for (alert, word) in [
            (Alert::CertificateUnknown, "not registered"),
            (Alert::BadCertificate, "not active"),
            (Alert::AccessDenied, "not active"),
            (Alert::UnknownCA, "CA that is not registered"),
            (Alert::CertificateRequired, "another CA"),
            (Alert::CertificateExpired, "expired"),
            (Alert::CertificateRevoked, "revoked"),
        ] {
            let (part, finding) = met(TlsError::AlertReceived(alert), "h");
            assert!(matches!(part, Part::ClientCertificate) && finding.means.contains(word), "{finding:?}");
        }
        let (_, finding) = met(TlsError::AlertReceived(Alert::CertificateUnknown), "h");
        assert!(finding.remedy.contains("--region eu-west-1 --certificate-id 0123abcd"), "{finding:?}");
        for alert in [Alert::HandshakeFailure, Alert::UnrecognisedName, Alert::ProtocolVersion] {
            assert!(matches!(met(TlsError::AlertReceived(alert), "h").0, Part::Server));
        }
        let (part, finding) = met(TlsError::AlertReceived(Alert::NoApplicationProtocol), "h");
        assert!(matches!(part, Part::Protocol) && finding.means.contains("speak mqtt"), "{finding:?}");
    }
}
