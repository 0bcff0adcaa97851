//! The rules.

use serde_json::Value;

use super::Finding;
use crate::curves::{Points, mean_between};
use crate::folder::RunFolder;
use crate::models::{Witness, called, witness};
use crate::number::{Interval, fixed, number, percent, short, tick};

/// Share of a curve's points that "at the start" and "at the end" mean: a single update is too noisy.
const END: f64 = 0.1;

/// Nats per answer from which the policy is far from where the reward model was trained: best of n has so many at n ≈ e^(KL + 1),
/// which is 60,000 at 10 nats; nobody would trust a proxy to choose among so many.
const KL_FAR: f64 = 10.0;
/// Growth of the KL over the second half of training that tells a policy on its way from one that has settled.
const KL_GROWTH: f64 = 1.5;
/// Change of the mean length of answers that a reader sees without counting.
const LENGTH_DRIFT: f64 = 1.5;
/// Share of answers that end, below which most of what a user reads is cut off.
const EOS_RARE: f64 = 0.5;
/// Share of answers that end, below which a user meets one that is cut off in a conversation of ten turns.
const EOS_SOME: f64 = 0.9;
/// Share of the first entropy that is left when a policy answers the same way whatever is drawn: it explores nothing any more.
const ENTROPY_LEFT: f64 = 0.1;
/// Share of tokens at the clip from which updates are mostly cut short: at 0.3 nearly a third of the gradient is thrown away.
const CLIPPED_OFTEN: f64 = 0.3;
/// Mean distance by which predicted probabilities lie above what labelers do. 0.05 is the half width of the interval of a bin of 400
/// pairs, so a smaller one may be chance.
const OVER_CONFIDENT: f64 = 0.05;
/// Growth of the perplexity of pretraining text, 0.1 nats a token: what models of twice the size gain over each other is of this order.
const TAX: f64 = 1.105;
/// Fall of the judge's mean from its best, on its scale of 0 to 1: twice what chance does to a mean over a few hundred answers.
const JUDGE_FALL: f64 = 0.05;
/// Rise of the held-out loss from its lowest that is more than its noise.
const OVERFITTED: f64 = 1.03;

fn curve<'a>(run: &'a RunFolder, stage: &str, metric: &str) -> Option<&'a Points> {
    run.curves.get(stage)?.get(metric).filter(|points| !points.is_empty())
}

fn at_start(points: &Points) -> Option<f64> {
    mean_between(points, 0.0, END)
}

fn at_end(points: &Points) -> Option<f64> {
    mean_between(points, 1.0 - END, 1.0)
}

fn figure(run: &RunFolder, model: &str, key: &str) -> Option<Interval> {
    Interval::of(&run.eval[model][key])
}

/// PPO climbed a reward model of the run's own, not a judge, a command or another model.
fn optimised_own_reward_model(run: &RunFolder) -> bool {
    let from = run.setting("ppo_reward.from").and_then(toml::Value::as_str);
    from.is_none_or(|from| from == "trained") && run.reward.is_object()
}

pub(super) fn judged_by_the_optimised(run: &RunFolder) -> Option<Finding> {
    figure(run, "ppo", "win_rate_vs_sft")?;
    let is_optimised = optimised_own_reward_model(run) && witness(&run.eval) == Witness::RewardModel;
    if !is_optimised {
        return None;
    }
    let others = run.eval["ppo"]["second"]
        .as_object()
        .is_some_and(|second| !second.is_empty());
    Finding::warning(
        "The win rates are by the reward model that PPO optimised",
        format!(
            "They say how far PPO went, not how good the answers are: what is optimised is no witness. {}",
            if others {
                "Look at the second judges instead."
            } else {
                "Nobody else judged this run; give it a second judge with eval.judges or eval.references."
            }
        ),
    )
}

