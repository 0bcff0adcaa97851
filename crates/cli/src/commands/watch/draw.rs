//! The screen.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Clear, Dataset, GraphType, Paragraph, Wrap};
use rlhf_curves::StageCurves;

use super::panels::{Panel, number, short};
use super::plain::status;
use super::state::{View, Watch};

/// Columns that a chart needs at least, its axis included.
const CHART_WIDTH: u16 = 34;
/// Lines that a chart needs at least, its frame included.
const CHART_HEIGHT: u16 = 8;
/// A screen this wide shows the numbers beside the charts.
const WIDE: u16 = 120;
const NUMBERS_WIDTH: u16 = 40;
const COLOURS: [Color; 3] = [Color::Cyan, Color::Yellow, Color::Magenta];
const KEYS: &str = " q quit  tab ←→ stage  ↑↓ scroll  enter one chart  n numbers  a all metrics  ? help";
const HELP: [(&str, &str); 9] = [
    ("q, Esc, Ctrl-C", "leave; Esc first goes back to the charts"),
    ("Tab, →, ←", "the next stage, the one before"),
    ("1 … 9", "the stage of that place"),
    ("0", "the stage that wrote last, from now on"),
    ("↑ ↓, PgUp PgDn, Home", "other charts, or lines of numbers"),
    ("Enter", "one chart alone, and back"),
    ("n", "the numbers of the last row, and back"),
    ("a", "every metric, or those that matter"),
    ("?", "this, and back"),
];

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, watch: &mut Watch) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(2), Constraint::Min(0), Constraint::Length(1)]).areas(frame.area());
    draw_head(frame, head, watch);
    let dim = Style::new().add_modifier(Modifier::DIM);
    frame.render_widget(Paragraph::new(KEYS).style(dim), foot);
    if watch.stage().is_none() {
        let waits = match &watch.fault {
            Some(fault) => fault.clone(),
            None => format!("waiting for {} to begin", watch.run().display()),
        };
        frame.render_widget(Paragraph::new(waits).wrap(Wrap { trim: true }), body);
    } else {
        draw_body(frame, body, watch);
    }
    if watch.shows_help {
        draw_help(frame, body);
    }
}

