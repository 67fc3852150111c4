import Foundation
import PresenceClient
import Testing

extension AllTests {
    @Suite("The example of a device") struct ExampleTests {}
}

extension AllTests.ExampleTests {
    @Test("reports a status, prints and acknowledges a notification, and ends on a signal")
    func device() async throws {
        let server = try await TestServer.start(["grace-seconds": "600"])
        let chat = try await server.application("Chat")
        let alice = try await server.grant("alice", chat)
        let service = try server.appService(chat, receipts: true)

        let example = Process()
        let output = Pipe()
        // The program is in the folder of the tests.
        example.executableURL = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
            .appendingPathComponent("presence-device")
        example.arguments = [server.url, "alice@dev.localhost", "phone", "at my desk"]
        example.standardOutput = output
        try example.runUnmasked()
        defer { example.terminate() }

        let seen = try await service.events.update(of: alice).presence
        #expect(seen.status == .online)
        #expect(seen.message == "at my desk")
        let lunch = NewNotification(uid: alice, message: "Lunch?", action: "https://chat.example/1")
        _ = try await service.notifyOne(item: lunch)
        let states = try await service.events.first { event in
            if case .receipts(let receipts, _) = event { receipts.map(\.state) } else { nil }
        }
        #expect(states == [.acknowledged])

        example.terminate()
        let printed = try await within { output.fileHandleForReading.readDataToEndOfFile() }
        example.waitUntilExit()
        #expect(example.terminationStatus == 0)
        let lines = String(decoding: printed, as: UTF8.self).split(separator: "\n")
        #expect(lines.contains { $0.hasPrefix("Chat (127.0.0.1:") && $0.hasSuffix("): Lunch? https://chat.example/1") })
        #expect(lines.last == "ended(reason: PresenceClient.EndReason.closed)")
        try await until { try await server.presence(chat, alice) == "offline" }
    }
}
