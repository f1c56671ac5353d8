//! Signatures made elsewhere are taken; each of their parts, changed, is refused for its own reason.

use hyper::header::HeaderValue;

use super::*;

const HOST_NAME: &str = "abc123example-ats.iot.us-east-1.amazonaws.com";

/// A WebSocket URL of the device gateway, signed for a day, and what it was signed with.
const GATEWAY: Signed = Signed {
    key: "AKIDEXAMPLE",
    secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    token: None,
    host: HOST_NAME,
    date: "20240115T120000Z",
    service: "iotdevicegateway",
    expires: Some("86400"),
    headers: "host",
    signature: "2b5c1ba00dd10a0e72f69a650afb971f04957712ab01af5b92ffa2859bb91482",
};

/// The same without an expiry.
const WITHOUT_EXPIRY: Signed = Signed {
    expires: None,
    signature: "4e90eff768920cfb840c23b2c537475da234adf05703744d95de725795669991",
    ..GATEWAY
};

#[derive(Clone, Copy)]
struct Signed {
    key: &'static str,
    secret: &'static str,
    token: Option<&'static str>,
    host: &'static str,
    date: &'static str,
    service: &'static str,
    expires: Option<&'static str>,
    headers: &'static str,
    signature: &'static str,
}

impl Signed {
    fn query(&self) -> String {
        let Self { key, date, service, headers, signature, .. } = self;
        let (day, _) = date.split_once('T').unwrap();
        let expires = self.expires.map_or(String::new(), |seconds| format!("&X-Amz-Expires={seconds}"));
        format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={key}%2F{day}%2Fus-east-1%2F{service}%2Faws4_request\
             &X-Amz-Date={date}{expires}&X-Amz-SignedHeaders={headers}&X-Amz-Signature={signature}"
        )
    }

    fn credentials(&self) -> AwsCredentials {
        let credentials = AwsCredentials::new(self.key, self.secret);
        match self.token {
            Some(token) => credentials.with_session_token(token),
            None => credentials,
        }
    }

    /// The signature of a canonical request, for what none was made elsewhere.
    fn sign(&self, request: &str) -> String {
        let sign =
            |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
        let scope = "20240115/us-east-1/iotdevicegateway/aws4_request";
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in scope.split('/') {
            key = sign(&key, part).as_ref().to_vec();
        }
        let hash = hex(digest(&SHA256, request.as_bytes()).as_ref());
        hex(sign(&key, &format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{hash}", self.date)).as_ref())
    }

    fn verify(&self) -> Result<(), Refusal> {
        self.verify_query(&self.query())
    }

    fn verify_query(&self, query: &str) -> Result<(), Refusal> {
        self.verify_at(query, parse_basic(self.date).unwrap())
    }

    fn verify_at(&self, query: &str, now: SystemTime) -> Result<(), Refusal> {
        verify_with(query, &self.credentials(), self.host, &[], now)
    }
}

fn verify_with(
    query: &str,
    known: &AwsCredentials,
    host: &str,
    more: &[(&'static str, &'static str)],
    now: SystemTime,
) -> Result<(), Refusal> {
    let verifier = Verifier { region: "us-east-1".into(), window: Duration::from_secs(300) };
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_str(host).unwrap());
    for (name, value) in more {
        headers.append(*name, HeaderValue::from_static(value));
    }
    let query = parameters(query)?;
    let request = SignedRequest { method: "GET", path: "/mqtt", query: &query, body: b"", headers: &headers };
    assert!(request.is_signed() || query.is_empty());
    verifier.verify(request, |key| (key == known.access_key_id).then(|| known.clone()), now)
}

#[test]
fn signatures_that_others_made_are_taken() {
    let of_python_sdk = Signed {
        key: "TRUSTMETHISIDISFAKE0",
        secret: "trustMeThisSecretKeyIsSoFakeAaBbCc00Dd11",
        host: "data.iot.us-east-1.amazonaws.com",
        date: "20170628T204845Z",
        service: "iotdata",
        signature: "b79a4d7e31ccbf96b22d93cce1b500b9ee611ec966159547e140ae32e4dcebed",
        ..GATEWAY
    };
    let of_data = Signed {
        service: "iotdata",
        signature: "5e8f5052fe0dd4a5312457aebe4881806c06d6987ee160943a62309df8967258",
        ..GATEWAY
    };
    for signed in [GATEWAY, WITHOUT_EXPIRY, of_data, of_python_sdk] {
        assert_eq!(signed.verify(), Ok(()), "{}", signed.query());
    }
}

