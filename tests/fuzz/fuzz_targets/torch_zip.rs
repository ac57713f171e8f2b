//! libFuzzer's entry to the target `torch_zip` of igpt_tests::fuzz.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    igpt_tests::fuzz::torch_zip(data);
});
