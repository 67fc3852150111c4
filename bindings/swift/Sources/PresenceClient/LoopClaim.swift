import Foundation

/// The elements of one kind of one channel, such as its notifications.
struct ChannelElements: Hashable, Sendable {
    let channel: ObjectIdentifier
    let kind: String

    init(of channel: AnyObject, kind: String) {
        self.channel = ObjectIdentifier(channel)
        self.kind = kind
    }
}

/// The right of one loop to take the elements of a channel, until the claim is released. The owner
/// of a claim keeps the channel alive, so that the identity of the channel is not used again.
final class LoopClaim {
    private var acquired: ChannelElements?

    /// Acquires the right if no other claim has it. Returns true if this claim has it.
    @discardableResult
    func acquire(_ elements: ChannelElements) -> Bool {
        if acquired == nil, ClaimedElements.shared.insert(elements) { acquired = elements }
        return acquired != nil
    }

    deinit {
        if let acquired { ClaimedElements.shared.remove(acquired) }
    }
}

/// The elements that running loops take.
private final class ClaimedElements: @unchecked Sendable {
    static let shared = ClaimedElements()

    private let lock = NSLock()
    private var claimed: Set<ChannelElements> = []

    func insert(_ elements: ChannelElements) -> Bool {
        lock.withLock { claimed.insert(elements).inserted }
    }

    func remove(_ elements: ChannelElements) {
        lock.withLock { _ = claimed.remove(elements) }
    }
}
