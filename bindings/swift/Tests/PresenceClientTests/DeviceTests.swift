import Foundation
import PresenceClient
import Testing

extension Everything {
    @Suite("A device channel") struct DeviceTests {}
}

extension Everything.DeviceTests {
    @Test("is seen with its status and text, and offline once it is closed")
    func status() async throws {
        let stage = try await Stage.start()
        let chat = try await stage.application("Chat")
        let alice = try await stage.grant("alice", chat)

        let channel = try await stage.device("alice")
        try await within { try await channel.settled() }
        #expect(try await stage.presence(chat, alice) == "online")

        try channel.setStatus(status: .unavailable, message: "at lunch")
        try await within { try await channel.settled() }
        #expect(try await stage.presence(chat, alice) == "unavailable: at lunch")

        try channel.setVisibility(applications: [])
        try await within { try await channel.settled() }
        #expect(try await stage.presence(chat, alice) == "offline")

        try channel.setVisibility(applications: [chat.appid])
        try await within { try await channel.settled() }
        #expect(try await stage.presence(chat, alice) == "unavailable: at lunch")

        await channel.close()
        try await until { try await stage.presence(chat, alice) == "offline" }
    }

    @Test("asks for a credential where it has none")
    func firstCredential() async throws {
        let stage = try await Stage.start()
        let channel = try DeviceChannel.open(options: DeviceOptions(server: stage.url, device: "phone"))
        #expect(try await channel.events.credentialWanted() == .first)
        channel.giveCredential(credential: .token(try await stage.signIn("alice")))
        try await channel.events.connected()
        #expect(channel.state() == .connected)
    }

    @Test("is signed out by a refused assertion until it gets a good one")
    func refusedCredential() async throws {
        let stage = try await Stage.start()
        let channel = try DeviceChannel.open(
            options: DeviceOptions(server: stage.url, device: "phone", credential: .assertion("nonsense")))
        let refused = try await channel.events.state { $0.signedOut != nil }.signedOut
        #expect(refused?.errno == .invalidAssertion)
        #expect(refused?.isRetryable == false)

        channel.giveCredential(credential: .assertion(try await stage.assertion("alice")))
        try await channel.events.connected()
    }

    @Test("says its last status again after the server was killed")
    func reconnect() async throws {
        let stage = try await Stage.start()
        let chat = try await stage.application("Chat")
        let alice = try await stage.grant("alice", chat)
        let channel = try await stage.device("alice")
        try channel.setStatus(status: .online, message: "in a tunnel")
        try await within { try await channel.settled() }
        let watcher = try stage.appService(chat)
        let map = PresenceMap()
        try await watcher.events.mirror(in: map) { try map.get(uid: alice)?.message == "in a tunnel" }

        try await stage.kill()
        let waiting = try await channel.events.state(\.isWaiting)
        guard case .waiting(let reason, let seconds) = waiting else { return }
        #expect(reason.isRetryable)
        #expect((0...0.2).contains(seconds))
        try channel.setStatus(status: .unavailable, message: "first wish")
        try channel.setStatus(status: .unavailable, message: "last wish")
        try await stage.restart()

        try await within { try await channel.settled() }
        #expect(try await stage.presence(chat, alice) == "unavailable: last wish")
        try await watcher.events.mirror(in: map) { try map.get(uid: alice)?.message == "last wish" }
        #expect(try map.status(uid: alice) == .unavailable)
    }

    @Test("comes back to a server that was stopped in order, with a fresh assertion where the old one is not good any more")
    func drain() async throws {
        let stage = try await Stage.start()
        let chat = try await stage.application("Chat")
        let alice = try await stage.grant("alice", chat)
        let channel = try stage.open("phone", with: .assertion(try await stage.assertion("alice")))
        try await channel.events.connected()
        // A server in development mode makes itself a new key for assertions when it starts.
        try await stage.drain()
        #expect(try await channel.events.credentialWanted() == .expired)
        channel.giveCredential(credential: .assertion(try await stage.assertion("alice")))
        try await within { try await channel.settled() }
        #expect(try await stage.presence(chat, alice) == "online")
    }

    @Test("stays connected over the end of its session where it is renewed in time")
    func renewal() async throws {
        let stage = try await Stage.start(["session-seconds": "2"])
        let channel = try stage.open("phone", with: .assertion(try await stage.assertion("alice")))
        try await channel.events.connected()
        // Two sessions long. A server tells a minute before, so here it is told at once.
        let end = Date(timeIntervalSinceNow: 4)
        while Date() < end {
            let next = try await channel.events.first { $0 }
            guard case .credentialWanted(.expiring(let seconds)) = next else {
                Issue.record("not asked for a fresh credential, but \(next)")
                return
            }
            #expect(seconds <= 2)
            channel.giveCredential(credential: .assertion(try await stage.assertion("alice")))
            try await within { try await channel.settled() }
        }
        #expect(channel.state() == .connected)
    }

