//! What `plotters` draws, fitted to the page: classes instead of colours, a name and a description.

use std::fmt::Write;

use plotters::style::RGBColor;

/// What a stroke or an area is; drawn in a colour that stands for it, which becomes a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Text,
    Axis,
    Grid,
    Rule,
    Line(usize),
    Band(usize),
    Mark(usize),
    Whisker(usize),
}

impl Paint {
    /// The colour that stands for it until the plot is drawn.
    pub(super) fn color(self) -> RGBColor {
        let (kind, look) = match self {
            Self::Text => (1, 0),
            Self::Axis => (2, 0),
            Self::Grid => (3, 0),
            Self::Rule => (4, 0),
            Self::Line(look) => (5, look),
            Self::Band(look) => (6, look),
            Self::Mark(look) => (7, look),
            Self::Whisker(look) => (8, look),
        };
        RGBColor(kind, look as u8, 0)
    }

    /// The class of what was drawn in a colour, which is written as `#RRGGBB`.
    fn class_of(color: &str) -> Option<String> {
        let part = |range| u8::from_str_radix(color.get(range)?, 16).ok();
        let look = part(3..5)?;
        Some(match part(1..3)? {
            1 => "t".into(),
            2 => "axis".into(),
            3 => "grid".into(),
            4 => "rule".into(),
            5 => format!("l{look}"),
            6 => format!("b{look}"),
            7 => format!("m{look}"),
            8 => format!("w{look}"),
            _ => return None,
        })
    }
}

/// Attributes that the style sheet decides.
const STYLED: [&str; 8] = [
    "fill",
    "stroke",
    "stroke-width",
    "opacity",
    "font-family",
    "font-size",
    "width",
    "height",
];

/// The drawing as an element of the page: named, described, and with classes where it has colours.
pub(super) fn for_page(drawing: &str, size: (u32, u32), id: &str, title: &str, about: &str) -> String {
    let mut page = format!(
        "<svg class=\"plot\" viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>\n",
        size.0,
        size.1,
        escaped(title),
        escaped(about)
    );
    // The first line opens the drawing, and the last one closes it.
    for line in drawing.lines().skip(1) {
        match line.strip_prefix('<').filter(|rest| !rest.starts_with('/')) {
            Some(tag) => page.push_str(&restyled(tag)),
            None => page.push_str(line),
        }
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page
}

/// A tag, without its `<`, with a class instead of what the style sheet decides.
fn restyled(tag: &str) -> String {
    let name_ends = tag.find([' ', '>', '/']).unwrap_or(tag.len());
    let (name, mut rest) = tag.split_at(name_ends);
    let (mut kept, mut class) = (String::new(), None);
    // Attributes as plotters writes them: ` key="value"`, the value without quotes in it.
    while let Some((key, value, after)) = attribute(rest) {
        if key == "fill" || key == "stroke" {
            class = class.or_else(|| Paint::class_of(value));
        }
        let is_styled = STYLED.contains(&key) && !(name == "rect" && matches!(key, "width" | "height"));
        if !is_styled {
            let _ = write!(kept, " {key}=\"{}\"", value.trim_end());
        }
        rest = after;
    }
    let class = class.map_or_else(String::new, |class| format!(" class=\"{class}\""));
    format!("<{name}{class}{kept}{rest}")
}

fn attribute(text: &str) -> Option<(&str, &str, &str)> {
    let (key, rest) = text.strip_prefix(' ')?.split_once("=\"")?;
    let (value, after) = rest.split_once('"')?;
    Some((key, value, after))
}

/// Text as it stands in a page.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use plotters::style::Color;

    #[test]
    fn every_colour_becomes_the_class_of_what_it_stands_for() {
        for (paint, class) in [
            (Paint::Text, "t"),
            (Paint::Grid, "grid"),
            (Paint::Line(3), "l3"),
            (Paint::Whisker(1), "w1"),
        ] {
            let (red, green, blue) = paint.color().rgb();
            let color = format!("#{red:02X}{green:02X}{blue:02X}");
            assert_eq!(Paint::class_of(&color).as_deref(), Some(class));
        }
        assert_eq!(Paint::class_of("none"), None);
    }

    #[test]
    fn a_tag_keeps_its_place_and_loses_its_looks() {
        assert_eq!(
            restyled(r##"circle cx="3" cy="4" r="12" opacity="1" fill="#070100" stroke="none" stroke-width="1"/>"##),
            r#"<circle class="m1" cx="3" cy="4" r="12"/>"#
        );
        assert_eq!(
            restyled(r##"rect x="1" y="2" width="5" height="6" opacity="1" fill="#070100" stroke="none"/>"##),
            r#"<rect class="m1" x="1" y="2" width="5" height="6"/>"#
        );
        assert_eq!(
            restyled(
                r##"text x="9" y="8" dy="0.5ex" text-anchor="end" font-family="sans-serif" font-size="26" opacity="1" fill="#010000">"##
            ),
            r#"<text class="t" x="9" y="8" dy="0.5ex" text-anchor="end">"#
        );
    }
}
