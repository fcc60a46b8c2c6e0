import Foundation

/// JSON whose whole numbers stay whole.
indirect enum Json: Decodable, Equatable {
    case null, flag(Bool), number(UInt64), text(String), list([Json]), object([String: Json])

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let flag = try? value.decode(Bool.self) {
            self = .flag(flag)
        } else if let number = try? value.decode(UInt64.self) {
            self = .number(number)
        } else if let text = try? value.decode(String.self) {
            self = .text(text)
        } else if let list = try? value.decode([Json].self) {
            self = .list(list)
        } else {
            self = .object(try value.decode([String: Json].self))
        }
    }

    static func parse(_ text: some StringProtocol) throws -> Json {
        try JSONDecoder().decode(Json.self, from: Data(text.utf8))
    }

    subscript(name: String) -> Json? {
        if case .object(let fields) = self { fields[name] } else { nil }
    }

    var number: UInt64? { if case .number(let number) = self { number } else { nil } }
    var text: String? { if case .text(let text) = self { text } else { nil } }
    var list: [Json] { if case .list(let list) = self { list } else { [] } }

    /// Without spaces, the keys of objects in the order of their bytes.
    var canonical: String {
        switch self {
        case .null: "null"
        case .flag(let flag): flag ? "true" : "false"
        case .number(let number): String(number)
        case .text(let text): quoted(text)
        case .list(let items): "[" + items.map(\.canonical).joined(separator: ",") + "]"
        case .object(let fields):
            "{" + fields.sorted { Array($0.key.utf8).lexicographicallyPrecedes(Array($1.key.utf8)) }
                .map { "\(quoted($0.key)):\($0.value.canonical)" }.joined(separator: ",") + "}"
        }
    }
}

private func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": quoted += "\\\""
        case "\\": quoted += "\\\\"
        case "\n": quoted += "\\n"
        case "\t": quoted += "\\t"
        default: quoted.unicodeScalars.append(scalar)
        }
    }
    return quoted + "\""
}

func json(_ value: UInt64?) -> Json { value.map(Json.number) ?? .null }
func json(_ value: UInt32) -> Json { .number(UInt64(value)) }
func json(_ value: UInt16) -> Json { .number(UInt64(value)) }

/// With one field, named as the case is.
func one(_ name: String, _ fields: [String: Json]) -> Json { .object([name: .object(fields)]) }

/// `halfOpen` as `half_open`.
func snake(_ value: some Any) -> String {
    String(describing: value).reduce(into: "") { $0 += $1.isUppercase ? "_\($1.lowercased())" : String($1) }
}
