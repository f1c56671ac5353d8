#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iot_session::fuzzing::outbox_record(data));
