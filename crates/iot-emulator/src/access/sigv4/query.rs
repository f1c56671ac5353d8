//! Queries taken apart.

use percent_encoding::percent_decode_str;

use super::Refusal;

/// The most parameters that are looked at.
const MAX_PARAMETERS: usize = 64;

/// One parameter of a query, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// The parameters of a query, in their order.
pub(crate) fn parameters(query: &str) -> Result<Vec<Parameter>, Refusal> {
    let parameters: Vec<Parameter> = query
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .take(MAX_PARAMETERS + 1)
        .map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            Some(Parameter { name: decoded(name)?, value: decoded(value)? })
        })
        .collect::<Option<_>>()
        .ok_or(Refusal::Encoding)?;
    if parameters.len() > MAX_PARAMETERS { Err(Refusal::Encoding) } else { Ok(parameters) }
}

/// `None` when a `%` is not followed by two digits, or what comes out is not UTF-8. A `+` is a space, as in forms: who
/// means a plus has to encode it.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let escapes_are_whole = text.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !escapes_are_whole {
        return None;
    }
    percent_decode_str(&text.replace('+', " ")).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_bounded() {
        let expected = [("a", "b c"), ("d", ""), ("e", ""), ("/", "=+")];
        let found = parameters("a=b+c&d&&e=&%2f==%2B").unwrap();
        assert!(found.iter().map(|p| (p.name.as_str(), p.value.as_str())).eq(expected), "{found:?}");
        for broken in ["a=%", "a=%2", "a=%2x", "%zz=1", "a=%ff"] {
            assert_eq!(parameters(broken), Err(Refusal::Encoding), "{broken}");
        }
        assert_eq!(parameters(&"a&".repeat(64)).map(|all| all.len()), Ok(64));
        assert_eq!(parameters(&"a&".repeat(65)), Err(Refusal::Encoding));
    }
}
