import Foundation
import PresenceClient
import Testing

extension Everything {
    @Suite("A task") struct ConcurrencyTests {}
}

extension Everything.ConcurrencyTests {
    /// Begins the call, cancels it once it has reached the library, and says how it ended. It may take no second.
    private func cancelled<Value: Sendable>(
        _ call: @escaping @Sendable () async throws -> Value
    ) async throws -> Result<Value, any Error> {
        let before = debugLiveObjects()
        let task = Task { try await call() }
        // A cancel token is there, which lives as long as the call.
        try await until { debugLiveObjects() > before }
        task.cancel()
        return try await within(1) { await task.result }
    }

    @Test("that waits for an event ends when it is cancelled, and loses none")
    func cancelledEvent() async throws {
        let stage = try await Stage.start()
        let channel = try await stage.device("alice")
        try await channel.events.connected()
        #expect(try await cancelled { await channel.events.next() }.get() == nil)

        await channel.close()
        #expect(await channel.events.next() == .state(state: .ended(end: .closed)))
    }

    @Test("that waits for an answer ends when it is cancelled")
    func cancelledCalls() async throws {
        let silence = try Silence()
        let api = try PresenceApi(server: silence.url)
        let service = try AppServiceChannel.open(
            options: AppServiceOptions(
                server: silence.url, application: String(repeating: "0", count: 32), apiKey: Secret(text: "key")))
        let device = try DeviceChannel.open(
            options: DeviceOptions(server: silence.url, device: "phone", credential: .token("token")))
        let uid = String(repeating: "0", count: 32)
        let user = api.user(token: Secret(text: "token"))
        let calls: [@Sendable () async throws -> Void] = [
            { _ = try await api.devAssertion(email: "alice@dev.localhost") },
            { _ = try await user.grants() },
            { _ = try await service.notifyOne(item: NewNotification(uid: uid, message: "Lunch?")) },
            { _ = try await service.query(uids: [uid]) },
            { try await device.settled() },
        ]
        for call in calls {
            let result = try await cancelled(call)
            #expect(throws: CancellationError.self) { try result.get() }
        }
    }

    @Test("of the main actor leaves it free while it waits")
    @MainActor func mainActor() async throws {
        let stage = try await Stage.start()
        let channel = try await stage.device("alice")
        try await channel.events.connected()
        var turns = 0
        let loop = Task { @MainActor in
            for await event in channel.events where event == .state(state: .ended(end: .closed)) { turns += 1000 }
        }
        // The loop waits on this actor, which goes on.
        for _ in 1...100 {
            await Task.yield()
            turns += 1
        }
        await channel.close()
        try await within { await loop.value }
        #expect(turns == 1100)
    }

    @Test("leaves nothing behind")
    func leaks() async throws {
        let before = debugLiveObjects()
        weak var leaked: DeviceChannel?
        do {
            let stage = try await Stage.start()
            let chat = try await stage.application("Chat")
            let alice = try await stage.grant("alice", chat)
            for _ in 1...5 {
                let device = try await stage.device("alice")
                leaked = device
                let service = try stage.appService(chat)
                try await within { try await device.settled() }
                let loops = [
                    Task { for await event in device.events { _ = event } },
                    Task { for await event in service.events { _ = event } },
                ]
                _ = try await within { try await service.notifyOne(item: NewNotification(uid: alice, message: "x")) }
                #expect(debugLiveObjects() > before)
                for loop in loops { loop.cancel() }
                for loop in loops { try await within { await loop.value } }
            }
        }
        try await until { debugLiveObjects() <= before }
        #expect(leaked == nil)
    }
}

/// A server that takes connections and never says a word.
final class Silence: Sendable {
    let url: String
    private let descriptor: Int32

    init() throws {
        #if canImport(Glibc)
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #else
            let descriptor = socket(AF_INET, SOCK_STREAM, 0)
        #endif
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listens = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, size) == 0 && listen(descriptor, 16) == 0
                    && getsockname(descriptor, address, &size) == 0
            }
        }
        guard listens else { throw Stage.Failed(reason: "no port can be had") }
        url = "http://127.0.0.1:\(UInt16(bigEndian: address.sin_port))"
        self.descriptor = descriptor
    }

    deinit { _ = close(descriptor) }
}
