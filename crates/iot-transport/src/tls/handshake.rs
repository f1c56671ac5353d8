//! What a TLS error means, in the words of someone who wants to be connected.

use std::error::Error;
use std::io;
use std::net::IpAddr;

use rustls::{AlertDescription, CertificateError, Error as RustlsError};
use rustls_pki_types::UnixTime;

use super::der::Seconds;
use crate::{ConnectError, ConnectErrorKind as Kind, Phase};

/// The error of a handshake that ended with this I/O error.
pub(super) fn failed(error: io::Error) -> ConnectError {
    let explained = match tls_error(&error) {
        Some(tls) => explain(tls),
        None if crate::error::kind_of(&error) == Kind::Closed => Explained::new(
            Kind::Closed,
            "the server closed the connection during the handshake, without saying why; check that this port \
             speaks TLS, and that the server name and, if the port needs one, the ALPN protocol are right",
        ),
        None => return ConnectError::from_io(Phase::Tls, error),
    };
    let Explained { kind, text, may_pass } = explained;
    let failed = ConnectError::new(Phase::Tls, kind, text).with_source(error);
    if may_pass { failed.with_retryable(true) } else { failed }
}

/// The sentence for an error of an established stream.
pub(crate) fn explain_stream_error(error: &io::Error) -> Option<String> {
    if let Some(tls) = tls_error(error) {
        return Some(explain(tls).text);
    }
    let cut_off = error.kind() == io::ErrorKind::UnexpectedEof && error.to_string().contains("close_notify");
    cut_off.then(|| {
        "the server closed the connection without ending TLS first: it was cut off, or refused something \
         without saying what"
            .into()
    })
}

/// The kind of an error of an established stream, if it is one of TLS.
pub(crate) fn kind_of_stream_error(error: &io::Error) -> Option<Kind> {
    tls_error(error).map(|tls| explain(tls).kind)
}

/// The TLS error inside an I/O error, however deep.
fn tls_error(error: &io::Error) -> Option<&RustlsError> {
    let mut next = error.get_ref().map(|inner| inner as &(dyn Error + 'static));
    while let Some(current) = next {
        if let Some(tls) = current.downcast_ref() {
            return Some(tls);
        }
        next = match current.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => current.source(),
        };
    }
    None
}

struct Explained {
    kind: Kind,
    text: String,
    /// A later attempt may fare better, against what the kind says.
    may_pass: bool,
}

impl Explained {
    fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), may_pass: false }
    }
}

fn explain(error: &RustlsError) -> Explained {
    match error {
        RustlsError::InvalidCertificate(error) => explain_certificate(error),
        RustlsError::AlertReceived(alert) => explain_alert(*alert),
        RustlsError::NoCertificatesPresented => {
            Explained::new(Kind::CertificateRejected, "the server presented no certificate")
        }
        RustlsError::FailedToGetCurrentTime => Explained {
            may_pass: true,
            ..Explained::new(
                Kind::Configuration,
                "this device does not know what time it is, so the dates of the server's certificate cannot \
                 be checked; set its clock",
            )
        },
        RustlsError::InvalidMessage(_) => Explained::new(
            Kind::Protocol,
            format!(
                "the server's answer is not TLS ({error}); check the port: it may be one without encryption"
            ),
        ),
        RustlsError::PeerIncompatible(_) => Explained::new(
            Kind::Protocol,
            format!(
                "the server and this device have no way to speak TLS in common ({error}); TLS 1.2 or 1.3 is \
                 needed"
            ),
        ),
        other => Explained::new(Kind::Other, other.to_string()),
    }
}

fn explain_certificate(error: &CertificateError) -> Explained {
    let text = match error {
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "the server's certificate is not valid for the name {}: it carries {}; connect by a name that it \
             carries, or find out who answers there",
            expected.to_str(),
            names(presented)
        ),
        CertificateError::NotValidForName => String::from(
            "the server's certificate is not valid for the name that was dialled; connect by a name that it \
             carries",
        ),
        CertificateError::UnknownIssuer => String::from(
            "the server's certificate is signed by a CA that is not among the trust anchors; pass the CA \
             that signed it, or find out who answers there",
        ),
        CertificateError::ExpiredContext { time, not_after } => format!(
            "the server's certificate expired on {}, and this device's clock says {}; renew the certificate, \
             or set the clock",
            date(*not_after),
            date(*time)
        ),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "the server's certificate is valid only from {}, and this device's clock says {}; set the clock",
            date(*not_before),
            date(*time)
        ),
        CertificateError::Expired => {
            String::from("the server's certificate has expired; renew it, or set this device's clock")
        }
        CertificateError::NotValidYet => {
            String::from("the server's certificate is not valid yet; set this device's clock")
        }
        CertificateError::Revoked => String::from("the server's certificate is revoked"),
        CertificateError::BadSignature => String::from(
            "a signature in the server's certificate chain is wrong: a CA among the trust anchors has the \
             right name and another key; pass the CA that signed it",
        ),
        CertificateError::BadEncoding => String::from("the server's certificate cannot be parsed"),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => String::from(
            "the server's certificate is not meant for a server; it needs the key usage serverAuth",
        ),
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => String::from(
            "the server presents a CA's certificate as its own; give it a certificate signed by that CA",
        ),
        other => format!("the server's certificate is not acceptable: {other}"),
    };
    use CertificateError as Error;
    let may_pass = matches!(
        error,
        Error::Expired | Error::ExpiredContext { .. } | Error::NotValidYet | Error::NotValidYetContext { .. }
    );
    Explained { kind: Kind::CertificateRejected, text, may_pass }
}

