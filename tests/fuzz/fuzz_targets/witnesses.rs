//! The target `witnesses` of `lab::fuzz` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    |input: &[u8]| lab::fuzz::target("witnesses").expect("it is listed")(input)
);
