// swift-tools-version:6.0
import PackageDescription

// The Rust library: on the systems of Apple the XCFramework of this release, on Linux
// `libpresence_bindings.so` in the path of the linker.
#if os(Linux)
    let rust = Target.systemLibrary(name: "PresenceClientFFI")
#else
    let rust = Target.binaryTarget(name: "PresenceClientFFI", url: "@URL@", checksum: "@CHECKSUM@")
#endif

let package = Package(
    name: "PresenceClient",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "PresenceClient", targets: ["PresenceClient"])],
    targets: [
        rust,
        .target(
            name: "PresenceClient",
            dependencies: ["PresenceClientFFI"],
            linkerSettings: [.linkedLibrary("presence_bindings", .when(platforms: [.linux]))]
        ),
    ],
    swiftLanguageModes: [.v6]
)
