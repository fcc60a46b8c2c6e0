import Foundation
import Sluicegate
import XCTest

/// What a decision costs across the border, in this thread's time on a processor; prints, and judges nothing.
final class SpeedTests: XCTestCase {
    private let day: UInt64 = 86_400_000_000
    private let rounds = 20_000

    private func policy() throws -> Policy {
        try Policy.fromJson(text: #"{"pools": {"p": {}}, "endpoints": {"e": {"model": "m", "pools": ["p"]}}}"#)
    }

    private func nanos(_ work: () throws -> Void) rethrows -> Int {
        var before = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before)
        try work()
        var after = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after)
        return (after.tv_sec - before.tv_sec) * 1_000_000_000 + after.tv_nsec - before.tv_nsec
    }

    func testACallOverTheDesk() throws {
        let desk = Desk(policy: try policy(), now: day, seed: 1)
        let took = try nanos {
            for round in 0..<rounds {
                let now = day + UInt64(round)
                let call = try desk.submitTokens(now: now, model: 0, tokens: 10)
                guard case .send(let attempt)? = desk.turn(call: call) else { return XCTFail("it would have to wait") }
                try desk.reportSuccess(now: now, call: call, attempt: attempt.id, tokens: 10)
                desk.leave(now: now, call: call)
                _ = desk.news()
            }
        }
        print("speed: a call over the desk \(took / rounds) ns")
    }

    func testDecisionsOneByOneAndInBatches() throws {
        let (engine, rng) = (Engine(policy: try policy(), now: day), Rng(seed: 1))
        let inputs = (0..<UInt64(rounds)).map { Input.submit(call: Call(call: $0, model: 0, tokens: 10)) }
        let single = try nanos {
            for input in inputs {
                try engine.handle(now: day, input: input, rng: rng)
                _ = engine.pollDecision()
            }
        }
        print("speed: a decision \(single / rounds) ns")
        let timed = inputs.map { TimedInput(at: day, input: $0) }
        let batch = try nanos {
            let engine = Engine(policy: try policy(), now: day)
            for from in stride(from: 0, to: rounds, by: 100) {
                _ = try engine.handleAll(inputs: Array(timed[from..<from + 100]), rng: rng)
            }
        }
        print("speed: a decision in batches of 100 \(batch / rounds) ns")
    }
}
