//! What the tests of the doctor share.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::time::Duration;

use aws_iot::doctor::{Finding, Options, Outcome, Report, Step};
use aws_iot::{Builder, Material, Version};
use iot_emulator::{Credentials, Emulator};

pub(crate) const BOTH: [Version; 2] = [Version::V3_1_1, Version::V5];

/// Enough for a machine that is busy.
pub(crate) fn patient() -> Options {
    Options::new().step_timeout(Duration::from_secs(20))
}

/// For what never comes.
pub(crate) fn impatient() -> Options {
    Options::new().step_timeout(Duration::from_millis(300))
}

pub(crate) fn mutual_tls(endpoint: &str, port: u16, device: &Credentials, ca: &str) -> Builder {
    let (certificate, key) =
        (Material::bytes(device.certificate_pem.as_str()), Material::bytes(device.key_pem.as_str()));
    let builder = aws_iot::mutual_tls(endpoint, certificate, key);
    builder.root_ca(Material::bytes(ca)).port(port).client_id("device")
}

pub(crate) fn at(emulator: &Emulator, device: &Credentials) -> Builder {
    mutual_tls(emulator.endpoint(), emulator.port(), device, &emulator.authority().ca_pem())
}

/// What failed, which has to be this and the only thing.
pub(crate) fn fails_at(report: &Report, step: Step) -> Finding {
    let failed: Vec<Step> =
        report.checks().iter().filter(|check| check.is_failed()).map(|check| check.step).collect();
    assert_eq!(failed, [step], "{report}");
    assert!(!report.is_healthy() && report.summary().contains(&step.to_string()), "{report}");
    report.first_failure().unwrap().finding().unwrap().clone()
}

pub(crate) fn passes(report: &Report, steps: &[Step]) {
    for step in steps {
        let outcome = &report.check(*step).unwrap().outcome;
        assert!(matches!(outcome, Outcome::Passed { .. }), "{step}: {report}");
    }
}

pub(crate) fn skips(report: &Report, steps: &[Step]) {
    for step in steps {
        let outcome = &report.check(*step).unwrap().outcome;
        assert!(matches!(outcome, Outcome::Skipped { .. }), "{step}: {report}");
    }
}

/// Every step is told of once, whatever happens.
pub(crate) fn is_whole(report: &Report) {
    let mut steps: Vec<String> = report.checks().iter().map(|check| check.step.to_string()).collect();
    assert_eq!(steps.len(), 16, "{report}");
    steps.sort();
    steps.dedup();
    assert_eq!(steps.len(), 16, "{report}");
}

/// Nothing of this is shown anywhere.
pub(crate) fn hides(report: &Report, secrets: &[&str]) {
    let shown = format!("{report} {report:?}");
    for secret in secrets {
        assert!(secret.len() > 8 && !shown.contains(secret), "{secret} in {shown}");
    }
}
