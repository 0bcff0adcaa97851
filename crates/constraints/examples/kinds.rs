//! Prints every kind of constraint with an instruction that asks for it, as the README has them.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

fn main() {
    print!("{}", rlhf_constraints::kinds_table());
}
