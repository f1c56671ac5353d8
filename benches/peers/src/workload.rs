//! How a client is used, over which transport, and how much.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How a client is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// QoS 0, as fast as the client takes them.
    Qos0,
    /// QoS 1, as fast as the window allows; what is allocated is counted apart.
    Qos1,
    /// QoS 1 to a subscription of one's own, each after the one before is back.
    RoundTrip,
    /// QoS 0, a pause, QoS 1: a small write while the one before is not acknowledged by TCP yet, where Nagle's algorithm
    /// waits for an acknowledgement that the peer delays, 40 ms on Linux.
    PausedWrites,
    /// QoS 1 comes in as fast as it is acknowledged, a window of it at once.
    Receive,
    /// QoS 1 with 128 KiB each.
    Large,
    /// Connects and disconnects, one after another.
    Connect,
    /// Many connections that do nothing, for their memory.
    Idle,
    /// More of them: keep-alives, and a broker that restarts.
    Fleet,
    /// A thousand subscriptions, and messages for each in turn.
    Subscriptions,
    /// From the start of the process to the first acknowledgement.
    Start,
    /// How often a connection that does nothing wakes the process.
    WakeUps,
    /// All of it in 10 MiB.
    SmallMemory,
    /// QoS 0 comes in as fast as the broker can write. Only when asked for: a client whose queues are bounded drops what
    /// it has no room for, and its run is invalid.
    Flood,
}

/// What lies below MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    /// With a certificate on both sides.
    Tls,
}

/// A workload over a transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    pub workload: Workload,
    pub transport: Transport,
}

/// What a process is to do. A part that is not measured comes before it, a tenth as long.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    pub case: Case,
    /// Messages, connections or trips that are measured.
    pub count: u64,
    /// How long one looks at what does nothing, and how long trips are made at most.
    pub time: Duration,
    /// Whether the runtime has a thread for each core; otherwise all of the client runs on one.
    pub threads: bool,
}

impl Job {
    /// How many messages come, those before the measurement included.
    pub const fn total(&self) -> u64 {
        self.count + self.count / 10
    }
}

use Transport::{Tcp, Tls};

impl Workload {
    /// Each with the transports over which it is measured, the one of a quick run first, and with how much is done: by a
    /// whole run and by a quick one.
    const ALL: &[(Self, &str, &[Transport], [u64; 2])] = &[
        (Self::Qos0, "qos0", &[Tcp, Tls], [200_000, 20_000]),
        (Self::Qos1, "qos1", &[Tcp, Tls], [200_000, 20_000]),
        (Self::RoundTrip, "round-trip", &[Tcp, Tls], [5_000, 500]),
        (Self::PausedWrites, "paused-writes", &[Tcp], [100, 20]),
        (Self::Receive, "receive", &[Tcp, Tls], [200_000, 50_000]),
        (Self::Large, "large", &[Tls, Tcp], [2_000, 200]),
        (Self::Connect, "connect", &[Tls, Tcp], [100, 10]),
        (Self::Idle, "idle", &[Tls], [1_000, 50]),
        (Self::Fleet, "fleet", &[Tcp], [10_000, 200]),
        (Self::Subscriptions, "subscriptions", &[Tcp], [200_000, 20_000]),
        (Self::Start, "start", &[Tls], [1, 1]),
        (Self::WakeUps, "wake-ups", &[Tcp], [1, 1]),
        (Self::SmallMemory, "small-memory", &[Tls], [20_000, 2_000]),
        (Self::Flood, "flood", &[Tcp, Tls], [200_000, 50_000]),
    ];
    /// How many filters.
    pub const FILTERS: usize = 1_000;
    /// What a process may have of memory that it writes to.
    pub const MEMORY: u64 = 10 * 1024 * 1024;

    /// All workloads, or those of these names, over all transports or one of each.
    pub fn cases(names: &[String], quick: bool) -> Result<Vec<Case>, String> {
        if let Some(name) = names.iter().find(|name| !Self::ALL.iter().any(|of| of.1 == name.as_str())) {
            return Err(format!("no workload is called {name}; --list names them"));
        }
        let all = names.is_empty();
        let chosen = Self::ALL.iter().filter(|of| match of.0 {
            Self::Flood if all => false,
            _ => all || names.iter().any(|name| name == of.1),
        });
        Ok(chosen
            .flat_map(|&(workload, _, transports, _)| {
                let transports = if quick { &transports[..1] } else { transports };
                transports.iter().map(move |&transport| Case { workload, transport })
            })
            .collect())
    }

    const fn row(self) -> &'static (Self, &'static str, &'static [Transport], [u64; 2]) {
        &Self::ALL[self as usize]
    }

    pub const fn name(self) -> &'static str {
        self.row().1
    }

    /// Messages, connections or trips that are measured.
    pub const fn count(self, quick: bool) -> u64 {
        self.row().3[quick as usize]
    }

    /// How long one looks at what does nothing, and how long trips are made at most.
    pub fn time(self, quick: bool) -> Duration {
        Duration::from_millis(match (self, quick) {
            (Self::Fleet, false) => 20_000,
            (Self::Fleet | Self::WakeUps, true) => 500,
            (_, true) => 1_000,
            (_, false) => 5_000,
        })
    }

    /// In seconds. A fleet's is short enough for some of them to happen; rumqttc takes no less than 5.
    pub const fn keep_alive(self, quick: bool) -> u16 {
        match (self, quick) {
            (Self::Fleet, false) => 10,
            (Self::Fleet, true) => 5,
            _ => 60,
        }
    }

    /// Bytes of a message.
    pub const fn payload(self) -> usize {
        if matches!(self, Self::Large) { 128 * 1024 } else { 64 }
    }

    /// Whether Nagle's algorithm makes a difference.
    pub const fn is_about_nagle(self) -> bool {
        matches!(self, Self::RoundTrip | Self::PausedWrites)
    }

    /// How many filters are subscribed for messages that the broker makes.
    pub const fn filters(self) -> usize {
        if matches!(self, Self::Subscriptions) { Self::FILTERS } else { 1 }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.workload.name(), if self.transport == Tls { "tls" } else { "tcp" })
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.split('/').next().unwrap_or_default().to_owned();
        let cases = Workload::cases(&[name], false)?;
        cases.into_iter().find(|case| case.to_string() == text).ok_or_else(|| format!("no such case: {text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_stands_where_it_is_looked_for() {
        for &(workload, name, ..) in Workload::ALL {
            assert_eq!(workload.name(), name);
        }
    }

    #[test]
    fn every_case_is_found_by_its_name() {
        for &(workload, _, transports, _) in Workload::ALL {
            for case in transports.iter().map(|&transport| Case { workload, transport }) {
                assert_eq!(case.to_string().parse(), Ok(case));
            }
        }
        assert!("qos2/tcp".parse::<Case>().is_err());
    }

    #[test]
    fn a_quick_run_takes_one_transport_of_each_workload() {
        let quick = Workload::cases(&[], true).unwrap();
        assert_eq!(quick.len(), Workload::ALL.len() - 1, "all but the flood");
        let names = ["qos1".to_owned()];
        assert_eq!(Workload::cases(&names, false).unwrap().len(), 2);
        assert!(Workload::cases(&["idling".to_owned()], true).is_err());
    }
}
