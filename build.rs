//! Writes the path of libtorch into the linked files (rpath), so that plain `cargo run` and `cargo test` find it, and keeps the
//! binary itself free of it (see `src/cli/late.rs`).

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-env-changed=QUARRY_PACKAGE");
    if std::env::var_os("CARGO_FEATURE_TORCH").is_none() {
        return;
    }
    // A package must not contain paths of the build machine.
    let is_package = std::env::var_os("QUARRY_PACKAGE").is_some();
    if let Some(libtorch) = std::env::var_os("LIBTORCH").filter(|_| !is_package) {
        let lib = std::path::Path::new(&libtorch).join("lib");
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    }
    // The static initialisers of torch-sys would tie the binary to libtorch although nothing in it is called. LLD, Rust's own
    // linker on this target, can leave the archive out; another linker links it, and only the start is slower.
    let target = std::env::var("TARGET").unwrap_or_default();
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let own_linker =
        std::env::var_os("RUSTC_LINKER").is_none() && !flags.contains("linker") && !flags.contains("fuse-ld");
    if target == "x86_64-unknown-linux-gnu" && own_linker {
        // For the test that checks it.
        println!("cargo:rustc-env=QUARRY_STARTS_WITHOUT_LIBTORCH=1");
        println!("cargo:rustc-link-arg-bin=quarry=-Wl,--remap-inputs=*/libtorch_sys-*.rlib=/dev/null");
    }
}
