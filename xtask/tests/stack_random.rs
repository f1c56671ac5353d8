//! What a fuzzer would try first with `machine` and `stack`. A failure is made small before it is shown. `STACK_RANDOM` says
//! how many inputs to try and `STACK_SEED` which: a search without a fuzzer.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests say what they expect by panicking")]

use std::panic::catch_unwind;

/// Runs of each body; a few seconds without optimisation.
const RUNS: u64 = 3_000;

/// A simple generator, the same numbers each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        let len = 1 + self.next() % most;
        (0..len).map(|_| (self.next() >> 32) as u8).collect()
    }
}

fn fails(body: fn(&[u8]), data: &[u8]) -> bool {
    catch_unwind(|| body(data)).is_err()
}

/// Takes away pairs of bytes, and makes bytes smaller, as long as it still fails.
fn minimised(body: fn(&[u8]), mut data: Vec<u8>) -> Vec<u8> {
    loop {
        let before = data.clone();
        for len in [16, 8, 4, 2, 1] {
            let mut at = 1;
            while at + len <= data.len() {
                let mut shorter = data.clone();
                shorter.drain(at..at + len);
                if fails(body, &shorter) { data = shorter } else { at += 1 }
            }
        }
        for (at, byte) in data.clone().into_iter().enumerate() {
            for smaller in [0, 1, byte % 16, byte & 127].into_iter().filter(|smaller| *smaller < byte) {
                let mut other = data.clone();
                other.splice(at..=at, [smaller]);
                if fails(body, &other) {
                    data = other;
                    break;
                }
            }
        }
        if data == before {
            return data;
        }
    }
}

fn search(body: fn(&[u8]), most: u64) {
    let runs = std::env::var("STACK_RANDOM").ok().map_or(RUNS, |runs| runs.parse().unwrap());
    let mut random =
        Random(std::env::var("STACK_SEED").ok().map_or(0x9e37_79b9, |seed| seed.parse().unwrap()));
    for _ in 0..runs {
        let data = random.bytes(most);
        if fails(body, &data) {
            std::panic::set_hook(Box::new(|_| {}));
            let data = minimised(body, data);
            drop(std::panic::take_hook());
            println!("the smallest input: {data:?}");
            body(&data);
        }
    }
}

#[test]
fn random_histories_of_a_stack_hold() {
    search(iot_session::fuzzing::stack, 160);
}

#[test]
fn random_bytes_into_a_stack_hold() {
    search(iot_session::fuzzing::machine, 200);
}
