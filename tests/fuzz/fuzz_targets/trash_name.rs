//! The target `trash_name` of `lab::fuzz` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    |input: &[u8]| lab::fuzz::target("trash_name").expect("it is listed")(input)
);
