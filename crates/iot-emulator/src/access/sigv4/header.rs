//! A signature in the header `Authorization`.

use std::borrow::Cow;
use std::time::SystemTime;

use hyper::HeaderMap;
use hyper::header::{self, AUTHORIZATION, HeaderName};
use ring::digest::{SHA256, digest};

use super::{HMAC_SHA256, Place, Refusal, Signature, from_hex, hex, scope_of};
use crate::access::date::{basic, parse_basic};

const DATE: &str = "x-amz-date";
const TOKEN: &str = "x-amz-security-token";
const CONTENT_HASH: &str = "x-amz-content-sha256";

/// `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`, and the headers that belong to it.
pub(super) fn read<'a>(headers: &'a HeaderMap, body: &[u8]) -> Result<Signature<'a>, Refusal> {
    let authorization = one(headers, AUTHORIZATION.as_str())?.ok_or(Refusal::Authorization("Credential"))?;
    let (algorithm, parameters) = authorization.split_once(' ').unwrap_or((authorization, ""));
    if algorithm != HMAC_SHA256 {
        return Err(Refusal::Algorithm);
    }
    let find = |name: &'static str| {
        let mut found = parameters.split(',').filter_map(|parameter| {
            let (found, value) = parameter.trim().split_once('=')?;
            (found == name).then_some(value)
        });
        match (found.next(), found.next()) {
            (Some(value), None) => Ok(value),
            _ => Err(Refusal::Authorization(name)),
        }
    };
    let (key, scope) = scope_of(find("Credential")?).ok_or(Refusal::Authorization("Credential"))?;
    let signed_headers = find("SignedHeaders")?;
    let bytes = from_hex(find("Signature")?).ok_or(Refusal::Authorization("Signature"))?;
    let (date, signed_at) = date_of(headers)?;
    let unsigned = headers
        .keys()
        .map(HeaderName::as_str)
        .filter(|name| name.starts_with("x-amz-"))
        .find(|name| !signed_headers.split(';').any(|signed| signed == *name));
    if let Some(name) = unsigned {
        return Err(Refusal::NotSigned(name.to_owned()));
    }
    let hash = one(headers, CONTENT_HASH)?;
    if hash.is_some_and(|hash| hash != hex(digest(&SHA256, body).as_ref())) {
        return Err(Refusal::ContentHash);
    }
    Ok(Signature {
        place: Place::Header,
        key,
        scope,
        date,
        signed_at,
        expires: None,
        signed_headers,
        bytes,
        token: one(headers, TOKEN)?,
    })
}

/// The date as it is signed: that of `x-amz-date`, or else of `date`, which may be a date as HTTP has it. It is part of
/// what the signature is made over, so `date` need not be among the signed headers.
fn date_of(headers: &HeaderMap) -> Result<(Cow<'_, str>, SystemTime), Refusal> {
    let own = one(headers, DATE)?;
    let text = match own {
        Some(text) => text,
        None => one(headers, header::DATE.as_str())?.ok_or(Refusal::HeaderMissing(DATE.to_owned()))?,
    };
    if let Some(at) = parse_basic(text) {
        return Ok((text.into(), at));
    }
    match httpdate::parse_http_date(text) {
        Ok(at) if own.is_none() => Ok((basic(at).into(), at)),
        _ => Err(Refusal::DateForm),
    }
}

