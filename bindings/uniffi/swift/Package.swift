// swift-tools-version: 6.0
import PackageDescription

// On Linux the library is linked from a folder; on Apple's systems it comes in a framework made by `xcframework.sh`.
#if os(Linux)
let native = Context.environment["SLUICEGATE_NATIVE"] ?? "../../../target/swift/native"
let ffi: Target = .target(
    name: "SluicegateFFI",
    linkerSettings: [.unsafeFlags(["-L\(native)"]), .linkedLibrary("sluicegate_uniffi")]
)
#else
let ffi: Target = .binaryTarget(name: "SluicegateFFI", path: "SluicegateFFI.xcframework")
#endif

let package = Package(
    name: "sluicegate",
    platforms: [.iOS(.v16), .macOS(.v13), .tvOS(.v16), .watchOS(.v9)],
    products: [.library(name: "Sluicegate", targets: ["Sluicegate"])],
    targets: [
        ffi,
        .target(name: "Sluicegate", dependencies: ["SluicegateFFI"]),
        .testTarget(name: "SluicegateTests", dependencies: ["Sluicegate"]),
    ],
    swiftLanguageModes: [.v6]
)
