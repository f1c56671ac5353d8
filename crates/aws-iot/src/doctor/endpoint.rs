//! What an endpoint's name and port tell.

use std::net::IpAddr;

use super::report::{Finding, Outcome};

const RIGHT_ONE: &str = "use the host name that `aws iot describe-endpoint --endpoint-type iot:Data-ATS` prints, of the form \
                         <prefix>-ats.iot.<region>.amazonaws.com";

/// Which of AWS's doors a host name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Data,
    /// For devices, with a certificate of a CA that is no longer trusted.
    Legacy,
    /// Of another service, which speaks no MQTT.
    Other(&'static str),
    Interface,
    Address,
    /// A custom domain, or a broker that is none of AWS's.
    Own,
}

fn form(host: &str) -> Form {
    if host.parse::<IpAddr>().is_ok() {
        return Form::Address;
    }
    let Some(rest) = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))
    else {
        return Form::Own;
    };
    if rest.ends_with(".vpce") {
        return Form::Interface;
    }
    let labels: Vec<&str> = rest.split('.').collect();
    match labels.as_slice() {
        ["greengrass-ats" | "greengrass", "iot", _] => Form::Other("the Greengrass discovery endpoint"),
        [.., "credentials", "iot" | "iot-fips", _] => Form::Other("an endpoint of the credential provider"),
        [.., "jobs", "iot" | "iot-fips", _] => Form::Other("an endpoint of AWS IoT jobs over HTTPS"),
        ["data", "iot", _] => {
            Form::Other("the endpoint of AWS IoT Core's HTTP interface, which belongs to no account")
        }
        [prefix, "iot", _] if !prefix.ends_with("-ats") => Form::Legacy,
        [.., _, "iot" | "iot-fips", _] => Form::Data,
        ["iot" | "iot-fips", _] => {
            Form::Other("the control plane of AWS IoT Core, which AWS's own tools use")
        }
        _ => Form::Other("an endpoint of another AWS service"),
    }
}

/// What host and port tell; `websocket`: how it is spoken to.
pub(super) fn examine(host: &str, port: u16, websocket: bool) -> Outcome {
    let form = form(host);
    let passed = |detail: String| Outcome::Passed { detail };
    let (what, means) = match form {
        Form::Other(other) => {
            (format!("{host} is {other}"), "the wrong type of endpoint: devices cannot connect by MQTT there")
        }
        Form::Data | Form::Legacy if port == 1883 || port == 80 => {
            (format!("port {port} is one without encryption"), "AWS IoT Core has no such port")
        }
        _ => {
            return doubtful(form, host, port, websocket).unwrap_or_else(|| passed(format!("{host}:{port}")));
        }
    };
    let remedy = if port == 1883 || port == 80 { "use port 8883, or 443" } else { RIGHT_ONE };
    Outcome::Failed(Finding::new(what, means, remedy))
}

/// What is probably not meant.
fn doubtful(form: Form, host: &str, port: u16, websocket: bool) -> Option<Outcome> {
    let passed = |detail: String| Some(Outcome::Passed { detail });
    let finding = match form {
        Form::Own => return passed(format!("{host}:{port}, a custom domain or another broker")),
        Form::Address => return passed(format!("{host}:{port}, an address: not one of AWS's names")),
        Form::Legacy => Finding::new(
            format!("{host} has no -ats in its name"),
            "a legacy endpoint, whose certificate is signed by a CA (Symantec, VeriSign) that is no longer trusted",
            RIGHT_ONE,
        ),
        Form::Interface => Finding::new(
            format!("{host} is the name of an interface endpoint (PrivateLink)"),
            "the server's certificate carries the names of the data endpoint, not this one, and the check of the name \
             will fail",
            "give the data endpoint's name, and have a private hosted zone lead it to the interface endpoint",
        ),
        Form::Data if websocket && port == 8883 => Finding::new(
            "port 8883 speaks MQTT by certificate, not WebSocket",
            "the upgrade will not be answered",
            "leave the port out: 443 is where WebSockets are",
        ),
        Form::Data if port == 8443 => Finding::new(
            "port 8443 speaks HTTPS, not MQTT",
            "CONNECT will not be answered",
            "use port 8883, or 443",
        ),
        Form::Data => {
            let region = iot_transport::region_of(host).unwrap_or_else(|_| "a region of its own".into());
            return passed(format!("{host}:{port}, a data endpoint in {region}"));
        }
        Form::Other(_) => return None,
    };
    Some(Outcome::Doubtful(finding))
}

