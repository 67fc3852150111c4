import Foundation
import PresenceClient
import Testing

extension AllTests {
    @Suite("A credential provider") struct CredentialTests {}
}

/// The provider has failed.
private struct ProviderFailed: Error {}

/// A number of calls, and whether something has happened.
private actor Record {
    private(set) var calls = 0
    private(set) var happened = false

    func nextCall() -> Int {
        calls += 1
        return calls
    }

    func happen() { happened = true }
}

extension AllTests.CredentialTests {
    @Test("that fails is called again without a wait after a hint")
    func hints() async throws {
        let server = try await TestServer.start()
        // Without hints the last waits would take many minutes.
        let timing = ChannelTiming(backoffFloor: 0.02, backoffCeiling: 3600)
        let channel = try DeviceChannel.open(
            options: DeviceOptions(server: server.url, device: "phone", timing: timing))
        let record = Record()
        let providing = Task {
            try await channel.provideCredentials { _ in
                if await record.nextCall() <= 16 { throw ProviderFailed() }
                return .assertion(try await server.assertion("alice"))
            }
        }
        let hinting = Task {
            while !Task.isCancelled {
                channel.networkChanged()
                try? await Task.sleep(nanoseconds: 5_000_000)
            }
        }
        try await channel.waitUntilConnected()
        hinting.cancel()
        #expect(await record.calls == 17)
        await channel.close()
        try await within { try await providing.value }
    }

    @Test("that has failed or hangs does not delay a credential of the app")
    func credentialOfTheApp() async throws {
        let server = try await TestServer.start()
        let timing = ChannelTiming(backoffFloor: 3600, backoffCeiling: 3600)
        for hangs in [false, true] {
            let channel = try DeviceChannel.open(
                options: DeviceOptions(server: server.url, device: "phone", timing: timing))
            let (called, cancelled) = (Record(), Record())
            let providing = Task {
                try await channel.provideCredentials { _ in
                    await called.happen()
                    if hangs {
                        try? await Task.sleep(nanoseconds: 3600 * 1_000_000_000)
                        await cancelled.happen()
                    }
                    throw ProviderFailed()
                }
            }
            try await until { await called.happened }
            channel.setCredential(credential: .assertion(try await server.assertion("alice")))
            if hangs { try await until { await cancelled.happened } }
            try await channel.waitUntilConnected()
            await channel.close()
            try await within { try await providing.value }
        }
    }

    @Test("that says that the user is signed out makes it the state")
    func signedOut() async throws {
        let server = try await TestServer.start()
        let channel = try DeviceChannel.open(options: DeviceOptions(server: server.url, device: "phone"))
        let providing = Task { try await channel.provideCredentials { _ in throw SignedOutError() } }
        let reason = try await channel.waitForState { $0.signedOut != nil }.signedOut
        #expect(reason?.errno == .notAuthenticated)
        await channel.close()
        try await within { try await providing.value }
    }

    @Test("with a cache signs several devices in once")
    func sharedCache() async throws {
        let server = try await TestServer.start()
        let record = Record()
        let credentials = try CachedCredentials {
            _ = await record.nextCall()
            return ExpiringCredential(.token(try await server.signIn("alice")))
        }
        var channels: [DeviceChannel] = []
        var loops: [Task<Void, any Error>] = []
        for number in 1...5 {
            let channel = try DeviceChannel.open(
                options: DeviceOptions(server: server.url, device: "phone\(number)"))
            channels.append(channel)
            let provider = credentials.provider()
            loops.append(Task { try await channel.provideCredentials(from: provider) })
        }
        for channel in channels { try await channel.waitUntilConnected() }
        #expect(await record.calls == 1)
        credentials.invalidate(try await credentials.credential())
        _ = try await credentials.credential()
        #expect(await record.calls == 2)
        for channel in channels { await channel.close() }
        for loop in loops { try await within { try await loop.value } }
    }

    @Test("with a cache fetches again after a fetch that failed or was cancelled")
    func failedFetch() async throws {
        let record = Record()
        let credentials = try CachedCredentials {
            switch await record.nextCall() {
            case 1: throw SignedOutError()
            case 2:
                try await Task.sleep(nanoseconds: 3600 * 1_000_000_000)
                throw ProviderFailed()
            default: return ExpiringCredential(.token("third"))
            }
        }
        await #expect(throws: SignedOutError.self) { _ = try await credentials.credential() }
        let cancelled = Task { try await credentials.credential() }
        try await until { await record.calls == 2 }
        let waiting = Task { try await credentials.credential() }
        cancelled.cancel()
        let given = try await within { try await waiting.value }
        guard case .token(let token) = given else { return }
        #expect(token.reveal() == "third")
        #expect(await record.calls == 3)
    }
}
