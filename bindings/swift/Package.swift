// swift-tools-version:6.0
import PackageDescription

// The Rust part: on Apple's systems the XCFramework that `ci/xcframework` makes, elsewhere the shared library of `cargo build`, whose
// folder is given to the linker by `test` and `ci/build`.
#if os(Linux)
    let rust = Target.systemLibrary(name: "PresenceClientFFI")
#else
    let rust = Target.binaryTarget(name: "PresenceClientFFI", path: "Frameworks/PresenceClientFFI.xcframework")
#endif

let package = Package(
    name: "PresenceClient",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [
        .library(name: "PresenceClient", targets: ["PresenceClient"]),
        .executable(name: "presence-device", targets: ["presence-device"]),
    ],
    targets: [
        rust,
        .target(
            name: "PresenceClient",
            dependencies: ["PresenceClientFFI"],
            linkerSettings: [.linkedLibrary("presence_bindings", .when(platforms: [.linux]))]
        ),
        .executableTarget(name: "presence-device", dependencies: ["PresenceClient"], path: "Examples/device"),
        // The tests also run `presence-device`, which every `swift test` builds.
        .testTarget(name: "PresenceClientTests", dependencies: ["PresenceClient"]),
    ],
    swiftLanguageModes: [.v6]
)
