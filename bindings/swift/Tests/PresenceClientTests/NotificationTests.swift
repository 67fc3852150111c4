import PresenceClient
import Testing

extension Everything {
    @Suite("A notification") struct NotificationTests {}
}

extension Everything.NotificationTests {
    /// A stage with an Application that Alice has let in.
    private func chat() async throws -> (Stage, Stage.Application, String) {
        let stage = try await Stage.start()
        let chat = try await stage.application("Chat")
        return (stage, chat, try await stage.grant("alice", chat))
    }

    @Test("goes from the back end to the device, and its receipt back")
    func roundTrip() async throws {
        let (stage, chat, alice) = try await chat()
        let device = try await stage.device("alice")
        try await device.events.connected()
        let service = try stage.appService(chat, receipts: true)

        let lunch = NewNotification(uid: alice, message: "Lunch?", action: "https://chat.example/lunch")
        let queued = try await within { try await service.notifyOne(item: lunch) }
        let notification = try await device.events.notification()
        #expect(notification.id == queued.id)
        #expect(notification.source == "Chat")
        #expect(notification.message == "Lunch?")
        #expect(notification.action == "https://chat.example/lunch")
        #expect(notification.appid == chat.appid)

        device.acknowledge(notification)
        let receipts = try await service.events.first { event in
            if case .receipts(let receipts, _) = event { receipts } else { nil }
        }
        #expect(receipts == [NotificationReceipt(id: queued.id, uid: alice, fate: .acknowledged)])
    }

    @Test("does not come again once it is acknowledged, and comes again before")
    func acknowledgement() async throws {
        let (stage, chat, alice) = try await chat()
        let taken = try await stage.notify(chat, alice, "taken")
        let left = try await stage.notify(chat, alice, "left")

        let first = try await stage.device("alice")
        let notification = try await first.events.notification()
        #expect(notification.id == taken)
        #expect(try await first.events.notification().id == left)
        first.acknowledge(notification)
        try await within { try await first.settled() }
        await first.close()

        let second = try await stage.device("alice")
        #expect(try await second.events.notification().id == left)
        try second.acknowledge(id: left)
        try await within { try await second.settled() }
        await second.close()

        let last = try await stage.notify(chat, alice, "last")
        let third = try await stage.device("alice")
        #expect(try await third.events.notification().id == last)
    }

    @Test("is shown once by one channel, though the server was killed before it was acknowledged")
    func onceOverReconnects() async throws {
        let (stage, chat, alice) = try await chat()
        let device = try await stage.device("alice")
        try await device.events.connected()
        _ = try await stage.notify(chat, alice, "before")
        let before = try await device.events.notification()

        try await stage.kill()
        try await stage.restart()
        try await device.events.connected()
        let after = try await stage.notify(chat, alice, "after")
        #expect(try await device.events.notification().id == after)

        device.acknowledge(before)
        try device.acknowledge(id: after)
        try await within { try await device.settled() }
    }

    @Test("is lost by no cancelled task, and given to no two")
    func cancelledLoops() async throws {
        let (stage, chat, alice) = try await chat()
        let device = try await stage.device("alice")
        try await device.events.connected()

        var heard: [String] = []
        var sent: [String] = []
        for number in 1...40 {
            let text = "number \(number)"
            sent.append(text)
            let loop = Task {
                var heard: [String] = []
                for await event in device.events {
                    guard case .notification(let notification) = event else { continue }
                    device.acknowledge(notification)
                    heard.append(notification.message)
                }
                return heard
            }
            // Cancelled while it waits, while it is given something, or after that: whatever comes first.
            async let notified = stage.notify(chat, alice, text)
            if number.isMultiple(of: 2) { _ = try await notified }
            loop.cancel()
            heard += try await within { await loop.value }
            _ = try await notified
        }
        while heard.count < sent.count {
            let notification = try await device.events.notification()
            heard.append(notification.message)
        }
        #expect(heard == sent)
    }
}
