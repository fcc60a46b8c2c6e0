#!/usr/bin/env bash
# Prints one line: the path of a rustc that compiles for wasm32-unknown-unknown. Everything else goes to stderr.
#
#   rustc=$(crates/xtask/wasm-toolchain.sh) && RUSTC=$rustc cargo build --target wasm32-unknown-unknown
#
# 1. The rustc in use, when rustup's wasm32 target is installed. It is never added unless SLUICEGATE_WASM_RUSTUP_ADD=1.
# 2. Otherwise Debian's own rustc-web, unpacked into a cache folder and given a standard library compiled once from the
#    matching source package. The system gets no compiler, only the LLVM library that this one loads. About 140 MB are
#    downloaded, 350 MB kept; it takes two to three minutes, and a fraction of a second from then on.
#    Beside it, in the folder `small`, lies a second build of that library for modules that are downloaded: made for size,
#    and without the texts of panics. It takes `--sysroot` and the same `-Cpanic=immediate-abort`.
#
# SLUICEGATE_WASM_CACHE  the cache folder; by default sluicegate/wasm-toolchain in $XDG_CACHE_HOME or ~/.cache
# SLUICEGATE_WASM_FORCE_DEBIAN=1  skips the first way, to test the second where rustup's target is installed
set -euo pipefail

target=wasm32-unknown-unknown
cache=${SLUICEGATE_WASM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sluicegate/wasm-toolchain}

say() { echo "wasm-toolchain: $*" >&2; }
die() { say "$*"; exit 1; }
found() { say "$("$1" --version) for $target"; echo "$1"; exit 0; }

# Whether a compiler makes a module out of code that needs the whole of std.
compiles() {
    local dir
    dir=$(mktemp -d)
    echo '#[unsafe(no_mangle)] pub extern "C" fn f(x: u32) -> usize { format!("{x}").len() }' >"$dir/f.rs"
    if "$1" --edition 2024 --crate-type cdylib --target "$target" "$dir/f.rs" -o "$dir/f.wasm" >"$dir/log" 2>&1 && [ -s "$dir/f.wasm" ]; then
        rm -r "$dir"
    else
        [ -z "${SLUICEGATE_WASM_DEBUG:-}" ] || cat "$dir/log" >&2
        rm -r "$dir"
        return 1
    fi
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}
apt_install() { as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null >&2; }
package() { apt-cache show --no-all-versions "$1" | awk -F': ' -v key="$2" '$1 == key { print $2; exit }'; }

# Debian's compiler names its linker rust-lld and looks for it among its own files. Renewed at each call, because
# rustup's copy moves with every update of rustup's toolchain.
link_linker() { # $1: the unpacked tree
    local own llvm
    own=$(rustc --print sysroot)/lib/rustlib/$host/bin/rust-lld
    if [ ! -x "$own" ]; then
        llvm=$(cat "$1/llvm")
        own=/usr/lib/llvm-$llvm/bin/lld
        [ -x "$own" ] || apt_install "lld-$llvm"
    fi
    mkdir -p "$1/lib/rustlib/$host/bin"
    ln -sfn "$own" "$1/lib/rustlib/$host/bin/rust-lld"
}

