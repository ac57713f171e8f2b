//! libFuzzer's entry to the target `pictures` of igpt_tests::fuzz.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    igpt_tests::fuzz::pictures(data);
});
