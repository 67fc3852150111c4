import Foundation
import PresenceClient

/// A device on the command line: reports a status, and prints and acknowledges notifications.
///
///     presence-device http://127.0.0.1:8080 alice@dev.localhost phone "at my desk"
///
/// It gets its assertions from the server, which must be in development mode. A production app asks
/// its identity provider instead. SIGINT and SIGTERM close the channel, so that the user is offline
/// at once.
@main
enum PresenceDevice {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count >= 4 else {
            printLine("usage: presence-device SERVER EMAIL DEVICE [TEXT]")
            exit(2)
        }
        let (server, email) = (arguments[1], arguments[2])
        let channel = try DeviceChannel.open(
            options: DeviceOptions(
                server: server, device: arguments[3], status: .online,
                message: arguments.count > 4 ? arguments[4] : nil))
        let signals = closeOnSignals(channel)
        let api = try PresenceApi(server: server)
        async let states: Void = printStates(of: channel)
        async let credentials: Void = channel.provideCredentials { _ in
            do {
                return .assertion(assertion: try await api.devAssertion(email: email))
            } catch {
                // The channel calls this again after a wait.
                printLine("no assertion: \(error.localizedDescription)")
                throw error
            }
        }
        for try await notification in channel.notifications {
            printLine("\(notification.source) (\(notification.domain)): \(notification.message) \(notification.action)")
            channel.acknowledge(notification)
        }
        _ = try await (states, credentials)
        for source in signals { source.cancel() }
    }

    private static func closeOnSignals(_ channel: DeviceChannel) -> [any DispatchSourceSignal] {
        [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number)
            source.setEventHandler { channel.startShutdown() }
            source.resume()
            return source
        }
    }

    private static func printStates(of channel: DeviceChannel) async {
        for await state in channel.states {
            switch state {
            case .waiting(let reason, let seconds):
                printLine(
                    "not connected: \(reason.localizedDescription) Next attempt in \(seconds.rounded()) s.")
            case .signedOut(let reason):
                printLine("signed out: \(reason.localizedDescription)")
                channel.startShutdown()
            default:
                printLine("\(state)")
            }
        }
    }

    /// Prints a line without buffering, also if the output is a pipe.
    private static func printLine(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }
}
