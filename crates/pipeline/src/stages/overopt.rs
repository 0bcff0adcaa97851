//! What is optimised beside what was meant, of best of n and of the policies that PPO kept along its way.

use std::path::{Path, PathBuf};

use rlhf_core::stats::{Interval, bootstrap_mean, mean};
use rlhf_data::{Prompt, Tokenizer};
use rlhf_eval::{Overopt as Findings, PolicyPoint, SampledPrompt, kl_to_reference};
use rlhf_inference::{Completion, GenerateOptions, Generator};
use rlhf_judges::Command;
use rlhf_model::{CausalLm, ScalarModel, load_causal_lm, load_scalar_model};
use rlhf_ppo::{PpoReport, Select};
use serde_json::Value;

use super::opinions::{Opinion, OutsideModel};
use super::task::{gold_judge, rows_of_judge};
use super::{Ppo, REPORT, Reward, Sft, WEIGHTS};
use crate::config::{Config, RewardSource};
use crate::error::{Error, Result};
use crate::files::{read_json, write_json};
use crate::inputs::Inputs;
use crate::rows::{PPO_PROMPTS, RowsRead};
use crate::settings::Settings;
use crate::stage::Stage;
use crate::workspace::Workspace;

/// Looks for over-optimisation. No stage of the recipe: a finished run is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Overopt;

const SUMMARY: &str = "summary.json";
/// Answers that are sampled and scored before the user is heard.
const ANSWERS_AT_ONCE: usize = 1024;

fn reads(config: &Config) -> Vec<RowsRead> {
    let own = [PPO_PROMPTS.validation()];
    own.into_iter().chain(rows_of_judge(config.data.source)).collect()
}

impl Stage for Overopt {
    fn name(&self) -> &'static str {
        "overopt"
    }

    fn about(&self) -> &'static str {
        "Look for over-optimisation: proxy and gold score of best of n and of the policies that PPO kept along its way"
    }

    fn settings(&self, config: &Config) -> Value {
        Settings::new()
            .section(self.name(), &config.overopt)
            .keys("eval", &config.eval, &["max_new_tokens", "sampling"])
            .keys("ppo_reward", &config.ppo_reward, &["from", "model", "command"])
            .task(config)
            .rows(config, &reads(config))
            .conversations(config, &["long_prompts", "max_seq_len", "chat_date"])
            .into()
    }

    fn inputs<'a>(&self, work: &'a Workspace<'_>) -> Result<Inputs<'a>> {
        let config = work.config();
        let inputs = work.inputs().output(&Sft, WEIGHTS)?.output(&Ppo, WEIGHTS)?;
        let inputs = inputs.output(&Ppo, REPORT)?.rows(&reads(config))?;
        let inputs = match config.ppo_reward.from {
            RewardSource::Trained => inputs.output(&Reward, WEIGHTS)?,
            RewardSource::Model => inputs.model(&config.ppo_reward.model, &[WEIGHTS])?,
            RewardSource::Judge | RewardSource::Command => inputs,
        };
        let inputs = if config.overopt.gold.as_os_str().is_empty() {
            inputs
        } else {
            inputs.model(&config.overopt.gold, &[WEIGHTS])?
        };
        let kept = kept_policies(&work.folder(&Ppo));
        Ok(kept
            .into_iter()
            .fold(inputs, |inputs, (_, folder)| inputs.file(folder.join(WEIGHTS))))
    }

    fn run(&self, work: &Workspace<'_>) -> Result<()> {
        let settings = &work.config().overopt;
        let tokenizer = work.tokenizer(&Sft)?;
        let (sft, config) = load_causal_lm(&work.folder(&Sft), work.device())?;
        let prompts = work.held_out_prompts()?.test;
        let max_new_tokens = work.config().eval.max_new_tokens;
        let (mut ids, kept) = work.prompt_ids(&tokenizer, &prompts, max_new_tokens, work.max_seq_len(&config))?;
        let mut prompts: Vec<Prompt> = kept.into_iter().map(|row| prompts[row].clone()).collect();
        ids.truncate(settings.prompts);
        prompts.truncate(settings.prompts);
        if prompts.is_empty() {
            return Err(rlhf_eval::Error::NoPrompts.into());
        }
        let bench = Bench {
            work,
            tokenizer: &tokenizer,
            sft: &sft,
            prompts: &prompts,
            ids: &ids,
            proxy: Proxy::load(work)?,
            gold: gold(work)?,
        };
        let ns = powers_of_two(settings.best_of_n_max);
        let policies = policies(work)?;
        let for_best = settings.best_of_n_prompts.min(prompts.len());
        let total = (for_best * settings.best_of_n_max + prompts.len() * policies.len() * settings.answers) as u64;
        let mut done = 0;
        let best_of = bench.best_of_n(&ns, for_best, &mut |answers| {
            done += answers;
            work.report(done, total, "answers of the SFT model");
        })?;
        let mut points = Vec::new();
        let mut sampled = vec![
            SampledPrompt {
                proxy: Vec::new(),
                gold: Vec::new()
            };
            prompts.len()
        ];
        for (update, folder) in policies {
            work.check_stop()?;
            let (policy, _) = load_causal_lm(&folder, work.device())?;
            points.push(bench.policy(update, &policy, &mut sampled)?);
            done += (prompts.len() * settings.answers) as u64;
            work.report(done, total, &format!("the policy after update {update}"));
        }
        let report: PpoReport = read_json(&work.output(&Ppo, REPORT)?)?;
        let is_selected = work.config().ppo.select != Select::Last;
        let found = Findings::new(
            [bench.proxy.name(), gold_name(work.config())],
            (&ns, &best_of),
            (points, &sampled),
            is_selected.then_some(report.selected),
            work.seed(),
        );
        write_json(&work.dir().path().join(SUMMARY), &found)
    }

    fn findings(&self, work: &Workspace<'_>) -> Result<Option<String>> {
        let found: Findings = read_json(&work.output(self, SUMMARY)?)?;
        Ok(Some(format!("\n{found}")))
    }
}