/// The stages, and how far the chosen one is.
fn draw_head(frame: &mut Frame<'_>, area: Rect, watch: &Watch) {
    let mut tabs = vec![Span::raw(format!(" {} ", watch.run().display()))];
    for (place, name) in watch.stages.iter().enumerate() {
        let is_done = watch.facts.stages.get(name).is_some_and(|facts| facts.is_done);
        let mark = if is_done { "✓" } else { "" };
        let style = if place == watch.selected {
            Style::new().add_modifier(Modifier::REVERSED)
        } else {
            Style::new()
        };
        tabs.push(Span::styled(format!(" {} {name}{mark} ", place + 1), style));
    }
    let mut lines = vec![Line::from(tabs)];
    if let Some((name, stage)) = watch.stage() {
        lines.push(Line::from(format!(" {name}: {}", status(stage, &watch.stage_facts()))));
    }
    if let Some(fault) = &watch.fault {
        lines.truncate(1);
        lines.push(Line::styled(format!(" {fault}"), Style::new().fg(Color::Red)));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_body(frame: &mut Frame<'_>, area: Rect, watch: &mut Watch) {
    let fits = area.width >= CHART_WIDTH && area.height >= CHART_HEIGHT;
    match watch.view {
        View::Grid | View::One if !fits => draw_numbers(frame, area, watch, true),
        View::Numbers => draw_numbers(frame, area, watch, true),
        View::One => draw_charts(frame, area, watch, 1, 1),
        View::Grid => {
            let beside = if area.width >= WIDE { NUMBERS_WIDTH } else { 0 };
            let [charts, numbers] = Layout::horizontal([Constraint::Min(0), Constraint::Length(beside)]).areas(area);
            draw_charts(
                frame,
                charts,
                watch,
                charts.width / CHART_WIDTH,
                charts.height / CHART_HEIGHT,
            );
            draw_numbers(frame, numbers, watch, false);
        }
    }
}

/// Charts in rows, as far as they are needed; fewer of them are larger.
fn draw_charts(frame: &mut Frame<'_>, area: Rect, watch: &mut Watch, columns: u16, rows: u16) {
    let panels = watch.panels();
    let (columns, rows) = (usize::from(columns.max(1)), usize::from(rows.max(1)));
    let columns = columns.min(panels.len().max(1));
    watch.first = watch.first.min(panels.len().saturating_sub(1));
    let left = panels.len() - watch.first.min(panels.len());
    let rows = rows.min(left.div_ceil(columns)).max(1);
    (watch.columns, watch.shown) = (columns, columns * rows);
    let Some((_, stage)) = watch.stage() else {
        return;
    };
    let mut panels = panels[watch.first.min(panels.len())..].iter();
    for row in Layout::vertical(vec![Constraint::Fill(1); rows]).split(area).iter() {
        for cell in Layout::horizontal(vec![Constraint::Fill(1); columns])
            .split(*row)
            .iter()
        {
            if let Some(panel) = panels.next() {
                draw_chart(frame, *cell, stage, panel);
            }
        }
    }
}

fn draw_chart(frame: &mut Frame<'_>, area: Rect, stage: &StageCurves, panel: &Panel) {
    let points: Vec<Vec<(f64, f64)>> = panel
        .metrics
        .iter()
        .map(|metric| {
            let series = stage.series.get(metric);
            series.map_or_else(Vec::new, |series| {
                series.finite().map(|(step, value)| (step as f64, value)).collect()
            })
        })
        .collect();
    let title = Span::raw(format!(" {} ", panel.title));
    let mut values = Vec::new();
    for ((metric, points), colour) in panel.metrics.iter().zip(&points).zip(COLOURS) {
        let value = points.last().map_or("no number".to_owned(), |point| number(point.1));
        let said = match panel.metrics.len() {
            1 => format!("{value} "),
            _ => format!("{} {value} ", short(metric)),
        };
        values.push(Span::styled(said, Style::new().fg(colour)));
    }
    let wide = title.width() + values.iter().map(Span::width).sum::<usize>();
    let block = if wide + 2 > usize::from(area.width) {
        // Beside the name the values would be cut.
        values.insert(0, Span::raw(" "));
        Block::bordered().title(title).title_bottom(Line::from(values))
    } else {
        values.insert(0, title);
        Block::bordered().title(Line::from(values))
    };
    let Some((x, y)) = bounds(points.iter().flatten()) else {
        frame.render_widget(block, area);
        return;
    };
    let dataset = |(points, colour): (&Vec<(f64, f64)>, Color)| {
        // A line of one point would not be seen.
        let (kind, marker) = match points.len() {
            1 => (GraphType::Scatter, Marker::Dot),
            _ => (GraphType::Line, Marker::Braille),
        };
        Dataset::default()
            .graph_type(kind)
            .marker(marker)
            .style(Style::new().fg(colour))
    };
    let pairs = points.iter().zip(COLOURS);
    let datasets = pairs.map(|pair| dataset(pair).data(pair.0)).collect();
    let chart = Chart::new(datasets)
        .block(block)
        .x_axis(Axis::default().bounds(x).labels(x.map(|step| format!("{step:.0}"))))
        .y_axis(Axis::default().bounds(y).labels(y.map(number)));
    frame.render_widget(chart, area);
}

/// Bounds of both axes, which are never empty.
fn bounds<'a>(points: impl Iterator<Item = &'a (f64, f64)>) -> Option<([f64; 2], [f64; 2])> {
    let around = |bounds: [f64; 2], value: f64| [bounds[0].min(value), bounds[1].max(value)];
    let nothing = [f64::INFINITY, f64::NEG_INFINITY];
    let (x, y) = points.fold((nothing, nothing), |(x, y), point| {
        (around(x, point.0), around(y, point.1))
    });
    let widened = |[low, high]: [f64; 2], by: f64| if low < high { [low, high] } else { [low - by, high + by] };
    let margin = if y[0] == 0.0 { 1.0 } else { y[0].abs() / 10.0 };
    (x[0] <= x[1]).then(|| (widened(x, 1.0), widened(y, margin)))
}

/// A line for each metric; `scrolls` if they are what the keys move.
fn draw_numbers(frame: &mut Frame<'_>, area: Rect, watch: &mut Watch, scrolls: bool) {
    let height = usize::from(area.height);
    let first = if scrolls { watch.first } else { 0 };
    if scrolls {
        (watch.columns, watch.shown) = (1, height.max(1));
    }
    let Some((_, stage)) = watch.stage() else {
        return;
    };
    let width = usize::from(area.width).saturating_sub(13);
    let line = |name: &String| {
        let value = stage.series.get(name).and_then(|series| series.points.last());
        // The last row's, null or not: an older number would look as if it were of now.
        let value = value.map_or_else(String::new, |point| point.value.map_or("null".to_owned(), number));
        Line::from(format!(" {name:<width$.width$} {value:>10}"))
    };
    // Those of the charts first, so that a small screen shows what matters.
    let main = watch.panels().into_iter().flat_map(|panel| panel.metrics);
    let mut names: Vec<String> = main.collect();
    names.extend(
        stage
            .series
            .keys()
            .filter(|name| !names.contains(name))
            .cloned()
            .collect::<Vec<_>>(),
    );
    let lines: Vec<Line<'_>> = names.iter().skip(first).take(height).map(line).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_help(frame: &mut Frame<'_>, area: Rect) {
    let lines: Vec<Line<'_>> = HELP
        .iter()
        .map(|(keys, what)| Line::from(format!("{keys:<21} {what}")))
        .collect();
    let [row] = Layout::vertical([Constraint::Length(HELP.len() as u16 + 2)])
        .flex(ratatui::layout::Flex::Center)
        .areas(area);
    let [cell] = Layout::horizontal([Constraint::Length(66)])
        .flex(ratatui::layout::Flex::Center)
        .areas(row);
    frame.render_widget(Clear, cell);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" keys ")), cell);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::watch::state::tests::example;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::{KeyCode, KeyModifiers};

    /// What the screen shows, a line a row.
    fn screen(watch: &mut Watch, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, watch)).unwrap();
        terminal.backend().to_string()
    }

    fn press(watch: &mut Watch, keys: &str) {
        for key in keys.chars() {
            watch.press(KeyCode::Char(key), KeyModifiers::NONE);
        }
    }

    #[test]
    fn names_values_and_curves_are_seen() {
        let (_dir, mut watch) = example();
        let shown = screen(&mut watch, 110, 40);
        for said in [
            "1 sft",
            "2 ppo",
            "step 30 of 40",
            "1.5000 s a step",
            "15 s left",
            "objective/scores 3.7500",
            "objective/kl 18.00",
            "policy/clipfrac 0.0625",
            "value/explained_variance ───",
            // It has no room beside the name, and stands below.
            "└ no number ─",
            "q quit",
        ] {
            assert!(shown.contains(said), "{said} in\n{shown}");
        }
        let curves = shown.chars().filter(|c| ('\u{2801}'..='\u{28ff}').contains(c)).count();
        assert!(curves > 40, "{curves} characters of curves in\n{shown}");
        assert!(!shown.contains("odd/one"), "{shown}");
    }

    #[test]
    fn a_wide_screen_has_the_numbers_of_all_metrics_beside_the_charts() {
        let (_dir, mut watch) = example();
        let shown = screen(&mut watch, 160, 40);
        let line = |name: &str| shown.lines().find(|line| line.contains(name)).map(str::to_owned);
        assert!(line("odd/one").is_some_and(|line| line.contains("7.0000")), "{shown}");
        assert!(shown.contains("null"), "{shown}");
    }

    #[test]
    fn one_chart_fills_the_screen_and_help_names_the_keys() {
        let (_dir, mut watch) = example();
        watch.press(KeyCode::Enter, KeyModifiers::NONE);
        let shown = screen(&mut watch, 80, 24);
        assert!(
            shown.contains("objective/scores") && !shown.contains("policy/clipfrac"),
            "{shown}"
        );
        watch.press(KeyCode::Down, KeyModifiers::NONE);
        assert!(screen(&mut watch, 80, 24).contains("objective/kl"));
        press(&mut watch, "?");
        let shown = screen(&mut watch, 80, 24);
        assert!(shown.contains("the stage that wrote last"), "{shown}");
    }

    #[test]
    fn a_small_screen_shows_what_matters_as_numbers() {
        let (_dir, mut watch) = example();
        let shown = screen(&mut watch, 30, 6);
        assert!(shown.contains("objective/scores"), "{shown}");
        assert!(shown.contains("3.7500"), "{shown}");
    }

    #[test]
    fn no_size_view_or_lack_of_data_makes_it_panic() {
        let sizes = [(1, 1), (20, 5), (34, 11), (80, 24), (119, 30), (120, 9), (200, 60)];
        let (_dir, with_data) = example();
        let without = Watch::new(std::path::Path::new("no/such/run"));
        for mut watch in [with_data, without] {
            for keys in ["", "n", "n\n", "a", "?", "?1", "0"] {
                for key in keys.chars() {
                    let key = if key == '\n' {
                        KeyCode::Enter
                    } else {
                        KeyCode::Char(key)
                    };
                    watch.press(key, KeyModifiers::NONE);
                }
                for (width, height) in sizes {
                    screen(&mut watch, width, height);
                    watch.press(KeyCode::PageDown, KeyModifiers::NONE);
                }
            }
        }
    }

    #[test]
    fn a_run_that_has_not_begun_is_waited_for() {
        let mut watch = Watch::new(std::path::Path::new("runs/later"));
        watch.look();
        assert!(screen(&mut watch, 80, 24).contains("waiting for runs/later to begin"));
    }

    #[test]
    fn axes_are_never_empty() {
        assert_eq!(bounds([].iter()), None);
        assert_eq!(bounds([(3.0, 0.0)].iter()), Some(([2.0, 4.0], [-1.0, 1.0])));
        assert_eq!(bounds([(1.0, 5.0), (2.0, 5.0)].iter()), Some(([1.0, 2.0], [4.5, 5.5])));
    }
}
