//! Interoperability checks, run by `cargo xtask interop`: our client against a real Mosquitto, bare and behind a WebSocket
//! and a proxy, and against amqtt; our emulator against `mosquitto_pub` and `mosquitto_sub`, AWS's own client runtime and
//! AWS's device SDKs for Python. All of it on loopback, on free ports; what is started is stopped by its id.
#![allow(clippy::print_stdout, reason = "a program for people")]

mod client_checks;
mod emulator_checks;
mod page_checks;
mod python;
mod report;
mod sdk_checks;
mod session_checks;

use std::process::ExitCode;

use report::Report;

#[tokio::main]
async fn main() -> ExitCode {
    let mut report = Report::new(std::env::args().nth(1));
    let devices = sdk_checks::Devices::start(&report).await;
    client_checks::run(&mut report).await;
    emulator_checks::run(&mut report).await;
    page_checks::run(&mut report).await;
    match devices {
        Ok(devices) => devices.finish(&mut report).await,
        Err(error) => report.check("start the SDKs", async { Err::<String, _>(error) }).await,
    }
    report.close()
}
