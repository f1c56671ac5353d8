//! The body of `endpoint_parse`.

use crate::{Address, region_of};

/// Reads `data` as an endpoint and as the host name that tells a region.
pub fn endpoint_parse(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match text.parse::<Address>() {
        Ok(address) => {
            let shown = address.to_string();
            assert_eq!(shown.parse().as_ref(), Ok(&address), "{shown:?}");
            assert!(!address.host().is_empty() && address.port() != Some(0));
            assert!(!address.host().contains(|c: char| c.is_uppercase() || c.is_whitespace() || c == '/'));
        }
        Err(error) => assert!(error.to_string().len() < 2_000, "an error without bound"),
    }
    match region_of(&text) {
        Ok(region) => {
            assert!(text.to_ascii_lowercase().contains(&format!(".{region}.amazonaws.com")), "{region}");
            assert!(
                region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{region}"
            );
            // What tells a region can be dialled.
            let host = text.rsplit_once(':').map_or(&*text, |(host, _)| host);
            assert!(host.len() > 253 || has_long_label(host) || host.parse::<Address>().is_ok(), "{host:?}");
        }
        Err(error) => assert!(error.to_string().len() < 2_000, "an error without bound"),
    }
}

fn has_long_label(host: &str) -> bool {
    host.split('.').any(|label| label.len() > 63)
}
