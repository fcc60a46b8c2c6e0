/// What one call asks for.
public struct Request: Sendable {
    /// The policy's name for the model.
    public var model: String
    /// What an attempt reserves, in quota tokens; 0 counts as a request alone.
    public var tokens: Int
    /// When it must have been answered, counted from its submission.
    public var deadline: Duration?
    /// Higher goes first among the calls of its tenant.
    public var priority: Int
    /// Whom it is made for.
    public var tenant: String?
    /// What it shares its prompt cache with.
    public var affinity: String?
    /// Its kind: lengths of answers are learned for each model and label.
    public var label: String?
    /// The cap on the answer that is part of `tokens`; only where each attempt is sent with the lower one of
    /// `Attempt.maxTokens`.
    public var maxTokens: Int?
    /// Never to be sent twice at once.
    public var lone: Bool

    public init(
        _ model: String, tokens: Int = 0, deadline: Duration? = nil, priority: Int = 0, tenant: String? = nil,
        affinity: String? = nil, label: String? = nil, maxTokens: Int? = nil, lone: Bool = false
    ) {
        self.model = model
        self.tokens = tokens
        self.deadline = deadline
        self.priority = priority
        self.tenant = tenant
        self.affinity = affinity
        self.label = label
        self.maxTokens = maxTokens
        self.lone = lone
    }

    func options() throws -> CallOptions {
        CallOptions(
            deadlineUs: try deadline.map { try micros("deadline", $0) }, priority: try inRange("priority", priority),
            tenant: tenant, affinity: affinity, label: label, lone: lone)
    }
}

/// A number as the type that crosses; `InputError.OutOfRange` if it does not fit.
func inRange<Wire: FixedWidthInteger>(_ what: String, _ number: Int) throws -> Wire {
    guard let fitting = Wire(exactly: number) else {
        throw InputError.OutOfRange(what: "\(what) is out of range: from 0 to \(Wire.max)")
    }
    return fitting
}

/// Microseconds of a duration that must not be negative.
func micros(_ what: String, _ duration: Duration) throws -> UInt64 {
    let (seconds, attoseconds) = duration.components
    let wrong = InputError.OutOfRange(what: "\(what) is out of range: from 0 to 2^64 - 1 microseconds")
    guard seconds >= 0, attoseconds >= 0 else { throw wrong }
    let (whole, over) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000)
    let (sum, overAgain) = whole.addingReportingOverflow(UInt64(attoseconds / 1_000_000_000_000))
    guard !over, !overAgain else { throw wrong }
    return sum
}