#[test]
fn a_token_goes_with_the_query_unsigned_wherever_it_stands() {
    let signed = Signed { token: Some("TOKEN/EXAMPLE+abc=="), ..GATEWAY };
    let token = "X-Amz-Security-Token=TOKEN%2FEXAMPLE%2Babc%3D%3D";
    let query = signed.query();
    let (before, after) = query.split_once("&X-Amz-Signature").unwrap();
    for query in [
        format!("{query}&{token}"),
        format!("{token}&{query}"),
        format!("{before}&{token}&X-Amz-Signature{after}"),
    ] {
        assert_eq!(signed.verify_query(&query), Ok(()), "{query}");
    }
    assert_eq!(signed.verify(), Err(Refusal::TokenMissing));
    // A plus that is not encoded is a space.
    let sloppy = format!("{query}&X-Amz-Security-Token=TOKEN/EXAMPLE+abc==");
    assert_eq!(signed.verify_query(&sloppy), Err(Refusal::Token));
    let other = format!("{query}&X-Amz-Security-Token=other");
    assert_eq!(signed.verify_query(&other), Err(Refusal::Token));
    assert_eq!(GATEWAY.verify_query(&format!("{query}&{token}")), Err(Refusal::Token));
}

#[test]
fn a_token_in_the_canonical_query_is_a_wrong_signature() {
    let token = "TOKEN/EXAMPLE+abc==";
    let signed = Signed { token: Some(token), ..GATEWAY };
    let mut query = parameters(&signed.query()).unwrap();
    query.push(Parameter { name: TOKEN.into(), value: token.into() });
    let canonical = canonical::query(&query, |name| name != SIGNATURE);
    let request =
        format!("GET\n/mqtt\n{canonical}\nhost:{HOST_NAME}\n\nhost\n{}", hex(digest(&SHA256, b"").as_ref()));
    let signature = signed.sign(&request);
    let query = format!("{canonical}&X-Amz-Signature={signature}");
    assert_eq!(signed.verify_query(&query), Err(Refusal::TokenSigned));
}

#[test]
fn every_part_of_a_query_that_is_changed_is_refused_for_its_own_reason() {
    let query = GATEWAY.query();
    for (from, to, refusal) in [
        ("HMAC-SHA256", "HMAC-SHA1", Refusal::Algorithm),
        ("AKIDEXAMPLE", "AKIDANOTHER", Refusal::UnknownKey),
        ("%2F20240115", "%2F20240116", Refusal::ScopeDate),
        ("us-east-1", "eu-west-1", Refusal::Region { expected: "us-east-1".into() }),
        ("iotdevicegateway", "execute-api", Refusal::Service),
        ("iotdevicegateway", "iotdata", Refusal::Signature),
        ("aws4_request", "aws5_request", Refusal::Malformed(CREDENTIAL)),
        ("%2Faws4_request", "", Refusal::Malformed(CREDENTIAL)),
        ("%2Faws4_request", "%2Faws4_request%2F", Refusal::Malformed(CREDENTIAL)),
        ("T120000Z", "T120001Z", Refusal::Signature),
        ("T120000Z", "T120000", Refusal::Malformed(DATE)),
        ("Expires=86400", "Expires=86401", Refusal::Signature),
        ("Expires=86400", "Expires=0", Refusal::Malformed(EXPIRES)),
        ("Expires=86400", "Expires=604801", Refusal::Malformed(EXPIRES)),
        ("Expires=86400", "Expires=day", Refusal::Malformed(EXPIRES)),
        ("Headers=host", "Headers=", Refusal::HostNotSigned),
        ("Headers=host", "Headers=date", Refusal::HostNotSigned),
        ("Headers=host", "Headers=host%3Bdate", Refusal::SignedHeaders),
        ("Headers=host", "Headers=host%3Bhost", Refusal::SignedHeaders),
        ("Headers=host", "Headers=%C3%A9%3Bhost", Refusal::SignedHeaders),
        ("Headers=host", "Headers=date%3Bhost", Refusal::HeaderMissing("date".into())),
        ("Signature=2b", "Signature=2c", Refusal::Signature),
        ("Signature=2b", "Signature=2B", Refusal::Malformed(SIGNATURE)),
        ("Signature=2b", "Signature=2", Refusal::Malformed(SIGNATURE)),
        ("Signature=2b", "Signature=2b2b", Refusal::Malformed(SIGNATURE)),
        ("X-Amz-Date", "X-Amz-Dote", Refusal::Missing(DATE)),
        ("X-Amz-Algorithm=", "X-Amz-Date=1&X-Amz-Algorithm=", Refusal::Repeated(DATE)),
        ("X-Amz-Algorithm=", "more=1&X-Amz-Algorithm=", Refusal::Signature),
        ("X-Amz-Algorithm=", "more=%&X-Amz-Algorithm=", Refusal::Encoding),
    ] {
        assert!(query.contains(from), "{from}");
        assert_eq!(GATEWAY.verify_query(&query.replacen(from, to, 1)), Err(refusal), "{from} -> {to}");
    }
    let reversed: Vec<&str> = query.rsplit('&').collect();
    assert_eq!(GATEWAY.verify_query(&reversed.join("&")), Ok(()), "the order of parameters is free");
    assert_eq!(Signed { secret: "other", ..GATEWAY }.verify_query(&query), Err(Refusal::Signature));
}

