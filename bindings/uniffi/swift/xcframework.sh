#!/bin/bash
# Makes SluicegateFFI.xcframework beside Package.swift, for iOS, its simulator and macOS. Needs macOS with Xcode and the
# Rust targets.
set -euo pipefail
cd "$(dirname "$0")"
root=../../..
headers=Sources/SluicegateFFI/include
target=$(cd $root && cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
library() { echo "$target/$1/mobile/libsluicegate_uniffi.a"; }
for triple in aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios aarch64-apple-darwin x86_64-apple-darwin; do
  rustup target add "$triple"
  (cd $root && cargo build --locked --profile mobile --lib --package sluicegate-uniffi --target "$triple")
done
fat=$target/fat
mkdir -p "$fat/ios-simulator" "$fat/macos"
lipo -create "$(library aarch64-apple-ios-sim)" "$(library x86_64-apple-ios)" -output "$fat/ios-simulator/libsluicegate_uniffi.a"
lipo -create "$(library aarch64-apple-darwin)" "$(library x86_64-apple-darwin)" -output "$fat/macos/libsluicegate_uniffi.a"
rm -rf SluicegateFFI.xcframework
xcodebuild -create-xcframework \
  -library "$(library aarch64-apple-ios)" -headers $headers \
  -library "$fat/ios-simulator/libsluicegate_uniffi.a" -headers $headers \
  -library "$fat/macos/libsluicegate_uniffi.a" -headers $headers \
  -output SluicegateFFI.xcframework
