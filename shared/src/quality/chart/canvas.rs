//! A canvas that writes SVG elements. Everything is text and basic shapes, because apps show the
//! SVG with renderers that support little more. There are no references within the SVG: their
//! targets would need ids that are unique in the page around it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::quality::chart::font::Font;
use crate::quality::chart::layout::Layout;
use crate::quality::chart::palette::{Color, dark_mode_style};
use crate::quality::chart::text::escape_xml;
use crate::quality::chart::theme::Theme;

/// The common fonts of the platforms.
const FONT_FAMILY: &str = "system-ui,-apple-system,Segoe UI,Roboto,Noto Sans,sans-serif";

/// A position in pixels from the upper left.
pub(super) type Position = (f64, f64);

/// The side of a text that its position refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// The style of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TextStyle {
    pub(super) font: Font,
    pub(super) color: Color,
    pub(super) anchor: Anchor,
}

impl TextStyle {
    pub(super) fn new(font: Font, color: Color) -> Self {
        Self { font, color, anchor: Anchor::Start }
    }

    pub(super) fn anchored(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }
}

/// A rectangle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

/// The radius of the corners on the left and on the right side of a bar.
pub(super) type Corners = (f64, f64);

/// The texts that describe the picture to screen readers.
pub(super) struct Description {
    /// An id that is unique to the call.
    pub(super) id: String,
    pub(super) title: String,
    pub(super) text: String,
}

/// The elements so far, in three layers.
pub(super) struct Canvas {
    pub(super) layout: Layout,
    /// The top of the next element.
    pub(super) y: f64,
    theme: Theme,
    used_colors: BTreeSet<Color>,
    backdrop: String,
    shade: String,
    front: String,
}

impl Canvas {
    pub(super) fn new(layout: Layout, theme: Theme) -> Self {
        Self {
            layout,
            y: layout.margin,
            theme,
            used_colors: BTreeSet::new(),
            backdrop: String::new(),
            shade: String::new(),
            front: String::new(),
        }
    }

    fn color(&mut self, color: Color) -> String {
        self.used_colors.insert(color);
        color.value(self.theme)
    }

    /// A translucent rectangle behind all other elements.
    pub(super) fn tint(&mut self, area: Area, color: Color, opacity: f64) {
        let fill = self.color(color);
        let path = rect_attributes(area);
        push(
            &mut self.backdrop,
            format_args!("<rect {path} fill=\"{fill}\" fill-opacity=\"{opacity}\"/>"),
        );
    }

    /// A translucent rectangle between the tints and the other elements.
    pub(super) fn shade(&mut self, area: Area, color: Color, opacity: f64) {
        let fill = self.color(color);
        let path = rect_attributes(area);
        push(
            &mut self.shade,
            format_args!("<rect {path} fill=\"{fill}\" fill-opacity=\"{opacity}\"/>"),
        );
    }

    /// A filled rectangle with rounded corners.
    pub(super) fn bar(&mut self, area: Area, corners: Corners, color: Color) {
        let fill = self.color(color);
        let Area { left, top, right, bottom } = area;
        let max_radius = ((right - left) / 2.0).min((bottom - top) / 2.0).max(0.0);
        let (left_radius, right_radius) = (corners.0.min(max_radius), corners.1.min(max_radius));
        if left_radius <= 0.0 && right_radius <= 0.0 {
            let path = rect_attributes(area);
            push(&mut self.front, format_args!("<rect {path} fill=\"{fill}\"/>"));
            return;
        }
        let (start, end, upper) = (px(left + left_radius), px(right - right_radius), px(top));
        let (left_side, right_side) = (px(top + left_radius), px(bottom - right_radius));
        let (a, b) = (px(left_radius), px(right_radius));
        let path = format!(
            "M{start} {upper}H{end}a{b} {b} 0 0 1 {b} {b}V{right_side}a{b} {b} 0 0 1 -{b} {b}\
             H{start}a{a} {a} 0 0 1 -{a} -{a}V{left_side}a{a} {a} 0 0 1 {a} -{a}z"
        );
        push(&mut self.front, format_args!("<path d=\"{path}\" fill=\"{fill}\"/>"));
    }

