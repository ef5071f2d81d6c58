//! The target `mim_stream` of `lab::fuzz` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lab::fuzz::target("mim_stream").expect("it is listed")(input));
