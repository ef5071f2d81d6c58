//! The target `table` of `lab::fuzz` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    |input: &[u8]| lab::fuzz::target("table").expect("it is listed")(input)
);