    pub(super) fn dot(&mut self, (x, y): Position, radius: f64, color: Color) {
        let fill = self.color(color);
        let (x, y, radius) = (px(x), px(y), px(radius));
        push(
            &mut self.front,
            format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{fill}\"/>"),
        );
    }

    /// A line through these positions.
    pub(super) fn line(&mut self, positions: &[Position], width: f64, color: Color) {
        let stroke = self.color(color);
        let (points, width) = (points(positions), px(width));
        push(
            &mut self.front,
            format_args!(
                "<polyline points=\"{points}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"/>"
            ),
        );
    }

    /// The area between a line and its base.
    pub(super) fn area_below(
        &mut self,
        positions: &[Position],
        base: f64,
        color: Color,
        opacity: f64,
    ) {
        let (Some(first), Some(last)) = (positions.first(), positions.last()) else { return };
        let fill = self.color(color);
        let corners = [&[(first.0, base)], positions, &[(last.0, base)]].concat();
        let points = points(&corners);
        push(
            &mut self.front,
            format_args!(
                "<polygon points=\"{points}\" fill=\"{fill}\" fill-opacity=\"{opacity}\"/>"
            ),
        );
    }

    /// A horizontal line.
    pub(super) fn rule(
        &mut self,
        (left, right): (f64, f64),
        y: f64,
        color: Color,
        is_dashed: bool,
    ) {
        let stroke = self.color(color);
        let (left, right, y) = (px(left), px(right), px(y));
        let dashes = if is_dashed { " stroke-dasharray=\"3 4\"" } else { "" };
        push(
            &mut self.front,
            format_args!(
                "<line x1=\"{left}\" x2=\"{right}\" y1=\"{y}\" y2=\"{y}\" stroke=\"{stroke}\"{dashes}/>"
            ),
        );
    }

    /// A ring, of which a share is filled clockwise from the top.
    pub(super) fn ring(&mut self, center: Position, radius: f64, color: Color, share: Option<f64>) {
        const WIDTH: f64 = 7.0;
        /// The lowest score has a visible part of the ring, too.
        const MIN_SHARE: f64 = 0.02;
        let (track, stroke) = (self.color(Color::Track), self.color(color));
        let (x, y) = (px(center.0), px(center.1));
        let circle = format!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"{}\" fill=\"none\" stroke-width=\"{WIDTH}\"",
            px(radius)
        );
        push(&mut self.front, format_args!("{circle} stroke=\"{track}\"/>"));
        if let Some(share) = share {
            let circumference = radius * std::f64::consts::TAU;
            let filled = px(circumference * share.clamp(MIN_SHARE, 1.0));
            let dashes = format!("stroke-dasharray=\"{filled} {}\"", px(circumference));
            push(
                &mut self.front,
                format_args!(
                    "{circle} stroke=\"{stroke}\" stroke-linecap=\"round\" {dashes} transform=\"rotate(-90 {x} {y})\"/>"
                ),
            );
        }
    }

    /// A text on this base line. An empty text draws nothing.
    pub(super) fn text(&mut self, text: &str, (x, y): Position, style: TextStyle) {
        if text.is_empty() {
            return;
        }
        let TextStyle { font, color, anchor } = style;
        let fill = self.color(color);
        let (x, y, size) = (px(x), px(y), font.size);
        let weight = if font.is_bold { " font-weight=\"600\"" } else { "" };
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let content = escape_xml(text);
        push(
            &mut self.front,
            format_args!(
                "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\"{weight}{anchor} fill=\"{fill}\">{content}</text>"
            ),
        );
    }

    /// Lines of text, below the previous element.
    pub(super) fn lines(&mut self, lines: &[String], left: f64, style: TextStyle) {
        for line in lines {
            self.y += style.font.line_height();
            let base = self.y - style.font.height() * 0.4;
            self.text(line, (left, base), style);
        }
    }

    /// The SVG.
    pub(super) fn render(mut self, description: &Description) -> String {
        let page = self.color(Color::Page);
        let (width, height) = (px(self.layout.width), px((self.y + self.layout.margin).ceil()));
        let Description { id, title, text } = description;
        let (title, text) = (escape_xml(title), escape_xml(text));
        // The page around the SVG may have another direction.
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" id=\"{id}\" role=\"img\" aria-labelledby=\"{id}-title\" aria-describedby=\"{id}-desc\" lang=\"en\" direction=\"ltr\" font-family=\"{FONT_FAMILY}\">\n<title id=\"{id}-title\">{title}</title>\n<desc id=\"{id}-desc\">{text}</desc>\n"
        );
        if self.theme == Theme::Auto {
            svg.push_str(&dark_mode_style(id, &self.used_colors));
        }
        push(
            &mut svg,
            format_args!("<rect width=\"{width}\" height=\"{height}\" fill=\"{page}\"/>"),
        );
        for layer in [&self.backdrop, &self.shade, &self.front] {
            svg.push_str(layer);
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn push(layer: &mut String, element: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(layer, "{element}");
}

fn rect_attributes(Area { left, top, right, bottom }: Area) -> String {
    let (width, height) = ((right - left).max(0.0), (bottom - top).max(0.0));
    format!(
        "x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"",
        px(left),
        px(top),
        px(width),
        px(height)
    )
}

fn points(positions: &[Position]) -> String {
    let points = positions.iter().map(|&(x, y)| format!("{},{}", px(x), px(y)));
    points.collect::<Vec<_>>().join(" ")
}

/// A length, rounded to a tenth of a pixel.
fn px(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    // The sum removes the sign of a negative zero.
    format!("{}", rounded + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_rounded() {
        for (value, text) in [(1.0, "1"), (1.25, "1.3"), (-0.04, "0"), (2.0 / 3.0, "0.7")] {
            assert_eq!(px(value), text);
        }
    }
}