/// A header that is there at most once.
fn one<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (first, None) => first.map(|value| value.to_str().map_err(|_| Refusal::HeaderForm(name))).transpose(),
        _ => Err(Refusal::HeaderForm(name)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::header::HeaderValue;

    use super::super::{SignedRequest, Verifier, parameters};
    use super::*;
    use crate::access::AwsCredentials;

    const HOST: &str = "abc123example-ats.iot.us-east-1.amazonaws.com";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    /// A request with a signature that was made by another program.
    #[derive(Clone)]
    struct Request {
        method: &'static str,
        path: &'static str,
        query: &'static str,
        body: &'static [u8],
        headers: Vec<(&'static str, String)>,
        token: Option<&'static str>,
    }

    fn request(
        (method, path, query): (&'static str, &'static str, &'static str),
        body: &'static [u8],
        token: Option<&'static str>,
        signature: &str,
    ) -> Request {
        let signed = if token.is_some() { "host;x-amz-date;x-amz-security-token" } else { "host;x-amz-date" };
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20240115/us-east-1/iotdata/aws4_request, SignedHeaders={signed}, \
             Signature={signature}"
        );
        let mut headers = vec![
            ("host", HOST.to_owned()),
            ("x-amz-date", "20240115T120000Z".to_owned()),
            ("authorization", authorization),
        ];
        headers.extend(token.map(|token| ("x-amz-security-token", token.to_owned())));
        Request { method, path, query, body, headers, token }
    }

    fn get() -> Request {
        let signature = "cd1f41191980f505930421c9630032cd356c06754279184347ad9e502ae805b7";
        request(("GET", "/things/a%3Ab/shadow", "name=cfg"), b"", None, signature)
    }

    fn post() -> Request {
        let signature = "027be81b9e3f1c1f860a4c3c1a51cdf4dd70c7618fd4b695b8838a2cb682014e";
        let token = Some("TOKEN/EXAMPLE+abc==");
        request(("POST", "/things/lamp/shadow", ""), b"{\"state\":{\"desired\":{\"a\":1}}}", token, signature)
    }

    impl Request {
        fn verify(&self) -> Result<(), Refusal> {
            self.verify_at(Duration::ZERO)
        }

        fn verify_at(&self, later: Duration) -> Result<(), Refusal> {
            let mut headers = HeaderMap::new();
            for (name, value) in &self.headers {
                headers.append(*name, HeaderValue::from_str(value).unwrap());
            }
            let query = parameters(self.query).unwrap();
            let Self { method, path, body, .. } = self;
            let request = SignedRequest { method, path, query: &query, headers: &headers, body };
            let credentials = AwsCredentials::new("AKIDEXAMPLE", SECRET);
            let credentials = match self.token {
                Some(token) => credentials.with_session_token(token),
                None => credentials,
            };
            let verifier = Verifier { region: "us-east-1".into(), window: Duration::from_secs(300) };
            let now = parse_basic("20240115T120000Z").unwrap() + later;
            verifier.verify(request, |key| (key == "AKIDEXAMPLE").then(|| credentials.clone()), now)
        }

        fn with(&self, name: &str, change: impl Fn(&str) -> String) -> Self {
            let mut changed = self.clone();
            for (found, value) in changed.headers.iter_mut().filter(|(found, _)| *found == name) {
                assert_eq!(*found, name);
                *value = change(value);
            }
            changed
        }

        fn and(&self, name: &'static str, value: &str) -> Self {
            let mut changed = self.clone();
            changed.headers.push((name, value.to_owned()));
            changed
        }
    }

    #[test]
    fn what_another_program_signed_is_taken() {
        assert_eq!(get().verify(), Ok(()));
        assert_eq!(post().verify(), Ok(()));
        let spaceless = |value: &str| value.replace(", ", ",");
        assert_eq!(get().with("authorization", spaceless).verify(), Ok(()));
    }

    #[test]
    fn each_part_that_is_changed_is_refused() {
        let change = |what: fn(&mut Request)| {
            let mut request = post();
            what(&mut request);
            request.verify()
        };
        assert_eq!(change(|request| request.method = "DELETE"), Err(Refusal::Signature));
        assert_eq!(change(|request| request.path = "/things/lamq/shadow"), Err(Refusal::Signature));
        assert_eq!(change(|request| request.query = "name=x"), Err(Refusal::Signature));
        assert_eq!(change(|request| request.body = b"{}"), Err(Refusal::Signature));
        assert_eq!(change(|request| request.token = None), Err(Refusal::Token));
        assert_eq!(change(|request| request.token = Some("another")), Err(Refusal::Token));
        let host = post().with("host", |_| "other".into());
        assert_eq!(host.verify(), Err(Refusal::Signature));
        let date = post().with("x-amz-date", |_| "20240115T120001Z".into());
        assert_eq!(date.verify(), Err(Refusal::Signature));
        assert_eq!(post().verify_at(Duration::from_secs(301)), Err(Refusal::Expired));
    }

    #[test]
    fn what_is_not_in_the_right_form_has_its_own_reason() {
        let refusal = |from: &'static str, to: &'static str| {
            get().with("authorization", |value| value.replace(from, to)).verify().unwrap_err()
        };
        assert_eq!(refusal("AWS4-HMAC-SHA256", "AWS4"), Refusal::Algorithm);
        assert_eq!(refusal("AWS4-HMAC-SHA256 ", ""), Refusal::Algorithm);
        assert_eq!(refusal("Credential=", "credential="), Refusal::Authorization("Credential"));
        assert_eq!(refusal("/aws4_request", ""), Refusal::Authorization("Credential"));
        assert_eq!(refusal("/aws4_request", "/a/b"), Refusal::Authorization("Credential"));
        assert_eq!(refusal("SignedHeaders=", ""), Refusal::Authorization("SignedHeaders"));
        assert_eq!(refusal("Signature=cd", "Signature=CD"), Refusal::Authorization("Signature"));
        assert_eq!(
            refusal("Signature=cd", "Signature=ab, Signature=cd"),
            Refusal::Authorization("Signature")
        );
        assert_eq!(refusal("host;", ""), Refusal::HostNotSigned);
        assert_eq!(refusal("x-amz-date", "x-other"), Refusal::NotSigned("x-amz-date".into()));
        assert_eq!(refusal("/iotdata/", "/s3/"), Refusal::Service);
        assert_eq!(get().and("x-amz-meta", "1").verify(), Err(Refusal::NotSigned("x-amz-meta".into())));
        assert_eq!(get().and("x-amz-date", "x").verify(), Err(Refusal::HeaderForm("x-amz-date")));
        assert_eq!(get().and("authorization", "x").verify(), Err(Refusal::HeaderForm("authorization")));
        assert_eq!(get().with("x-amz-date", |_| "today".into()).verify(), Err(Refusal::DateForm));
        let mut undated = get();
        undated.headers.retain(|(name, _)| *name != "x-amz-date");
        assert_eq!(undated.verify(), Err(Refusal::HeaderMissing("x-amz-date".into())));
        let hashed = get()
            .and("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
            .with("authorization", |value| value.replace("x-amz-date", "x-amz-content-sha256;x-amz-date"));
        assert_eq!(hashed.verify(), Err(Refusal::ContentHash));
    }

    #[test]
    fn the_date_is_that_of_x_amz_date_or_else_of_date() {
        let dated = |value: &str, signature: &str| {
            let mut request = request(("GET", "/things/a%3Ab/shadow", "name=cfg"), b"", None, signature);
            request.headers.retain(|(name, _)| *name != "x-amz-date");
            let signed = |value: &str| value.replace("host;x-amz-date", "date;host");
            request.and("date", value).with("authorization", signed)
        };
        let basic =
            dated("20240115T120000Z", "99bc75f4877f899c79fdab11291eba1e5f543f7ef6136177a4ef27ddc367edfa");
        let http = dated(
            "Mon, 15 Jan 2024 12:00:00 GMT",
            "1a6b0758cd37af2281f7769495740c505f4b94d768f0f2ea64b77600748b6191",
        );
        for request in [&basic, &http] {
            assert_eq!(request.verify(), Ok(()));
            assert_eq!(request.verify_at(Duration::from_secs(301)), Err(Refusal::Expired));
        }
        let second = http.with("date", |_| "Mon, 15 Jan 2024 12:00:01 GMT".into());
        assert_eq!(second.verify(), Err(Refusal::Signature));
        let day = http.with("date", |_| "Tue, 16 Jan 2024 12:00:00 GMT".into());
        assert_eq!(day.verify(), Err(Refusal::ScopeDate));
        for date in ["", "2024-01-15T12:00:00Z", "Mon, 15 Jan 2024 25:00:00 GMT", "20240115T120000Z, x"] {
            assert_eq!(http.with("date", |_| date.into()).verify(), Err(Refusal::DateForm), "{date}");
        }
        assert_eq!(basic.and("date", "20240115T120000Z").verify(), Err(Refusal::HeaderForm("date")));
        assert_eq!(get().and("date", "Tue, 16 Jan 2024 12:00:00 GMT").verify(), Ok(()), "not looked at");
        let wrong = get().with("x-amz-date", |_| "Mon, 15 Jan 2024 12:00:00 GMT".into());
        assert_eq!(wrong.verify(), Err(Refusal::DateForm));
    }
}
