//! Plays a life on the host for each seed given, then replays the traces, and prints the digests.

fn main() -> Result<(), std::num::ParseIntError> {
    for seed in std::env::args().skip(1) {
        println!("{seed} {}", no_host::play(seed.parse()?));
    }
    for (name, trace) in no_host::TRACES {
        println!("{}  {name}", no_host::digest(trace));
    }
    Ok(())
}
