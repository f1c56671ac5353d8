//! Requests of the test suite that AWS published for Signature Version 4, with the signatures that it gives for them.
//!
//! They are signed for a service named `service`, which none here takes. So only the signature is looked at.

use hyper::header::{HeaderName, HeaderValue};

use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

const UNRESERVED: &str = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

const TOKEN_VALUE: &str = concat!(
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUu",
    "wthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQc",
    "HNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/o",
    "LxBA==",
);

/// A request of the suite. All are for one host, at one time.
#[derive(Clone, Copy)]
struct Vector {
    name: &'static str,
    host: &'static str,
    date: &'static str,
    scope: &'static str,
    method: &'static str,
    target: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    signed: &'static str,
    signature: &'static str,
}

const GET: Vector = Vector {
    name: "get-vanilla",
    host: "example.amazonaws.com",
    date: "20150830T123600Z",
    scope: "20150830/us-east-1/service/aws4_request",
    method: "GET",
    target: "/",
    headers: &[],
    body: "",
    signed: "host;x-amz-date",
    signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
};

const POST: Vector = Vector {
    name: "post-vanilla",
    method: "POST",
    signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ..GET
};

const STS: Vector = Vector {
    name: "post-sts-header-before",
    headers: &[("x-amz-security-token", TOKEN_VALUE)],
    signed: "host;x-amz-date;x-amz-security-token",
    signature: "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
    ..POST
};

const ALL: [Vector; 11] = [
    GET,
    POST,
    STS,
    Vector {
        name: "get-vanilla-query-order-key-case",
        target: "/?Param2=value2&Param1=value1",
        signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ..GET
    },
    Vector {
        name: "get-vanilla-utf8-query",
        target: "/?%E1%88%B4=bar",
        signature: "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
        ..GET
    },
    Vector {
        name: "get-unreserved",
        target: UNRESERVED,
        signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ..GET
    },
    Vector {
        name: "get-header-key-duplicate",
        headers: &[("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")],
        signed: "host;my-header1;x-amz-date",
        signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ..GET
    },
    Vector {
        name: "get-header-value-trim",
        headers: &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
        signed: "host;my-header1;my-header2;x-amz-date",
        signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ..GET
    },
    Vector {
        name: "post-header-key-sort",
        headers: &[("my-header1", "value1")],
        signed: "host;my-header1;x-amz-date",
        signature: "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ..POST
    },
    Vector {
        name: "post-header-value-case",
        headers: &[("my-header1", "VALUE1")],
        signed: "host;my-header1;x-amz-date",
        signature: "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
        ..POST
    },
    Vector {
        name: "post-x-www-form-urlencoded",
        headers: &[FORM],
        body: "Param1=value1",
        signed: "content-type;host;x-amz-date",
        signature: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ..POST
    },
];

impl Vector {
    fn is_good(&self) -> Result<bool, Refusal> {
        let Self { scope, signed, signature, .. } = self;
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, SignedHeaders={signed}, Signature={signature}"
        );
        let fixed =
            [("host", self.host), ("authorization", authorization.as_str()), ("x-amz-date", self.date)];
        let mut headers = HeaderMap::new();
        for (name, value) in fixed.iter().chain(self.headers) {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let (path, query) = self.target.split_once('?').unwrap_or((self.target, ""));
        let query = parameters(query)?;
        let (method, body) = (self.method, self.body.as_bytes());
        let request = SignedRequest { method, path, query: &query, headers: &headers, body };
        let signature = request.signature()?;
        signature.is_good(request, &signing_key(SECRET, signature.scope), false)
    }
}

#[test]
fn the_signatures_of_the_suite_are_good_for_their_requests_alone() {
    for vector in ALL {
        let name = vector.name;
        assert_eq!(vector.is_good(), Ok(true), "{name}");
        let others = [
            Vector { method: "PUT", ..vector },
            Vector { target: "/other", ..vector },
            Vector { body: "Param1=value2", ..vector },
            Vector { host: "example.com", ..vector },
            Vector { scope: "20150831/us-east-1/service/aws4_request", ..vector },
            Vector { date: "20150830T123601Z", ..vector },
        ];
        let answers = others.map(|other| other.is_good());
        assert!(answers.iter().all(|answer| *answer == Ok(false)), "{name}: {answers:?}");
    }
}

#[test]
fn a_token_beside_the_signature_is_refused() {
    // The suite's `post-sts-header-after`, which not every service takes.
    let after = Vector { headers: STS.headers, ..POST };
    assert_eq!(after.is_good(), Err(Refusal::NotSigned("x-amz-security-token".into())));
}
