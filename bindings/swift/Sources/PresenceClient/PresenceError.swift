import Foundation

extension PresenceError {
    /// What happened, for people.
    public var textForPeople: String? {
        switch self {
        case .Refused(_, let code, let reason, _, _): "The server refused it: \(reason) (\(code))."
        case .Unreachable(let reason): "The server cannot be reached: \(reason)."
        case .TimedOut: "No answer came in time."
        case .Ended(let end): "The channel has ended: \(end.text)."
        case .InvalidArgument(let reason): "\(reason)."
        case .Unexpected(let reason): "Unexpected: \(reason)."
        case .Cancelled: "Cancelled."
        }
    }
}

extension PresenceError {
    /// Whether the same call may succeed later, as it is.
    public var isRetryable: Bool {
        switch self {
        case .Refused(_, _, _, _, let retryable): retryable
        case .Unreachable, .TimedOut: true
        case .Ended, .InvalidArgument, .Unexpected, .Cancelled: false
        }
    }

    /// The entry of the registry of errors, where the server refused it.
    public var errno: PresenceErrno? {
        if case .Refused(let errno, _, _, _, _) = self { errno } else { nil }
    }

    /// How many seconds to wait before trying again, where the server said so.
    public var retryAfter: Double? {
        if case .Refused(_, _, _, let seconds, _) = self { seconds } else { nil }
    }
}

extension ChannelEnd {
    /// How it ended, for people.
    var text: String {
        switch self {
        case .closed: "it was closed by this app"
        case .replaced: "a newer connection of this device has taken over"
        case .endedByUser: "the user ended this device"
        case .applicationClosed: "the Application was deactivated or removed, or its key revoked"
        case .incompatible(let reason): reason
        }
    }
}
