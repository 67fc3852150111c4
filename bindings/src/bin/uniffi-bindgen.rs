//! `uniffi-bindgen`: uniffi's own generator, for `maturin`, which builds the Python package.

fn main() {
    uniffi::uniffi_bindgen_main();
}
