//! Plots as SVG that takes its colours from the page.
//!
//! `plotters` draws them; what it calls a colour is a [class](svg) of the page's style sheet, so that one plot does in the light
//! and in the dark. Series differ in dashes and marks beside their colours.

mod scale;
mod svg;

use plotters::coord::Shift;
use plotters::prelude::*;

pub(crate) use scale::Scale;
use svg::Paint;

/// Units of a plot to a pixel of the page at its natural size: coordinates are whole numbers, and lines stay smooth.
const FINE: u32 = 3;
/// Pixels of the text on axes.
const TEXT: u32 = 11;
/// Series that can be told apart.
pub(crate) const LOOKS: usize = 4;

/// A figure with what it may be as well.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dot {
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// Ends of an interval of y, or of x in a [`Plot::flat`] plot.
    pub(crate) range: Option<(f64, f64)>,
}

/// Something that is plotted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series {
    /// Its name in the key.
    pub(crate) name: String,
    /// A line from left to right.
    pub(crate) line: Vec<(f64, f64)>,
    /// An area as (x, lowest, highest) from left to right.
    pub(crate) band: Vec<(f64, f64, f64)>,
    /// Marks.
    pub(crate) dots: Vec<Dot>,
}

/// A plot before it is drawn.
#[derive(Debug, Clone)]
pub(crate) struct Plot {
    /// Name for those who do not see it; the page has a heading besides.
    pub(crate) title: String,
    /// What it shows, in a sentence or two, for those who do not see it.
    pub(crate) about: String,
    /// Pixels at its natural size.
    pub(crate) size: (u32, u32),
    pub(crate) x: Scale,
    pub(crate) y: Scale,
    /// Words under the horizontal axis.
    pub(crate) x_label: String,
    /// Pixels for the words beside the vertical axis.
    pub(crate) left: u32,
    /// Lines of reference.
    pub(crate) rules: Vec<Vec<(f64, f64)>>,
    pub(crate) series: Vec<Series>,
    /// Intervals lie instead of standing.
    pub(crate) flat: bool,
}

impl Plot {
    /// The plot as an `svg` element; `id` is its name among the plots of the page. Nothing is drawn of points that are no numbers.
    pub(crate) fn draw(&self, id: &str) -> String {
        let mut text = String::new();
        let size = (self.size.0 * FINE, self.size.1 * FINE);
        {
            let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
            self.draw_on(&area).expect("a string takes whatever is written to it");
            area.present().expect("a string takes whatever is written to it");
        }
        svg::for_page(&text, size, id, &self.title, &self.about)
    }