#[test]
fn no_query_with_one_character_changed_added_or_taken_away_passes() {
    let query = GATEWAY.query();
    for at in 0..query.len() {
        let (before, after) = query.split_at(at);
        let mut rest = after.chars();
        rest.next();
        let rest = rest.as_str();
        let mut changed = vec![format!("{before}{rest}")];
        for other in ["x", "%", "&", "=", "/", "+", "\u{e9}", "\0"] {
            changed.push(format!("{before}{other}{rest}"));
            changed.push(format!("{before}{other}{after}"));
        }
        // Empty parameters count for nothing.
        changed.retain(|changed| changed.split('&').filter(|part| !part.is_empty()).ne(query.split('&')));
        for changed in changed {
            let known = GATEWAY.credentials();
            let now = parse_basic(GATEWAY.date).unwrap();
            let result = parameters(&changed).and_then(|query| {
                let mut headers = HeaderMap::new();
                headers.insert(HOST, HeaderValue::from_static(HOST_NAME));
                let request = SignedRequest {
                    method: "GET",
                    path: "/mqtt",
                    query: &query,
                    body: b"",
                    headers: &headers,
                };
                let verifier = Verifier { region: "us-east-1".into(), window: Duration::from_secs(300) };
                verifier.verify(request, |key| (key == known.access_key_id).then(|| known.clone()), now)
            });
            assert!(result.is_err(), "{changed}");
        }
    }
}

#[test]
fn a_date_too_far_from_now_is_refused_whatever_the_expiry() {
    let signed_at = parse_basic(GATEWAY.date).unwrap();
    let seconds = Duration::from_secs;
    for signed in [GATEWAY, WITHOUT_EXPIRY] {
        let query = signed.query();
        for now in [signed_at + seconds(300), signed_at - seconds(300)] {
            assert_eq!(signed.verify_at(&query, now), Ok(()));
        }
        assert_eq!(signed.verify_at(&query, signed_at + seconds(301)), Err(Refusal::Expired));
        assert_eq!(signed.verify_at(&query, signed_at - seconds(301)), Err(Refusal::NotYetCurrent));
    }
    // Time is looked at before the signature: a shorter expiry makes both wrong.
    let short = GATEWAY.query().replace("86400", "10");
    assert_eq!(GATEWAY.verify_at(&short, signed_at + seconds(10)), Err(Refusal::Signature));
    assert_eq!(GATEWAY.verify_at(&short, signed_at + seconds(11)), Err(Refusal::Expired));
}

