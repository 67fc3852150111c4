import Foundation
import PresenceClient
import Testing

extension AllTests {
    @Suite("The way to the server") struct NetworkTests {}
}

extension AllTests.NetworkTests {
    @Test("has an error of its kind for a proxy that is not there, and prints no credentials")
    func proxy() async throws {
        let server = ProxyServer(
            host: "127.0.0.1", port: 1, user: Secret(text: "the-user"), password: Secret(text: "the-password"))
        for proxy in [PresenceProxy.http(server: server), .socks5(server: server)] {
            let network = NetworkOptions(proxy: proxy)
            let api = try PresenceApi(server: "https://presence.example", network: network)
            let failed = await error { _ = try await api.devAssertion(email: "alice@dev.localhost") }
            guard case .Proxy(.unreachable, _, nil) = failed else {
                Issue.record("not an error of the proxy, but \(String(describing: failed))")
                return
            }
            #expect(failed?.isRetryable == true)
            #expect(!"\(String(describing: failed)) \(network)".contains("the-"))
        }
    }

    @Test("names the app and the language in a request, and adds the headers of the app")
    func userAgent() async throws {
        let server = try OneRequestServer()
        async let head = server.answer()
        let network = NetworkOptions(product: "chat/1.2", headers: ["X-Tenant": Secret(text: "blue")])
        let api = try PresenceApi(server: server.listener.url, network: network)
        let refused = await error { _ = try await api.user(token: Secret(text: "token")).session() }
        #expect(refused?.errno == .slowDown)
        let lines = await head
        #expect(lines.contains("x-tenant: blue"))
        let agent = lines.first { $0.hasPrefix("user-agent: ") } ?? ""
        let parts = agent.split(separator: " ").map { $0.split(separator: "/")[0] }
        #expect(parts == ["user-agent:", "chat", "presence-swift", "presence-client", "(rust)"], "\(agent)")
    }

    @Test("refuses a header of the protocol")
    func headers() {
        let network = NetworkOptions(headers: ["Authorization": Secret(text: "x")])
        #expect(throws: PresenceError.self) { try PresenceApi(server: "https://presence.example", network: network) }
    }
}
