//! aws-iot next to other MQTT clients: `cargo xtask bench peers`.
//!
//! Every run of a client is a process of its own, one at a time, against a broker that is a process of its own, too. The
//! clients take turns, so that a busy machine meets all of them alike. A run in which a message was lost or came twice is no
//! measurement, and is said to be none.

pub mod allocations;
mod brokers;
pub mod clients;
mod figures;
mod ledger;
mod measure;
mod options;
mod processes;
mod report;
mod run;
mod sizes;
mod system;
mod workload;

use options::Task;
pub use sizes::smallest;

/// The whole program, with these arguments.
///
/// # Errors
/// What is wrong with an argument, with the bench, or with a run of ours.
pub fn main(arguments: Vec<String>) -> Result<(), String> {
    use_one_provider();
    if let Some(done) = processes::other(&arguments) {
        return done;
    }
    match Task::parse(arguments.into_iter())? {
        Task::Help => print!("{}", options::HELP),
        Task::List => run::list(),
        Task::Sizes => sizes::run()?,
        Task::Measure(options) => run::run(&options)?,
    }
    Ok(())
}

/// The same cryptography for all of them.
fn use_one_provider() {
    // It fails when there is one already: then it is this one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
