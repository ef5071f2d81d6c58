//! The target `tftp_transfer` of `lab::fuzz` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    |input: &[u8]| lab::fuzz::target("tftp_transfer").expect("it is listed")(input)
);
