//! The target `dhcp_proxy` of `lab::fuzz` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    |input: &[u8]| lab::fuzz::target("dhcp_proxy").expect("it is listed")(input)
);
