//! What the system knows of this process.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// A point in time, and the CPU time up to it.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    at: Instant,
    cpu: Duration,
}

impl Moment {
    pub fn now() -> Self {
        Self { at: now(), cpu: cpu_time() }
    }

    /// Time and CPU time from here to a later moment.
    pub fn until(self, end: Self) -> (Duration, Duration) {
        (end.at - self.at, end.cpu.saturating_sub(self.cpu))
    }

    /// Time and CPU time from here to now.
    pub fn elapsed(self) -> (Duration, Duration) {
        self.until(Self::now())
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
pub fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "another process is given real time")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// User and system time of all threads of this process.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Resident memory of this process in KiB: now, and at its peak.
pub fn memory() -> Option<(f64, f64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some((field(&status, "VmRSS:")?, field(&status, "VmHWM:")?))
}

/// How often the threads of this process gave the CPU up to wait for something.
pub fn waits() -> Option<f64> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    let of = |thread: std::fs::DirEntry| {
        field(&std::fs::read_to_string(thread.path().join("status")).ok()?, "voluntary_ctxt_switches:")
    };
    Some(threads.flatten().filter_map(of).sum())
}

fn field(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// How many descriptors a process may have.
pub fn descriptors() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// This process may have this much memory to write to, and no more.
pub fn limit_memory(bytes: u64) -> Result<(), String> {
    let limit = rustix::process::Rlimit { current: Some(bytes), maximum: Some(bytes) };
    rustix::process::setrlimit(rustix::process::Resource::Data, limit).map_err(|error| error.to_string())
}

/// What figures are taken on.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let load = read("/proc/loadavg");
    let load: Vec<&str> = load.split(' ').take(3).collect();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{} · {cores} cores · load {}", model.unwrap_or("CPU unknown"), load.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_status_are_found_by_their_whole_name() {
        let status = "VmHWM:\t    9876 kB\nVmRSS:\t    1234 kB\nnonvoluntary_ctxt_switches:\t7\n";
        assert_eq!((field(status, "VmRSS:"), field(status, "VmHWM:")), (Some(1234.0), Some(9876.0)));
        assert_eq!(field(status, "voluntary_ctxt_switches:"), None);
    }

    #[test]
    fn this_process_uses_memory_and_has_threads() {
        let (now, peak) = memory().unwrap();
        assert!(0.0 < now && now <= peak);
        assert!(waits().unwrap() >= 0.0 && descriptors() > 3);
    }
}