/// What the region that is signed for tells beside the host.
#[cfg(feature = "websocket")]
pub(super) fn region(host: &str, given: Option<&str>) -> Option<Outcome> {
    match (iot_transport::region_of(host), given) {
        (Err(error), None) => Some(Outcome::Failed(Finding::new(
            error.to_string(),
            "without its region nothing can be signed",
            "give the region of the endpoint (Builder::region)",
        ))),
        (Ok(named), Some(given)) if named != given => Some(Outcome::Doubtful(Finding::new(
            format!("the endpoint is in {named}, and the signature is for {given}"),
            "AWS refuses a signature for another region with HTTP 403",
            "leave the region out: the endpoint's name tells it",
        ))),
        _ => None,
    }
}

/// Whether it is a name of AWS.
pub(super) fn is_aws(host: &str) -> bool {
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_doors_of_aws_are_told_apart_by_their_names() {
        for (host, expected) in [
            ("abc-ats.iot.eu-west-1.amazonaws.com", Form::Data),
            ("abc.ats.iot.cn-north-1.amazonaws.com.cn", Form::Data),
            ("abc.iot-fips.us-gov-west-1.amazonaws.com", Form::Data),
            ("abc.iot.eu-west-1.amazonaws.com", Form::Legacy),
            ("vpce-1-2.iot.us-east-1.vpce.amazonaws.com", Form::Interface),
            ("127.0.0.1", Form::Address),
            ("::1", Form::Address),
            ("localhost", Form::Own),
            ("mqtt.example.com", Form::Own),
            ("abc.iot.eu-west-1.amazonaws.com.evil.example", Form::Own),
        ] {
            assert_eq!(form(host), expected, "{host}");
        }
    }

    #[test]
    fn the_wrong_type_of_endpoint_fails_with_the_command_that_prints_the_right_one() {
        for (host, word) in [
            ("abc.credentials.iot.eu-west-1.amazonaws.com", "credential provider"),
            ("abc.jobs.iot.eu-west-1.amazonaws.com", "jobs"),
            ("data.iot.eu-west-1.amazonaws.com", "HTTP"),
            ("iot.eu-west-1.amazonaws.com", "control plane"),
            ("greengrass-ats.iot.eu-west-1.amazonaws.com", "Greengrass"),
            ("iotsitewise.eu-west-1.amazonaws.com", "another AWS service"),
            ("data.iotevents.eu-west-1.amazonaws.com", "another AWS service"),
        ] {
            let Outcome::Failed(finding) = examine(host, 8883, false) else { panic!("{host}") };
            assert!(
                finding.what.contains(word) && finding.means.contains("wrong type of endpoint"),
                "{finding:?}"
            );
            assert!(finding.remedy.contains("describe-endpoint"), "{finding:?}");
        }
    }

    #[test]
    fn ports_that_lead_elsewhere_are_pointed_out() {
        let host = "abc-ats.iot.eu-west-1.amazonaws.com";
        assert!(matches!(examine(host, 1883, false), Outcome::Failed(_)));
        assert!(matches!(examine(host, 8443, false), Outcome::Doubtful(_)));
        assert!(matches!(examine(host, 8883, true), Outcome::Doubtful(_)));
        for (port, websocket) in [(8883, false), (443, false), (443, true)] {
            let Outcome::Passed { detail } = examine(host, port, websocket) else { panic!("{port}") };
            assert!(detail.ends_with("a data endpoint in eu-west-1"), "{detail}");
        }
        assert!(matches!(examine("localhost", 1883, false), Outcome::Passed { .. }));
        assert!(matches!(examine("abc.iot.eu-west-1.amazonaws.com", 8883, false), Outcome::Doubtful(_)));
    }

    #[cfg(feature = "websocket")]
    #[test]
    fn a_region_that_is_missing_fails_and_another_one_is_doubtful() {
        let host = "abc-ats.iot.eu-west-1.amazonaws.com";
        assert_eq!(region(host, None), None);
        assert_eq!(region(host, Some("eu-west-1")), None);
        assert!(matches!(region(host, Some("us-east-1")), Some(Outcome::Doubtful(_))));
        assert!(matches!(region("mqtt.example.com", None), Some(Outcome::Failed(_))));
        assert_eq!(region("mqtt.example.com", Some("us-east-1")), None);
    }
}
