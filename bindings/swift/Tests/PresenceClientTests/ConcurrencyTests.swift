import Foundation
import PresenceClient
import Testing

extension AllTests {
    @Suite("A task") struct ConcurrencyTests {}
}

extension AllTests.ConcurrencyTests {
    /// Starts a call, cancels it after it has reached the library, and returns its result, which
    /// must be there within a second.
    private func cancelled<Value: Sendable>(
        _ call: @escaping @Sendable () async throws -> Value
    ) async throws -> Result<Value, any Error> {
        let before = debugLiveObjects()
        let task = Task { try await call() }
        // The cancel token of the call is alive while the call runs.
        try await until { debugLiveObjects() > before }
        task.cancel()
        return try await within(1) { await task.result }
    }

    @Test("that waits for a notification ends when it is cancelled, and loses none")
    func cancelledNotification() async throws {
        let server = try await TestServer.start()
        let chat = try await server.application("Chat")
        let alice = try await server.grant("alice", chat)
        let channel = try await server.device("alice")
        try await channel.waitUntilConnected()
        #expect(try await cancelled { try await channel.notifications.makeAsyncIterator().next() }.get() == nil)

        let id = try await server.notify(chat, alice, "Lunch?")
        #expect(try await channel.nextNotification().id == id)
    }

    @Test("that waits for a state ends when it is cancelled, and loses none")
    func cancelledState() async throws {
        let server = try await TestServer.start()
        let channel = try await server.device("alice")
        try await channel.waitUntilConnected()
        let waiting = try await cancelled { () -> ConnectionState? in
            for await state in channel.states where state != .connected { return state }
            return nil
        }
        #expect(try waiting.get() == nil)

        await channel.close()
        #expect(try await channel.waitForState(\.isEnded) == .ended(reason: .closed))
    }

    @Test("that waits for a reply ends when it is cancelled")
    func cancelledCalls() async throws {
        let silentServer = try LoopbackListener()
        let api = try PresenceApi(server: silentServer.url)
        let service = try AppServiceChannel.open(
            options: AppServiceOptions(
                server: silentServer.url, application: String(repeating: "0", count: 32), apiKey: Secret(text: "key")))
        let device = try DeviceChannel.open(
            options: DeviceOptions(server: silentServer.url, device: "phone", credential: .token("token")))
        let uid = String(repeating: "0", count: 32)
        let user = api.user(token: Secret(text: "token"))
        let calls: [@Sendable () async throws -> Void] = [
            { _ = try await api.devAssertion(email: "alice@dev.localhost") },
            { _ = try await user.grants() },
            { _ = try await service.notifyOne(item: NewNotification(uid: uid, message: "Lunch?")) },
            { _ = try await service.query(uids: [uid]) },
            { try await device.confirmed() },
        ]
        for call in calls {
            let result = try await cancelled(call)
            #expect(throws: CancellationError.self) { try result.get() }
        }
    }

    @Test("of the main actor does not block it while it waits")
    @MainActor func mainActor() async throws {
        let server = try await TestServer.start()
        let channel = try await server.device("alice")
        try await channel.waitUntilConnected()
        var steps = 0
        let loop = Task { @MainActor in
            for await state in channel.states where state == .ended(reason: .closed) { steps += 1000 }
        }
        // The loop waits on this actor, which runs other work meanwhile.
        for _ in 1...100 {
            await Task.yield()
            steps += 1
        }
        await channel.close()
        try await within { await loop.value }
        #expect(steps == 1100)
    }

    @Test("leaves no object alive")
    func leaks() async throws {
        let before = debugLiveObjects()
        weak var leaked: DeviceChannel?
        do {
            let server = try await TestServer.start()
            let chat = try await server.application("Chat")
            let alice = try await server.grant("alice", chat)
            for _ in 1...5 {
                let device = try await server.device("alice")
                leaked = device
                let service = try server.appService(chat)
                try await within { try await device.confirmed() }
                let loops: [Task<Void, any Error>] = [
                    Task { for try await notification in device.notifications { _ = notification } },
                    Task { for await state in device.states { _ = state } },
                    Task { for try await event in service.events { _ = event } },
                ]
                _ = try await within { try await service.notifyOne(item: NewNotification(uid: alice, message: "x")) }
                #expect(debugLiveObjects() > before)
                for loop in loops { loop.cancel() }
                for loop in loops { try await within { try await loop.value } }
            }
        }
        try await until { debugLiveObjects() <= before }
        #expect(leaked == nil)
    }
}
