import Foundation

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// An attempt that failed in a way that its maker can name. Thrown inside `Gate.run`, it is reported as it says.
public struct AttemptFailed: Error, CustomStringConvertible {
    public let outcome: Outcome
    public let description: String

    public init(_ outcome: Outcome, _ description: String) {
        self.outcome = outcome
        self.description = description
    }
}

/// A call that ended without an answer because the engine, or whoever closed the gate, had the last word.
public struct CallEnded: Error, CustomStringConvertible {
    /// How it ended.
    public let reason: EndReason
    /// The error of its last attempt, if one was made.
    public let last: (any Error)?

    public var description: String { "sluicegate ended the call: \(reason.describe())" }
}

/// Throws `AttemptFailed` for an answer of HTTP that is an error: its body and headers say more than the status.
public func checkAnswer(status: Int, headers: [Header], body: Data) throws {
    guard status >= 400 else { return }
    let outcome = classifyHttp(
        status: UInt16(clamping: status), headers: headers, body: body, now: wallClock())
    throw AttemptFailed(outcome, "the service answered \(status): \(String(decoding: body.prefix(200), as: UTF8.self))")
}

/// The report on an attempt that ended with this error. One that says nothing of a service is never tried again.
public func outcomeOf(_ error: any Error) -> Outcome {
    if let failed = error as? AttemptFailed { return failed.outcome }
    if error is CancellationError { return failure(.cancelled, error) }
    guard let url = error as? URLError else {
        return Outcome(outcomeClass: .refused, spent: .unknown)
    }
    return switch url.code {
    case .timedOut: failure(.timeout, error)
    case .cancelled: failure(.cancelled, error)
    case .cannotConnectToHost, .cannotFindHost, .dnsLookupFailed, .notConnectedToInternet: failure(.connect, error)
    default: failure(.io, error)
    }
}

private func failure(_ at: FailedAt, _ error: any Error) -> Outcome {
    classify(failure: Failure(at: at, text: String(describing: error)), now: wallClock())
}

/// Microseconds since the Unix epoch.
func wallClock() -> UInt64 {
    UInt64(max(0, Date().timeIntervalSince1970) * 1_000_000)
}
