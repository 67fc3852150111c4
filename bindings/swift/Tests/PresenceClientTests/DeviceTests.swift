import Foundation
import PresenceClient
import Testing

extension AllTests {
    @Suite("A device channel") struct DeviceTests {}
}

extension AllTests.DeviceTests {
    @Test("shows its status and text, and is offline after it is closed")
    func status() async throws {
        let server = try await TestServer.start()
        let chat = try await server.application("Chat")
        let alice = try await server.grant("alice", chat)

        let channel = try await server.device("alice")
        try await within { try await channel.confirmed() }
        #expect(try await server.presence(chat, alice) == "online")

        try channel.setStatus(status: .unavailable, message: "at lunch")
        try await within { try await channel.confirmed() }
        #expect(try await server.presence(chat, alice) == "unavailable: at lunch")

        try channel.setVisibility(applications: [])
        try await within { try await channel.confirmed() }
        #expect(try await server.presence(chat, alice) == "offline")

        try channel.setVisibility(applications: [chat.appid])
        try await within { try await channel.confirmed() }
        #expect(try await server.presence(chat, alice) == "unavailable: at lunch")

        await channel.close()
        try await until { try await server.presence(chat, alice) == "offline" }
    }

    @Test("requests a credential if it has none")
    func firstCredential() async throws {
        let server = try await TestServer.start()
        let channel = try DeviceChannel.open(options: DeviceOptions(server: server.url, device: "phone"))
        #expect(try await channel.nextCredentialRequest() == .first)
        channel.setCredential(credential: .token(try await server.signIn("alice")))
        try await channel.waitUntilConnected()
        #expect(channel.state() == .connected)
    }

    @Test("asks its provider again after it failed, also with a cancellation of its own")
    func failingProvider() async throws {
        let server = try await TestServer.start()
        let failures: [any Error] = [PresenceError.TimedOut, CancellationError()]
        for failure in failures {
            let channel = try DeviceChannel.open(options: DeviceOptions(server: server.url, device: "phone"))
            let calls = Calls()
            let providing = Task {
                try await channel.provideCredentials { _ in
                    if await calls.next() == 1 { throw failure }
                    return .assertion(try await server.assertion("alice"))
                }
            }
            try await channel.waitUntilConnected()
            #expect(await calls.count == 2)
            await channel.close()
            try await within { try await providing.value }
        }
    }

    @Test("does not ask its provider again after the provider said that the user is signed out")
    func signedOutProvider() async throws {
        let server = try await TestServer.start()
        let channel = try DeviceChannel.open(options: DeviceOptions(server: server.url, device: "phone"))
        let calls = Calls()
        let providing = Task {
            try await channel.provideCredentials { _ in
                _ = await calls.next()
                throw SignedOutError()
            }
        }
        try await until { await calls.count == 1 }
        channel.setCredential(credential: .assertion(try await server.assertion("alice")))
        try await channel.waitUntilConnected()
        #expect(await calls.count == 1)
        await channel.close()
        try await within { try await providing.value }
    }

    @Test("is signed out by a refused assertion until it gets a valid one")
    func refusedCredential() async throws {
        let server = try await TestServer.start()
        let channel = try DeviceChannel.open(
            options: DeviceOptions(server: server.url, device: "phone", credential: .assertion("nonsense")))
        let refused = try await channel.waitForState { $0.signedOut != nil }.signedOut
        #expect(refused?.errno == .invalidAssertion)
        #expect(refused?.isRetryable == false)

        channel.setCredential(credential: .assertion(try await server.assertion("alice")))
        try await channel.waitUntilConnected()
    }

    @Test("sends its last status again after the server was killed")
    func reconnect() async throws {
        let server = try await TestServer.start()
        let chat = try await server.application("Chat")
        let alice = try await server.grant("alice", chat)
        let channel = try await server.device("alice")
        try channel.setStatus(status: .online, message: "in a tunnel")
        try await within { try await channel.confirmed() }
        let watcher = try server.appService(chat)
        let map = PresenceMap()
        try await watcher.events.apply(to: map) { try map.get(uid: alice)?.message == "in a tunnel" }

        try await server.kill()
        let waiting = try await channel.waitForState(\.isWaiting)
        guard case .waiting(let reason, let seconds) = waiting else { return }
        #expect(reason.isRetryable)
        #expect((0...0.2).contains(seconds))
        try channel.setStatus(status: .unavailable, message: "first status")
        try channel.setStatus(status: .unavailable, message: "last status")
        try await server.restart()

        try await within { try await channel.confirmed() }
        #expect(try await server.presence(chat, alice) == "unavailable: last status")
        try await watcher.events.apply(to: map) { try map.get(uid: alice)?.message == "last status" }
        #expect(try map.status(uid: alice) == .unavailable)
    }

    @Test("requests an assertion if the old one is not valid after an orderly restart")
    func drain() async throws {
        let server = try await TestServer.start()
        let chat = try await server.application("Chat")
        let alice = try await server.grant("alice", chat)
        let channel = try server.open("phone", with: .assertion(try await server.assertion("alice")))
        try await channel.waitUntilConnected()
        // A server in development mode has a new key for assertions after each start.
        try await server.drain()
        #expect(try await channel.nextCredentialRequest() == .expired)
        channel.setCredential(credential: .assertion(try await server.assertion("alice")))
        try await within { try await channel.confirmed() }
        #expect(try await server.presence(chat, alice) == "online")
    }

