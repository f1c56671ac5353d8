//! The rows of the tables: which figure of which workload, and what is better.

use crate::figures::Figures;
use crate::workload::Workload;

/// A figure of a workload.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub workload: Workload,
    pub name: &'static str,
    /// What the run calls it, and what it is multiplied by.
    figure: &'static str,
    factor: f64,
    pub decimals: usize,
    pub more_is_better: bool,
    /// Whether it is in the chart.
    pub charted: bool,
}

impl Row {
    const fn new(workload: Workload, name: &'static str, figure: &'static str) -> Self {
        Self { workload, name, figure, factor: 1.0, decimals: 0, more_is_better: false, charted: false }
    }

    /// In this unit, with so many decimals.
    const fn times(mut self, factor: f64, decimals: usize) -> Self {
        (self.factor, self.decimals) = (factor, decimals);
        self
    }

    const fn more(mut self) -> Self {
        self.more_is_better = true;
        self
    }

    const fn charted(mut self) -> Self {
        self.charted = true;
        self
    }

    pub fn of(&self, figures: &Figures) -> Option<f64> {
        Some(figures.get(self.figure)? * self.factor)
    }

    /// How many times better ours is than theirs.
    pub fn gain(&self, ours: f64, theirs: f64) -> Option<f64> {
        let (more, less) = if self.more_is_better { (ours, theirs) } else { (theirs, ours) };
        (more > 0.0 && less > 0.0).then(|| more / less)
    }

    /// Whether it is a round trip that a stall would show in.
    pub fn shows_stalls(&self) -> bool {
        self.workload.is_about_nagle() && self.figure == "p99"
    }

    /// Whether it is the CPU time of a message of QoS 1.
    pub fn is_cpu(&self) -> bool {
        self.workload == Workload::Qos1 && self.figure == "cpu"
    }
}

/// CPU time of a message in µs, as seconds for 100,000 of them.
const PER_100K: f64 = 0.1;
const MS: f64 = 0.001;

use Workload::*;

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row::new(Qos0, "QoS 0: submitted/s", "submitted").more(),
    Row::new(Qos0, "QoS 0: delivered/s", "rate").more().charted(),
    Row::new(Qos0, "QoS 0: CPU s for 100k", "cpu").times(PER_100K, 3).charted(),
    Row::new(Qos1, "QoS 1: acknowledged/s", "rate").more().charted(),
    Row::new(Qos1, "QoS 1: CPU s for 100k", "cpu").times(PER_100K, 3).charted(),
    Row::new(Qos1, "QoS 1: allocations each", "allocations").times(1.0, 2).charted(),
    Row::new(Qos1, "QoS 1: bytes allocated each", "bytes"),
    Row::new(RoundTrip, "round trip: p50 µs", "p50").charted(),
    Row::new(RoundTrip, "round trip: p99 µs", "p99").charted(),
    Row::new(PausedWrites, "paused writes: p50 µs", "p50"),
    Row::new(PausedWrites, "paused writes: p99 µs", "p99"),
    Row::new(Receive, "receive: messages/s", "rate").more().charted(),
    Row::new(Receive, "receive: CPU s for 100k", "cpu").times(PER_100K, 3).charted(),
    Row::new(Large, "128 KiB: acknowledged/s", "rate").more().charted(),
    Row::new(Large, "128 KiB: CPU µs each", "cpu").charted(),
    Row::new(Connect, "connect: p50 ms", "p50").times(MS, 2).charted(),
    Row::new(Connect, "connect: p99 ms", "p99").times(MS, 2),
    Row::new(Connect, "connect: CPU ms", "cpu").times(MS, 2).charted(),
    Row::new(Idle, "idle: KiB for each connection", "memory").times(1.0, 1).charted(),
    Row::new(Fleet, "fleet: KiB for each connection", "memory").times(1.0, 1).charted(),
    Row::new(Fleet, "fleet: s until all are connected", "connecting").times(1.0, 2),
    Row::new(Fleet, "fleet: CPU ms to connect one", "connecting_cpu").times(1.0, 3).charted(),
    Row::new(Fleet, "fleet: % of a core for keep-alives", "quiet").times(1.0, 2).charted(),
    Row::new(Fleet, "fleet: s until all are back", "storm").times(1.0, 2),
    Row::new(Fleet, "fleet: CPU s until all are back", "storm_cpu").times(1.0, 2).charted(),
    Row::new(Subscriptions, "1,000 filters: ms to subscribe", "subscribing"),
    Row::new(Subscriptions, "1,000 filters: messages/s", "rate").more(),
    Row::new(Subscriptions, "1,000 filters: CPU s for 100k", "cpu").times(PER_100K, 3).charted(),
    Row::new(Start, "process start to PUBACK: ms", "start").times(1.0, 2).charted(),
    Row::new(WakeUps, "nothing to do: wake-ups/s", "wake_ups").times(1.0, 1),
    Row::new(WakeUps, "nothing to do: CPU µs/s", "cpu"),
    Row::new(Flood, "flood of QoS 0: messages/s", "rate").more(),
    Row::new(Flood, "flood of QoS 0: CPU s for 100k", "cpu").times(PER_100K, 3),
    Row::new(SmallMemory, "in 10 MiB: KiB resident at most", "peak"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_has_a_row() {
        for case in Workload::cases(&[], false).unwrap() {
            assert!(ROWS.iter().any(|row| row.workload == case.workload), "{case}");
        }
    }

    #[test]
    fn a_gain_is_above_one_when_ours_is_better() {
        let (rate, cpu) = (Row::new(Qos1, "", "rate").more(), Row::new(Qos1, "", "cpu"));
        assert_eq!((rate.gain(4.0, 2.0), cpu.gain(4.0, 2.0)), (Some(2.0), Some(0.5)));
        assert_eq!(cpu.gain(0.0, 2.0), None);
    }
}