pub(super) fn over_optimised(run: &RunFolder) -> Option<Finding> {
    let score_rose = || {
        let scores = curve(run, "ppo", "objective/scores")?;
        Some(at_end(scores)? > at_start(scores)?)
    };
    if let Some(judge) = curve(run, "ppo", "evaluation/judge")
        && score_rose() == Some(true)
    {
        let last = at_end(judge)?;
        let (step, best) = (judge.iter().copied())
            .filter(|point| point.1.is_finite())
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        if best - last > JUDGE_FALL {
            return Finding::warning(
                "The reward model was over-optimised",
                format!(
                    "Its score kept rising while the judge's opinion of held-out answers fell from {} at update {} to {} at the end. \
                     Keep an earlier model (ppo.select, ppo.stop), train the reward model on more comparisons, or raise the \
                     KL coefficient.",
                    fixed(best, 3),
                    tick(step),
                    fixed(last, 3)
                ),
            );
        }
    }
    let gold = |model| figure(run, model, "mean_gold");
    let score = |model: &str| number(&run.eval[model]["mean_score"]);
    let (ppo, sft) = (gold("ppo")?, gold("sft")?);
    if score("ppo")? <= score("sft")? || ppo.high >= sft.low {
        return None;
    }
    Finding::warning(
        "The reward model was over-optimised",
        format!(
            "PPO's answers score higher than SFT's, and the judge finds them worse: {} against {}.",
            fixed(ppo.value, 3),
            fixed(sft.value, 3)
        ),
    )
}

pub(super) fn worse_than_sft(run: &RunFolder) -> Option<Finding> {
    let rate = figure(run, "ppo", "win_rate_vs_sft").filter(|rate| rate.high < 0.5)?;
    Finding::warning(
        "PPO is worse than SFT",
        format!(
            "Its answers win on {} of the prompts ({} to {}), judged by {}. The SFT model is the one to keep.",
            percent(rate.value),
            percent(rate.low),
            percent(rate.high),
            witness(&run.eval).name()
        ),
    )
}

pub(super) fn kl_running_away(run: &RunFolder) -> Option<Finding> {
    let kl = curve(run, "ppo", "objective/kl")?;
    let (middle, end) = (mean_between(kl, 0.45, 0.55)?, at_end(kl)?);
    if end < KL_FAR {
        return None;
    }
    let reach = format!(
        "The policy ends {} nats per answer away from the SFT model; best of n would be as far with n of about {}.",
        fixed(end, 1),
        short((end + 1.0).exp())
    );
    if end >= KL_GROWTH * middle {
        return Finding::warning(
            "KL is running away",
            format!(
                "{reach} Halfway it was at {}, and it has not settled: the reward model is asked about texts unlike any that were \
                 ranked. Raise ppo.kl.coef, lower the learning rate, or stop earlier.",
                fixed(middle, 1)
            ),
        );
    }
    Finding::note(
        "The policy is far from the SFT model",
        format!("{reach} It has settled there; look at the samples before believing the score."),
    )
}

pub(super) fn length_drift(run: &RunFolder) -> Option<Finding> {
    let lengths = curve(run, "ppo", "rollout/response_len")?;
    let (start, end) = (at_start(lengths)?, at_end(lengths)?);
    let (is_longer, is_shorter) = (end > LENGTH_DRIFT * start, end * LENGTH_DRIFT < start);
    if !is_longer && !is_shorter {
        return None;
    }
    Finding::warning(
        if is_longer {
            "Answers grew longer"
        } else {
            "Answers grew shorter"
        },
        format!(
            "From {} tokens at the start of PPO to {} at its end. Length is what reward models misread most: compare at equal length, \
             and see how the reward model does where the shorter answer is the better.",
            fixed(start, 1),
            fixed(end, 1)
        ),
    )
}

