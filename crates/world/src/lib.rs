//! An invented little world whose facts are known: its texts, instructions, gold judge and simulated labelers.
