import Foundation
import Sluicegate
import XCTest

/// Replays every conformance trace through the typed engine; the transcripts are those of every other language.
final class TracesTests: XCTestCase {
    func testEveryTranscriptIsThatOfEveryLanguage() throws {
        uniffiEnsureSluicegateUniffiInitialized()
        let folder = URL(fileURLWithPath: try XCTUnwrap(ProcessInfo.processInfo.environment["SLUICEGATE_VECTORS"]))
        let hashes = try String(contentsOf: folder.appendingPathComponent("HASHES"), encoding: .utf8)
        let lines = hashes.split(separator: "\n").map { $0.split(separator: " ") }
        XCTAssertGreaterThanOrEqual(lines.count, 84)
        for line in lines {
            let (hash, name) = (String(line[0]), String(line[1]))
            let file = folder.appendingPathComponent(name + ".json")
            let text = try transcript(try Json.parse(try String(contentsOf: file, encoding: .utf8)))
            XCTAssertEqual(sha256(Array(text.utf8)), hash, "\(name): \(text.prefix(2_000))")
        }
        print("\(lines.count) traces replayed")
    }
}

private func transcript(_ trace: Json) throws -> String {
    let policy: Policy
    do {
        policy = try Policy.fromJson(text: trace["policy_text"]?.text ?? trace["policy"]!.canonical)
    } catch PolicyError.Faulty(let faults) {
        let found = faults.map { Json.object(["code": .text($0.code), "pointer": .text($0.pointer)]) }
        return Json.object(["faults": .list(found)]).canonical + "\n"
    }
    let player = Player(trace, policy)
    return try trace["steps"]!.list.map { try player.play($0).canonical + "\n" }.joined()
}

private final class Player {
    private var policy: Policy
    private let rng: Rng
    private var now: UInt64
    private var engine: Engine
    private var saved: String?

    init(_ trace: Json, _ policy: Policy) {
        self.policy = policy
        rng = Rng.listed(draws: trace["draws"]?.list.map { UInt64($0.text!)! } ?? [])
        now = trace["steps"]?.list.first?["at"]?.number ?? 0
        engine = Engine(policy: policy, now: now)
    }

    func play(_ step: Json) throws -> Json {
        switch step["at"] {
        case .number(let at): now = at
        case .some: now = engine.nextWakeup()!.at
        case .none: now += step["after"]!.number!
        }
        var said: [String: Json] = [:]
        for _ in 0..<(step["times"]?.number ?? 1) { try act(step, &said) }
        let all = engine.drain(most: step["take"]?.number.map { UInt32($0) })
        if !all.decisions.isEmpty { said["decisions"] = .list(all.decisions.map(json)) }
        if !all.events.isEmpty { said["events"] = .list(all.events.map(json)) }
        if let wakeup = all.wakeup { said["wakeup"] = json(wakeup) }
        return .object(said)
    }

    private func act(_ step: Json, _ said: inout [String: Json]) throws {
        if let input = step["input"] {
            do {
                try engine.handle(now: now, input: self.input(input), rng: rng)
            } catch let error as InputError {
                said["error"] = .text(error.code())
            }
        }
        if let changed = step["reconfigure"] {
            policy = try Policy.fromJson(text: changed.canonical)
            engine.reconfigure(now: now, policy: policy)
        }
        if let call = step["explain"]?.number {
            said["explanation"] = engine.explain(now: now, call: call).map(json) ?? .null
        }
        if step["snapshot"] != nil {
            let taken = engine.snapshot(now: now)
            saved = taken
            said["saved"] = try Json.parse(taken)
        }
        if let restore = step["restore"] {
            do {
                engine = try Engine.restore(
                    policy: policy, snapshot: restore["snapshot"]?.canonical ?? saved!, now: now,
                    asleepUs: restore["asleep_us"]!.number!)
            } catch SnapshotError.Unreadable(let code, _) {
                said["error"] = .text(code)
            }
        }
    }

    private func input(_ input: Json) -> Input {
        if let call = input["submit"] { return .submit(call: self.call(call)) }
        if let report = input["report"] {
            return .report(attempt: report["attempt"]!.number!, outcome: outcome(report["outcome"]!))
        }
        if let call = input["cancel"]?.number { return .cancel(call: call) }
        return .wake
    }

    private func call(_ of: Json) -> Call {
        Call(
            call: of["id"]!.number!, model: UInt16(of["model"]!.number!), tokens: of["tokens"]!.number!,
            deadline: of["deadline"]?.number, priority: UInt8(of["priority"]?.number ?? 0),
            tenant: UInt32(of["tenant"]?.number ?? 0), affinity: of["affinity"]?.number,
            cachedTokens: UInt32(of["cached_tokens"]?.number ?? 0), maxTokens: of["max_tokens"]?.number.map { UInt32($0) },
            label: UInt16(of["label"]?.number ?? 0), fingerprint: of["fingerprint"]?.number,
            lone: of["lone"] == .flag(true))
    }

    private func outcome(_ of: Json) -> Outcome {
        let name = of["class"]!.text ?? "throttled_" + of["class"]!["throttled"]!.text!
        let spent: Spent =
            if let tokens = of["spent"]!["tokens"]?.number {
                .tokens(tokens: tokens)
            } else {
                switch of["spent"]!.text! {
                case "unknown": .unknown
                case "nothing": .nothing
                default: .neverSent
                }
            }
        return Outcome(
            outcomeClass: classes[name]!, spent: spent, retryAfterUs: of["retry_after_us"]?.number,
            outputTokens: of["output_tokens"]?.number.map { UInt32($0) }, truncated: of["truncated"] == .flag(true))
    }
}

private let classes: [String: OutcomeClass] = Dictionary(
    uniqueKeysWithValues: [
        OutcomeClass.success, .throttledRequests, .throttledTokens, .throttledDay, .throttledUnknown, .overloaded,
        .unavailable, .notReady, .timedOut, .modelError, .streamBroken, .streamBrokenDelivered, .refused, .unusable,
        .cancelled,
    ].map { (snake($0), $0) })
