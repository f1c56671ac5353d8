//! What an examination found.

use std::fmt;
use std::time::Duration;

/// What is examined, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// The settings; certificate, key and CA: that they can be read and used, belong together and are within their dates.
    Settings,
    /// Whether the endpoint is one for devices, by its form; the port and the region.
    Endpoint,
    /// The addresses of the endpoint, or of the proxy.
    Dns,
    /// A TCP connection to each of the addresses.
    Tcp,
    /// The tunnel through the proxy.
    Proxy,
    /// The server's certificate: its chain, its names, its dates.
    Tls,
    /// The application protocol.
    Alpn,
    /// Whether the client certificate is refused.
    ClientCertificate,
    /// Where the AWS credentials come from.
    Credentials,
    /// The upgrade to WebSocket, with its signature or its authorizer.
    Upgrade,
    /// CONNECT and CONNACK.
    Connect,
    /// SUBSCRIBE to the test topic.
    Subscribe,
    /// PUBLISH to the test topic.
    Publish,
    /// The message that comes back.
    Receive,
    /// The shadow of the thing.
    Shadow,
    /// An orderly end.
    Disconnect,
}

impl Step {
    pub(super) const ALL: [Self; 16] = [
        Self::Settings,
        Self::Endpoint,
        Self::Dns,
        Self::Tcp,
        Self::Proxy,
        Self::Tls,
        Self::Alpn,
        Self::ClientCertificate,
        Self::Credentials,
        Self::Upgrade,
        Self::Connect,
        Self::Subscribe,
        Self::Publish,
        Self::Receive,
        Self::Shadow,
        Self::Disconnect,
    ];
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Settings => "settings and files",
            Self::Endpoint => "endpoint",
            Self::Dns => "DNS",
            Self::Tcp => "TCP",
            Self::Proxy => "proxy",
            Self::Tls => "TLS, server",
            Self::Alpn => "TLS, ALPN",
            Self::ClientCertificate => "client certificate",
            Self::Credentials => "AWS credentials",
            Self::Upgrade => "WebSocket upgrade",
            Self::Connect => "MQTT connect",
            Self::Subscribe => "subscribe",
            Self::Publish => "publish",
            Self::Receive => "receive",
            Self::Shadow => "shadow",
            Self::Disconnect => "disconnect",
        })
    }
}

/// What is wrong, what that means at AWS IoT Core, and what to do. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What was met.
    pub what: String,
    /// What it usually means.
    pub means: String,
    /// What to do about it.
    pub remedy: String,
}

impl Finding {
    pub(super) fn new(what: impl Into<String>, means: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), means: means.into(), remedy: remedy.into() }
    }

    /// From an error's sentence, which says what happened and, behind a semicolon, what to do.
    pub(super) fn of(sentence: &str, means: impl Into<String>, remedy: &str) -> Self {
        match sentence.split_once("; ") {
            Some((what, advice)) if remedy.is_empty() => Self::new(what, means, advice),
            Some((what, _)) => Self::new(what, means, remedy),
            None if remedy.is_empty() => Self::new(sentence, means, "correct it, and examine once more"),
            None => Self::new(sentence, means, remedy),
        }
    }
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// All is well.
    Passed {
        /// What there is to know.
        detail: String,
    },
    /// It may be as wanted, or what makes a later step fail.
    Doubtful(Finding),
    /// It is broken.
    Failed(Finding),
    /// Not looked at.
    Skipped {
        /// Because.
        why: String,
    },
}

/// A step and how it ended. `Display` gives a line, and two more about what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// What was examined.
    pub step: Step,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

impl Check {
    /// What is wrong, or may be.
    #[must_use]
    pub fn finding(&self) -> Option<&Finding> {
        match &self.outcome {
            Outcome::Failed(finding) | Outcome::Doubtful(finding) => Some(finding),
            _ => None,
        }
    }

    /// Whether it is broken.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, text) = match &self.outcome {
            Outcome::Passed { detail } => ("ok", detail),
            Outcome::Doubtful(finding) => ("doubt", &finding.what),
            Outcome::Failed(finding) => ("FAILED", &finding.what),
            Outcome::Skipped { why } => ("skipped", why),
        };
        write!(f, "{word:<8}{:<20}{text}", self.step)?;
        if !matches!(self.outcome, Outcome::Skipped { .. }) && self.took >= Duration::from_millis(1) {
            write!(f, " ({} ms)", self.took.as_millis())?;
        }
        if let Some(Finding { means, remedy, .. }) = self.finding() {
            write!(f, "\n{:8}what it means:      {means}", "")?;
            write!(f, "\n{:8}what to do:         {remedy}", "")?;
        }
        Ok(())
    }
}

