#!/bin/bash
# Lays out the native libraries of an Android module: android.sh OUT, which becomes its `src/main/jniLibs`.
#
# Needs an NDK of 28 or newer, whose pages are aligned to 16 KB as stores require, cargo-ndk 4 and the Rust targets.
set -euo pipefail
cd "$(dirname "$0")/../../.."
out=${1:?where to}
for target in aarch64-linux-android armv7-linux-androideabi x86_64-linux-android; do rustup target add "$target"; done
cargo ndk --target arm64-v8a --target armeabi-v7a --target x86_64 --output-dir "$out" \
  build --locked --profile mobile --lib --package sluicegate-uniffi
