import PresenceClient
import Testing

extension AllTests {
    @Suite("A notification") struct NotificationTests {}
}

extension AllTests.NotificationTests {
    /// Starts a server with an Application that has a grant of Alice.
    private func chat() async throws -> (TestServer, TestServer.Application, String) {
        let server = try await TestServer.start()
        let chat = try await server.application("Chat")
        return (server, chat, try await server.grant("alice", chat))
    }

    @Test("reaches the device, and its receipt the back end")
    func roundTrip() async throws {
        let (server, chat, alice) = try await chat()
        let device = try await server.device("alice")
        try await device.waitUntilConnected()
        let service = try server.appService(chat, receipts: true)

        let lunch = NewNotification(uid: alice, message: "Lunch?", action: "https://chat.example/lunch", source: "bob@chat.example")
        let queued = try await within { try await service.notifyOne(item: lunch) }
        let notification = try await device.nextNotification()
        #expect(notification.id == queued.id)
        #expect(notification.source == "bob@chat.example")
        #expect(notification.application == "Chat")
        #expect(notification.domain.hasPrefix("127.0.0.1:"))
        #expect(notification.message == "Lunch?")
        #expect(notification.action == "https://chat.example/lunch")
        #expect(notification.appid == chat.appid)

        device.acknowledge(notification)
        let receipts = try await service.events.first { event in
            if case .receipts(let receipts, _) = event { receipts } else { nil }
        }
        #expect(receipts == [NotificationReceipt(id: queued.id, uid: alice, state: .acknowledged)])
    }

    @Test("is delivered again to the next channel only if it was not acknowledged")
    func acknowledgement() async throws {
        let (server, chat, alice) = try await chat()
        let acknowledged = try await server.notify(chat, alice, "acknowledged")
        let unread = try await server.notify(chat, alice, "unread")

        let first = try await server.device("alice")
        let notification = try await first.nextNotification()
        #expect(notification.id == acknowledged)
        #expect(try await first.nextNotification().id == unread)
        first.acknowledge(notification)
        try await within { try await first.confirmed() }
        await first.close()

        let second = try await server.device("alice")
        #expect(try await second.nextNotification().id == unread)
        try second.acknowledge(id: unread)
        try await within { try await second.confirmed() }
        await second.close()

        let last = try await server.notify(chat, alice, "last")
        let third = try await server.device("alice")
        #expect(try await third.nextNotification().id == last)
    }

    @Test("is delivered once by one channel, also if the server is killed in between")
    func onceOverReconnects() async throws {
        let (server, chat, alice) = try await chat()
        let device = try await server.device("alice")
        try await device.waitUntilConnected()
        _ = try await server.notify(chat, alice, "before")
        let before = try await device.nextNotification()

        try await server.kill()
        try await server.restart()
        try await device.waitUntilConnected()
        let after = try await server.notify(chat, alice, "after")
        #expect(try await device.nextNotification().id == after)

        device.acknowledge(before)
        try device.acknowledge(id: after)
        try await within { try await device.confirmed() }
    }

    @Test("is delivered exactly once, however often the task of the loop is cancelled")
    func cancelledLoops() async throws {
        let (server, chat, alice) = try await chat()
        let device = try await server.device("alice")
        try await device.waitUntilConnected()

        var received: [String] = []
        var sent: [String] = []
        for number in 1...40 {
            let text = "number \(number)"
            sent.append(text)
            let loop = Task {
                var received: [String] = []
                for try await notification in device.notifications {
                    device.acknowledge(notification)
                    received.append(notification.message)
                }
                return received
            }
            // Cancelled while it waits, while it receives a notification, or after that.
            async let notified = server.notify(chat, alice, text)
            if number.isMultiple(of: 2) { _ = try await notified }
            loop.cancel()
            received += try await within { try await loop.value }
            _ = try await notified
        }
        while received.count < sent.count {
            let notification = try await device.nextNotification()
            received.append(notification.message)
        }
        #expect(received == sent)
    }

    @Test("waits for the app, however many are unread")
    func manyUnread() async throws {
        let server = try await TestServer.start(["verifications-burst": "100"])
        // The queue of one Application is limited, so there are several.
        var sent: [String] = []
        for number in 1...12 {
            let chat = try await server.application("Application \(number)")
            let alice = try await server.grant("alice", chat)
            let api = try PresenceApi(server: server.url)
            let service = try api.appService(application: chat.appid, apiKey: Secret(text: chat.apiKey))
            let texts = (1...100).map { "\(number)/\($0)" }
            _ = try await service.notify(items: texts.map { NewNotification(uid: alice, message: $0) })
            sent += texts
        }
        let device = try await server.device("alice")
        try await device.waitUntilConnected()
        try await within { try await device.confirmed() }
        var received: [String] = []
        while received.count < sent.count {
            received.append(try await device.nextNotification().message)
        }
        #expect(received.sorted() == sent.sorted())
    }

    @Test("that is unread does not delay a state")
    func stateWhileUnread() async throws {
        let (server, chat, alice) = try await chat()
        let device = try await server.device("alice")
        try await device.waitUntilConnected()
        let id = try await server.notify(chat, alice, "unread")
        try await server.kill()
        _ = try await device.waitForState(\.isWaiting)
        try await server.restart()
        try await device.waitUntilConnected()
        #expect(try await device.nextNotification().id == id)
    }

    @Test("are taken by one loop, and a second loop throws an error")
    func secondLoop() async throws {
        let (server, chat, alice) = try await chat()
        let device = try await server.device("alice")
        try await device.waitUntilConnected()
        let first = device.notifications.makeAsyncIterator()
        for _ in 1...2 {
            let refused = await error(of: { for try await _ in device.notifications {} })
            guard case .InvalidArgument(let reason) = refused else { Issue.record("\(String(describing: refused))"); return }
            #expect(reason.contains("another loop"))
        }
        let id = try await server.notify(chat, alice, "Lunch?")
        let taken = try await first.next()
        #expect(taken?.id == id)
    }
}