    @Test("comes back with a fresh credential where the session has ended")
    func expiry() async throws {
        let stage = try await Stage.start(["session-seconds": "1"])
        let chat = try await stage.application("Chat")
        let alice = try await stage.grant("alice", chat)
        let channel = try stage.open("phone", with: .assertion(try await stage.assertion("alice")))
        try await channel.events.connected()
        while try await channel.events.credentialWanted() != .expired {}
        try channel.setStatus(status: .unavailable)
        channel.giveCredential(credential: .assertion(try await stage.assertion("alice")))
        try await within { try await channel.settled() }
        #expect(try await stage.presence(chat, alice) == "unavailable")
    }

    @Test("ends where a newer connection of the same device takes over")
    func replaced() async throws {
        let stage = try await Stage.start()
        let first = try await stage.device("alice", "phone")
        try await first.events.connected()
        let second = try await stage.device("alice", "phone")
        try await second.events.connected()
        #expect(try await first.events.state(\.isEnded) == .ended(end: .replaced))
        #expect(await first.events.next() == nil)
        #expect(await error { try await first.settled() } == .Ended(end: .replaced))
    }

    @Test("ends where the user ends the device")
    func endedByUser() async throws {
        let stage = try await Stage.start()
        let channel = try await stage.device("alice", "phone")
        try await channel.events.connected()
        try await stage.endDevice("alice", "phone")
        #expect(try await channel.events.state(\.isEnded) == .ended(end: .endedByUser))
        #expect(await channel.events.next() == nil)
    }

    @Test("ends its loop when it is closed")
    func close() async throws {
        let stage = try await Stage.start()
        let channel = try await stage.device("alice")
        try await channel.events.connected()
        let loop = Task {
            var last: DeviceEvent?
            for await event in channel.events { last = event }
            return last
        }
        await channel.close()
        #expect(try await within { await loop.value } == .state(state: .ended(end: .closed)))
        #expect(await channel.events.next() == nil)
        await channel.close()
    }

    @Test("leaves at once when its last reference is gone")
    func dropped() async throws {
        let stage = try await Stage.start(["grace-seconds": "600"])
        let chat = try await stage.application("Chat")
        let alice = try await stage.grant("alice", chat)
        var channel: DeviceChannel? = try await stage.device("alice")
        try await channel?.events.connected()
        #expect(try await stage.presence(chat, alice) == "online")
        channel = nil
        try await until { try await stage.presence(chat, alice) == "offline" }
    }

    @Test("refuses wrong arguments before anything is sent")
    func wrongArguments() async throws {
        func refusal(_ options: DeviceOptions) -> PresenceError? {
            do {
                _ = try DeviceChannel.open(options: options)
                return nil
            } catch {
                return error as? PresenceError
            }
        }
        let wrong = [
            DeviceOptions(server: "ftp://presence.example", device: "phone"),
            DeviceOptions(server: "https://presence.example", device: "my phone"),
            DeviceOptions(server: "https://presence.example", device: "phone", message: "two\nlines"),
            DeviceOptions(server: "https://presence.example", device: "phone", visibility: ["Chat"]),
            DeviceOptions(server: "https://presence.example", device: "phone", timing: ChannelTiming(heartbeat: -1)),
        ]
        for options in wrong {
            guard case .InvalidArgument(let reason) = refusal(options) else {
                Issue.record("not refused: \(options)")
                continue
            }
            #expect(!reason.isEmpty)
        }
        let channel = try DeviceChannel.open(options: DeviceOptions(server: "https://presence.example", device: "phone"))
        let tooLong = String(repeating: "x", count: 129)
        #expect(throws: PresenceError.self) { try channel.setStatus(status: .online, message: tooLong) }
        #expect(throws: PresenceError.self) { try channel.acknowledge(id: "no id") }
    }

    @Test("tells of a server that is not there, and goes on trying")
    func unreachable() async throws {
        let stage = try await Stage.start()
        try await stage.kill()
        let channel = try DeviceChannel.open(
            options: DeviceOptions(server: stage.url, device: "phone", credential: .token("of nobody"), timing: impatient))
        guard case .waiting(.Unreachable(let reason), _) = try await channel.events.state(\.isWaiting) else {
            Issue.record("waits for another reason")
            return
        }
        #expect(!reason.contains("of nobody"))
        _ = try await channel.events.state { state in
            if case .connecting(let attempt) = state { attempt >= 3 } else { false }
        }
    }
}
