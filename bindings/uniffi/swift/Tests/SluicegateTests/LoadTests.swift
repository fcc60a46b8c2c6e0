import Foundation
import Sluicegate
import XCTest

/// A thousand tasks at one and a half times the quota, against the embedded fake. All figures are from its books.
final class LoadTests: XCTestCase {
    // As in `Tests/fake.json`, by which the fake runs.
    static let regions = ["us-east-1", "us-east-2", "us-west-2"]
    static let model = "anthropic.claude-sonnet-4-6"
    static let perMinute = 400
    static let calls = 1_000
    static let gapMs = 33
    static let deadlineMs = 8_000

    static func policy() throws -> Policy {
        let pools = regions.map { "\"\($0)\": {\"requests_per_minute\": \(perMinute)}" }.joined(separator: ",")
        let endpoints = regions.map { "\"\($0)\": {\"model\": \"\(model)\", \"region\": \"\($0)\", \"pools\": [\"\($0)\"]}" }
        return try Policy.fromJson(text: "{\"pools\": {\(pools)}, \"endpoints\": {\(endpoints.joined(separator: ","))}}")
    }

    func testTheQuotaIsUsedAndHardlyAnythingIsRefused() async throws {
        let fake = try Fake()
        let gate = Gate(try Self.policy(), seed: 1)
        let bedrock = try await Bedrock(gate: gate, client: fake)
        let body = Data(
            #"{"messages": [{"role": "user", "content": [{"text": "Hello"}]}], "inferenceConfig": {"maxTokens": 50}}"#.utf8)
        try await bedrock.reconfigure(try Self.policy())
        let before = try await fake.totals()
        let options = CallOptions(deadlineUs: UInt64(Self.deadlineMs) * 1_000)
        let answered = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<Self.calls {
                group.addTask {
                    try await Task.sleep(for: .milliseconds(Self.gapMs * number))
                    do {
                        _ = try await bedrock.converse(Self.model, body, options: options)
                        return 1
                    } catch is CallEnded {
                        // More is offered than fits.
                        return 0
                    }
                }
            }
            return try await group.reduce(0, +)
        }
        let after = try await fake.totals()
        let counted = { (name: String) in Int(after[name, default: 0] - before[name, default: 0]) }
        let (attempts, completed, refused) = (counted("attempts"), counted("completed"), counted("refused_quota"))
        // What no schedule can exceed: what the buckets hold at first, and what flows in until the last deadline.
        let oracle = 3 * Self.perMinute * 25 / 1_000 + 3 * Self.perMinute * (Self.gapMs * Self.calls + Self.deadlineMs) / 60_000
        print("load: answered \(answered), attempts \(attempts), completed \(completed), refused \(refused), oracle at most \(oracle)")
        XCTAssertEqual(completed, answered)
        // On a machine where others work, timers come late: the promise itself is for a quiet one.
        let quiet = ProcessInfo.processInfo.environment["SLUICEGATE_MEASURE"] == "1"
        XCTAssertGreaterThanOrEqual(completed * 1_000, oracle * (quiet ? 950 : 800))
        XCTAssertLessThanOrEqual(refused * 1_000, attempts * (quiet ? 10 : 50))
        XCTAssertEqual([gate.inFlight, gate.waiting], [0, 0])
    }
}
