//! What the samples share: the flags that say where to connect to, Ctrl-C, the frame of a session, and how a sample ends.

/// The example of the workspace's README, held to compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

/// The guides' examples, as well.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../docs/connecting.md")]
    mod connecting {}
    #[doc = include_str!("../../docs/embedded.md")]
    mod embedded {}
    #[doc = include_str!("../../docs/migrating-from-python.md")]
    mod migrating {}
    #[doc = include_str!("../../docs/shadows.md")]
    mod shadows {}
    #[doc = include_str!("../../docs/testing-with-the-emulator.md")]
    mod testing {}
    #[doc = include_str!("../../docs/writing-a-layer.md")]
    mod writing_a_layer {}
}

mod connection;
mod exchange;
mod interrupt;
mod proxy;
mod session;
mod shadow;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use aws_iot::crates::mqtt_codec::InvalidTopic;

pub use connection::{ConnectionArgs, start_emulator};
pub use exchange::exchange;
pub use interrupt::Interrupt;
pub use proxy::LocalProxy;
pub use session::session;
pub use shadow::ShadowArgs;

/// What ends a sample early.
#[derive(Debug)]
pub enum Failure {
    /// Wrong arguments: a sentence, exit code 2.
    Usage(String),
    /// Something did not work: a sentence, exit code 1.
    Failed(String),
    /// Nobody reads the output any more (`| head`): no sentence, exit code 0.
    OutputClosed,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(sentence) | Self::Failed(sentence) => f.write_str(sentence),
            Self::OutputClosed => f.write_str("the output is closed"),
        }
    }
}

impl From<aws_iot::Error> for Failure {
    fn from(error: aws_iot::Error) -> Self {
        match error {
            aws_iot::Error::Region(error) => Self::Usage(format!("{error} (--region)")),
            aws_iot::Error::Limit(_) | aws_iot::Error::Endpoint(_) => Self::Usage(error.to_string()),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<InvalidTopic> for Failure {
    fn from(error: InvalidTopic) -> Self {
        Self::Usage(format!("no topic to publish to: {error} (-t)"))
    }
}

impl From<io::Error> for Failure {
    /// An error of the standard output.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Failed(format!("the standard output cannot be written to: {error}")),
        }
    }
}

/// Prints a line. Unlike `println!` it does not panic when nobody listens.
///
/// # Errors
/// The standard output is closed or full.
pub fn say(line: impl fmt::Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Prints a line to the standard error, if anybody listens.
pub fn warn(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The exit code of a sample, its sentence printed.
#[must_use]
pub fn end(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) | Err(Failure::OutputClosed) => ExitCode::SUCCESS,
        Err(failure) => {
            warn(format_args!("error: {failure}"));
            ExitCode::from(if matches!(failure, Failure::Usage(_)) { 2 } else { 1 })
        }
    }
}