/// 1, 2, 4, … up to `most`, which is the last whatever it is; nothing for 0.
fn powers_of_two(most: usize) -> Vec<usize> {
    let mut found: Vec<usize> = std::iter::successors(Some(1), |n| Some(2 * n))
        .take_while(|&n| n < most)
        .collect();
    found.extend((most > 0).then_some(most));
    found
}

/// The policies that were kept whole along the way, by the updates that they have learnt from.
fn kept_policies(ppo: &Path) -> Vec<(u64, PathBuf)> {
    let entries = std::fs::read_dir(ppo.join("models")).into_iter().flatten().flatten();
    let of_entry = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        let update = name.to_str()?.strip_prefix("step-")?.parse().ok()?;
        let folder = entry.path();
        folder.join(WEIGHTS).is_file().then_some((update, folder))
    };
    let mut found: Vec<(u64, PathBuf)> = entries.filter_map(of_entry).collect();
    found.sort();
    found
}

/// All policies that can be measured: the SFT model, those kept, and the one that PPO ended with.
fn policies(work: &Workspace<'_>) -> Result<Vec<(u64, PathBuf)>> {
    let report: PpoReport = read_json(&work.output(&Ppo, REPORT)?)?;
    let mut found = vec![(0, work.folder(&Sft))];
    let kept = kept_policies(&work.folder(&Ppo));
    if kept.is_empty() {
        work.note("PPO kept no policy along its way (ppo.keep_every): its last one alone is measured");
    }
    found.extend(kept);
    if found.iter().all(|(update, _)| *update != report.selected) {
        found.push((report.selected, work.folder(&Ppo)));
    }
    found.sort();
    Ok(found)
}

fn gold(work: &Workspace<'_>) -> Result<Opinion> {
    let location = &work.config().overopt.gold;
    if !location.as_os_str().is_empty() {
        return Ok(Opinion::Model(Box::new(OutsideModel::load(work, location)?)));
    }
    match gold_judge(work)? {
        Some(judge) => Ok(Opinion::Gold(judge)),
        None => Err(Error::NoGold),
    }
}

fn gold_name(config: &Config) -> String {
    if config.overopt.gold.as_os_str().is_empty() {
        "the judge of the task".to_owned()
    } else {
        format!("the reward model {}", config.overopt.gold.display())
    }
}

/// What PPO optimised.
enum Proxy {
    Trained(Box<ScalarModel>),
    Other(Opinion, &'static str),
}

impl Proxy {
    fn load(work: &Workspace<'_>) -> Result<Self> {
        let settings = &work.config().ppo_reward;
        Ok(match settings.from {
            RewardSource::Trained => {
                Self::Trained(Box::new(load_scalar_model(&work.folder(&Reward), work.device())?.0))
            }
            RewardSource::Model => {
                let model = OutsideModel::load(work, &settings.model)?;
                Self::Other(Opinion::Model(Box::new(model)), "the reward model ppo_reward.model")
            }
            RewardSource::Judge => {
                let judge = gold_judge(work)?.expect("this reward is refused where no judge is");
                Self::Other(Opinion::Judge(judge), "the reward of the judge of the task")
            }
            RewardSource::Command => {
                let command = Command::start(&settings.command)?;
                Self::Other(Opinion::Command(Box::new(command)), "the program ppo_reward.command")
            }
        })
    }

    fn name(&self) -> String {
        match self {
            Self::Trained(_) => "the reward model of the run".to_owned(),
            Self::Other(_, name) => (*name).to_owned(),
        }
    }
}

/// Everything that is the same for all policies.
struct Bench<'a> {
    work: &'a Workspace<'a>,
    tokenizer: &'a Tokenizer,
    sft: &'a CausalLm,
    prompts: &'a [Prompt],
    ids: &'a [Vec<u32>],
    proxy: Proxy,
    gold: Opinion,
}

/// Answers to some prompts, each prompt as often as it is answered.
struct Scored {
    ids: Vec<Vec<u32>>,
    completions: Vec<Completion>,
    proxy: Vec<f64>,
    gold: Vec<f64>,
}

