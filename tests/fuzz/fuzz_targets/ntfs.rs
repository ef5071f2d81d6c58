//! The target `ntfs` of `lab::fuzz` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lab::fuzz::target("ntfs").expect("it is listed")(input));
