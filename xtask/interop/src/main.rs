//! Interoperability checks, run by `cargo xtask interop`: our client against a real Mosquitto, our emulator against
//! `mosquitto_pub` and `mosquitto_sub`. All of it on loopback, on free ports; what is started is stopped by its id.
#![allow(clippy::print_stdout, reason = "a program for people")]

mod broker;
mod client_checks;
mod emulator_checks;
mod report;

use std::process::ExitCode;

use report::Report;

#[tokio::main]
async fn main() -> ExitCode {
    let mut report = Report::default();
    client_checks::run(&mut report).await;
    emulator_checks::run(&mut report).await;
    report.close()
}
