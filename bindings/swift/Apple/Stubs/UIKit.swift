import Foundation

// A stub of the class of Apple, to compile against. Its members are isolated to the main actor,
// which is the stricter of the forms that the versions of the SDK have.

@MainActor public class UIApplication {
    public static var didEnterBackgroundNotification: Notification.Name { .init("UIApplicationDidEnterBackground") }
    public static var willEnterForegroundNotification: Notification.Name { .init("UIApplicationWillEnterForeground") }
}
