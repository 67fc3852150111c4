import PresenceClient
import Testing

extension Everything {
    @Suite("An AppService channel") struct AppServiceTests {}
}

extension Everything.AppServiceTests {
    @Test("hears who is there, then what changes")
    func snapshotAndUpdates() async throws {
        let stage = try await Stage.start()
        let chat = try await stage.application("Chat")
        let alice = try await stage.grant("alice", chat)
        let bob = try await stage.grant("bob", chat)
        let device = try await stage.device("alice")
        try await within { try await device.settled() }

        let service = try stage.appService(chat)
        let map = PresenceMap()
        let snapshot = try await service.events.first { event in
            if case .snapshot = event { event } else { nil }
        }
        #expect(try map.apply(event: snapshot).map(\.now.uid) == [alice])
        #expect(map.isLive())

        try device.setStatus(status: .unavailable, message: "busy")
        let update = try await service.events.first { event in
            if case .updates = event { event } else { nil }
        }
        let changes = try map.apply(event: update)
        #expect(changes.map(\.before?.status) == [.online])
        #expect(changes.map(\.now.status) == [.unavailable])
        #expect(try map.get(uid: alice)?.message == "busy")

        let asked = try await within { try await service.query(uids: [alice, bob]) }
        let statuses = asked.map { outcome in
            if case .known(let presence) = outcome { presence.status } else { nil as PresenceStatus? }
        }
        #expect(statuses == [.unavailable, .offline])

        try await stage.revoke("alice", chat)
        #expect(try await service.events.update(of: alice).presence.revoked)
        #expect(try await within { try await service.query(uids: [alice]) } == [.unknown(uid: alice)])
    }

    @Test("says of each notification whether it was queued")
    func notify() async throws {
        let stage = try await Stage.start()
        let chat = try await stage.application("Chat")
        let alice = try await stage.grant("alice", chat)
        let service = try stage.appService(chat)
        let nobody = String(repeating: "0", count: 32)
        let outcomes = try await within {
            try await service.notify(items: [
                NewNotification(uid: alice, message: "one", idempotencyKey: "key"),
                NewNotification(uid: nobody, message: "two"),
                NewNotification(uid: "no uid", message: "three"),
                NewNotification(uid: alice, message: "four", action: "javascript:alert()"),
                NewNotification(uid: alice, message: "one", idempotencyKey: "key"),
            ])
        }
        try #require(outcomes.count == 5)
        guard case .queued(let first) = outcomes[0] else {
            Issue.record("not queued: \(outcomes[0])")
            return
        }
        #expect(outcomes[4] == .queued(queued: first))
        let refusals = outcomes[1...3].map { outcome in
            if case .notQueued(let reason) = outcome { reason } else { nil as PresenceError? }
        }
        #expect(refusals[0]?.errno == .unknownUid)
        guard case .InvalidArgument = refusals[1] else {
            Issue.record("sent, though no uid: \(outcomes[2])")
            return
        }
        #expect(refusals[2]?.errno == .invalidField)

        let refused = await error {
            _ = try await within { try await service.notifyOne(item: NewNotification(uid: nobody, message: "two")) }
        }
        #expect(refused?.errno == .unknownUid)
    }

    @Test("is signed out by a wrong key until it gets a good one")
    func wrongKey() async throws {
        let stage = try await Stage.start()
        let chat = try await stage.application("Chat")
        let stranger = Stage.Application(appid: chat.appid, apiKey: "wrong")
        let service = try stage.appService(stranger)
        let refused = try await service.events.state { $0.signedOut != nil }.signedOut
        #expect(refused?.errno == .invalidApiKey)
        service.giveApiKey(apiKey: Secret(text: chat.apiKey))
        _ = try await service.events.state { $0 == .connected }
    }

    @Test("goes on where another one stopped")
    func cursor() async throws {
        let stage = try await Stage.start()
        let chat = try await stage.application("Chat")
        let alice = try await stage.grant("alice", chat)
        let first = try stage.appService(chat)
        _ = try await first.events.snapshot()
        let device = try await stage.device("alice")
        let cursor = try await first.events.update(of: alice).cursor
        await first.close()

        try device.setStatus(status: .unavailable)
        try await within { try await device.settled() }
        let second = try stage.appService(chat, cursor: try #require(cursor))
        let resumed: AppServiceEvent = try await second.events.first { event in
            if case .state = event { nil } else { event }
        }
        guard case .updates(let presence, _) = resumed else {
            Issue.record("not resumed, but \(resumed)")
            return
        }
        #expect(presence.map(\.status) == [.unavailable])
    }

    @Test("comes back by itself after the server was killed, and still notifies")
    func reconnect() async throws {
        let stage = try await Stage.start()
        let chat = try await stage.application("Chat")
        let alice = try await stage.grant("alice", chat)
        let device = try await stage.device("alice")
        let service = try stage.appService(chat)
        #expect(try await !service.events.snapshot().gap)

        try await stage.kill()
        _ = try await service.events.state(\.isWaiting)
        async let queued = within { try await service.notifyOne(item: NewNotification(uid: alice, message: "Still there?")) }
        try await stage.restart()
        let id = try await queued.id
        let notification = try await device.events.notification()
        #expect(notification.id == id)
        #expect(try await service.events.snapshot().gap)
    }

    @Test("ends where its Application is deactivated")
    func deactivated() async throws {
        let stage = try await Stage.start()
        let chat = try await stage.application("Chat")
        let service = try stage.appService(chat)
        _ = try await service.events.state { $0 == .connected }
        try await stage.deactivate(chat)
        #expect(try await service.events.state(\.isEnded) == .ended(end: .applicationClosed))
        #expect(await service.events.next() == nil)
        let uid = String(repeating: "0", count: 32)
        #expect(await error { _ = try await service.query(uids: [uid]) } == .Ended(end: .applicationClosed))
    }
}
