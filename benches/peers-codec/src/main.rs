//! mqtt-codec next to other MQTT codecs, interleaved in one process: `cargo xtask bench codec --peers`.
//!
//! Every decode includes the copy of the packet's bytes into the codec's own receive buffer, reads what the packet
//! says, and drops it; buffers are used again as far as the codec lets them. Packets to encode are built beforehand
//! and encoded into a buffer that is cleared and used again. Each codec is checked against the workload's description
//! before its time is taken.
//!
//! The rows of 128 KiB are a copy of 128 KiB before all else. A codec can fall far out of line there, up to fifteenfold and
//! in every batch of a process, and be in line again when measured with fewer others: where its buffers lie matters, most
//! likely how source and target of the copy lie in their pages. `--rows 128 --codec NAME` measures it once more.

mod checksum;
mod codecs;
mod harness;
mod table;
mod workload;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use checksum::Checksum;
use harness::{Adapter, Effort, Lane, interleave};
use table::{Cell, Column, Direction, Role, Table};
use workload::{Feed, Version, Workload};

#[global_allocator]
static ALLOCATOR: harness::Counting = harness::Counting;

const HELP: &str = "\
Measures mqtt-codec and other MQTT codecs side by side and prints tables in Markdown.

Usage: peers-codec [OPTIONS]

Options:
      --quick          A few rounds only: some 10 s instead of a minute
      --rows TEXT      Only rows whose name contains TEXT; \"decode\", \"encode\", \"3.1.1\" and \"MQTT 5\" count as part of
                       the name; may be given several times, and then all must be contained
      --codec NAME     Only codecs whose name contains NAME, beside ours and the floors
      --rounds N       How many batches each codec runs in each row
      --json FILE      Write every figure to FILE as well
      --check          Check that every codec reads and writes every workload, and measure nothing
  -h, --help           Print this help
";

/// The command line.
#[derive(Debug, PartialEq)]
struct Options {
    effort: Effort,
    rows: Vec<String>,
    codec: String,
    json: Option<PathBuf>,
    check: bool,
}

impl Options {
    /// `None` when help is asked for.
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options =
            Self { effort: NORMAL, rows: Vec::new(), codec: String::new(), json: None, check: false };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--quick" => options.effort = QUICK,
                "--rows" => options.rows.push(value()?),
                "--codec" => options.codec = value()?,
                "--json" => options.json = Some(value()?.into()),
                "--check" => options.check = true,
                "--rounds" => {
                    let rounds: usize = value()?.parse().map_err(|_| "--rounds needs a number")?;
                    options.effort.rounds = rounds.max(1);
                }
                "-h" | "--help" => return Ok(None),
                _ => return Err(format!("what is {argument}? See --help")),
            }
        }
        Ok(Some(options))
    }
}

