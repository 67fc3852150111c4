import Foundation

// Stubs of the classes of Apple, to compile against, which tests drive. Their members are isolated
// to the main actor, which is the stricter of the forms that the versions of the SDK have.

@MainActor public class NSApplication {
    public struct OcclusionState: OptionSet, Sendable {
        public let rawValue: UInt
        public init(rawValue: UInt) { self.rawValue = rawValue }
        public static let visible = OcclusionState(rawValue: 2)
    }

    public static let shared = NSApplication()
    public static var didChangeOcclusionStateNotification: Notification.Name { .init("NSApplicationDidChangeOcclusionState") }

    public var occlusionState: OcclusionState = .visible
}

@MainActor public class NSWorkspace {
    public static let shared = NSWorkspace()
    public static var didWakeNotification: Notification.Name { .init("NSWorkspaceDidWake") }

    public let notificationCenter = NotificationCenter()
}
