//! What is looked at, and what keys change of it.

use std::path::Path;

use ratatui::crossterm::event::{KeyCode, KeyModifiers};
use rlhf_curves::{Curves, Follower, StageCurves};

use super::facts::{Facts, StageFacts, in_order};
use super::panels::{Panel, panels};

/// What comes after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Stay,
    Leave,
}

/// What the screen shows of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// As many charts as there is room for.
    Grid,
    /// One chart.
    One,
    /// The numbers of the last row.
    Numbers,
}

/// A run that is watched.
#[derive(Debug)]
pub(super) struct Watch {
    follower: Follower,
    pub(super) facts: Facts,
    pub(super) stages: Vec<String>,
    /// The stage that is shown, if there are any.
    pub(super) selected: usize,
    /// True as long as the user has chosen no stage: the newest is shown.
    pub(super) follows_newest: bool,
    pub(super) view: View,
    /// True if every metric has a chart.
    pub(super) shows_all: bool,
    pub(super) shows_help: bool,
    /// The first chart, or line of numbers, that is shown.
    pub(super) first: usize,
    /// How many of them were shown last, which is how far a page is.
    pub(super) shown: usize,
    /// How many there are beside each other, which is how far a row is.
    pub(super) columns: usize,
    /// Why the folder could not be read.
    pub(super) fault: Option<String>,
}

impl Watch {
    pub(super) fn new(run: &Path) -> Self {
        Self {
            follower: Follower::new(run),
            facts: Facts::default(),
            stages: Vec::new(),
            selected: 0,
            follows_newest: true,
            view: View::Grid,
            shows_all: false,
            shows_help: false,
            first: 0,
            shown: 1,
            columns: 1,
            fault: None,
        }
    }

    pub(super) fn run(&self) -> &Path {
        self.follower.run()
    }

    pub(super) fn curves(&self) -> &Curves {
        self.follower.curves()
    }

    /// Reads what is new.
    pub(super) fn look(&mut self) {
        self.fault = self.follower.poll().err().map(|error| error.to_string());
        self.facts = Facts::read(self.follower.run(), self.follower.curves());
        let shown = self.stages.get(self.selected).cloned();
        self.stages = in_order(self.follower.curves());
        let place = shown.and_then(|name| self.stages.iter().position(|stage| *stage == name));
        match place {
            Some(place) if !self.follows_newest => self.selected = place,
            _ => self.choose_newest(),
        }
    }

    /// The stage that wrote last.
    fn choose_newest(&mut self) {
        let silent = |name: &String| self.facts.stages.get(name).and_then(|facts| facts.silent_s);
        let silence = |place: &usize| silent(&self.stages[*place]).unwrap_or(f64::INFINITY);
        let newest = (0..self.stages.len()).min_by(|a, b| silence(a).total_cmp(&silence(b)));
        let newest = newest.unwrap_or(0);
        if newest != self.selected {
            (self.selected, self.first) = (newest, 0);
        }
    }

    /// The stage that is shown.
    pub(super) fn stage(&self) -> Option<(&str, &StageCurves)> {
        let name = self.stages.get(self.selected)?;
        Some((name, self.curves().stages.get(name)?))
    }

    /// What is known of it beside its curves.
    pub(super) fn stage_facts(&self) -> StageFacts {
        let facts = self.stage().and_then(|(name, _)| self.facts.stages.get(name));
        facts.cloned().unwrap_or_default()
    }

    /// Its charts.
    pub(super) fn panels(&self) -> Vec<Panel> {
        self.stage()
            .map_or_else(Vec::new, |(_, stage)| panels(stage, self.shows_all))
    }

    /// Charts, or lines of numbers, that there are.
    fn entries(&self) -> usize {
        match self.view {
            View::Numbers => self.stage().map_or(0, |(_, stage)| stage.series.len()),
            View::Grid | View::One => self.panels().len(),
        }
    }

