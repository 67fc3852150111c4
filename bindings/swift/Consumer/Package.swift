// swift-tools-version:6.0
import PackageDescription

// An app that uses the published package, from a repository that `publish-check` names.
let package = Package(
    name: "Consumer",
    platforms: [.macOS(.v12)],
    dependencies: [.package(url: Context.environment["PRESENCE_PACKAGE"]!, exact: "0.1.0")],
    targets: [
        .executableTarget(name: "consumer", dependencies: [.product(name: "PresenceClient", package: "PresenceClient")])
    ]
)
