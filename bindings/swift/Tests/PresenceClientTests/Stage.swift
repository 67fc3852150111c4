import Foundation

/// A real server with a database of its own, and people and Applications on it: the program `presence-stage`, which obeys one line of
/// JSON at a time. It ends with this object, and the server with it.
final class Stage: @unchecked Sendable {
    /// What the stage answered: the fields that the command's answer has.
    struct Answer: Decodable, Sendable {
        var url: String?
        var assertion: String?
        var token: String?
        var appid: String?
        var api_key: String?
        var uid: String?
        var id: String?
        var status: String?
        var message: String?
        var error: String?
    }

    /// The stage cannot do it, or is gone.
    struct Failed: Error {
        let reason: String
    }

    /// An Application: registered, verified and active.
    struct Application: Sendable {
        let appid: String
        let apiKey: String
    }

    /// Where the server is.
    private(set) var url = ""

    private let process = Process()
    private let commands = Pipe()
    private let answers = Pipe()
    private var unread = Data()
    /// Waiting for the stage takes a thread, which must be none of Swift's own few.
    private let queue = DispatchQueue(label: "presence-stage")

    private init() throws {
        let environment = ProcessInfo.processInfo.environment
        guard let program = environment["PRESENCE_STAGE"] else {
            throw Failed(reason: "PRESENCE_STAGE does not say where presence-stage is")
        }
        process.executableURL = URL(fileURLWithPath: program)
        process.standardInput = commands
        process.standardOutput = answers
        try process.runUnmasked()
    }

    deinit {
        try? commands.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    /// A new server, with `flags` of `presence-server`.
    static func start(_ flags: [String: String] = [:]) async throws -> Stage {
        let stage = try Stage()
        stage.url = try await stage.wanted(stage.tell(["do": "start", "flags": flags]).url)
        return stage
    }

    /// Ends the server as a power cut does.
    func kill() async throws { _ = try await tell(["do": "kill"]) }

    /// Starts the killed server again, with the same port and database.
    func restart() async throws { _ = try await tell(["do": "restart"]) }

    /// Stops the server in order, and starts it again.
    func drain() async throws { _ = try await tell(["do": "drain"]) }

    /// A fresh assertion of `name`@dev.localhost.
    func assertion(_ name: String) async throws -> String {
        try await wanted(tell(["do": "assertion", "name": name]).assertion)
    }

    /// A session of this user, which may do everything.
    func signIn(_ name: String) async throws -> String {
        try await wanted(tell(["do": "sign_in", "name": name]).token)
    }

    /// Makes an Application.
    func application(_ name: String) async throws -> Application {
        let made = try await tell(["do": "application", "name": name])
        return Application(appid: try wanted(made.appid), apiKey: try wanted(made.api_key))
    }

    /// Lets the Application see the user, who is this PUID to it.
    func grant(_ name: String, _ application: Application) async throws -> String {
        try await wanted(tell(["do": "grant", "name": name, "appid": application.appid]).uid)
    }

    /// Takes that back.
    func revoke(_ name: String, _ application: Application) async throws {
        _ = try await tell(["do": "revoke", "name": name, "appid": application.appid])
    }

    /// The user ends a device of theirs.
    func endDevice(_ name: String, _ device: String) async throws {
        _ = try await tell(["do": "end_device", "name": name, "device": device])
    }

    /// Sends a notification, whose id it is.
    func notify(_ application: Application, _ uid: String, _ message: String) async throws -> String {
        try await wanted(tell(["do": "notify", "appid": application.appid, "uid": uid, "message": message]).id)
    }

    /// What the Application may know of the user now: `online`, or with a text `online: at lunch`.
    func presence(_ application: Application, _ uid: String) async throws -> String {
        let now = try await tell(["do": "presence", "appid": application.appid, "uid": uid])
        let status = try wanted(now.status)
        return now.message.map { "\(status): \($0)" } ?? status
    }

    /// Deactivates the Application.
    func deactivate(_ application: Application) async throws {
        _ = try await tell(["do": "deactivate", "appid": application.appid])
    }

    private func wanted(_ field: String?) throws -> String {
        guard let field else { throw Failed(reason: "the answer lacks what was asked for") }
        return field
    }

    private func tell(_ command: [String: Any]) async throws -> Answer {
        let line = try JSONSerialization.data(withJSONObject: command) + Data("\n".utf8)
        let answer = try await withCheckedThrowingContinuation { answered in
            queue.async {
                answered.resume(
                    with: Result {
                        try self.commands.fileHandleForWriting.write(contentsOf: line)
                        return try JSONDecoder().decode(Answer.self, from: self.line())
                    })
            }
        }
        if let error = answer.error { throw Failed(reason: error) }
        return answer
    }

    /// The next line that the stage says. Only on the queue.
    private func line() throws -> Data {
        while true {
            if let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
                let line = unread[..<end]
                unread = Data(unread[unread.index(after: end)...])
                return Data(line)
            }
            let more = answers.fileHandleForReading.availableData
            if more.isEmpty { throw Failed(reason: "the stage has ended") }
            unread += more
        }
    }
}

extension Process {
    /// Runs it so that it hears signals: a program inherits the mask of the thread that starts it, and Swift's worker threads block
    /// most signals.
    func runUnmasked() throws {
        var before = sigset_t()
        var none = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try run()
    }
}
