//! libFuzzer's entry to the target `config_json` of igpt_tests::fuzz.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    igpt_tests::fuzz::config_json(data);
});
