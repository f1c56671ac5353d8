//! Long runs: memory, tasks, descriptors and latency have to stay what they were.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use iot_session::{Message, Version};
use mosquitto::{Failure, Mosquitto};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

use crate::clients::{How, becomes, plain, start};
use crate::network::now;
use crate::proxy::{Fault, Proxy};

/// How long it runs, and where the picture goes.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How long.
    #[arg(long)]
    minutes: Option<f64>,
    /// The same, in seconds.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// From one cut of the connection to the next, in milliseconds.
    #[arg(long, default_value_t = 200)]
    cut_every: u64,
    /// Where the chart is written, as SVG.
    #[arg(long, default_value = "target/soak.svg")]
    chart: PathBuf,
}

/// What is looked at again and again.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    seconds: f64,
    /// Kilobytes.
    memory: f64,
    /// Milliseconds from a publish to its acknowledgement, the median since the sample before.
    latency: f64,
}

/// What there is when nothing happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quiet {
    tasks: usize,
    descriptors: usize,
}

/// Runs, judges, draws.
///
/// # Errors
/// Something grows, or Mosquitto does not start.
pub async fn run(options: &Options) -> Result<(), Failure> {
    let length =
        Duration::try_from_secs_f64(options.minutes.map_or(options.seconds, |minutes| minutes * 60.0))?;
    let broker = Mosquitto::start().await?;
    let proxy = Proxy::start(broker.plain_port).await?;
    let (client, _) = start(plain(proxy.port), Version::V5, "soak", How::Eager, None)?;
    client.connect().await?;
    let before = quiet().await?;
    let (stop, stopped) = watch::channel(false);
    let (acked, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let latencies: Arc<Mutex<Vec<f64>>> = Arc::default();
    let publisher = tokio::spawn({
        let (client, acked, failed, latencies) =
            (client.clone(), Arc::clone(&acked), Arc::clone(&failed), Arc::clone(&latencies));
        async move {
            // As many as the window, so that what is measured is not the wait for room.
            let room = Arc::new(Semaphore::new(100));
            while !*stopped.borrow() {
                let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
                let Ok(message) = Message::new("soak", vec![b'x'; 100]) else { return };
                let begun = now();
                let Ok(ack) = client.publish(message).await else { return };
                let (acked, failed, latencies) =
                    (Arc::clone(&acked), Arc::clone(&failed), Arc::clone(&latencies));
                tokio::spawn(async move {
                    let outcome = ack.await;
                    drop(permit);
                    if outcome.is_err() {
                        failed.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                    if acked.fetch_add(1, Ordering::Relaxed).is_multiple_of(16) {
                        let millis = (now() - begun).as_secs_f64() * 1000.0;
                        latencies.lock().unwrap_or_else(PoisonError::into_inner).push(millis);
                    }
                });
            }
        }
    });
    let begun = now();
    let (mut samples, mut next_cut) = (Vec::new(), Duration::from_millis(options.cut_every));
    let tick = (length / 400).max(Duration::from_millis(20));
    let mut next_sample = tick;
    loop {
        sleep(next_cut.min(next_sample).saturating_sub(now() - begun)).await;
        let elapsed = now() - begun;
        if elapsed >= length {
            break;
        }
        if elapsed >= next_sample {
            next_sample = elapsed + tick;
            let mut latencies =
                std::mem::take(&mut *latencies.lock().unwrap_or_else(PoisonError::into_inner));
            let latency = median(&mut latencies).unwrap_or(0.0);
            samples.push(Sample { seconds: elapsed.as_secs_f64(), memory: memory()?, latency });
        }
        if elapsed >= next_cut {
            next_cut = elapsed + Duration::from_millis(options.cut_every);
            proxy.set(Fault::Reset);
            // Those that it has see it; the next ones find it gone.
            sleep(Duration::from_millis(2)).await;
            proxy.set(Fault::None);
        }
    }
    let _ = stop.send(true);
    publisher.await?;
    let settled = becomes(Duration::from_secs(30), || {
        let stats = client.stats();
        client.status().borrow().is_connected() && stats.queued == 0 && stats.in_flight == 0
    });
    if !settled.await {
        return Err(format!("it does not come to rest: {:?}", client.stats()).into());
    }
    let after = quiet().await?;
    let stats = client.stats();
    println!(
        "{} messages acknowledged, {} not, {} reconnects in {:.0} s",
        acked.load(Ordering::Relaxed),
        failed.load(Ordering::Relaxed),
        stats.reconnects(),
        length.as_secs_f64()
    );
    if let Some(parent) = options.chart.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&options.chart, chart(&samples))?;
    println!("chart: {}", options.chart.display());
    if stats.reconnects() == 0 || acked.load(Ordering::Relaxed) == 0 {
        return Err("nothing happened".into());
    }
    judge(&samples, before, after)
}

/// The counts once nothing happens any more: they are the same for a while.
async fn quiet() -> Result<Quiet, Failure> {
    let mut last = count()?;
    let mut same = 0;
    for _ in 0..200 {
        sleep(Duration::from_millis(25)).await;
        let present = count()?;
        same = if present == last { same + 1 } else { 0 };
        last = present;
        if same == 12 {
            break;
        }
    }
    Ok(last)
}

fn count() -> Result<Quiet, Failure> {
    let tasks = Handle::current().metrics().num_alive_tasks();
    Ok(Quiet { tasks, descriptors: std::fs::read_dir("/proc/self/fd")?.count() })
}

/// Resident memory, in kilobytes.
fn memory() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The median of one quarter of a run, the first being 0.
fn quarter(samples: &[Sample], which: usize, of: impl Fn(&Sample) -> f64) -> Option<f64> {
    let (from, to) = (samples.len() * which / 4, samples.len() * (which + 1) / 4);
    median(&mut samples.get(from..to)?.iter().map(of).filter(|value| *value > 0.0).collect::<Vec<_>>())
}

/// Memory in the last quarter is at most 1.05 of the second one's, latency at most 1.5 (a machine does other things, too), tasks
/// and descriptors are what they were. The first quarter is for warming up.
fn judge(samples: &[Sample], before: Quiet, after: Quiet) -> Result<(), Failure> {
    let of =
        |which, of: fn(&Sample) -> f64| quarter(samples, which, of).ok_or("too few samples: run for longer");
    let memory = [of(1, |sample| sample.memory)?, of(3, |sample| sample.memory)?];
    let latency = [of(1, |sample| sample.latency)?, of(3, |sample| sample.latency)?];
    println!(
        "second and last quarter, medians: memory {:.0} and {:.0} kB ({:.3}), latency {:.2} and {:.2} ms ({:.2})",
        memory[0],
        memory[1],
        memory[1] / memory[0],
        latency[0],
        latency[1],
        latency[1] / latency[0]
    );
    println!(
        "at rest, before and after: {} and {} tasks, {} and {} descriptors",
        before.tasks, after.tasks, before.descriptors, after.descriptors
    );
    if memory[1] > memory[0] * 1.05 {
        return Err("memory grows".into());
    }
    if latency[1] > latency[0] * 1.5 {
        return Err("latency grows".into());
    }
    if before != after {
        return Err("tasks or descriptors are left behind".into());
    }
    Ok(())
}

/// Memory and latency over time.
fn chart(samples: &[Sample]) -> String {
    const WIDTH: f64 = 800.0;
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 420\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"900\" height=\"420\" fill=\"white\"/>\n",
    );
    let end = samples.last().map_or(1.0, |sample| sample.seconds);
    type Line = (&'static str, &'static str, fn(&Sample) -> f64, f64);
    let lines: [Line; 2] = [
        ("resident memory, kB", "#1f6feb", |sample| sample.memory, 40.0),
        ("median latency, ms", "#bf3989", |sample| sample.latency, 240.0),
    ];
    for (name, colour, of, top) in lines {
        let max = samples.iter().map(of).fold(0.0, f64::max).max(0.001);
        let mut points = String::new();
        for sample in samples {
            let (x, y) = (70.0 + sample.seconds / end * WIDTH, top + 140.0 - of(sample) / max * 140.0);
            let _ = write!(points, "{x:.1},{y:.1} ");
        }
        let _ = write!(
            svg,
            "<text x=\"70\" y=\"{:.0}\">{name}</text>\n<text x=\"10\" y=\"{:.0}\">{max:.1}</text>\n\
             <text x=\"10\" y=\"{:.0}\">0</text>\n<line x1=\"70\" y1=\"{:.0}\" x2=\"870\" y2=\"{:.0}\" stroke=\"#ccc\"/>\n\
             <polyline fill=\"none\" stroke=\"{colour}\" points=\"{points}\"/>\n",
            top - 8.0,
            top + 10.0,
            top + 140.0,
            top + 140.0,
            top + 140.0
        );
    }
    let _ = write!(svg, "<text x=\"780\" y=\"410\">{end:.0} s</text>\n</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(memory: impl Fn(f64) -> f64, latency: impl Fn(f64) -> f64) -> Vec<Sample> {
        (1..=100)
            .map(f64::from)
            .map(|seconds| Sample { seconds, memory: memory(seconds), latency: latency(seconds) })
            .collect()
    }

    const REST: Quiet = Quiet { tasks: 4, descriptors: 20 };

    #[test]
    fn what_stays_as_it_is_passes_and_what_grows_does_not() {
        let flat = samples(|_| 10_000.0, |_| 1.0);
        assert!(judge(&flat, REST, REST).is_ok());
        // The first quarter is for warming up.
        let warm = samples(|at| if at < 20.0 { 5_000.0 } else { 10_000.0 }, |_| 1.0);
        assert!(judge(&warm, REST, REST).is_ok());
        let grows = samples(|at| 10_000.0 + at * 20.0, |_| 1.0);
        assert_eq!(judge(&grows, REST, REST).unwrap_err().to_string(), "memory grows");
        let slows = samples(|_| 10_000.0, |at| 1.0 + at / 20.0);
        assert_eq!(judge(&slows, REST, REST).unwrap_err().to_string(), "latency grows");
        let leaks = Quiet { descriptors: 21, ..REST };
        assert!(judge(&flat, REST, leaks).is_err() && judge(&[], REST, REST).is_err());
    }

    #[test]
    fn the_chart_has_a_point_for_each_sample() {
        let svg = chart(&samples(|_| 10_000.0, |_| 1.0));
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.matches(',').count() >= 200 && svg.ends_with("</svg>\n"));
    }
}
