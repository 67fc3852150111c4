import Foundation
import PresenceClient
import Testing

extension Everything {
    @Suite("The README") struct ReadmeTests {}
}

/// What the README leaves to the app.
private func freshAssertion(for server: String) async throws -> String {
    try await PresenceApi(server: server).devAssertion(email: "alice@dev.localhost").reveal()
}

// The README's example.
func bePresent(server: String, say: @Sendable (String) async -> Void) async throws {
    let channel = try DeviceChannel.open(options: DeviceOptions(server: server, device: "phone", message: "at lunch"))
    for await event in channel.events {
        switch event {
        case .credentialWanted:
            // Asked again whenever a fresh one is needed.
            channel.giveCredential(credential: .assertion(try await freshAssertion(for: server)))
        case .notification(let notification):
            await say("\(notification.source): \(notification.message)")
            channel.acknowledge(notification)
        case .state(.ended(let end)):
            await say("ended: \(end)")
        case .state(let state):
            await say("\(state)")
        }
    }
}

extension Everything.ReadmeTests {
    @Test("has an example that is here word by word")
    func sameText() throws {
        let here = URL(fileURLWithPath: #filePath)
        let root = here.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let readme = try String(contentsOf: root.appendingPathComponent("README.md"), encoding: .utf8)
        let start = try #require(readme.range(of: "func bePresent"))
        let end = try #require(readme[start.lowerBound...].range(of: "\n}\n"))
        let example = readme[start.lowerBound..<end.upperBound]
        #expect(try String(contentsOf: here, encoding: .utf8).contains(example))
    }

    @Test("has an example that works")
    func works() async throws {
        let stage = try await Stage.start()
        let chat = try await stage.application("Chat")
        let alice = try await stage.grant("alice", chat)
        let (lines, line) = AsyncStream<String>.makeStream()
        let example = Task { [url = stage.url] in
            try await bePresent(server: url) { line.yield($0) }
            line.finish()
        }
        try await until { try await stage.presence(chat, alice) == "online: at lunch" }
        _ = try await stage.notify(chat, alice, "Dinner?")
        try await within {
            for await line in lines where line == "Chat: Dinner?" { return }
            throw NoMoreEvents()
        }
        try await stage.endDevice("alice", "phone")
        try await within { try await example.value }
    }
}
