// swift-tools-version:6.0
import PackageDescription

// The Rust library. On the systems of Apple it is the XCFramework that `ci/xcframework` makes. On
// Linux it is the shared library of `cargo build`; `test` passes its folder to the linker.
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
        // The tests run `presence-device`, which `swift test` builds.
        .testTarget(name: "PresenceClientTests", dependencies: ["PresenceClient"]),
    ],
    swiftLanguageModes: [.v6]
)
