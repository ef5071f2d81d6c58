//! The target `ext4` of `lab::fuzz` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lab::fuzz::target("ext4").expect("it is listed")(input));
