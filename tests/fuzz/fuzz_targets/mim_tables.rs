//! The target `mim_tables` of `lab::fuzz` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lab::fuzz::target("mim_tables").expect("it is listed")(input));
