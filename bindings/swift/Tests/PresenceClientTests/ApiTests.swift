import Foundation
import PresenceClient
import Testing

extension Everything {
    @Suite("The REST API") struct ApiTests {}
}

extension Everything.ApiTests {
    @Test("signs a user in, who lets an Application in and out")
    func user() async throws {
        let stage = try await Stage.start()
        let chat = try await stage.application("Chat")
        let api = try PresenceApi(server: stage.url)
        let assertion = try await api.devAssertion(email: "alice@dev.localhost")
        let session = try await api.signIn(assertion: assertion, scope: .account)
        #expect(session.email == "alice@dev.localhost")
        #expect(Date(timeIntervalSince1970: Double(session.expiresAtMs) / 1000) > Date())

        let alice = api.user(token: session.token)
        let granted = try await alice.grant(appid: chat.appid)
        #expect(try await alice.grants().map(\.uid) == [granted.uid])
        #expect(try await alice.pause(appid: chat.appid, paused: true).paused)

        let device = try DeviceChannel.open(
            options: DeviceOptions(server: stage.url, device: "phone", credential: .token(token: session.token)))
        try await within { try await device.settled() }
        #expect(try await alice.devices().map(\.name) == ["phone"])
        try await alice.endDevice(device: "phone")
        #expect(try await device.events.state(\.isEnded) == .ended(end: .endedByUser))

        try await alice.revoke(appid: chat.appid)
        #expect(try await alice.grants().isEmpty)
        try await alice.signOut()
        #expect(await error { _ = try await alice.session() }?.errno == .sessionExpired)
    }

    @Test("tells a back end of its users, and takes its notifications")
    func appService() async throws {
        let stage = try await Stage.start()
        let chat = try await stage.application("Chat")
        let alice = try await stage.grant("alice", chat)
        let device = try await stage.device("alice")
        try await within { try await device.settled() }

        let api = try PresenceApi(server: stage.url)
        let service = try api.appService(application: chat.appid, apiKey: Secret(text: chat.apiKey))
        #expect(try await service.presencePage().presence.map(\.uid) == [alice])
        let queued = try await service.notifyOne(item: NewNotification(uid: alice, message: "Lunch?"))
        #expect(try await device.events.notification().id == queued.id)
    }

    @Test("tells its errors apart")
    func errors() async throws {
        let stage = try await Stage.start()
        let chat = try await stage.application("Chat")
        let api = try PresenceApi(server: stage.url)

        let refused = await error { _ = try await api.signIn(assertion: Secret(text: "nonsense"), scope: .device) }
        #expect(refused?.errno == .invalidAssertion)
        #expect(refused?.isRetryable == false)
        #expect(refused?.localizedDescription == "The server refused it: Invalid assertion (34).")

        let stranger = try api.appService(application: chat.appid, apiKey: Secret(text: "wrong"))
        #expect(await error { _ = try await stranger.presencePage() }?.errno == .invalidApiKey)
        #expect(throws: PresenceError.self) { try PresenceApi(server: "presence.example") }
        #expect(throws: PresenceError.self) { try api.appService(application: "no id", apiKey: Secret(text: "")) }

        try await stage.kill()
        let gone = await error { _ = try await api.devAssertion(email: "alice@dev.localhost") }
        guard case .Unreachable = gone else {
            Issue.record("not unreachable, but \(String(describing: gone))")
            return
        }
        #expect(gone?.isRetryable == true)
    }
}
