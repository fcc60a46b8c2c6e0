//! Prints the reports on the host.

fn main() {
    (0..no_host_sim::SCENARIOS).for_each(|number| print!("{}", no_host_sim::reports(number)));
}
