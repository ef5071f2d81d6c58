//! The target `signed_program` of `lab::fuzz` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    |input: &[u8]| lab::fuzz::target("signed_program").expect("it is listed")(input)
);
