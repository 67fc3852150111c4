import PresenceClient
import Testing

extension AllTests {
    @Suite("An AppService channel") struct AppServiceTests {}
}

extension AllTests.AppServiceTests {
    @Test("gets a snapshot of the users, and then the changes")
    func snapshotAndUpdates() async throws {
        let server = try await TestServer.start()
        let chat = try await server.application("Chat")
        let alice = try await server.grant("alice", chat)
        let bob = try await server.grant("bob", chat)
        let device = try await server.device("alice")
        try await within { try await device.confirmed() }

        let service = try server.appService(chat)
        let map = PresenceMap()
        let snapshot = try await service.events.first { event in
            if case .snapshot = event { event } else { nil }
        }
        #expect(try map.apply(event: snapshot).map(\.after.uid) == [alice])
        #expect(map.isLive())

        try device.setStatus(status: .unavailable, message: "busy")
        let update = try await service.events.first { event in
            if case .updates = event { event } else { nil }
        }
        let changes = try map.apply(event: update)
        #expect(changes.map(\.before?.status) == [.online])
        #expect(changes.map(\.after.status) == [.unavailable])
        #expect(try map.get(uid: alice)?.message == "busy")

        let results = try await within { try await service.query(uids: [alice, bob]) }
        let statuses = results.map { result in
            if case .known(let presence) = result { presence.status } else { nil as PresenceStatus? }
        }
        #expect(statuses == [.unavailable, .offline])

        try await server.revoke("alice", chat)
        let revocation = try await service.events.update(of: alice).presence
        #expect(revocation.revoked && revocation.cause == .left)
        #expect(try await within { try await service.query(uids: [alice]) } == [.unknown(uid: alice)])
    }

    @Test("returns a result for each notification")
    func notify() async throws {
        let server = try await TestServer.start()
        let chat = try await server.application("Chat")
        let alice = try await server.grant("alice", chat)
        let service = try server.appService(chat)
        let unknownUid = String(repeating: "0", count: 32)
        let results = try await within {
            try await service.notify(items: [
                NewNotification(uid: alice, message: "one", idempotencyKey: "key"),
                NewNotification(uid: unknownUid, message: "two"),
                NewNotification(uid: "not-an-id", message: "three"),
                NewNotification(uid: alice, message: "four", action: "javascript:alert()"),
                NewNotification(uid: alice, message: "one", idempotencyKey: "key"),
            ])
        }
        try #require(results.count == 5)
        guard case .queued(let first) = results[0] else {
            Issue.record("not queued: \(results[0])")
            return
        }
        #expect(results[4] == .queued(queued: first))
        let refusals = results[1...3].map { result in
            if case .notQueued(let reason) = result { reason } else { nil as PresenceError? }
        }
        #expect(refusals[0]?.errno == .unknownUid)
        guard case .InvalidArgument = refusals[1] else {
            Issue.record("sent in spite of an invalid uid: \(results[2])")
            return
        }
        #expect(refusals[2]?.errno == .invalidField)

        let refused = await error {
            _ = try await within { try await service.notifyOne(item: NewNotification(uid: unknownUid, message: "two")) }
        }
        #expect(refused?.errno == .unknownUid)
    }

    @Test("is signed out by a wrong key until it gets a valid one")
    func wrongKey() async throws {
        let server = try await TestServer.start()
        let chat = try await server.application("Chat")
        let wrongKey = TestServer.Application(appid: chat.appid, apiKey: "wrong")
        let service = try server.appService(wrongKey)
        let refused = try await service.events.waitForState { $0.signedOut != nil }.signedOut
        #expect(refused?.errno == .invalidApiKey)
        service.setApiKey(apiKey: Secret(text: chat.apiKey))
        _ = try await service.events.waitForState { $0 == .connected }
    }

    @Test("resumes at the cursor of an earlier channel")
    func cursor() async throws {
        let server = try await TestServer.start()
        let chat = try await server.application("Chat")
        let alice = try await server.grant("alice", chat)
        let first = try server.appService(chat)
        _ = try await first.events.snapshot()
        let device = try await server.device("alice")
        let cursor = try await first.events.update(of: alice).cursor
        await first.close()

        try device.setStatus(status: .unavailable)
        try await within { try await device.confirmed() }
        let second = try server.appService(chat, cursor: try #require(cursor))
        let resumed: AppServiceEvent = try await second.events.first { event in
            if case .state = event { nil } else { event }
        }
        guard case .updates(let presence, _) = resumed else {
            Issue.record("not resumed, but \(resumed)")
            return
        }
        #expect(presence.map(\.status) == [.unavailable])
    }

    @Test("reconnects after the server was killed, and sends what was called meanwhile")
    func reconnect() async throws {
        let server = try await TestServer.start()
        let chat = try await server.application("Chat")
        let alice = try await server.grant("alice", chat)
        let device = try await server.device("alice")
        let service = try server.appService(chat)
        #expect(try await !service.events.snapshot().gap)

        try await server.kill()
        _ = try await service.events.waitForState(\.isWaiting)
        async let queued = within { try await service.notifyOne(item: NewNotification(uid: alice, message: "Still there?")) }
        try await server.restart()
        let id = try await queued.id
        let notification = try await device.nextNotification()
        #expect(notification.id == id)
        #expect(try await service.events.snapshot().gap)
    }

    @Test("ends when its Application is deactivated")
    func deactivated() async throws {
        let server = try await TestServer.start()
        let chat = try await server.application("Chat")
        let service = try server.appService(chat)
        _ = try await service.events.waitForState { $0 == .connected }
        try await server.deactivate(chat)
        #expect(try await service.events.waitForState(\.isEnded) == .ended(reason: .applicationClosed))
        #expect(try await service.events.makeAsyncIterator().next() == nil)
        let uid = String(repeating: "0", count: 32)
        #expect(await error { _ = try await service.query(uids: [uid]) } == .Ended(reason: .applicationClosed))
    }

    @Test("shows its state while no loop reads the events")
    func stateWithoutEvents() async throws {
        let server = try await TestServer.start()
        let chat = try await server.application("Chat")
        let service = try server.appService(chat)
        _ = try await service.waitForState { $0 == .connected }
        try await server.kill()
        _ = try await service.waitForState(\.isWaiting)
        try await server.restart()
        _ = try await service.waitForState { $0 == .connected }
    }
}
