//! The AWS region that an endpoint's name tells.

use std::fmt;

/// The region in the host name of an AWS IoT endpoint, in lower case.
///
/// It is the label behind `iot` or `iot-fips`, before `amazonaws.com` or `amazonaws.com.cn`: that covers the data,
/// credential provider, jobs and discovery endpoints, with and without `-ats`, FIPS, GovCloud and China. A port and a
/// trailing dot are passed over.
///
/// # Errors
///
/// Custom domains, interface endpoints (`vpce`), addresses and `localhost` tell no region; nothing is guessed.
///
/// ```
/// use iot_transport::region_of;
///
/// assert_eq!(region_of("abc-ats.iot.eu-west-1.amazonaws.com").as_deref(), Ok("eu-west-1"));
/// assert_eq!(region_of("abc.iot.cn-north-1.amazonaws.com.cn:443").as_deref(), Ok("cn-north-1"));
/// assert!(region_of("mqtt.example.com").is_err());
/// ```
pub fn region_of(host: &str) -> Result<String, UnknownRegion> {
    let bare = match host.rsplit_once(':') {
        Some((bare, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => bare,
        _ => host,
    };
    let lower = bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase();
    find(&lower).map(str::to_owned).ok_or_else(|| UnknownRegion { host: host.chars().take(100).collect() })
}

/// `<prefix...>.(iot|iot-fips).<region>.amazonaws.com[.cn]`
fn find(host: &str) -> Option<&str> {
    let rest = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    let (rest, region) = rest.rsplit_once('.')?;
    let (prefix, service) = rest.rsplit_once('.')?;
    let named = matches!(service, "iot" | "iot-fips") && !prefix.is_empty();
    (named && prefix.split('.').all(is_label) && is_region(region)).then_some(region)
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Such as `us-gov-west-1`: at least two dashes, a number at the end.
fn is_region(label: &str) -> bool {
    let mut parts = label.split('-');
    let number =
        parts.next_back().is_some_and(|last| !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()));
    number
        && parts.clone().count() >= 2
        && parts.all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase()))
}

/// A host name that tells no AWS region. Says so, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownRegion {
    host: String,
}

impl fmt::Display for UnknownRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the host name {:?} does not tell the AWS region, as abc-ats.iot.eu-west-1.amazonaws.com does: give the \
             region apart from it",
            self.host
        )
    }
}

impl std::error::Error for UnknownRegion {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_aws_endpoint_tells_its_region() {
        for (host, region) in [
            ("a1b2-ats.iot.us-east-1.amazonaws.com", "us-east-1"),
            ("A1B2.IOT.EU-WEST-1.AMAZONAWS.COM", "eu-west-1"),
            ("a1b2.ats.iot.ap-southeast-2.amazonaws.com", "ap-southeast-2"),
            ("my-prefix-ats.iot.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
            ("data.iot-fips.us-gov-east-1.amazonaws.com", "us-gov-east-1"),
            ("data.credentials.iot-fips.us-west-2.amazonaws.com", "us-west-2"),
            ("c3d4.credentials.iot.eu-central-1.amazonaws.com", "eu-central-1"),
            ("e5f6.jobs.iot.eu-central-1.amazonaws.com.", "eu-central-1"),
            ("greengrass-ats.iot.us-west-2.amazonaws.com:8443", "us-west-2"),
            ("a1b2.ats.iot.cn-northwest-1.amazonaws.com.cn", "cn-northwest-1"),
        ] {
            assert_eq!(region_of(host).as_deref(), Ok(region), "{host}");
        }
    }

    #[test]
    fn nothing_is_guessed() {
        for host in [
            "",
            "localhost",
            "127.0.0.1:443",
            "[::1]:443",
            "mqtt.example.com",
            "iot.us-east-1.amazonaws.com",
            "a.iot.us-east-1.amazonaws.com.evil.example",
            "a.iot.us-east-1.amazonaws.org",
            "a.iot..amazonaws.com",
            "a.iot.us_east_1.amazonaws.com",
            "a.iot.east-1.amazonaws.com",
            "vpce-0abc-1def.iot.us-east-1.vpce.amazonaws.com",
            ".iot.us-east-1.amazonaws.com",
            "a b.iot.us-east-1.amazonaws.com",
            "a.beta.us-east-1.amazonaws.com",
        ] {
            let error = region_of(host).unwrap_err();
            assert!(error.to_string().contains("give the region"), "{host}");
        }
        assert!(region_of(&"x".repeat(10_000)).unwrap_err().to_string().len() < 300);
    }
}
