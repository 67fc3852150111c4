import Foundation
import PresenceClient
import Testing

extension AllTests {
    @Suite("The README") struct ReadmeTests {}
}

/// The function that the README leaves to the app.
private func freshAssertion(for server: String) async throws -> String {
    try await PresenceApi(server: server).devAssertion(email: "alice@dev.localhost").reveal()
}

// The example of the README.
func bePresent(server: String, show: @escaping @Sendable (String) -> Void) async throws {
    let options = DeviceOptions(server: server, device: "phone", message: "at lunch")
    let channel = try DeviceChannel.open(options: options)
    // Called whenever the channel needs a credential, and again if it fails.
    async let credentials: Void = channel.provideCredentials { _ in
        .assertion(try await freshAssertion(for: server))
    }
    async let states: Void = {
        for await state in channel.states { show("\(state)") }
    }()
    for try await notification in channel.notifications {
        show("\(notification.source) (\(notification.domain)): \(notification.message)")
        channel.acknowledge(notification)
    }
    _ = try await (credentials, states)
}

extension AllTests.ReadmeTests {
    @Test("contains the example that is tested here")
    func sameText() throws {
        let here = URL(fileURLWithPath: #filePath)
        let root = here.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let readme = try String(contentsOf: root.appendingPathComponent("README.md"), encoding: .utf8)
        let start = try #require(readme.range(of: "func bePresent"))
        let end = try #require(readme[start.lowerBound...].range(of: "\n}\n"))
        let example = readme[start.lowerBound..<end.upperBound]
        #expect(try String(contentsOf: here, encoding: .utf8).contains(example))
    }

    @Test("contains an example that works")
    func works() async throws {
        let server = try await TestServer.start()
        let chat = try await server.application("Chat")
        let alice = try await server.grant("alice", chat)
        let (lines, line) = AsyncStream<String>.makeStream()
        let example = Task { [url = server.url] in
            try await bePresent(server: url) { line.yield($0) }
            line.finish()
        }
        try await until { try await server.presence(chat, alice) == "online: at lunch" }
        _ = try await server.notify(chat, alice, "Dinner?")
        try await within {
            for await line in lines where line.hasPrefix("Chat (") && line.hasSuffix("): Dinner?") { return }
            throw SequenceEnded()
        }
        try await server.endDevice("alice", "phone")
        try await within { try await example.value }
    }
}
