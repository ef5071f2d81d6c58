//! The target `mim_footer` of `lab::fuzz` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lab::fuzz::target("mim_footer").expect("it is listed")(input));
