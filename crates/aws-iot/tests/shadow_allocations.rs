//! What a request to a shadow allocates in the client: the emulator is on another thread, which is not counted.

#![cfg(feature = "shadow")]
#![allow(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use allocation_counter::measure;
use aws_iot::crates::iot_transport::Tcp;
use aws_iot::shadow::{Shadow, ShadowId, Update, Value};
use aws_iot::{Pacing, Version};
use iot_emulator::Emulator;
use iot_emulator::shadow::Rules;
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};

#[derive(Clone, Copy, Serialize)]
struct Lamp {
    temperature: f64,
    on: bool,
}

/// An emulator on a thread of its own.
fn emulator() -> (Runtime, Emulator) {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut rules = Rules::default();
    rules.requests_per_second = u32::MAX;
    let emulator = runtime.block_on(Emulator::builder().plain(true).shadows(rules).start()).unwrap();
    (runtime, emulator)
}

#[test]
fn a_request_takes_a_bounded_number_of_allocations() {
    const REQUESTS: u64 = 200;
    let (service, emulator) = emulator();
    for version in [Version::V3_1_1, Version::V5] {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let connector = Tcp::new("127.0.0.1", emulator.plain_port().unwrap());
        let builder = aws_iot::over(connector).client_id("counted").version(version).pacing(Pacing::off());
        let client = runtime.block_on(builder.connect()).unwrap();
        let shadow = client.shadow(ShadowId::classic("lamp").unwrap());
        let update = || async {
            let lamp = Lamp { temperature: 21.5, on: true };
            shadow.update(Update::new().reported(lamp)).await.unwrap();
        };
        let get = || async { shadow.get::<Value>().await.map(|shadow: Shadow| shadow.version).unwrap() };
        // Subscriptions and buffers first.
        runtime.block_on(async {
            for _ in 0..20 {
                update().await;
                get().await;
            }
        });
        let updates = measure(|| {
            runtime.block_on(async {
                for _ in 0..REQUESTS {
                    update().await;
                }
            });
        });
        let gets = measure(|| {
            runtime.block_on(async {
                for _ in 0..REQUESTS {
                    get().await;
                }
            });
        });
        let (update, get) = (updates.count_total / REQUESTS, gets.count_total / REQUESTS);
        println!("{version}: {update} allocations for an update, {get} for a get");
        assert!((1..=60).contains(&update) && (1..=60).contains(&get), "{update}, {get}");
        runtime.block_on(client.disconnect()).unwrap();
    }
    service.block_on(emulator.shutdown());
}
