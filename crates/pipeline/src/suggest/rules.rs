//! Settings that suit a model of the user's own, by its number of parameters: what is published, and where.

use rlhf_core::LrSchedule;

use crate::config::Config;

/// Parameters from which on adapters are trained in place of all weights: optimiser and gradients of the whole take three
/// times its weights, which a laptop has for small models alone.
const ADAPTERS_FROM: usize = 30_000_000;

/// Parameters of the model that the rates of full training were published for (InstructGPT's smallest).
const PUBLISHED_FOR: f64 = 1.3e9;

/// A rate this many times the rule's has not been seen to work anywhere.
const FAR_ABOVE: f64 = 10.0;
/// A rate this many times below the rule's learns nothing in the steps of a small run.
const FAR_BELOW: f64 = 100.0;

/// A setting, and the reason for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The key, as a dotted path.
    pub key: &'static str,
    /// Its value, as TOML.
    pub value: String,
    /// Why, with the source of the number.
    pub why: &'static str,
}

/// Learning rates of the stages.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rates {
    sft: f64,
    reward: f64,
    policy: f64,
    value: f64,
}

/// Of adapters at [`ADAPTERS_PUBLISHED_FOR`] parameters: ten times the rate of all weights, as Schulman et al. ("LoRA Without Regret",
/// Thinking Machines 2025) find; their fit for models of Llama's kind is 5e-4 at this size. PPO is gentler, for its gradient is noise
/// for the greater part.
const OF_ADAPTERS: Rates = Rates {
    sft: 5e-4,
    reward: 5e-4,
    policy: 2.5e-4,
    value: 5e-4,
};

/// A Llama as wide as that fit's unit, 2,000, has about so many parameters.
const ADAPTERS_PUBLISHED_FOR: f64 = 1.2e9;

/// Their fit falls with the width to the power 0.78, and the width grows with the third root of the size: 9e-4 at 135 M, 3e-4 at 7 B, near
/// the 2e-4 that QLoRA (arXiv 2305.14314, table 9) trains 7 B and 13 B with.
const ADAPTERS_POWER: f64 = 0.26;

/// Of all weights at [`PUBLISHED_FOR`] parameters: InstructGPT (arXiv 2203.02155, appendix C): SFT 9.65e-6, reward model and
/// value function 9e-6; N+ (arXiv 2403.17031): PPO 3e-6.
const OF_WEIGHTS: Rates = Rates {
    sft: 9.65e-6,
    reward: 9e-6,
    policy: 3e-6,
    value: 9e-6,
};

/// True if a model of so many parameters is trained by adapters.
pub fn suits_adapters(parameters: usize) -> bool {
    parameters >= ADAPTERS_FROM
}

/// Smaller models bear more. All weights: Stiennon et al. (arXiv 2009.01325) go from 6.35e-5 at 1.3 B to 2.83e-5 at 13 B, which is nearly
/// the root of the ratio; the built-in model of 1.35 M trains at 1.5e-3.
fn rates(parameters: usize, adapters: bool) -> Rates {
    let (published, size, power) = if adapters {
        (OF_ADAPTERS, ADAPTERS_PUBLISHED_FOR, ADAPTERS_POWER)
    } else {
        (OF_WEIGHTS, PUBLISHED_FOR, 0.5)
    };
    let by_size = (size / parameters.max(1) as f64).powf(power);
    // One digit is as much as is known.
    let rounded = |rate: f64| -> f64 {
        let digits = format!("{:.0e}", rate * by_size);
        digits.parse().expect("a number that was written is one")
    };
    Rates {
        sft: rounded(published.sft),
        reward: rounded(published.reward),
        policy: rounded(published.policy),
        value: rounded(published.value),
    }
}

