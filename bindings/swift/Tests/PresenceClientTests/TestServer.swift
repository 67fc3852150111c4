import Foundation

/// A real server with its own database, users and Applications, controlled through the program
/// `presence-scenario`, which reads one command per line as JSON. The program and the server end
/// with this object.
final class TestServer: @unchecked Sendable {
    /// The reply to a command. Each command has some of the fields.
    struct Reply: Decodable, Sendable {
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

    /// A command failed, or the program has ended.
    struct ScenarioError: Error {
        let reason: String
    }

    /// An Application that is registered, verified and active.
    struct Application: Sendable {
        let appid: String
        let apiKey: String
    }

    /// The URL of the server.
    private(set) var url = ""

    private let process = Process()
    private let commands = Pipe()
    private let replies = Pipe()
    private var buffer = Data()
    /// Reading a reply blocks a thread, which must not be one of the few threads of Swift.
    private let queue = DispatchQueue(label: "presence-scenario")

    private init() throws {
        let environment = ProcessInfo.processInfo.environment
        guard let program = environment["PRESENCE_SCENARIO"] else {
            throw ScenarioError(reason: "PRESENCE_SCENARIO is not the path of presence-scenario")
        }
        process.executableURL = URL(fileURLWithPath: program)
        process.standardInput = commands
        process.standardOutput = replies
        try process.runUnmasked()
    }

    deinit {
        try? commands.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    /// Starts a server with these flags.
    static func start(_ flags: [String: String] = [:]) async throws -> TestServer {
        let server = try TestServer()
        server.url = try await server.required(server.send(["do": "start", "flags": flags]).url)
        return server
    }

    /// Kills the server, as a power failure does.
    func kill() async throws { _ = try await send(["do": "kill"]) }

    /// Starts the killed server again, with the same port and database.
    func restart() async throws { _ = try await send(["do": "restart"]) }

    /// Stops the server in order, and starts it again.
    func drain() async throws { _ = try await send(["do": "drain"]) }

    /// Returns a fresh assertion of `name`@dev.localhost.
    func assertion(_ name: String) async throws -> String {
        try await required(send(["do": "assertion", "name": name]).assertion)
    }

    /// Signs a user in, and returns the token of a session with all permissions.
    func signIn(_ name: String) async throws -> String {
        try await required(send(["do": "sign_in", "name": name]).token)
    }

    /// Registers and activates an Application.
    func application(_ name: String) async throws -> Application {
        let reply = try await send(["do": "application", "name": name])
        return Application(appid: try required(reply.appid), apiKey: try required(reply.api_key))
    }

    /// Grants the Application permission to see the user, and returns the PUID.
    func grant(_ name: String, _ application: Application) async throws -> String {
        try await required(send(["do": "grant", "name": name, "appid": application.appid]).uid)
    }

    /// Revokes the grant.
    func revoke(_ name: String, _ application: Application) async throws {
        _ = try await send(["do": "revoke", "name": name, "appid": application.appid])
    }

    /// Ends a device of the user.
    func endDevice(_ name: String, _ device: String) async throws {
        _ = try await send(["do": "end_device", "name": name, "device": device])
    }

    /// Sends a notification, and returns its id.
    func notify(_ application: Application, _ uid: String, _ message: String) async throws -> String {
        try await required(send(["do": "notify", "appid": application.appid, "uid": uid, "message": message]).id)
    }

    /// Returns the presence of the user for the Application: `online`, or with a text
    /// `online: at lunch`.
    func presence(_ application: Application, _ uid: String) async throws -> String {
        let reply = try await send(["do": "presence", "appid": application.appid, "uid": uid])
        let status = try required(reply.status)
        return reply.message.map { "\(status): \($0)" } ?? status
    }

    /// Deactivates the Application.
    func deactivate(_ application: Application) async throws {
        _ = try await send(["do": "deactivate", "appid": application.appid])
    }

    private func required(_ field: String?) throws -> String {
        guard let field else { throw ScenarioError(reason: "a field is missing in the reply") }
        return field
    }

    private func send(_ command: [String: Any]) async throws -> Reply {
        let line = try JSONSerialization.data(withJSONObject: command) + Data("\n".utf8)
        let reply = try await withCheckedThrowingContinuation { continuation in
            queue.async {
                continuation.resume(
                    with: Result {
                        try self.commands.fileHandleForWriting.write(contentsOf: line)
                        return try JSONDecoder().decode(Reply.self, from: self.line())
                    })
            }
        }
        if let error = reply.error { throw ScenarioError(reason: error) }
        return reply
    }

    /// Reads the next line of the program. Only called on the queue.
    private func line() throws -> Data {
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                let line = buffer[..<end]
                buffer = Data(buffer[buffer.index(after: end)...])
                return Data(line)
            }
            let more = replies.fileHandleForReading.availableData
            if more.isEmpty { throw ScenarioError(reason: "presence-scenario has ended") }
            buffer += more
        }
    }
}

extension Process {
    /// Runs a program so that it receives signals. A program inherits the signal mask of the thread
    /// that starts it, and the worker threads of Swift block most signals.
    func runUnmasked() throws {
        var before = sigset_t()
        var empty = sigset_t()
        sigemptyset(&empty)
        pthread_sigmask(SIG_SETMASK, &empty, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try run()
    }
}