fn explain_alert(alert: AlertDescription) -> Explained {
    use AlertDescription as Alert;
    let refused =
        |why: &str| Explained::new(Kind::ClientCertificateRejected, format!("{why} (TLS alert {alert:?})"));
    let unsuited = |why: &str| Explained::new(Kind::Protocol, format!("{why} (TLS alert {alert:?})"));
    match alert {
        Alert::CertificateRequired | Alert::NoCertificate => refused(
            "the server requires a client certificate and was given none; pass the device's certificate and \
             private key",
        ),
        Alert::CertificateExpired => {
            refused("the server refused the client certificate because it has expired; renew it")
        }
        Alert::CertificateRevoked => {
            refused("the server refused the client certificate because it is revoked; issue a new one")
        }
        Alert::UnknownCA => refused(
            "the server does not know the CA that signed the client certificate; register that CA with the \
             server, or use a certificate of a CA that it knows",
        ),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateUnknown
        | Alert::AccessDenied => refused(
            "the server refused the client certificate; check that it is registered with this server (same \
             account and region), that it is active, and that a policy lets it connect",
        ),
        Alert::DecryptError => refused(
            "the server could not verify our side of the handshake; check the client certificate and its key",
        ),
        Alert::HandshakeFailure => unsuited(
            "the server ended the handshake; it may require a client certificate, or share no cipher with \
             this device",
        ),
        Alert::ProtocolVersion | Alert::InsufficientSecurity => unsuited(
            "the server accepts none of the TLS versions or ciphers offered; TLS 1.2 or 1.3 is needed",
        ),
        Alert::NoApplicationProtocol => unsuited(
            "the server speaks none of the application protocols (ALPN) offered; check their names and the \
             port",
        ),
        Alert::UnrecognisedName => {
            unsuited("the server does not serve the name that was asked for (SNI); check the host name")
        }
        other => Explained::new(
            Kind::Other,
            format!("the server ended the connection with the TLS alert {other:?}"),
        ),
    }
}

/// Names as a certificate presents them, `DnsName("a.example")`, without the wrapping; of many, the first
/// eight.
fn names(presented: &[String]) -> String {
    const SHOWN: usize = 8;
    let bare = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
        let inner = inner.trim_matches('"');
        // rustls writes ::1 as 0::1.
        inner
            .parse::<IpAddr>()
            .map_or_else(|_| inner.escape_debug().to_string(), |address| address.to_string())
    };
    let mut text = presented.iter().take(SHOWN).map(bare).collect::<Vec<_>>().join(", ");
    if presented.is_empty() {
        text.push_str("no name (its common name does not count)");
    } else if presented.len() > SHOWN {
        text.push_str(&format!(" and {} more", presented.len() - SHOWN));
    }
    text
}

/// The UTC date, as 2026-01-31.
fn date(time: UnixTime) -> String {
    let shown = Seconds(i64::try_from(time.as_secs()).unwrap_or(i64::MAX)).to_string();
    shown.split(' ').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_told_as_people_write_them() {
        for (seconds, expected) in [
            (0, "1970-01-01"),
            (68_169_599, "1972-02-28"),
            (68_169_600, "1972-02-29"),
            (951_868_800, "2000-03-01"),
            (1_798_761_599, "2026-12-31"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(date(UnixTime::since_unix_epoch(Duration::from_secs(seconds))), expected);
        }
    }

    #[test]
    fn an_alert_is_found_however_deep_it_is_wrapped() {
        let alert = RustlsError::AlertReceived(AlertDescription::CertificateUnknown);
        let wrapped = io::Error::other(io::Error::other(io::Error::new(io::ErrorKind::InvalidData, alert)));
        assert!(explain_stream_error(&wrapped).unwrap().contains("registered with this server"));
        assert_eq!(kind_of_stream_error(&wrapped), Some(Kind::ClientCertificateRejected));
        assert_eq!(explain_stream_error(&io::Error::other("plain")), None);
    }

    #[test]
    fn names_lose_their_wrapping_and_many_are_counted() {
        let presented: Vec<_> =
            ["a.example", "*.b.example"].iter().map(|name| format!("DnsName({name:?})")).collect();
        assert_eq!(names(&presented), "a.example, *.b.example");
        assert_eq!(names(&["IpAddress(127.0.0.1)".into(), "IpAddress(0::1)".into()]), "127.0.0.1, ::1");
        assert_eq!(names(&[]), "no name (its common name does not count)");
        assert!(names(&vec!["x".to_owned(); 11]).ends_with(" and 3 more"));
    }

    #[test]
    fn dates_that_are_off_may_pass_and_a_wrong_issuer_does_not() {
        let failed = |error| {
            failed(io::Error::new(io::ErrorKind::InvalidData, RustlsError::InvalidCertificate(error)))
        };
        assert!(failed(CertificateError::NotValidYet).is_retryable());
        assert!(!failed(CertificateError::UnknownIssuer).is_retryable());
    }
}
