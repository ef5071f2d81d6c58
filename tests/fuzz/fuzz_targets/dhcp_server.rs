//! The target `dhcp_server` of `lab::fuzz` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    |input: &[u8]| lab::fuzz::target("dhcp_server").expect("it is listed")(input)
);