    /// What a key does.
    pub(super) fn press(&mut self, key: KeyCode, modifiers: KeyModifiers) -> After {
        match key {
            KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => return After::Leave,
            KeyCode::Char('q') => return After::Leave,
            KeyCode::Esc if self.shows_help => self.shows_help = false,
            KeyCode::Esc if self.view != View::Grid => self.turn_to(View::Grid),
            KeyCode::Esc => return After::Leave,
            KeyCode::Char('?' | 'h') => self.shows_help = !self.shows_help,
            KeyCode::Tab | KeyCode::Right => self.choose(self.selected + 1),
            KeyCode::BackTab | KeyCode::Left => {
                self.choose(self.selected + self.stages.len().saturating_sub(1));
            }
            KeyCode::Char(digit @ '1'..='9') => {
                let place = digit as usize - '1' as usize;
                if place < self.stages.len() {
                    self.choose(place);
                }
            }
            KeyCode::Char('0') => {
                self.follows_newest = true;
                self.choose_newest();
            }
            KeyCode::Down => self.scroll(self.first.saturating_add(self.columns)),
            KeyCode::Up => self.scroll(self.first.saturating_sub(self.columns)),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll(self.first.saturating_add(self.shown)),
            KeyCode::PageUp => self.scroll(self.first.saturating_sub(self.shown)),
            KeyCode::Home => self.scroll(0),
            KeyCode::Char('a') => {
                self.shows_all = !self.shows_all;
                self.first = 0;
            }
            KeyCode::Enter => self.turn_to(if self.view == View::One { View::Grid } else { View::One }),
            KeyCode::Char('n') => self.turn_to(if self.view == View::Numbers {
                View::Grid
            } else {
                View::Numbers
            }),
            _ => {}
        }
        After::Stay
    }

    fn turn_to(&mut self, view: View) {
        if view == View::Numbers || self.view == View::Numbers {
            self.first = 0;
        }
        self.view = view;
    }

    fn choose(&mut self, stage: usize) {
        self.follows_newest = false;
        self.selected = stage.checked_rem(self.stages.len()).unwrap_or(0);
        self.first = 0;
    }

