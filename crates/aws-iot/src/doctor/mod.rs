//! Finds out why a device cannot connect, subscribe or publish, and says it in AWS's terms.
//!
//! [`Builder::diagnose`] takes the very settings that the program connects with and walks the whole way, a step at a time:
//! files, endpoint, DNS, TCP, TLS, ALPN, the client certificate, CONNECT, a message there and back, a shadow. The first step
//! that fails says what it means, a certificate that is not active perhaps, a policy, the wrong type of endpoint, a clock, a
//! firewall, and what to do.
//!
//! ```no_run
//! use aws_iot::doctor::Options;
//! use aws_iot::Material;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let (certificate, key) = (Material::file("device.pem.crt"), Material::file("private.pem.key"));
//! let builder = aws_iot::mutual_tls("abc-ats.iot.eu-west-1.amazonaws.com", certificate, key).client_id("my-device");
//! let report = builder.diagnose(Options::new().thing_name("my-device")).await;
//! println!("{report}");
//! # }
//! ```
//!
//! # What it does to the service
//!
//! It opens a TCP connection to each address and a TLS connection, which it closes at once, and then connects once as the
//! program would: by the builder's client id, session and will, unless [`Options::client_id`] names another. **AWS IoT Core
//! lets a client id connect only once**: an examination by the id of a device that runs throws that device off, and the device
//! coming back ends the examination. So examine with the program stopped, or by an id of its own that the policy allows. The
//! policy is part of what is examined, and it often allows one id only; that is why no other one is made up.
//! A session that is kept is resumed, and what waits in it comes here: messages that nobody here takes stay unacknowledged and
//! are sent again later. The outbox is not opened, layers of one's own are left out.
//!
//! One message is published, at QoS 1, to a topic of its own ([`Options::topic`]), and of the shadow nothing is changed.

mod aws;
mod connection;
mod converse;
mod endpoint;
mod network;
mod notes;
mod report;
mod settings;
mod talk;
mod tls;
mod walk;

use std::time::Duration;

pub use report::{Check, Finding, Outcome, Report, Step};

use crate::builder::Builder;

/// What an examination is told.
///
/// ```
/// use std::time::Duration;
/// use aws_iot::doctor::Options;
///
/// let options = Options::new().thing_name("lamp").topic("lamp/test").step_timeout(Duration::from_secs(3));
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    client_id: Option<String>,
    topic: Option<String>,
    thing_name: Option<String>,
    step_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { client_id: None, topic: None, thing_name: None, step_timeout: Duration::from_secs(10) }
    }
}

impl Options {
    /// All as usual.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Connects by this client id. Default: the builder's, by which the device itself must not be connected meanwhile; without
    /// one a generated one.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// The topic that is subscribed and published to, without wildcards; one that the policy is meant to allow. Default:
    /// `sdk/test/doctor/<client id>`.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// Gets the classic shadow of this thing, too. Default: no shadow is looked at. No effect without the feature `shadow`.
    #[must_use]
    pub fn thing_name(mut self, thing_name: impl Into<String>) -> Self {
        self.thing_name = Some(thing_name.into());
        self
    }

    /// How long a step may take, from 1 ms to 1 h; what is outside is brought inside. The examination takes at most as many times
    /// that as it has steps. Default: 10 s.
    #[must_use]
    pub fn step_timeout(mut self, timeout: Duration) -> Self {
        self.step_timeout = timeout;
        self
    }
}

impl<L> Builder<L> {
    /// Examines the way to AWS IoT Core with these settings, step by step: see [`doctor`](crate::doctor) for what it does. The
    /// builder can connect afterwards.
    ///
    /// # Cancellation
    /// What it has opened is closed; a connection that is up is left in order.
    pub async fn diagnose(&self, options: Options) -> Report {
        self.diagnose_with(options, |_| {}).await
    }

    /// As [`diagnose`](Self::diagnose), and tells `observer` of each step as it ends.
    ///
    /// ```no_run
    /// # async fn f(builder: aws_iot::Builder) {
    /// use aws_iot::doctor::Options;
    ///
    /// let report = builder.diagnose_with(Options::new(), |check| println!("{check}")).await;
    /// println!("{}", report.summary());
    /// # }
    /// ```
    pub async fn diagnose_with(&self, options: Options, mut observer: impl FnMut(&Check) + Send) -> Report {
        let patient = settings::Patient::new(self, options);
        walk::examine(patient, &mut observer).await
    }
}