pub(super) fn eos_never_learned(run: &RunFolder) -> Option<Finding> {
    let of_eval = |model: &str| number(&run.eval[model]["eos_fraction"]).map(|share| (called(model), share));
    let of_curve = || {
        let share = at_end(curve(run, "ppo", "rollout/eos_fraction")?)?;
        Some((called("ppo"), share))
    };
    let (model, share) = of_eval("ppo").or_else(of_curve).or_else(|| of_eval("sft"))?;
    let said = format!(
        "{} of the answers of {model} end before the limit; the others are cut off.",
        percent(share)
    );
    if share < EOS_RARE {
        return Finding::warning(
            "The model never learned to end its answers",
            format!(
                "{said} Raise max_new_tokens if answers need it, train SFT longer on demonstrations that end, and keep PPO's \
                 penalty for a missing end."
            ),
        );
    }
    if share < EOS_SOME {
        return Finding::note("Some answers do not end", said);
    }
    None
}

pub(super) fn entropy_collapse(run: &RunFolder) -> Option<Finding> {
    let entropy = curve(run, "ppo", "policy/entropy")?;
    let (start, end) = (at_start(entropy)?, at_end(entropy)?);
    if start <= 0.0 || end > ENTROPY_LEFT * start {
        return None;
    }
    Finding::warning(
        "The policy's entropy collapsed",
        format!(
            "From {} to {} nats per token: it says the same whatever is drawn, and finds nothing new. Raise the KL coefficient, or stop \
             earlier.",
            short(start),
            short(end)
        ),
    )
}

pub(super) fn clipped_too_often(run: &RunFolder) -> Option<Finding> {
    let share = at_end(curve(run, "ppo", "policy/clipfrac")?)?;
    if share <= CLIPPED_OFTEN {
        return None;
    }
    Finding::note(
        "Updates are mostly clipped",
        format!(
            "{} of the tokens are at the clip at the end of PPO and teach nothing. Lower ppo.lr or ppo.ppo_epochs.",
            percent(share)
        ),
    )
}

pub(super) fn value_function_blind(run: &RunFolder) -> Option<Finding> {
    let explained = at_end(curve(run, "ppo", "value/explained_variance")?)?;
    // At 0 a constant would foresee the returns as well.
    if explained > 0.0 {
        return None;
    }
    Finding::note(
        "The value function foresees nothing",
        format!(
            "Its explained variance ends at {}: advantages are as noisy as without it. It may need more updates or a higher learning \
             rate.",
            fixed(explained, 2)
        ),
    )
}

pub(super) fn reward_model_at_chance(run: &RunFolder) -> Option<Finding> {
    let accuracy = Interval::of(&run.reward["pair_accuracy"]).filter(|accuracy| accuracy.low <= 0.5)?;
    Finding::warning(
        "The reward model may be guessing",
        format!(
            "It orders {} of held-out pairs as labelers do ({} to {}), and 50 % would be chance. What PPO gains by it means nothing; \
             more comparisons are needed.",
            percent(accuracy.value),
            percent(accuracy.low),
            percent(accuracy.high)
        ),
    )
}

/// Bins of a calibration curve as predicted, observed; in the layout of either kind of report.
pub(crate) fn calibration_bins(reward: &Value) -> Vec<(f64, Interval)> {
    let calibration = &reward["calibration"];
    let bins = calibration.as_array().or_else(|| calibration["bins"].as_array());
    let bin = |bin: &Value| Some((number(&bin["predicted"])?, Interval::of(&bin["observed"])?));
    bins.into_iter().flatten().filter_map(bin).collect()
}

pub(super) fn reward_model_over_confident(run: &RunFolder) -> Option<Finding> {
    let bins = calibration_bins(&run.reward);
    let pairs: f64 = bins.iter().map(|(_, observed)| observed.n as f64).sum();
    let above = |(predicted, observed): &(f64, Interval)| observed.n as f64 * (predicted - observed.value);
    let gap = bins.iter().map(above).sum::<f64>() / pairs;
    // Without a pair it is no number.
    if gap.is_nan() || gap <= OVER_CONFIDENT {
        return None;
    }
    let (predicted, observed) = bins.last()?;
    Finding::warning(
        "The reward model is too sure of itself",
        format!(
            "Its probabilities lie {} points above what labelers do; where it says {}, they agree on {}. PPO sees differences that are \
             not there. Fewer epochs or more comparisons help.",
            fixed(100.0 * gap, 1),
            percent(*predicted),
            percent(observed.value)
        ),
    )
}

