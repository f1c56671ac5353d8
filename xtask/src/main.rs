//! `cargo xtask`: reads the command line and calls the library.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its user")]

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::bench::Subject;

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the rules that no compiler holds.
    ///
    /// Reads every file of the repository and prints each violation as `path:line: rule: what is wrong and what to
    /// do`. Exits with 1 when there is one. `--list` names the rules.
    Tidy {
        /// Name the rules and what each holds, and check nothing.
        #[arg(long)]
        list: bool,
    },
    /// Fuzz every target, or one, for some seconds each.
    ///
    /// Works on a copy of the committed corpus, so that a run leaves no files behind unless `--corpus` says where; what
    /// crashes a target is kept in fuzz/artifacts. Installs cargo-fuzz when it is missing. Needs no nightly toolchain:
    /// it sets RUSTC_BOOTSTRAP=1.
    Fuzz(xtask::fuzz::Options),
    /// Measure how fast a part of the project is.
    Bench {
        #[command(subcommand)]
        what: Bench,
    },
    /// Build each crate alone: without features, with each feature alone, with all of them.
    ///
    /// A warning is a failure, as it is in CI. Prints one line for each build.
    Features,
    /// Check how many crates each of ours pulls in, and that the core pulls no runtime.
    Trees,
    /// Check licences, banned crates, duplicate versions and sources of what comes in from outside.
    ///
    /// After deny.toml, by cargo-deny, which is installed when it is missing. Known vulnerabilities are checked elsewhere, since
    /// they need the network.
    Deny,
    /// List every normative statement of MQTT 3.1.1 and 5.0, who can meet it, and what shows that the codec does.
    ///
    /// Prints a Markdown table for each standard: the statement, its owner, where the codec's sources cite it and which
    /// test bears its number, then totals and what is not covered. Exits with 1 when one of the codec's statements is
    /// neither covered nor excused, and when a citation or a test names a statement that does not exist.
    Conformance {
        /// Print the totals and what is not covered only.
        #[arg(long)]
        summary: bool,
    },
    /// Build and run a program without std that uses mqtt-codec.
    ///
    /// The program brings an allocator and a panic handler of its own and links nothing but core, alloc and the C library.
    NoStd,
    /// Compile the crates for musl, for aarch64 and armv7, and the codec for a machine without an operating system.
    ///
    /// Installs Rust's part of each target by rustup, and says which cannot be had; the C compilers that crypto needs have to be
    /// there.
    Cross,
    /// Check that every relative link in the documentation leads to a file, and to a heading of it.
    DocLinks,
    /// Package every crate as for publishing, and build each from its package.
    ///
    /// Fails when a crate lacks what a registry shows: description, keywords, categories, readme, licence and its text.
    Package,
    /// Do what the READMEs tell a newcomer: new projects outside of this workspace that use one crate each.
    ///
    /// Programs, settings and dependencies are taken from the READMEs as they stand, built, run against the emulator, and have to
    /// print what they should.
    Walkthrough,
    /// Check our client against a real Mosquitto, and the emulator against mosquitto_pub and mosquitto_sub.
    ///
    /// Installs Mosquitto where it can (Debian and Ubuntu, as root) and says what to install where it cannot. All of
    /// it runs on free loopback ports.
    Interop {
        /// Run only the checks whose names have these words, such as "QoS 2".
        only: Option<String>,
    },
    /// Run the client against a real Mosquitto behind a proxy that breaks connections, and kill a program with an outbox.
    ///
    /// Cuts, resets, black holes, truncation, garbage, byte by byte, the broker killed, stopped and continued; every number of
    /// four streams is accounted for. Then a program that publishes by an outbox is killed twenty times and resumed: whatever
    /// it was told to be on disk arrives. `cargo xtask chaos --help` names the options.
    #[command(disable_help_flag = true)]
    Chaos {
        /// What is handed on as it is, such as --minutes 10 or --seed 7.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
        arguments: Vec<OsString>,
    },
    /// Publish for long with a reconnect five times a second, and watch memory, tasks, descriptors and latency.
    ///
    /// `cargo xtask soak --help` names the options.
    #[command(disable_help_flag = true)]
    Soak {
        /// What is handed on as it is, such as --minutes 5.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
        arguments: Vec<OsString>,
    },
    /// Run the client, a model of a broker and an adversary on one virtual clock, once for each seed.
    ///
    /// A seed that fails is printed as a line that repeats it, and with as few steps as still fail. With --mutants documented
    /// faults are put into a copy of the sources, one at a time, and each has to be found. `cargo xtask simulate --help`
    /// names the options.
    #[command(disable_help_flag = true)]
    Simulate {
        /// What is handed to the simulator as it is, such as --seeds 2000 or --mutants.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
        arguments: Vec<OsString>,
    },
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Decoding and encoding of packets.
    ///
    /// Without --peers this is the bench of the package `benches`. With it, mqtt-codec and other MQTT codecs are measured
    /// side by side in one process, in the workspace benches/peers-codec, which at first builds some 150 crates;
    /// `cargo xtask bench codec --peers -- --help` names its options.
    Codec {
        /// Next to other MQTT codecs; stands before what is handed on.
        #[arg(long)]
        peers: bool,
        /// What is handed to the bench as it is, such as --quick or --rows TEXT with --peers.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
        arguments: Vec<OsString>,
    },
    /// Sessions: messages and their acknowledgements. The bench of the package `benches`.
    Session {
        /// What is handed to the bench as it is.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
        arguments: Vec<OsString>,
    },
    /// Instructions of codec, machine and topics for a message, under valgrind, compared with benches/instructions.txt.
    ///
    /// A busy machine changes nothing. Fails when something takes more than the tolerance.
    Instructions(xtask::bench::instructions::Options),
    /// The client next to other MQTT clients.
    ///
    /// aws-iot and its peers take turns, each in a process of its own, against a null broker or Mosquitto, in the workspace
    /// benches/peers, which at first builds some 230 crates; `cargo xtask bench peers --help` names its options.
    #[command(disable_help_flag = true)]
    Peers {
        /// What is handed to the bench as it is, such as --quick or --workload NAME.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Tidy { list: true } => {
            xtask::tidy::print_rules();
            Ok(())
        }
        Command::Tidy { list: false } => xtask::tidy::run(),
        Command::Fuzz(options) => xtask::fuzz::run(&options),
        Command::Bench { what: Bench::Instructions(options) } => xtask::bench::instructions::run(&options),
        Command::Bench { what: Bench::Codec { peers: false, arguments } } => {
            xtask::bench::run(Subject::Codec, &arguments)
        }
        Command::Bench { what: Bench::Codec { peers: true, arguments } } => {
            xtask::bench::run(Subject::CodecPeers, &arguments)
        }
        Command::Bench { what: Bench::Session { arguments } } => {
            xtask::bench::run(Subject::Session, &arguments)
        }
        Command::Bench { what: Bench::Peers { arguments } } => xtask::bench::run(Subject::Peers, &arguments),
        Command::Features => xtask::features::run(),
        Command::Trees => xtask::trees::run(),
        Command::Deny => xtask::deny::run(),
        Command::Conformance { summary } => xtask::conformance::run(summary),
        Command::NoStd => xtask::no_std::run(),
        Command::Cross => xtask::cross::run(),
        Command::DocLinks => xtask::doc_links::run(),
        Command::Package => xtask::package::run(),
        Command::Walkthrough => xtask::walkthrough::run(),
        Command::Interop { only } => xtask::interop::run(only.as_deref()),
        Command::Chaos { arguments } => xtask::chaos::run("network", &arguments),
        Command::Soak { arguments } => xtask::chaos::run("soak", &arguments),
        Command::Simulate { arguments } => xtask::simulate::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    fn check(command: &clap::Command) {
        for command in command.get_subcommands() {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {} has no help",
                    command.get_name(),
                    argument.get_id()
                );
            }
            check(command);
        }
    }

    #[test]
    fn every_command_and_argument_has_help() {
        super::Cli::command().debug_assert();
        check(&super::Cli::command());
    }

    #[test]
    fn what_follows_a_bench_is_handed_on() {
        let given = |line: &str| match super::Cli::try_parse_from(line.split(' ')).unwrap().command {
            super::Command::Bench { what } => what,
            _ => panic!("not a bench"),
        };
        let codec = given("xtask bench codec --peers --quick --rows mix");
        assert!(matches!(codec, super::Bench::Codec { peers: true, arguments } if arguments.len() == 3));
        let peers = given("xtask bench peers --workload qos1 --help");
        let handed_on = ["--workload", "qos1", "--help"];
        assert!(matches!(peers, super::Bench::Peers { arguments } if arguments == handed_on));
    }
}
