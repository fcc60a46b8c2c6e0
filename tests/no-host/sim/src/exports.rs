//! What the module offers.
#![expect(unsafe_code, reason = "an exported name is unsafe because no linker checks it")]

/// How many scenarios there are.
#[unsafe(no_mangle)]
extern "C" fn scenarios() -> usize {
    crate::SCENARIOS
}

/// The reports on one of them. Where they begin, for the lower half, and how many bytes they have, for the upper one.
#[unsafe(no_mangle)]
extern "C" fn reports(number: usize) -> u64 {
    let text = crate::reports(number).leak();
    (text.len() as u64) << 32 | text.as_ptr().addr() as u64
}
