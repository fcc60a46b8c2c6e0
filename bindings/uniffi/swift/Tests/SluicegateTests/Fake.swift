import Foundation
import Sluicegate
import XCTest

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// The embedded fake, which whoever runs the tests has started with the lanes of `Tests/fake.json`.
struct Fake {
    let url: String
    var client: HttpClient { HttpClient(url: url) }

    /// Skips the test where no fake runs.
    init() throws {
        guard let url = ProcessInfo.processInfo.environment["SLUICEGATE_FAKE"], !url.isEmpty else {
            throw XCTSkip("SLUICEGATE_FAKE names no fake")
        }
        self.url = url
    }

    /// A gate in front of the lanes of a model, whose name in the policy is `model`.
    func bedrock(_ model: String, _ regions: [String] = ["us-east-1"], more: String = "") async throws -> Bedrock {
        try await Bedrock(gate: Gate(try policy(model, regions, more: more), seed: 1), client: client)
    }

    /// The sums over a model's lanes of the fake's own books, or those of the lane of one Region.
    func totals(_ model: String, _ region: String? = nil) async throws -> [String: Int] {
        let (body, _) = try await URLSession.shared.data(from: URL(string: url + "/sluicegate/ledger")!)
        var sums: [String: Int] = [:]
        for lane in try Json.parse(String(decoding: body, as: UTF8.self))["lanes"]!.list {
            guard lane["model"]?.text == "anthropic." + model, region == nil || lane["region"]?.text == region,
                case .object(let totals) = lane["totals"]
            else { continue }
            for (name, value) in totals { sums[name, default: 0] += Int(value.number ?? 0) }
        }
        return sums
    }
}

/// A policy for the lanes of a model: with quotas that never bind unless given, and retries at once.
func policy(_ model: String, _ regions: [String], pool: String = "", more: String = "") throws -> Policy {
    let pools = regions.map { "\"\($0)\": {\(pool)}" }
    let endpoints = regions.map {
        "\"\($0)\": {\"model\": \"\(model)\", \"target\": \"anthropic.\(model)\", \"region\": \"\($0)\", \"pools\": [\"\($0)\"]}"
    }
    let retry = ["overloaded", "not_ready", "other"].map { "\"\($0)\": {\"base_ms\": 1, \"cap_ms\": 1}" }
    let rest = more.isEmpty ? "\"retry\": {\(retry.joined(separator: ","))}" : more
    return try Policy.fromJson(
        text: "{\"pools\": {\(pools.joined(separator: ","))}, \"endpoints\": {\(endpoints.joined(separator: ","))}, \(rest)}")
}

/// A body for Converse that asks for so many tokens at most.
func asking(_ most: Int = 99) -> Data {
    Data("{\"messages\": [{\"role\": \"user\", \"content\": [{\"text\": \"Hello\"}]}], \"inferenceConfig\": {\"maxTokens\": \(most)}}".utf8)
}

/// The same in a model's own form.
let invoking = Data(
    #"{"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": [{"role": "user", "content": "Hello"}]}"#.utf8)

/// Waits for an event, not for a time.
func until(_ holds: () async throws -> Bool) async rethrows {
    while !(try await holds()) { await Task.yield() }
}

/// What is thrown.
func thrown(_ act: () async throws -> Void) async -> (any Error)? {
    do {
        try await act()
        return nil
    } catch {
        return error
    }
}
