//! The canonical form of a request: what a signature is made over.

use hyper::HeaderMap;
use hyper::header::HeaderName;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Parameter, Refusal};

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The same, and what parts a path.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// The most headers that a signature may name.
const MAX_SIGNED: usize = 32;

/// The path, with what was encoded already encoded once more, as all services but S3 want it.
pub(super) fn path(path: &str) -> String {
    utf8_percent_encode(path, RESERVED_IN_PATH).to_string()
}

/// The parameters that are signed, encoded and in order.
pub(super) fn query(parameters: &[Parameter], is_signed: impl Fn(&str) -> bool) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
    let mut pairs: Vec<(String, String)> = parameters
        .iter()
        .filter(|parameter| is_signed(&parameter.name))
        .map(|parameter| (encoded(&parameter.name), encoded(&parameter.value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// The headers that are signed, a line for each, with this host. Their names have to be there in lower case, in order,
/// each once, and `host` among them.
pub(super) fn headers(signed: &str, headers: &HeaderMap, host: &str) -> Result<String, Refusal> {
    let names: Vec<&str> = signed.split(';').take(MAX_SIGNED + 1).collect();
    let in_order = names.iter().zip(names.iter().skip(1)).all(|(one, next)| one < next);
    if names.len() > MAX_SIGNED || !in_order {
        return Err(Refusal::SignedHeaders);
    }
    if !names.contains(&"host") {
        return Err(Refusal::HostNotSigned);
    }
    let mut lines = String::new();
    for name in names {
        let value = if name == "host" { host.to_ascii_lowercase() } else { value(name, headers)? };
        lines = lines + name + ":" + &value + "\n";
    }
    Ok(lines)
}

fn value(name: &str, headers: &HeaderMap) -> Result<String, Refusal> {
    let header = HeaderName::from_lowercase(name.as_bytes()).map_err(|_| Refusal::SignedHeaders)?;
    let values: Option<Vec<String>> = headers
        .get_all(header)
        .iter()
        .map(|value| {
            let words: Vec<&str> = value.to_str().ok()?.split(' ').filter(|word| !word.is_empty()).collect();
            Some(words.join(" "))
        })
        .collect();
    match values {
        Some(values) if !values.is_empty() => Ok(values.join(",")),
        _ => Err(Refusal::HeaderMissing(name.to_owned())),
    }
}
