import Foundation
import Network
import SwiftUI

// Tests PlatformMonitor with stubs of the classes of Apple, in place of a phone and a Mac.

func check(_ what: String, _ actual: [String], _ expected: [String]) {
    guard actual == expected else {
        print("FAILED: \(what): \(actual), not \(expected)")
        exit(1)
    }
    print("passed: \(what)")
}

func path(_ interface: String, _ gateway: String, _ status: NWPath.Status = .satisfied) -> NWPath {
    NWPath(status: status, interfaces: [interface], gateways: [gateway])
}

func report(_ path: NWPath) { NWPathMonitor.running.forEach { $0.pathUpdateHandler?(path) } }

let channel = DeviceChannel()
var monitor: PlatformMonitor? = PlatformMonitor(reportingTo: channel)
_ = channel.calls

report(path("en0", "192.168.1.1"))
report(path("en0", "192.168.1.1"))
check("the first path is no change", channel.calls, [])
report(path("pdp_ip0", "10.0.0.1"))
check("another interface is a change", channel.calls, ["network"])
report(path("en0", "192.168.1.1"))
report(path("en0", "10.1.1.1"))
check("another gateway is a change", channel.calls, ["network", "network"])
report(path("en0", "10.1.1.1", .unsatisfied))
check("a lost network is no change", channel.calls, [])
report(path("en0", "10.1.1.1"))
check("the end of being offline is a change", channel.calls, ["network"])

#if canImport(UIKit)
    import UIKit

    NotificationCenter.default.post(name: UIApplication.didEnterBackgroundNotification, object: nil)
    NotificationCenter.default.post(name: UIApplication.willEnterForegroundNotification, object: nil)
    check("an app leaves the screen and comes back", channel.calls, ["background", "foreground"])
#else
    import AppKit

    @MainActor func occlude(_ state: NSApplication.OcclusionState) {
        NSApplication.shared.occlusionState = state
        NotificationCenter.default.post(name: NSApplication.didChangeOcclusionStateNotification, object: nil)
    }
    occlude([])
    occlude(.visible)
    check("the windows are covered and visible again", channel.calls, ["background", "foreground"])
    NSWorkspace.shared.notificationCenter.post(name: NSWorkspace.didWakeNotification, object: nil)
    check("the Mac wakes", channel.calls, ["network"])
#endif

for phase in [ScenePhase.background, .inactive, .active] { monitor?.report(scenePhase: phase) }
check("the scene phase is reported", channel.calls, ["background", "foreground"])

monitor = nil
check("a released monitor has stopped", NWPathMonitor.running.map { "\($0)" }, [])
#if canImport(UIKit)
    NotificationCenter.default.post(name: UIApplication.didEnterBackgroundNotification, object: nil)
#else
    NSWorkspace.shared.notificationCenter.post(name: NSWorkspace.didWakeNotification, object: nil)
#endif
check("a released monitor reports nothing", channel.calls, [])
