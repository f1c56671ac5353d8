#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iot_shadow::fuzzing::shadow_document(data));
