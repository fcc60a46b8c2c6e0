//! Writes the Kotlin and Swift files; of exactly the version that the library has.

fn main() {
    uniffi::uniffi_bindgen_main();
}