    /// Begins what is shown at an entry, but not behind the last.
    fn scroll(&mut self, first: usize) {
        if first < self.entries() {
            self.first = first;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::fs;

    /// A run of two stages, `ppo` the newer.
    pub(in super::super) fn example() -> (tempfile::TempDir, Watch) {
        let dir = tempfile::tempdir().unwrap();
        let row = |step: u64| {
            let x = step as f64;
            format!(
                "{{\"step\":{step},\"objective/scores\":{},\"objective/kl\":{},\"policy/clipfrac\":0.0625,\
                 \"value/explained_variance\":null,\"policy/entropy\":{},\"time/update_s\":1.5,\"odd/one\":7}}\n",
                x / 8.0,
                x * x / 50.0,
                3.0 - x / 20.0
            )
        };
        for stage in ["sft", "ppo"] {
            fs::create_dir(dir.path().join(stage)).unwrap();
        }
        fs::write(
            dir.path().join("sft/metrics.jsonl"),
            "{\"step\":0,\"loss/train\":2.75}\n",
        )
        .unwrap();
        let earlier = std::time::SystemTime::now() - std::time::Duration::from_secs(100);
        let file = fs::File::options()
            .append(true)
            .open(dir.path().join("sft/metrics.jsonl"));
        file.unwrap().set_modified(earlier).unwrap();
        let rows: String = (1..=30).map(row).collect();
        fs::write(dir.path().join("ppo/metrics.jsonl"), rows).unwrap();
        fs::write(
            dir.path().join("config.toml"),
            "[ppo]\nepisodes = 640\nbatch_size = 16\n",
        )
        .unwrap();
        let mut watch = Watch::new(dir.path());
        watch.look();
        (dir, watch)
    }

    fn press(watch: &mut Watch, key: KeyCode) -> After {
        watch.press(key, KeyModifiers::NONE)
    }

    #[test]
    fn the_newest_stage_is_shown_until_one_is_chosen() {
        let (dir, mut watch) = example();
        assert_eq!(watch.stages, ["sft", "ppo"]);
        assert_eq!(watch.stage().unwrap().0, "ppo");
        press(&mut watch, KeyCode::Char('1'));
        watch.look();
        assert_eq!(watch.stage().unwrap().0, "sft");
        // A stage that comes before it in the recipe moves it, and it remains what is shown.
        fs::create_dir(dir.path().join("pretrain")).unwrap();
        fs::write(dir.path().join("pretrain/metrics.jsonl"), "{\"step\":1,\"lr\":1}\n").unwrap();
        watch.look();
        assert_eq!((watch.stage().unwrap().0, watch.selected), ("sft", 1));
        press(&mut watch, KeyCode::Char('0'));
        assert_ne!(watch.stage().unwrap().0, "sft");
    }

    #[test]
    fn keys_go_round_the_stages_and_not_behind_the_last_chart() {
        let (_dir, mut watch) = example();
        for (key, stage) in [
            (KeyCode::Tab, "sft"),
            (KeyCode::Left, "ppo"),
            (KeyCode::BackTab, "sft"),
            (KeyCode::Right, "ppo"),
            (KeyCode::Char('9'), "ppo"),
        ] {
            press(&mut watch, key);
            assert_eq!(watch.stage().unwrap().0, stage, "{key:?}");
        }
        let charts = watch.panels().len();
        for _ in 0..20 {
            press(&mut watch, KeyCode::Down);
        }
        assert_eq!(watch.first, charts - 1);
        press(&mut watch, KeyCode::Home);
        press(&mut watch, KeyCode::Up);
        assert_eq!(watch.first, 0);
    }

    #[test]
    fn all_metrics_and_their_numbers_can_be_reached() {
        let (_dir, mut watch) = example();
        assert!(watch.panels().iter().all(|panel| panel.title != "odd/one"));
        press(&mut watch, KeyCode::Char('a'));
        assert!(watch.panels().iter().any(|panel| panel.title == "odd/one"));
        press(&mut watch, KeyCode::Char('n'));
        assert_eq!((watch.view, watch.entries()), (View::Numbers, 7));
        press(&mut watch, KeyCode::Enter);
        assert_eq!(watch.view, View::One);
    }

    #[test]
    fn one_leaves_with_q_control_c_and_escape_and_escape_goes_back_first() {
        let (_dir, mut watch) = example();
        assert_eq!(press(&mut watch, KeyCode::Char('q')), After::Leave);
        assert_eq!(watch.press(KeyCode::Char('c'), KeyModifiers::CONTROL), After::Leave);
        assert_eq!(press(&mut watch, KeyCode::Char('c')), After::Stay);
        press(&mut watch, KeyCode::Enter);
        press(&mut watch, KeyCode::Char('?'));
        assert!(watch.shows_help);
        assert_eq!(press(&mut watch, KeyCode::Esc), After::Stay);
        assert_eq!((watch.shows_help, watch.view), (false, View::One));
        assert_eq!(press(&mut watch, KeyCode::Esc), After::Stay);
        assert_eq!(watch.view, View::Grid);
        assert_eq!(press(&mut watch, KeyCode::Esc), After::Leave);
    }

    #[test]
    fn a_run_that_has_not_begun_takes_every_key() {
        let mut watch = Watch::new(Path::new("no/such/run"));
        watch.look();
        for key in [
            KeyCode::Tab,
            KeyCode::BackTab,
            KeyCode::Down,
            KeyCode::Char('1'),
            KeyCode::Char('0'),
            KeyCode::Enter,
        ] {
            assert_eq!(press(&mut watch, key), After::Stay);
        }
        assert!(watch.stage().is_none() && watch.fault.is_none());
    }
}
