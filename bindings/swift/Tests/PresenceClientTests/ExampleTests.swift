import Foundation
import PresenceClient
import Testing

extension Everything {
    @Suite("The example of a device") struct ExampleTests {}
}

extension Everything.ExampleTests {
    @Test("reports a status, prints a notification and acknowledges it, and leaves when it is told to")
    func device() async throws {
        let stage = try await Stage.start(["grace-seconds": "600"])
        let chat = try await stage.application("Chat")
        let alice = try await stage.grant("alice", chat)
        let service = try stage.appService(chat, receipts: true)

        let example = Process()
        let output = Pipe()
        // It lies beside the tests.
        example.executableURL = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
            .appendingPathComponent("presence-device")
        example.arguments = [stage.url, "alice@dev.localhost", "phone", "at my desk"]
        example.standardOutput = output
        try example.runUnmasked()
        defer { example.terminate() }

        let seen = try await service.events.update(of: alice).presence
        #expect(seen.status == .online)
        #expect(seen.message == "at my desk")
        _ = try await service.notifyOne(item: NewNotification(uid: alice, message: "Lunch?", action: "https://chat.example/1"))
        let fates = try await service.events.first { event in
            if case .receipts(let receipts, _) = event { receipts.map(\.fate) } else { nil }
        }
        #expect(fates == [.acknowledged])

        example.terminate()
        let printed = try await within { output.fileHandleForReading.readDataToEndOfFile() }
        example.waitUntilExit()
        #expect(example.terminationStatus == 0)
        let lines = String(decoding: printed, as: UTF8.self).split(separator: "\n")
        #expect(lines.contains("Chat: Lunch? https://chat.example/1"))
        #expect(lines.last == "ended(end: PresenceClient.ChannelEnd.closed)")
        try await until { try await stage.presence(chat, alice) == "offline" }
    }
}