impl Bench<'_> {
    /// `each` answers to the prompts of `rows`, those of a prompt together. Streams of the answers to prompt i begin at `i * each`.
    fn answers(
        &self,
        generator: &Generator,
        rows: std::ops::Range<usize>,
        each: usize,
        purpose: &'static str,
    ) -> Result<Scored> {
        let settings = &self.work.config().eval;
        let options = GenerateOptions {
            max_new_tokens: settings.max_new_tokens,
            eos_token_id: self.tokenizer.eos_token_id(),
            stop_token_ids: self.tokenizer.other_eos_token_ids().to_vec(),
            batch_size: settings.batch_size,
            sampling: settings.sampling.clone(),
            seed: self.work.seed(),
            purpose,
            first_stream: (rows.start * each) as u64,
        };
        let repeated: Vec<usize> = rows.flat_map(|row| std::iter::repeat_n(row, each)).collect();
        let ids: Vec<Vec<u32>> = repeated.iter().map(|&row| self.ids[row].clone()).collect();
        let completions = generator.generate(&ids, &options)?;
        let prompts: Vec<&Prompt> = repeated.iter().map(|&row| &self.prompts[row]).collect();
        let texts: Vec<String> = completions
            .iter()
            .map(|completion| self.tokenizer.decode(&completion.tokens, true))
            .collect();
        let proxy = match &self.proxy {
            Proxy::Trained(model) => rlhf_eval::answer_scores(model, &ids, &completions),
            Proxy::Other(opinion, _) => opinion.scores(&prompts, &texts)?,
        };
        let gold = self.gold.scores(&prompts, &texts)?;
        Ok(Scored {
            ids,
            completions,
            proxy,
            gold,
        })
    }

    /// The scores of the best of each of `ns` answers of the SFT model to each prompt.
    fn best_of_n(&self, ns: &[usize], prompts: usize, told: &mut dyn FnMut(u64)) -> Result<Vec<SampledPrompt>> {
        let Some(&each) = ns.last() else {
            return Ok(Vec::new());
        };
        let generator = Generator::new(self.sft);
        let at_once = (ANSWERS_AT_ONCE / each).max(1);
        let mut found = Vec::with_capacity(prompts);
        for start in (0..prompts).step_by(at_once) {
            self.work.check_stop()?;
            let rows = start..(start + at_once).min(prompts);
            let scored = self.answers(&generator, rows, each, "overopt.best_of_n")?;
            let of_prompts = scored.proxy.chunks(each).zip(scored.gold.chunks(each));
            found.extend(of_prompts.map(|(proxy, gold)| SampledPrompt::best_of(ns, proxy, gold)));
            told(scored.completions.len() as u64);
        }
        Ok(found)
    }

    /// A policy's point on the curve, and what each prompt says of it: the mean of its answers.
    fn policy(&self, update: u64, policy: &CausalLm, sampled: &mut [SampledPrompt]) -> Result<PolicyPoint> {
        let each = self.work.config().overopt.answers;
        let generator = Generator::new(policy);
        let found = self.answers(&generator, 0..self.ids.len(), each, "overopt.policy")?;
        let of_prompts = found.proxy.chunks(each).zip(found.gold.chunks(each));
        for (prompt, (proxy, gold)) in sampled.iter_mut().zip(of_prompts) {
            prompt.proxy.push(mean(proxy));
            prompt.gold.push(mean(gold));
        }
        let sampling = &self.work.config().eval.sampling;
        let completions = &found.completions;
        let count = completions.len().max(1) as f64;
        Ok(PolicyPoint {
            update,
            kl: kl_to_reference(policy, self.sft, &found.ids, completions, sampling),
            proxy: unknown(),
            gold: unknown(),
            length: completions.iter().map(|c| c.tokens.len()).sum::<usize>() as f64 / count,
            eos_fraction: completions.iter().filter(|c| c.finished).count() as f64 / count,
        })
    }
}

/// Filled in when all policies are there.
fn unknown() -> Interval {
    bootstrap_mean(&[], 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n_doubles_up_to_the_largest() {
        assert_eq!(powers_of_two(0), Vec::<usize>::new());
        assert_eq!(powers_of_two(1), [1]);
        assert_eq!(powers_of_two(8), [1, 2, 4, 8]);
        assert_eq!(powers_of_two(10), [1, 2, 4, 8, 10]);
    }

    #[test]
    fn kept_policies_are_found_by_their_updates_in_order() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for name in ["step-00000020", "step-00000004", "step-x", "other"] {
            let folder = dir.path().join("models").join(name);
            std::fs::create_dir_all(&folder).expect("a temporary folder");
            std::fs::write(folder.join(WEIGHTS), "").expect("a temporary folder");
        }
        std::fs::create_dir_all(dir.path().join("models/step-00000099")).expect("a temporary folder");
        let found: Vec<u64> = kept_policies(dir.path())
            .into_iter()
            .map(|(update, _)| update)
            .collect();
        assert_eq!(found, [4, 20]);
        assert!(kept_policies(&dir.path().join("nowhere")).is_empty());
    }
}