const NORMAL: Effort = Effort { rounds: 41, batch: Duration::from_millis(4) };
const QUICK: Effort = Effort { rounds: 11, batch: Duration::from_millis(1) };

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => match run(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
        Ok(None) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

fn fail(error: &str) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

fn run(options: &Options) -> Result<(), String> {
    let mut codecs: Vec<(Role, Box<dyn Adapter>)> = Vec::new();
    codecs.extend(codecs::floors().into_iter().map(|codec| (Role::Floor, codec)));
    codecs.extend(codecs::peers().into_iter().map(|codec| (Role::Peer, codec)));
    codecs.retain(|(role, codec)| *role == Role::Floor || codec.name().contains(&options.codec));
    codecs.extend(codecs::ours().into_iter().map(|codec| (Role::Ours, codec)));
    let columns: Vec<Column> = codecs
        .iter()
        .map(|(role, codec)| Column { name: codec.name().to_owned(), role: *role, borrows: codec.borrows() })
        .collect();

    let mut json = Vec::new();
    let mut failures = 0;
    for version in Version::BOTH {
        for direction in Direction::BOTH {
            let mut table = Table { version, direction, columns: columns.clone(), rows: Vec::new() };
            for workload in Workload::all(version) {
                let name = format!("{} {} {}", version.name(), direction.name(), workload.name);
                if (direction == Direction::Encode && !workload.encoded)
                    || !options.rows.iter().all(|part| name.contains(part.as_str()))
                {
                    continue;
                }
                let cells = row(&codecs, version, direction, &workload, options)?;
                failures += cells.iter().filter(|cell| matches!(cell, Cell::Fails(_))).count();
                table.rows.push((workload.name.to_owned(), cells));
            }
            if !table.rows.is_empty() {
                println!("{}", table.markdown());
                json.extend(table.json());
            }
        }
    }
    println!("{}", machine());
    if let Some(file) = &options.json {
        std::fs::write(file, format!("[\n{}\n]\n", json.join(",\n")))
            .map_err(|error| format!("{}: {error}", file.display()))?;
    }
    if options.check && failures > 0 { Err(format!("{failures} failures")) } else { Ok(()) }
}

/// Checks every codec, then measures those that passed, side by side.
fn row(
    codecs: &[(Role, Box<dyn Adapter>)],
    version: Version,
    direction: Direction,
    workload: &Workload,
    options: &Options,
) -> Result<Vec<Cell>, String> {
    let wire = workload.wire(version);
    let mut effort = options.effort;
    if workload.feed == Feed::InBuffer {
        // Most of such a batch is refilling the buffer.
        effort.batch *= 4;
    }
    let mut cells = Vec::new();
    let mut lanes = Vec::new();
    for (role, codec) in codecs {
        let lane = match direction {
            Direction::Decode => codec.decoder(version, workload).map(|mut decode| {
                if *role != Role::Floor {
                    check_decoder(&mut decode, &wire, workload)?;
                }
                let wire = &wire;
                Lane::new(move |iterations| decode(wire, iterations), effort)
            }),
            Direction::Encode => codec.encoder(version, workload).map(|mut encoder| {
                check_encoder(&mut encoder, version, workload)?;
                Lane::new(encoder.run, effort)
            }),
        };
        cells.push(match lane {
            None => Cell::Absent,
            Some(Err(why)) => Cell::Fails(why),
            Some(Ok(lane)) => {
                lanes.push((cells.len(), lane));
                Cell::Absent
            }
        });
    }
    let (places, mut lanes): (Vec<usize>, Vec<Lane<'_>>) = lanes.into_iter().unzip();
    if options.check {
        effort.rounds = 1;
    }
    for (place, measured) in places.into_iter().zip(interleave(&mut lanes, effort)?) {
        cells[place] = Cell::Measured(measured);
    }
    Ok(cells)
}

fn check_decoder(decode: &mut harness::Decoder, wire: &[u8], workload: &Workload) -> Result<(), String> {
    const PASSES: usize = 3;
    let batch = decode(wire, PASSES)?;
    let expected = (workload.packets.len() * PASSES) as u64;
    if batch.packets != expected {
        return Err(format!("finds {} packets of {expected}", batch.packets));
    }
    if batch.checksum != workload.checksum().wrapping_mul(PASSES as u64) {
        return Err("reads something else than was sent".into());
    }
    Ok(())
}

/// The bytes may differ from ours where the standard leaves a choice.
fn check_encoder(
    encoder: &mut harness::Encoder,
    version: Version,
    workload: &Workload,
) -> Result<(), String> {
    let written = Checksum::of_wire(&(encoder.wire)()?, version);
    if written == Some((workload.packets.len(), Checksum(workload.checksum()))) {
        Ok(())
    } else {
        Err("writes something else than it was given".into())
    }
}

/// The line without which figures mean nothing.
fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let rustc = Command::new("rustc").arg("--version").output().ok();
    let rustc = rustc.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let rustc = if rustc.is_empty() { "rustc unknown" } else { rustc.trim() };
    format!("{} · {rustc} · {cores} cores", model.unwrap_or("CPU unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_command_line_is_read() {
        let options = parse("--quick --rows mix --rows decode --json a.json").unwrap().unwrap();
        assert_eq!((options.effort, options.rows.len(), options.check), (QUICK, 2, false));
        assert_eq!(parse("--rounds 3").unwrap().unwrap().effort.rounds, 3);
        assert_eq!(parse("--help"), Ok(None));
        assert!(parse("--rows").is_err());
        assert!(parse("--fast").is_err());
    }

    #[test]
    fn every_codec_reads_and_writes_what_the_workload_says() {
        for version in Version::BOTH {
            for workload in Workload::all(version) {
                let wire = workload.wire(version);
                for codec in codecs::peers().into_iter().chain(codecs::ours()) {
                    let about = format!("{} {} {}", codec.name(), version.name(), workload.name);
                    if let Some(mut decode) = codec.decoder(version, &workload) {
                        assert_eq!(check_decoder(&mut decode, &wire, &workload), Ok(()), "{about}");
                    }
                    if let Some(mut encoder) = codec.encoder(version, &workload) {
                        assert_eq!(check_encoder(&mut encoder, version, &workload), Ok(()), "{about}");
                    }
                }
            }
        }
    }
}
