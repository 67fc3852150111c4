import Foundation
import PresenceClient
import Testing

extension AllTests {
    @Suite("The REST API") struct ApiTests {}
}

extension AllTests.ApiTests {
    @Test("lets a user sign in, grant an Application, and revoke the grant")
    func user() async throws {
        let server = try await TestServer.start()
        let chat = try await server.application("Chat")
        let api = try PresenceApi(server: server.url)
        let assertion = try await api.devAssertion(email: "alice@dev.localhost")
        let session = try await api.signIn(assertion: assertion, scope: .account)
        #expect(session.email == "alice@dev.localhost")
        #expect(Date(timeIntervalSince1970: Double(session.expiresAtMs) / 1000) > Date())

        let alice = api.user(token: session.token)
        let granted = try await alice.grant(appid: chat.appid)
        #expect(try await alice.grants().map(\.uid) == [granted.uid])
        #expect(try await alice.pause(appid: chat.appid, paused: true).paused)

        let device = try DeviceChannel.open(
            options: DeviceOptions(server: server.url, device: "phone", credential: .token(token: session.token)))
        try await within { try await device.confirmed() }
        #expect(try await alice.devices().map(\.name) == ["phone"])
        try await alice.endDevice(device: "phone")
        #expect(try await device.waitForState(\.isEnded) == .ended(reason: .endedByUser))

        try await alice.revoke(appid: chat.appid)
        #expect(try await alice.grants().isEmpty)
        try await alice.signOut()
        #expect(await error { _ = try await alice.session() }?.errno == .sessionExpired)
    }

    @Test("lists the sessions of a user, and ends others")
    func sessions() async throws {
        let server = try await TestServer.start()
        let api = try PresenceApi(server: server.url)
        func signIn() async throws -> UserApi {
            let assertion = try await api.devAssertion(email: "alice@dev.localhost")
            return api.user(token: try await api.signIn(assertion: assertion, scope: .account).token)
        }
        let (alice, second, third) = (try await signIn(), try await signIn(), try await signIn())
        let sessions = try await second.sessions()
        #expect(sessions.count == 3)
        let current = sessions.first { $0.current }
        let own = try #require(current)
        try await alice.endSession(id: own.id)
        #expect(await error { _ = try await second.session() }?.errno == .sessionExpired)
        try await alice.endOtherSessions()
        #expect(await error { _ = try await third.session() }?.errno == .sessionExpired)
        let left = try await alice.sessions()
        #expect(left.map { $0.current } == [true])
    }

    @Test("returns the users of a back end, and sends its notifications")
    func appService() async throws {
        let server = try await TestServer.start()
        let chat = try await server.application("Chat")
        let alice = try await server.grant("alice", chat)
        let device = try await server.device("alice")
        try await within { try await device.confirmed() }

        let api = try PresenceApi(server: server.url)
        let service = try api.appService(application: chat.appid, apiKey: Secret(text: chat.apiKey))
        #expect(try await service.presencePage().presence.map(\.uid) == [alice])
        let queued = try await service.notifyOne(item: NewNotification(uid: alice, message: "Lunch?"))
        #expect(try await device.nextNotification().id == queued.id)
    }

    @Test("has different errors for different failures")
    func errors() async throws {
        let server = try await TestServer.start()
        let chat = try await server.application("Chat")
        let api = try PresenceApi(server: server.url)

        let refused = await error { _ = try await api.signIn(assertion: Secret(text: "nonsense"), scope: .device) }
        #expect(refused?.errno == .invalidAssertion)
        #expect(refused?.isRetryable == false)
        #expect(refused?.localizedDescription == "The server refused the request: Invalid assertion (34).")

        let unauthorized = try api.appService(application: chat.appid, apiKey: Secret(text: "wrong"))
        #expect(await error { _ = try await unauthorized.presencePage() }?.errno == .invalidApiKey)
        #expect(throws: PresenceError.self) { try PresenceApi(server: "presence.example") }
        #expect(throws: PresenceError.self) { try api.appService(application: "no id", apiKey: Secret(text: "")) }

        try await server.kill()
        let unreachable = await error { _ = try await api.devAssertion(email: "alice@dev.localhost") }
        guard case .Unreachable = unreachable else {
            Issue.record("not unreachable, but \(String(describing: unreachable))")
            return
        }
        #expect(unreachable?.isRetryable == true)
    }
}