    fn draw_on<'a>(
        &self,
        area: &DrawingArea<SVGBackend<'a>, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let px = |pixels: u32| (pixels * FINE) as i32;
        let bottom = if self.x_label.is_empty() { 20 } else { 36 };
        let mut chart = ChartBuilder::on(area)
            .margin_top(px(8))
            .margin_right(px(12))
            .x_label_area_size(px(bottom))
            .y_label_area_size(px(self.left))
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        let words = ("sans-serif", px(TEXT)).into_font().color(&Paint::Text.color());
        chart
            .configure_mesh()
            .axis_style(Paint::Axis.color().stroke_width(FINE))
            .bold_line_style(Paint::Grid.color().stroke_width(FINE))
            .light_line_style(TRANSPARENT)
            .max_light_lines(0)
            .x_labels(16)
            .y_labels(64)
            .x_desc(self.x_label.clone())
            .label_style(words.clone())
            .axis_desc_style(words)
            .set_all_tick_mark_size(px(3))
            .x_label_formatter(&|x| self.x.word(*x))
            .y_label_formatter(&|y| self.y.word(*y))
            .draw()?;
        for rule in &self.rules {
            let shown: Vec<(f64, f64)> = (rule.iter().copied())
                .filter(|&(x, y)| self.x.holds(x) && self.y.holds(y))
                .collect();
            let style = Paint::Rule.color().stroke_width(FINE);
            chart.draw_series([PathElement::new(shown, style)])?;
        }
        for (look, series) in self.series.iter().enumerate() {
            self.draw_series(&mut chart, look % LOOKS, series)?;
        }
        Ok(())
    }

    fn draw_series<'a>(
        &self,
        chart: &mut ChartContext<'_, SVGBackend<'a>, Cartesian2d<Scale, Scale>>,
        look: usize,
        series: &Series,
    ) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let shows = |x: f64, y: f64| self.x.holds(x) && self.y.holds(y);
        let band: Vec<(f64, f64, f64)> = (series.band.iter().copied())
            .filter(|&(x, low, high)| shows(x, low) && shows(x, high))
            .collect();
        if band.len() > 1 {
            let above = band.iter().map(|&(x, _, high)| (x, high));
            let below = band.iter().rev().map(|&(x, low, _)| (x, low));
            let outline: Vec<(f64, f64)> = above.chain(below).collect();
            chart.draw_series([Polygon::new(outline, Paint::Band(look).color().filled())])?;
        }
        let line: Vec<(f64, f64)> = (series.line.iter().copied()).filter(|&(x, y)| shows(x, y)).collect();
        if line.len() > 1 {
            let style = Paint::Line(look).color().stroke_width(2 * FINE);
            chart.draw_series([PathElement::new(line, style)])?;
        }
        for dot in series.dots.iter().filter(|dot| shows(dot.x, dot.y)) {
            if let Some((low, high)) = dot.range {
                let ends = if self.flat {
                    [(self.x.nearest(low), dot.y), (self.x.nearest(high), dot.y)]
                } else {
                    [(dot.x, self.y.nearest(low)), (dot.x, self.y.nearest(high))]
                };
                let style = Paint::Whisker(look).color().stroke_width(2 * FINE);
                chart.draw_series([PathElement::new(ends.to_vec(), style)])?;
            }
            let (place, style) = ((dot.x, dot.y), Paint::Mark(look).color().filled());
            let radius = (4 * FINE) as i32;
            match look {
                0 => chart.draw_series([Circle::new(place, radius, style)])?,
                1 => chart.draw_series([EmptyElement::at(place)
                    + Rectangle::new([(-radius + 1, -radius + 1), (radius - 1, radius - 1)], style)])?,
                2 => chart.draw_series([TriangleMarker::new(place, radius + 2, style)])?,
                _ => chart.draw_series([Cross::new(place, radius, style.stroke_width(2 * FINE))])?,
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot {
        Plot {
            title: "Loss & more".into(),
            about: "Falls from <7> to 1.".into(),
            size: (360, 200),
            x: Scale::linear([0.0, 10.0]),
            y: Scale::linear([0.0, 7.0]),
            x_label: "step".into(),
            left: 44,
            rules: vec![vec![(0.0, 3.0), (10.0, 3.0)]],
            series: vec![
                Series {
                    name: "training".into(),
                    line: vec![(0.0, 7.0), (5.0, f64::NAN), (10.0, 1.0)],
                    band: vec![(0.0, 6.0, 7.0), (10.0, 0.5, 1.5)],
                    dots: Vec::new(),
                },
                Series {
                    name: "held out".into(),
                    dots: vec![Dot {
                        x: 10.0,
                        y: 1.2,
                        range: Some((1.0, 1.4)),
                    }],
                    ..Series::default()
                },
            ],
            flat: false,
        }
    }

    #[test]
    fn a_plot_is_a_named_picture_with_text_as_text_and_no_colour_of_its_own() {
        let svg = plot().draw("p1");
        for part in [
            r#"<svg class="plot" viewBox="0 0 1080 600" role="img" aria-labelledby="p1-t p1-d">"#,
            r#"<title id="p1-t">Loss &amp; more</title>"#,
            r#"<desc id="p1-d">Falls from &lt;7&gt; to 1.</desc>"#,
            ">step\n</text>",
            "class=\"l0\"",
            "class=\"b0\"",
            "class=\"m1\"",
            "class=\"w1\"",
            "class=\"rule\"",
        ] {
            assert!(svg.contains(part), "{part}:\n{svg}");
        }
        for absent in ["fill=\"#", "stroke=\"#", "NaN", "font-family", "xmlns"] {
            assert!(!svg.contains(absent), "{absent}:\n{svg}");
        }
    }

    #[test]
    fn a_plot_of_nothing_is_drawn() {
        let empty = Plot {
            series: Vec::new(),
            rules: Vec::new(),
            ..plot()
        };
        assert!(empty.draw("p").ends_with("</svg>"));
    }

    #[test]
    fn a_point_that_is_no_number_leaves_the_line_whole() {
        let svg = plot().draw("p");
        let line = svg.lines().find(|line| line.contains("class=\"l0\"")).expect("a line");
        let points = line
            .split("points=\"")
            .nth(1)
            .expect("points")
            .split('"')
            .next()
            .unwrap_or_default();
        assert_eq!(points.split_whitespace().count(), 2, "{line}");
    }
}
