/// The hash, since Foundation on Linux has none.
func sha256(_ message: [UInt8]) -> String {
    var state = roots(2, 8)
    let constants = cubes
    var bytes = message + [0x80]
    bytes += [UInt8](repeating: 0, count: (120 - bytes.count % 64) % 64)
    bytes += (0..<8).map { UInt8(truncatingIfNeeded: (UInt64(message.count) * 8) >> (56 - 8 * UInt64($0))) }
    for block in stride(from: 0, to: bytes.count, by: 64) {
        var words = (0..<16).map { word in (0..<4).reduce(UInt32(0)) { $0 << 8 | UInt32(bytes[block + 4 * word + $1]) } }
        for index in 16..<64 {
            let (far, near) = (words[index - 15], words[index - 2])
            let one = turned(far, 7) ^ turned(far, 18) ^ far >> 3
            let two = turned(near, 17) ^ turned(near, 19) ^ near >> 10
            words.append(words[index - 16] &+ one &+ words[index - 7] &+ two)
        }
        var (a, b, c, d) = (state[0], state[1], state[2], state[3])
        var (e, f, g, h) = (state[4], state[5], state[6], state[7])
        for index in 0..<64 {
            let choice = (e & f) ^ (~e & g)
            let most = (a & b) ^ (a & c) ^ (b & c)
            let one = h &+ (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) &+ choice &+ constants[index] &+ words[index]
            let two = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) &+ most
            (h, g, f, e, d, c, b, a) = (g, f, e, d &+ one, c, b, a, one &+ two)
        }
        for (index, value) in [a, b, c, d, e, f, g, h].enumerated() { state[index] = state[index] &+ value }
    }
    return state.map { word in
        let hex = String(word, radix: 16)
        return String(repeating: "0", count: 8 - hex.count) + hex
    }.joined()
}

private func turned(_ word: UInt32, _ by: UInt32) -> UInt32 { word >> by | word << (32 - by) }

private let primes: [UInt64] = (2...311).filter { number in !(2..<number).contains { number % $0 == 0 } }
private let cubes = roots(3, 64)

/// The first 32 bits of the fractions of the square or cube roots of the first primes, in whole numbers.
private func roots(_ power: Int, _ count: Int) -> [UInt32] {
    primes.prefix(count).map { prime in
        // The largest root with root^power <= prime * 2^(32 * power).
        var root: UInt64 = 0
        for bit in stride(from: UInt64(36), through: 0, by: -1) {
            let tried = root | 1 << bit
            if tried < 1 << 36, fits(tried, power, prime) { root = tried }
        }
        return UInt32(truncatingIfNeeded: root)
    }
}

/// Whether root^power <= prime * 2^(32 * power).
private func fits(_ root: UInt64, _ power: Int, _ prime: UInt64) -> Bool {
    // By limbs of 32 bits, lowest first.
    var limbs: [UInt64] = [1]
    for _ in 0..<power {
        var product = [UInt64](repeating: 0, count: limbs.count + 2)
        for (place, limb) in limbs.enumerated() {
            for (half, factor) in [root & 0xffff_ffff, root >> 32].enumerated() {
                let (high, low) = limb.multipliedFullWidth(by: factor)
                var (at, carry) = (place + half, low)
                precondition(high == 0)
                while carry > 0 {
                    let sum = product[at] + (carry & 0xffff_ffff)
                    product[at] = sum & 0xffff_ffff
                    carry = (carry >> 32) + (sum >> 32)
                    at += 1
                }
            }
        }
        limbs = product
    }
    let bound = [UInt64](repeating: 0, count: power) + [prime]
    let length = max(limbs.count, bound.count)
    let pad = { (limbs: [UInt64]) in limbs + [UInt64](repeating: 0, count: length - limbs.count) }
    for (one, other) in zip(pad(limbs).reversed(), pad(bound).reversed()) where one != other { return one < other }
    return true
}