/// Settings for a model of so many parameters, in place of those of the built-in run, which is a hundred times smaller than the
/// smallest model that can speak.
pub fn rules(parameters: usize) -> Vec<Rule> {
    let adapters = suits_adapters(parameters);
    let Rates {
        sft,
        reward,
        policy,
        value,
    } = rates(parameters, adapters);
    let rule = |key, value: String, why| Rule { key, value, why };
    let rate = |key, rate: f64, why| rule(key, format!("{rate:e}"), why);
    let mut rules = Vec::new();
    if adapters {
        for key in ["sft.lora", "reward.lora", "ppo.lora"] {
            let why = "adapters: 16 columns on all layers, as Hu et al. (arXiv 2106.09685) and QLoRA find enough";
            rules.push(rule(key, "{ rank = 16, alpha = 32.0 }".into(), why));
        }
    }
    let why_rate = if adapters {
        "ten times that of all weights: Schulman et al. 2025, LoRA Without Regret, by their fit over sizes"
    } else {
        "InstructGPT's rate at 1.3 B parameters, times the root of how much smaller this model is"
    };
    rules.push(rate("sft.lr.peak_lr", sft, why_rate));
    rules.push(rule(
        "sft.lr.warmup_steps",
        "10".into(),
        "a few steps until Adam knows its moments",
    ));
    rules.push(rate("reward.lr.peak_lr", reward, why_rate));
    rules.push(rule(
        "reward.lr.warmup_steps",
        "10".into(),
        "a few steps until Adam knows its moments",
    ));
    rules.push(rule("reward.epochs", "1".into(), "InstructGPT: more overfit"));
    let why_policy = "half of the supervised rate and less: PPO's gradient is mostly noise (N+: 3e-6 where InstructGPT's SFT has 9.65e-6)";
    rules.push(rate("ppo.lr.peak_lr", policy, why_policy));
    rules.push(rate(
        "ppo.value_lr.peak_lr",
        value,
        "InstructGPT: that of the reward model",
    ));
    rules.push(rule("ppo.kl.coef", "0.05".into(), "Stiennon, N+; InstructGPT: 0.02"));
    rules.push(rule(
        "ppo.batch_size",
        "64".into(),
        "InstructGPT: 512, which is hours an update on two cores",
    ));
    rules.push(rule("ppo.n_minibatches", "4".into(), "16 episodes a step"));
    rules
}

/// What is to be said of a learning rate of a stage that trains a model of so many parameters, if it is far from anything that is
/// known to work.
fn doubt(stage: &str, schedule: &LrSchedule, parameters: usize, adapters: bool) -> Option<String> {
    let rates = rates(parameters, adapters);
    let rule = match stage {
        "sft" => rates.sft,
        "reward" => rates.reward,
        _ => rates.policy,
    };
    let found = schedule.peak_lr;
    let (what, than) = if found > FAR_ABOVE * rule {
        ("is far above", "the model is likely to fall apart")
    } else if found < rule / FAR_BELOW {
        ("is far below", "little will be learnt")
    } else {
        return None;
    };
    let trained = if adapters { "adapters of" } else { "all weights of" };
    let millions = parameters as f64 / 1e6;
    Some(format!(
        "{stage}.lr.peak_lr = {found:e} {what} what is known to work for {trained} a model of {millions:.0} M parameters, about {rule:e}: {than}"
    ))
}

impl Config {
    /// The stages' doubts about their learning rates for a model of the user's own, of so many parameters.
    pub fn doubts(&self, stage: &str, parameters: usize) -> Option<String> {
        let (schedule, adapters) = match stage {
            "sft" => (&self.sft.lr, self.sft.lora.is_some()),
            "reward" => (&self.reward.lr, self.reward.lora.is_some()),
            "ppo" => (&self.ppo.lr, self.ppo.lora.is_some()),
            _ => return None,
        };
        doubt(stage, schedule, parameters, adapters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(rules: &'a [Rule], key: &str) -> Option<&'a str> {
        let rule = rules.iter().find(|rule| rule.key == key)?;
        Some(&rule.value)
    }

    #[test]
    fn a_chat_model_gets_adapters_and_their_rate_and_a_small_one_the_root_of_its_size() {
        let chat = rules(135_000_000);
        assert_eq!(value(&chat, "sft.lr.peak_lr"), Some("9e-4"));
        assert_eq!(value(&chat, "ppo.lr.peak_lr"), Some("4e-4"));
        // At 7 B near QLoRA's 2e-4.
        assert_eq!(rates(7_000_000_000, true).sft, 3e-4);
        assert_eq!(value(&chat, "ppo.lora"), Some("{ rank = 16, alpha = 32.0 }"));
        // 9.65e-6 · sqrt(1.3e9 / 1.3e7) = 9.65e-5.
        let small = rules(13_000_000);
        assert_eq!(value(&small, "sft.lr.peak_lr"), Some("1e-4"));
        assert_eq!(value(&small, "ppo.lora"), None);
        // As published.
        assert_eq!(rates(1_300_000_000, false).policy, 3e-6);
    }

    #[test]
    fn rates_of_another_order_are_doubted() {
        let at = |peak_lr| {
            let schedule = LrSchedule {
                peak_lr,
                ..LrSchedule::default()
            };
            doubt("sft", &schedule, 135_000_000, true)
        };
        assert_eq!(at(2e-4), None);
        assert_eq!(at(1.5e-3), None);
        let said = at(1e-2).expect("eleven times as much");
        assert!(said.starts_with("sft.lr.peak_lr = 1e-2 is far above"), "{said}");
        assert!(at(1e-7).is_some_and(|said| said.contains("far below")));
    }
}