    @Test("stays connected if its session is renewed in time")
    func renewal() async throws {
        let server = try await TestServer.start(["session-seconds": "2"])
        let channel = try server.open("phone", with: .assertion(try await server.assertion("alice")))
        try await channel.waitUntilConnected()
        // Lasts two sessions. The server announces the end a minute before, here at once.
        let end = Date(timeIntervalSinceNow: 4)
        while Date() < end {
            guard case .expiring(let seconds) = try await channel.nextCredentialRequest() else {
                Issue.record("the session was not renewed in time")
                return
            }
            #expect(seconds <= 2)
            channel.setCredential(credential: .assertion(try await server.assertion("alice")))
            try await within { try await channel.confirmed() }
        }
        #expect(channel.state() == .connected)
    }

    @Test("reconnects with a fresh credential after its session has ended")
    func expiry() async throws {
        let server = try await TestServer.start(["session-seconds": "1"])
        let chat = try await server.application("Chat")
        let alice = try await server.grant("alice", chat)
        let channel = try server.open("phone", with: .assertion(try await server.assertion("alice")))
        try await channel.waitUntilConnected()
        while try await channel.nextCredentialRequest() != .expired {}
        try channel.setStatus(status: .unavailable)
        channel.setCredential(credential: .assertion(try await server.assertion("alice")))
        try await within { try await channel.confirmed() }
        #expect(try await server.presence(chat, alice) == "unavailable")
    }

    @Test("ends when a newer connection of the same device replaces it")
    func replaced() async throws {
        let server = try await TestServer.start()
        let first = try await server.device("alice", "phone")
        try await first.waitUntilConnected()
        let second = try await server.device("alice", "phone")
        try await second.waitUntilConnected()
        #expect(try await first.waitForState(\.isEnded) == .ended(reason: .replaced))
        #expect(try await first.notifications.makeAsyncIterator().next() == nil)
        #expect(await error { try await first.confirmed() } == .Ended(reason: .replaced))
    }

    @Test("ends when the user ends the device")
    func endedByUser() async throws {
        let server = try await TestServer.start()
        let channel = try await server.device("alice", "phone")
        try await channel.waitUntilConnected()
        try await server.endDevice("alice", "phone")
        #expect(try await channel.waitForState(\.isEnded) == .ended(reason: .endedByUser))
        #expect(try await channel.notifications.makeAsyncIterator().next() == nil)
    }

    @Test("ends its loops when it is closed")
    func close() async throws {
        let server = try await TestServer.start()
        let channel = try await server.device("alice")
        try await channel.waitUntilConnected()
        let loop = Task {
            var last: ConnectionState?
            for await state in channel.states { last = state }
            return last
        }
        await channel.close()
        #expect(try await within { await loop.value } == .ended(reason: .closed))
        #expect(try await channel.notifications.makeAsyncIterator().next() == nil)
        await channel.close()
    }

    @Test("is closed at once when its last reference is gone")
    func dropped() async throws {
        let server = try await TestServer.start(["grace-seconds": "600"])
        let chat = try await server.application("Chat")
        let alice = try await server.grant("alice", chat)
        var channel: DeviceChannel? = try await server.device("alice")
        try await channel?.waitUntilConnected()
        #expect(try await server.presence(chat, alice) == "online")
        channel = nil
        try await until { try await server.presence(chat, alice) == "offline" }
    }

    @Test("refuses invalid arguments before anything is sent")
    func invalidArguments() async throws {
        func refusal(_ options: DeviceOptions) -> PresenceError? {
            do {
                _ = try DeviceChannel.open(options: options)
                return nil
            } catch {
                return error as? PresenceError
            }
        }
        let invalid = [
            DeviceOptions(server: "ftp://presence.example", device: "phone"),
            DeviceOptions(server: "https://presence.example", device: "my phone"),
            DeviceOptions(server: "https://presence.example", device: "phone", message: "two\nlines"),
            DeviceOptions(server: "https://presence.example", device: "phone", visibility: ["Chat"]),
            DeviceOptions(server: "https://presence.example", device: "phone", timing: ChannelTiming(heartbeat: -1)),
        ]
        for options in invalid {
            guard case .InvalidArgument(let reason) = refusal(options) else {
                Issue.record("not refused: \(options)")
                continue
            }
            #expect(!reason.isEmpty)
        }
        let channel = try DeviceChannel.open(options: DeviceOptions(server: "https://presence.example", device: "phone"))
        let tooLong = String(repeating: "x", count: 129)
        #expect(throws: PresenceError.self) { try channel.setStatus(status: .online, message: tooLong) }
        #expect(throws: PresenceError.self) { try channel.acknowledge(id: "not-an-id") }
    }

    @Test("reports that the server cannot be reached, and keeps trying")
    func unreachable() async throws {
        let server = try await TestServer.start()
        try await server.kill()
        let channel = try DeviceChannel.open(
            options: DeviceOptions(
                server: server.url, device: "phone", credential: .token("unused-token"),
                timing: fastReconnects))
        guard case .waiting(.Unreachable(let reason), _) = try await channel.waitForState(\.isWaiting) else {
            Issue.record("the channel waits for another reason")
            return
        }
        #expect(!reason.contains("unused-token"))
        _ = try await channel.waitForState { state in
            if case .connecting(let attempt) = state { attempt >= 3 } else { false }
        }
    }
}

/// The number of calls of a provider.
private actor Calls {
    var count = 0

    func next() -> Int {
        count += 1
        return count
    }
}
