//! The target `mim_section` of `lab::fuzz` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lab::fuzz::target("mim_section").expect("it is listed")(input));