# The compiler finds its own libraries through this wrapper instead of through the system's folders.
write_wrapper() { # $1: the tree, $2: rustc or rustdoc
    cat >"$1/bin/$2-wasm" <<'WRAPPER'
#!/bin/sh
bin=$(dirname "$(readlink -f "$0")")
tool=$(basename "$0" -wasm)
for lib in "$bin"/../lib/*-linux-gnu*; do
    LD_LIBRARY_PATH=$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
done
export LD_LIBRARY_PATH
exec "$bin/$tool" "$@"
WRAPPER
    chmod +x "$1/bin/$2-wasm"
}

# Compiles std for wasm with the fresh compiler. The library's dependencies come out of the source package, so cargo
# needs neither network nor registry; the paths of this temporary build are kept out of the result.
build_std() { # $1: the tree, $2: upstream version, $3: scratch folder, $4: where to, $5: flags, and then cargo's arguments
    local source=$1/src/rustc-$2 tree=$1 upstream=$2 scratch=$3 to=$4/lib/rustlib/$target/lib flags=$5 cargo
    shift 5
    cargo=$(rustup which cargo 2>/dev/null || command -v cargo)
    mkdir -p "$scratch/.cargo" "$scratch/src" "$tree/lib/rustlib/src"
    ln -sfn "../../../src/rustc-$upstream" "$tree/lib/rustlib/src/rust"
    echo '#![no_std]' >"$scratch/src/lib.rs"
    printf '%s\n' '[package]' 'name = "seed"' 'edition = "2021"' '[workspace]' '[profile.release]' 'panic = "abort"' >"$scratch/Cargo.toml"
    printf '%s\n' '[source.crates-io]' 'replace-with = "packaged"' '[source.packaged]' "directory = \"$source/library/vendor\"" >"$scratch/.cargo/config.toml"
    (
        cd "$scratch"
        unset CARGO_TARGET_DIR CARGO_BUILD_TARGET CARGO_ENCODED_RUSTFLAGS RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER
        export CARGO_HOME=$scratch/home RUSTC=$tree/bin/rustc-wasm RUSTC_BOOTSTRAP=1
        export RUSTFLAGS="-Cembed-bitcode=yes --remap-path-prefix=$tree/lib/rustlib/src/rust=/rustc/$upstream --remap-path-prefix=$source=/rustc/$upstream $flags"
        "$cargo" build --quiet --offline --release --target "$target" "$@" >&2
    )
    mkdir -p "$to"
    cp "$scratch/target/$target/release/deps/"lib*.rlib "$to/"
    rm -r "$to/"libseed-* "$scratch"
}

unpack_and_build() {
    local version upstream std llvm tree name
    as_root apt-get update -qq >&2
    version=$(package rustc-web Version)
    [ -n "$version" ] || die "this Debian has no rustc-web package; install rustup's $target target instead"
    [ "$version" = "$(package rust-web-src Version)" ] || die "rustc-web and rust-web-src have different versions"
    upstream=${version%%+*}
    std=$(package libstd-rust-web-dev Depends | grep -oE 'libstd-rust-web-[0-9.]+' | head -n 1)
    llvm=$(package "$std" Depends | grep -oE 'libllvm[0-9]+' | head -n 1)
    say "unpacking rustc-web $version with $llvm"
    apt_install "$llvm" gcc libc6-dev

    scratch=$(mktemp -d "$cache/.new.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    mkdir "$scratch/packages" "$scratch/root"
    (cd "$scratch/packages" && apt-get -o APT::Sandbox::User=root download -qq rustc-web "$std" libstd-rust-web-dev rust-web-src >&2)
    for name in rustc-web "$std" libstd-rust-web-dev; do
        dpkg-deb -x "$scratch/packages/${name}_"*.deb "$scratch/root"
    done
    dpkg-deb --fsys-tarfile "$scratch/packages/rust-web-src_"*.deb |
        tar -x -C "$scratch/root" "./usr/src/rustc-$upstream/library" "./usr/src/rustc-$upstream/Cargo.lock"

    tree=$scratch/root/usr
    echo "${llvm#libllvm}" >"$tree/llvm"
    write_wrapper "$tree" rustc
    write_wrapper "$tree" rustdoc
    link_linker "$tree"
    say "compiling its standard library for $target"
    build_std "$tree" "$upstream" "$scratch/std" "$tree" '' -Zbuild-std=std,panic_abort,panic_unwind,test,proc_macro
    build_std "$tree" "$upstream" "$scratch/std" "$tree/small" \
        '-Zunstable-options -Cpanic=immediate-abort -Zlocation-detail=none -Zfmt-debug=none' \
        -Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size \
        --config 'profile.release.opt-level="z"' --config profile.release.codegen-units=1
    rm -r "$tree/src" "$tree/lib/rustlib/src"
    compiles "$tree/bin/rustc-wasm" || die "the new toolchain does not compile (SLUICEGATE_WASM_DEBUG=1 shows why)"
    # One that was made before there was a small library may be in use.
    version=$version+small
    rm -rf "$tree/share" "${cache:?}/$version"
    mv "$tree" "$cache/$version"
    ln -sfn "$version" "$cache/current"
}

host=$(rustc -vV | awk '$1 == "host:" { print $2 }')
if [ -z "${SLUICEGATE_WASM_FORCE_DEBIAN:-}" ]; then
    if compiles rustc; then found rustc; fi
    if [ "${SLUICEGATE_WASM_RUSTUP_ADD:-0}" = 1 ]; then
        rustup target add "$target" >&2
        if compiles rustc; then found rustc; fi
    fi
fi
command -v apt-get >/dev/null || die "run \`rustup target add $target\`; without it this script needs Debian's apt-get"
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
if [ -e "$cache/current/bin/rustc-wasm" ]; then
    current=$(readlink -f "$cache/current")
    link_linker "$current"
    if [ -d "$current/small" ] && compiles "$current/bin/rustc-wasm"; then found "$current/bin/rustc-wasm"; fi
    say "the cached toolchain no longer compiles, or has no small library; making a new one"
fi
unpack_and_build
found "$(readlink -f "$cache/current")/bin/rustc-wasm"
