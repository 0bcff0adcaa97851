//! Memory: what a stage is going to need, whether the machine has it, and what the process took in the end.

use rlhf_core::memory::MemoryForecast;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::error::{Error, Result};
use crate::listener::Listener;

/// Memory of the machine as the process finds it, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Machine {
    /// Bytes that the process has in use.
    resident: u64,
    /// Bytes that it could have besides.
    available: u64,
}

impl Machine {
    /// Nothing where the system does not say.
    fn look() -> Option<Self> {
        let mut system = System::new();
        system.refresh_memory();
        let pid = Pid::from_u32(std::process::id());
        let memory_alone = ProcessRefreshKind::nothing().with_memory();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, memory_alone);
        let resident = system.process(pid)?.memory();
        // A container may have less than the machine. What it holds of files counts as free: it is given up when needed.
        let of_container = system
            .cgroup_limits()
            .map_or(u64::MAX, |limits| limits.total_memory.saturating_sub(limits.rss));
        let available = system.available_memory().min(of_container);
        (available > 0).then_some(Self { resident, available })
    }
}

/// Ways to do a stage with less.
#[derive(Debug, Clone, Copy)]
pub struct Savings<'a> {
    /// Section of its settings.
    pub section: &'a str,
    /// Its `microbatch_tokens`.
    pub microbatch_tokens: usize,
    /// Its `gradient_checkpointing`.
    pub gradient_checkpointing: bool,
    /// The stage could train adapters and does not.
    pub could_have_adapters: bool,
    /// The stage generates up to its `max_new_tokens`.
    pub generates: bool,
}

impl Savings<'_> {
    /// Changes that help, the part that takes most first.
    fn advice(&self, forecast: &MemoryForecast) -> String {
        let section = self.section;
        let mut parts = [
            (forecast.activations, self.of_activations()),
            (
                forecast.gradients + forecast.optimizer,
                self.could_have_adapters
                    .then(|| format!("train adapters instead of all weights: [{section}.lora]")),
            ),
            (
                forecast.cache,
                self.generates.then(|| format!("lower {section}.max_new_tokens")),
            ),
            (forecast.weights, Some("use a smaller model".to_owned())),
        ];
        parts.sort_by_key(|part| std::cmp::Reverse(part.0));
        let advice: Vec<String> = parts.into_iter().filter_map(|part| part.1).collect();
        advice.join("; ")
    }

    fn of_activations(&self) -> Option<String> {
        let section = self.section;
        let fewer = format!("lower {section}.microbatch_tokens (now {})", self.microbatch_tokens);
        Some(if self.gradient_checkpointing {
            fewer
        } else {
            format!("{fewer}, or set {section}.gradient_checkpointing = true")
        })
    }
}

/// Tells `listener` what a stage is going to need, and returns that in bytes, with what the process has in use already. The
/// models must not be loaded yet.
///
/// # Errors
/// [`Error::Memory`] if the machine does not have it, unless `anyway`.
pub(crate) fn announce(
    listener: &dyn Listener,
    stage: &str,
    forecast: &MemoryForecast,
    savings: Savings<'_>,
    anyway: bool,
) -> Result<u64> {
    let machine = Machine::look();
    let resident = machine.map_or(0, |machine| machine.resident);
    let needed = resident + forecast.total();
    let parts = described(forecast, resident);
    listener.note(stage, &format!("memory forecast {}: {parts}", amount(needed)));
    match machine {
        Some(Machine { available, .. }) if forecast.total() > available && !anyway => Err(Error::Memory {
            needed: amount(forecast.total()),
            available: amount(available),
            parts,
            advice: savings.advice(forecast),
        }),
        _ => Ok(needed),
    }
}

fn described(forecast: &MemoryForecast, resident: u64) -> String {
    let program = ("program and data", resident);
    let parts = std::iter::once(program).chain(forecast.parts());
    let parts = parts.filter(|(_, bytes)| *bytes > 0);
    let words: Vec<String> = parts.map(|(name, bytes)| format!("{name} {}", amount(bytes))).collect();
    words.join(", ")
}

/// `412 MB`, `1.24 GB`.
pub(crate) fn amount(bytes: u64) -> String {
    let megabytes = bytes as f64 / 1e6;
    if megabytes < 1000.0 {
        format!("{megabytes:.0} MB")
    } else {
        format!("{:.2} GB", megabytes / 1000.0)
    }
}

/// Memory that the process could have besides what it has, in bytes; nothing where the system does not say.
pub(crate) fn available_memory() -> Option<u64> {
    Machine::look().map(|machine| machine.available)
}

/// Most memory the process has held so far, in bytes; nothing where the system does not say.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = peak.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(1024 * kilobytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::Silent;

    const GB: u64 = 1_000_000_000;

    fn forecast() -> MemoryForecast {
        MemoryForecast {
            weights: GB,
            gradients: GB,
            optimizer: 2 * GB,
            activations: 1 << 60,
            cache: 0,
        }
    }

    fn savings() -> Savings<'static> {
        Savings {
            section: "sft",
            microbatch_tokens: 4096,
            gradient_checkpointing: false,
            could_have_adapters: true,
            generates: false,
        }
    }

    #[test]
    fn what_cannot_fit_is_refused_with_advice_for_its_largest_part_first() {
        let refusal = announce(&Silent, "sft", &forecast(), savings(), false)
            .unwrap_err()
            .to_string();
        let order = [
            "sft.microbatch_tokens (now 4096)",
            "sft.gradient_checkpointing",
            "[sft.lora]",
            "smaller model",
        ];
        let places: Vec<_> = order.iter().map(|what| refusal.find(what)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{refusal}");
        assert!(refusal.contains("optimizer 2.00 GB"), "{refusal}");
        assert!(!refusal.contains("cache"), "{refusal}");
        announce(&Silent, "sft", &forecast(), savings(), true).expect("the user insists");
    }

    #[test]
    fn what_fits_is_announced_with_what_is_in_use_already() {
        let needed =
            announce(&Silent, "sft", &MemoryForecast::default(), savings(), false).expect("nothing fits everywhere");
        // The test itself takes some.
        assert!(needed > 1_000_000, "{needed}");
        assert!(peak_memory().is_none_or(|peak| peak >= needed / 2), "{needed}");
    }

    #[test]
    fn amounts_are_short() {
        assert_eq!(amount(412_300_000), "412 MB");
        assert_eq!(amount(1_239_000_000), "1.24 GB");
    }
}
