#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iot_transport::fuzzing::shared_credentials_file(data));