pub(super) fn reward_model_of_length(run: &RunFolder) -> Option<Finding> {
    let part = |name: &str| Interval::of(&run.reward["length"][name]);
    let (own, longer, shorter) = (part("accuracy")?, part("longer")?, part("shorter")?);
    let (rule, best) = if longer.value >= shorter.value {
        ("longer", longer)
    } else {
        ("shorter", shorter)
    };
    if own.low > best.value {
        return None;
    }
    Finding::note(
        "The reward model is hardly better than a rule about length",
        format!(
            "“The {rule} answer wins” is right on {} of held-out pairs, the model on {} ({} to {}).",
            percent(best.value),
            percent(own.value),
            percent(own.low),
            percent(own.high)
        ),
    )
}

pub(super) fn alignment_tax(run: &RunFolder) -> Option<Finding> {
    let perplexity = |model: &str| number(&run.eval[model]["pretrain_perplexity"]);
    let (sft, ppo) = (perplexity("sft")?, perplexity("ppo")?);
    if ppo < TAX * sft {
        return None;
    }
    Finding::note(
        "PPO unlearned some of the pretraining text",
        format!(
            "Perplexity on it rose from {} to {}. A larger ppo.ptx_coef mixes more of it in.",
            fixed(sft, 2),
            fixed(ppo, 2)
        ),
    )
}

pub(super) fn difference_not_shown(run: &RunFolder) -> Option<Finding> {
    let rate = figure(run, "ppo", "win_rate_vs_sft").filter(|rate| rate.low <= 0.5 && rate.high >= 0.5)?;
    Finding::note(
        "No difference between PPO and SFT is shown",
        format!(
            "The win rate of {} has an interval of {} to {}, with 50 % in it. More prompts make it narrower.",
            percent(rate.value),
            percent(rate.low),
            percent(rate.high)
        ),
    )
}

pub(super) fn overfitted(run: &RunFolder) -> Option<Finding> {
    let rose = |stage: &str| {
        let loss = curve(run, stage, "loss/validation")?;
        let (step, lowest) = (loss.iter().copied())
            .filter(|point| point.1.is_finite())
            .min_by(|a, b| a.1.total_cmp(&b.1))?;
        let last = loss.last()?.1;
        (last > OVERFITTED * lowest).then(|| {
            format!(
                "In {stage} from {} at step {} to {}.",
                short(lowest),
                tick(step),
                short(last)
            )
        })
    };
    let found: Vec<String> = ["pretrain", "sft", "reward"].into_iter().filter_map(rose).collect();
    if found.is_empty() {
        return None;
    }
    Finding::note(
        "Held-out loss rose before the end",
        format!(
            "{} See which model the stage kept; fewer epochs may do as well.",
            found.join(" ")
        ),
    )
}

pub(super) fn not_finite(run: &RunFolder) -> Option<Finding> {
    let broken = |(stage, metrics): (&String, &crate::curves::Metrics)| {
        let names: Vec<&str> = (metrics.iter())
            .filter(|(_, points)| points.iter().any(|point| !point.1.is_finite()))
            .map(|(name, _)| name.as_str())
            .collect();
        (!names.is_empty()).then(|| format!("{stage}: {}", names.join(", ")))
    };
    let found: Vec<String> = run.curves.iter().filter_map(broken).collect();
    if found.is_empty() {
        return None;
    }
    Finding::note(
        "Some metrics are no numbers at some steps",
        format!("{}. Their curves leave those steps out.", found.join("; ")),
    )
}
