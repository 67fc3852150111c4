import Foundation
import PresenceClient

/// The device side of Presence on a command line: reports a status, prints notifications, and acknowledges them.
///
///     presence-device http://127.0.0.1:8080 alice@dev.localhost phone "at my desk"
///
/// It gets its assertions from the server itself, which only one in development mode gives away; an app asks its identity provider.
/// SIGINT and SIGTERM close the channel, so that the user is seen offline at once.
@main
enum PresenceDevice {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count >= 4 else {
            say("usage: presence-device SERVER EMAIL DEVICE [TEXT]")
            exit(2)
        }
        let api = try PresenceApi(server: arguments[1])
        let channel = try DeviceChannel.open(
            options: DeviceOptions(
                server: arguments[1], device: arguments[3], status: .online, message: arguments.count > 4 ? arguments[4] : nil))
        let signals = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number)
            source.setEventHandler { channel.end() }
            source.resume()
            return source
        }
        for await event in channel.events {
            await react(to: event, of: channel, as: arguments[2], with: api)
        }
        for source in signals { source.cancel() }
    }

    private static func react(
        to event: DeviceEvent, of channel: DeviceChannel, as email: String, with api: PresenceApi
    ) async {
        switch event {
        case .credentialWanted:
            do {
                channel.giveCredential(credential: .assertion(assertion: try await api.devAssertion(email: email)))
            } catch {
                say("no assertion: \(error.localizedDescription)")
                channel.end()
            }
        case .notification(let notification):
            say("\(notification.source): \(notification.message) \(notification.action)")
            channel.acknowledge(notification)
        case .state(.waiting(let reason, let seconds)):
            say("not connected: \(reason.localizedDescription) Next attempt in \(seconds.rounded()) s.")
        case .state(.signedOut(let reason)):
            say("signed out: \(reason.localizedDescription)")
            channel.end()
        case .state(let state):
            say("\(state)")
        }
    }

    /// Prints a line now, also where the output is a pipe.
    private static func say(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }
}
