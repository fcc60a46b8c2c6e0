import Foundation
import Sluicegate
import XCTest

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// The embedded fake, which whoever runs the tests has started, and URLSession as its client.
struct Fake: BedrockClient {
    let url: String

    /// Skips the test where no fake runs.
    init() throws {
        guard let url = ProcessInfo.processInfo.environment["SLUICEGATE_FAKE"], !url.isEmpty else {
            throw XCTSkip("SLUICEGATE_FAKE names no fake")
        }
        self.url = url
    }

    func send(_ request: BedrockRequest) async throws -> BedrockAnswer {
        var made = URLRequest(url: URL(string: url + request.path)!)
        made.httpMethod = "POST"
        made.httpBody = request.body
        made.timeoutInterval = 60
        made.setValue("application/json", forHTTPHeaderField: "Content-Type")
        // Only its scope is read by the fake; for the service a client signs each request.
        made.setValue(
            "AWS4-HMAC-SHA256 Credential=local/20260101/\(request.endpoint.region)/bedrock/aws4_request, "
                + "SignedHeaders=host, Signature=0", forHTTPHeaderField: "Authorization")
        let (body, response) = try await session.data(for: made)
        let http = try XCTUnwrap(response as? HTTPURLResponse)
        let headers = http.allHeaderFields.compactMap { name, value in
            (name as? String).flatMap { name in (value as? String).map { Header(name: name, value: $0) } }
        }
        return BedrockAnswer(status: http.statusCode, headers: headers, body: body)
    }

    /// The sums over all lanes of the fake's own books.
    func totals() async throws -> [String: UInt64] {
        let (body, _) = try await session.data(from: URL(string: url + "/sluicegate/ledger")!)
        var sums: [String: UInt64] = [:]
        for lane in try Json.parse(String(decoding: body, as: UTF8.self))["lanes"]!.list {
            guard case .object(let totals) = lane["totals"] else { continue }
            for (name, value) in totals { sums[name, default: 0] += value.number ?? 0 }
        }
        return sums
    }
}

private let session: URLSession = {
    let settings = URLSessionConfiguration.ephemeral
    settings.httpMaximumConnectionsPerHost = 256
    return URLSession(configuration: settings)
}()
