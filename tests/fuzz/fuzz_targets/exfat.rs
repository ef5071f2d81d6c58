//! The target `exfat` of `lab::fuzz` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lab::fuzz::target("exfat").expect("it is listed")(input));