#[test]
fn the_host_counts_with_or_without_its_port_and_in_any_case() {
    let now = parse_basic(GATEWAY.date).unwrap();
    let verify = |host: &str| verify_with(&GATEWAY.query(), &GATEWAY.credentials(), host, &[], now);
    for host in [
        HOST_NAME.to_owned(),
        format!("{HOST_NAME}:443"),
        format!("{HOST_NAME}:8443"),
        HOST_NAME.to_uppercase(),
    ] {
        assert_eq!(verify(&host), Ok(()), "{host}");
    }
    for host in ["localhost", "", ":", "abc123example-ats.iot.us-east-1.amazonaws.com:https"] {
        assert_eq!(verify(host), Err(Refusal::Signature), "{host}");
    }
    let twice = [("host", HOST_NAME)];
    let refusal = verify_with(&GATEWAY.query(), &GATEWAY.credentials(), HOST_NAME, &twice, now);
    assert_eq!(refusal, Err(Refusal::NoHost));
    let query = parameters(&GATEWAY.query()).unwrap();
    let request =
        SignedRequest { method: "GET", path: "/mqtt", query: &query, body: b"", headers: &HeaderMap::new() };
    let verifier = Verifier { region: "us-east-1".into(), window: Duration::ZERO };
    assert_eq!(verifier.verify(request, |_| Some(GATEWAY.credentials()), now), Err(Refusal::NoHost));
}

#[test]
fn other_headers_can_be_signed_too() {
    let signed = Signed { headers: "host%3Bx-thing", ..GATEWAY };
    let query = parameters(&signed.query()).unwrap();
    let canonical = canonical::query(&query, |name| name != SIGNATURE);
    let empty = hex(digest(&SHA256, b"").as_ref());
    let request =
        format!("GET\n/mqtt\n{canonical}\nhost:{HOST_NAME}\nx-thing:a b,c\n\nhost;x-thing\n{empty}");
    let signature = signed.sign(&request);
    let query = format!("{canonical}&X-Amz-Signature={signature}");
    let now = parse_basic(signed.date).unwrap();
    let verify = |more: &[_]| verify_with(&query, &signed.credentials(), HOST_NAME, more, now);
    assert_eq!(verify(&[("x-thing", "  a   b "), ("x-thing", "c")]), Ok(()));
    assert_eq!(verify(&[("x-thing", "a b"), ("x-thing", "d")]), Err(Refusal::Signature));
    assert_eq!(verify(&[]), Err(Refusal::HeaderMissing("x-thing".into())));
}

#[test]
fn credentials_that_have_expired_are_refused() {
    let now = parse_basic(GATEWAY.date).unwrap();
    let second = Duration::from_secs(1);
    let verify =
        |at| verify_with(&GATEWAY.query(), &GATEWAY.credentials().with_expiry(at), HOST_NAME, &[], now);
    assert_eq!(verify(now + second), Ok(()));
    assert_eq!(verify(now), Err(Refusal::CredentialsExpired));
}

#[test]
fn every_reason_has_its_sentence() {
    let reasons = [
        Refusal::Encoding,
        Refusal::Missing(DATE),
        Refusal::Repeated(DATE),
        Refusal::Malformed(DATE),
        Refusal::Algorithm,
        Refusal::ScopeDate,
        Refusal::Region { expected: "us-east-1".into() },
        Refusal::Service,
        Refusal::NotYetCurrent,
        Refusal::Expired,
        Refusal::NoHost,
        Refusal::HostNotSigned,
        Refusal::SignedHeaders,
        Refusal::HeaderMissing("date".into()),
        Refusal::Signature,
        Refusal::TokenSigned,
        Refusal::TokenMissing,
        Refusal::Token,
        Refusal::CredentialsExpired,
        Refusal::Authorization("Signature"),
        Refusal::HeaderForm("date"),
        Refusal::DateForm,
        Refusal::NotSigned("x-amz-meta".into()),
        Refusal::ContentHash,
    ];
    let sentences: std::collections::BTreeSet<String> = reasons.iter().map(ToString::to_string).collect();
    assert_eq!(sentences.len(), reasons.len());
    assert!(sentences.iter().all(|sentence| sentence.ends_with('.')));
}