/// What an [examination](crate::Builder::diagnose) found, step by step. `Display` is for people: a line for each step,
/// and a last one that sums up.
///
/// ```no_run
/// # async fn f(builder: aws_iot::Builder) {
/// use aws_iot::doctor::Options;
///
/// let report = builder.diagnose(Options::new()).await;
/// if let Some(check) = report.first_failure() {
///     println!("{}: {}", check.step, check.finding().map_or("", |finding| &finding.remedy));
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub(super) subject: String,
    pub(super) checks: Vec<Check>,
}

impl Report {
    /// What was examined: the endpoint, the client id, the way in.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Every step, in order.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// How a step ended, if it came to that.
    #[must_use]
    pub fn check(&self, step: Step) -> Option<&Check> {
        self.checks.iter().find(|check| check.step == step)
    }

    /// Whether nothing failed.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.first_failure().is_none()
    }

    /// What failed first: what comes later may just follow from it.
    #[must_use]
    pub fn first_failure(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.is_failed())
    }

    /// The last line: whether all is well, and if not, where it fails.
    #[must_use]
    pub fn summary(&self) -> String {
        let count =
            |wanted: fn(&Outcome) -> bool| self.checks.iter().filter(|check| wanted(&check.outcome)).count();
        let passed = count(|outcome| matches!(outcome, Outcome::Passed { .. }));
        let skipped = count(|outcome| matches!(outcome, Outcome::Skipped { .. }));
        match (self.first_failure(), count(|outcome| matches!(outcome, Outcome::Doubtful(_)))) {
            (Some(check), _) => format!("Not healthy: it fails at \"{}\".", check.step),
            (None, 0) => format!("Healthy: {passed} passed, {skipped} skipped."),
            (None, doubts) => format!("Healthy: {passed} passed, {skipped} skipped, {doubts} in doubt."),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.subject)?;
        for check in &self.checks {
            writeln!(f, "{check}")?;
        }
        f.write_str(&self.summary())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_in_the_list_once_and_in_order() {
        let places: Vec<_> = Step::ALL.iter().map(|step| *step as usize).collect();
        assert_eq!(places, (0..Step::ALL.len()).collect::<Vec<_>>());
    }

    #[test]
    fn a_sentence_is_taken_apart_at_its_semicolon() {
        let finding = Finding::of("it is broken; mend it; at once", "meaning", "");
        assert_eq!(finding, Finding::new("it is broken", "meaning", "mend it; at once"));
        assert_eq!(Finding::of("a; b", "m", "r"), Finding::new("a", "m", "r"));
        assert_eq!(Finding::of("a", "m", "r"), Finding::new("a", "m", "r"));
    }

    #[test]
    fn a_report_reads_like_this() {
        let check = |step, outcome, millis| Check { step, outcome, took: Duration::from_millis(millis) };
        let mut report = Report {
            subject: "abc:8883 as device".into(),
            checks: vec![
                check(Step::Settings, Outcome::Passed { detail: "all good".into() }, 0),
                check(Step::Endpoint, Outcome::Doubtful(Finding::new("odd", "who knows", "look")), 0),
                check(Step::Dns, Outcome::Skipped { why: "an address".into() }, 5),
            ],
        };
        assert!(report.to_string().ends_with("\nHealthy: 1 passed, 1 skipped, 1 in doubt."));
        report.checks.push(check(
            Step::Tcp,
            Outcome::Failed(Finding::new("closed", "a wall", "a door")),
            1500,
        ));
        assert_eq!(
            report.to_string(),
            "abc:8883 as device\n\
             ok      settings and files  all good\n\
             doubt   endpoint            odd\n\
            \x20       what it means:      who knows\n\
            \x20       what to do:         look\n\
             skipped DNS                 an address\n\
             FAILED  TCP                 closed (1500 ms)\n\
            \x20       what it means:      a wall\n\
            \x20       what to do:         a door\n\
             Not healthy: it fails at \"TCP\"."
        );
    }
}
