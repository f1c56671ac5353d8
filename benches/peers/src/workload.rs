//! What a client process does, and what it measures of itself.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::clients::{Client, Error, Target};

/// How a client is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// QoS 1, as fast as the window allows.
    Window,
    /// QoS 1, each after the acknowledgement of the one before.
    RoundTrip,
    /// QoS 0, a pause, QoS 1: a small write while the one before is not acknowledged by TCP yet, where Nagle's algorithm
    /// waits for an acknowledgement that the peer delays, 40 ms on Linux.
    PausedWrites,
}

impl Workload {
    pub const ALL: [Self; 3] = [Self::Window, Self::RoundTrip, Self::PausedWrites];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::RoundTrip => "round-trip",
            Self::PausedWrites => "paused-writes",
        }
    }

    /// Messages or pairs of them that are measured.
    pub const fn count(self, quick: bool) -> u64 {
        match (self, quick) {
            (Self::Window, false) => 200_000,
            (Self::Window, true) => 40_000,
            (Self::RoundTrip, false) => 5_000,
            (Self::RoundTrip, true) => 1_000,
            (Self::PausedWrites, false) => 100,
            (Self::PausedWrites, true) => 25,
        }
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|workload| workload.name() == name);
        found.ok_or_else(|| format!("no workload is called {name}"))
    }
}

/// A part of a job that is not measured comes before it, a tenth as long.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    pub workload: Workload,
    pub count: u64,
    /// Whether the runtime has a thread for each core; otherwise all of the client runs on one.
    pub threads: bool,
}

/// What a run measured.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    /// Messages published, those before the measurement included.
    pub sent: usize,
    /// Messages measured in each second.
    pub rate: f64,
    /// CPU time of all threads, user and system, in microseconds for each message.
    pub cpu: f64,
    /// Round trips in microseconds; 0 where there are none.
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, rate, cpu, p50, p99, max } = self;
        write!(f, "{sent} {rate} {cpu} {p50} {p99} {max}")
    }
}

impl FromStr for Figures {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let numbers: Result<Vec<f64>, _> = line.split_whitespace().map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[sent, rate, cpu, p50, p99, max]) => {
                Ok(Self { sent: sent as usize, rate, cpu, p50, p99, max })
            }
            _ => Err(format!("the client said {line:?}")),
        }
    }
}

/// Runs a job in this process.
pub fn run<C: Client>(job: &Job, target: &Target) -> Result<Figures, Error> {
    let mut builder = if job.threads {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    builder.enable_all().build()?.block_on(measure::<C>(job, target))
}

async fn measure<C: Client>(job: &Job, target: &Target) -> Result<Figures, Error> {
    let mut client = C::connect(target).await?;
    let warm_up = job.count / 10;
    let mut next = part(&mut client, job.workload, 0, warm_up).await?.0;
    let before = next;
    let (cpu, start) = (cpu_time(), now());
    let (end, mut trips) = part(&mut client, job.workload, next, job.count).await?;
    let (elapsed, cpu) = (now() - start, cpu_time().saturating_sub(cpu));
    next = end;
    client.disconnect().await?;
    trips.sort_unstable();
    let messages = (next - before) as f64;
    Ok(Figures {
        sent: usize::try_from(next)?,
        rate: messages / elapsed.as_secs_f64(),
        cpu: cpu.as_secs_f64() * 1e6 / messages,
        p50: quantile(&trips, 50),
        p99: quantile(&trips, 99),
        max: quantile(&trips, 100),
    })
}

/// Publishes `count` messages or pairs from the number `next` on. Gives the next number, and the round trips.
async fn part<C: Client>(
    client: &mut C,
    workload: Workload,
    mut next: u64,
    count: u64,
) -> Result<(u64, Vec<Duration>), Error> {
    let mut trips = Vec::new();
    match workload {
        Workload::Window => {
            client.publish(next..next + count).await?;
            next += count;
        }
        Workload::RoundTrip | Workload::PausedWrites => {
            trips.reserve(usize::try_from(count)?);
            for _ in 0..count {
                if workload == Workload::PausedWrites {
                    client.send(next).await?;
                    next += 1;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                let start = now();
                client.publish(next..next + 1).await?;
                trips.push(now() - start);
                next += 1;
            }
        }
    }
    Ok((next, trips))
}

/// In microseconds; `sorted` is sorted. Of fewer than a hundred the 99th in a hundred is the largest.
fn quantile(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).map_or(0.0, |trip| trip.as_secs_f64() * 1e6)
}

/// User and system time of all threads of this process.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_as_they_were_written() {
        let figures =
            Figures { sent: 44_000, rate: 1234.5, cpu: 2.25, p50: 50.5, p99: 99.0, max: 41_000.125 };
        assert_eq!(figures.to_string().parse(), Ok(figures));
        assert!("thread panicked".parse::<Figures>().is_err());
    }

    #[test]
    fn quantiles_are_trips_that_were_made() {
        let trips: Vec<Duration> = (1..=200).map(Duration::from_micros).collect();
        assert_eq!([50, 99, 100].map(|percent| quantile(&trips, percent)), [100.0, 198.0, 200.0]);
        assert_eq!(quantile(&trips[..5], 99), 5.0);
        assert_eq!(quantile(&[], 50), 0.0);
    }

    #[test]
    fn every_workload_is_found_by_its_name() {
        for workload in Workload::ALL {
            assert_eq!(workload.name().parse(), Ok(workload));
        }
    }
}
