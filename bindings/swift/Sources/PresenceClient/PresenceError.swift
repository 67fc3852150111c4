import Foundation

extension PresenceError: LocalizedError {
    /// The description of the error, for people.
    public var errorDescription: String? {
        switch self {
        case .Refused(_, let code, let reason, _, _):
            "The server refused the request: \(reason) (\(code))."
        case .Unreachable(let reason): "The server cannot be reached: \(reason)."
        case .Tls(_, let reason): "There is no secure connection to the server: \(reason)."
        case .Proxy(_, let reason, _): "There is no connection through the proxy: \(reason)."
        case .TimedOut: "The server did not reply in time."
        case .Ended(let reason): "The channel has ended: \(reason.text)."
        case .InvalidArgument(let reason): "\(reason)."
        case .Unexpected(let reason): "Unexpected error: \(reason)."
        case .Cancelled: "The call was cancelled."
        }
    }
}

extension PresenceError {
    /// Is true if the same call may succeed later.
    public var isRetryable: Bool {
        switch self {
        case .Refused(_, _, _, _, let retryable): retryable
        case .Unreachable, .Tls, .Proxy, .TimedOut: true
        case .Ended, .InvalidArgument, .Unexpected, .Cancelled: false
        }
    }

    /// The entry of the registry of errors, if the server refused the request.
    public var errno: PresenceErrno? {
        if case .Refused(let errno, _, _, _, _) = self { errno } else { nil }
    }

    /// The time to wait before the next attempt, in seconds, if the server or the proxy gave one.
    public var retryAfter: Double? {
        switch self {
        case .Refused(_, _, _, let seconds, _), .Proxy(_, _, let seconds): seconds
        case .Unreachable, .Tls, .TimedOut, .Ended, .InvalidArgument, .Unexpected, .Cancelled: nil
        }
    }
}

extension EndReason {
    /// The description of the reason, for people.
    var text: String {
        switch self {
        case .closed: "this app closed it"
        case .replaced: "a newer connection of this device has replaced it"
        case .endedByUser: "the user ended this device"
        case .applicationClosed: "the Application was deactivated or removed, or its API key was deleted"
        case .aborted: "the library was shut down"
        case .incompatible(let reason): reason
        }
    }
}
