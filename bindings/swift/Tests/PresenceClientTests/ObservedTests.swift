import Foundation
import PresenceClient
import Testing

extension AllTests {
    @Suite("What a channel remembers") struct ObservedTests {}
}

/// A file in a folder of its own, which is removed with this object.
private final class TemporaryFile: Sendable {
    private let folder: URL
    var path: String { folder.appendingPathComponent("presence.json").path }

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("presence-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    /// Returns the text of the file, or an empty text if there is none.
    func text() -> String {
        guard let data = FileManager.default.contents(atPath: path) else { return "" }
        return String(decoding: data, as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }
}

extension AllTests.ObservedTests {
    @Test("are its last states with their reasons, and counters")
    func recentStates() async throws {
        let server = try await TestServer.start()
        let channel = try await server.device("alice")
        try await channel.waitUntilConnected()
        try await server.kill()
        _ = try await channel.waitForState(\.isWaiting)
        try await server.restart()
        try await channel.waitUntilConnected()

        let recent = channel.recentStates()
        #expect((4...20).contains(recent.count))
        #expect(recent.last?.state == .connected)
        #expect(recent.contains { $0.state.isWaiting })
        #expect(recent.map(\.atMs) == recent.map(\.atMs).sorted())
        let counters = channel.counters()
        #expect(counters.connections == 2 && counters.disconnects == 1)
        #expect(counters.lastRoundTripSeconds != nil)
        await channel.close()
        #expect(channel.recentStates().last?.state == .ended(reason: .closed))
    }

    @Test("are also notifications that the user has seen, over a restart of the app")
    func shownNotifications() async throws {
        let server = try await TestServer.start()
        let chat = try await server.application("Chat")
        let alice = try await server.grant("alice", chat)
        let file = try TemporaryFile()
        func open() async throws -> DeviceChannel {
            try DeviceChannel.open(
                options: DeviceOptions(
                    server: server.url, device: "phone", credential: .token(try await server.signIn("alice")),
                    storageFile: file.path, timing: fastReconnects))
        }
        let first = try await open()
        _ = try await server.notify(chat, alice, "one")
        let shown = try await first.nextNotification()
        first.markShown(shown)
        try await until { file.text().contains(shown.id) }
        await first.close()

        let second = try await open()
        _ = try await server.notify(chat, alice, "two")
        #expect(try await second.nextNotification().message == "two")
        second.acknowledge(shown)
        try await within { try await second.confirmed() }
        #expect(second.storageCounters().errors == 0)
        await second.close()
    }

    @Test("are also the users of a back end and its place in the stream")
    func storedMap() async throws {
        let server = try await TestServer.start()
        let chat = try await server.application("Chat")
        let alice = try await server.grant("alice", chat)
        let bob = try await server.grant("bob", chat)
        let phone = try await server.device("alice")
        let file = try TemporaryFile()
        let map = try await PresenceMap.load(file: file.path)
        let service = try server.appService(chat)
        try await service.events.apply(to: map) { try map.status(uid: alice) == .online }
        try await within { try await map.flush() }
        await service.close()

        let restored = try await PresenceMap.load(file: file.path)
        #expect(try restored.status(uid: alice) == .online)
        let cursor = try #require(restored.cursor())
        let tablet = try await server.device("bob")
        let next = try server.appService(chat, cursor: cursor)
        try await next.events.apply(to: restored) { try restored.status(uid: bob) == .online }
        #expect(try restored.status(uid: alice) == .online)
        #expect(restored.storageCounters().errors == 0)
        for channel in [phone, tablet] { await channel.close() }
        await next.close()
    }

    @Test("ends with the state that it has ended, when its loops have ended")
    func endOrder() async throws {
        let server = try await TestServer.start()
        let chat = try await server.application("Chat")
        for _ in 1...5 {
            let (device, service) = (try await server.device("alice"), try server.appService(chat))
            try await device.waitUntilConnected()
            let afterNotifications = Task {
                for try await _ in device.notifications {}
                return device.state()
            }
            let afterRequests = Task {
                for try await _ in device.credentialRequests {}
                return device.state()
            }
            let afterEvents = Task {
                for try await _ in service.events {}
                return service.state()
            }
            await device.close()
            await service.close()
            for loop in [afterNotifications, afterRequests, afterEvents] {
                #expect(try await within { try await loop.value } == .ended(reason: .closed))
            }
        }
    }
}
