//! A canvas of shapes and text. It buffers all shapes before rendering, because the height of the
//! SVG depends on the content. Only this module draws with plotters.

use plotters::coord::Shift;
use plotters::prelude::{
    Color, DrawingArea, DrawingAreaErrorKind, FontDesc, FontFamily, FontStyle, IntoDrawingArea,
    PathElement, Polygon, Rectangle, SVGBackend, ShapeStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::quality::chart::layout::{Layout, MARGIN};
use crate::quality::chart::palette::Ink;
use crate::quality::chart::text::{Font, wrap};
use crate::quality::chart::width::Width;

/// Drawing the chart failed.
#[derive(Debug, thiserror::Error)]
#[error("drawing the chart failed")]
pub struct RenderError(#[from] DrawingAreaErrorKind<std::io::Error>);

/// A position in pixels from the upper left.
pub(super) type Position = (i32, i32);

// Anchors: the point of a text that its position refers to.
pub(super) const TOP_LEFT: Pos = Pos { h_pos: HPos::Left, v_pos: VPos::Top };
pub(super) const TOP_MIDDLE: Pos = Pos { h_pos: HPos::Center, v_pos: VPos::Top };
pub(super) const TOP_RIGHT: Pos = Pos { h_pos: HPos::Right, v_pos: VPos::Top };
pub(super) const MIDDLE_LEFT: Pos = Pos { h_pos: HPos::Left, v_pos: VPos::Center };
pub(super) const MIDDLE_RIGHT: Pos = Pos { h_pos: HPos::Right, v_pos: VPos::Center };

enum Shape {
    Fill([Position; 2], Ink),
    Outline([Position; 2], Ink),
    Line(Vec<Position>, u32, Ink),
    Polygon(Vec<Position>, Ink),
    Text { text: String, at: Position, font: Font, pos: Pos, color: Ink },
}

/// The shapes so far.
pub(super) struct Canvas {
    pub(super) layout: Layout,
    /// The top of the next element.
    pub(super) y: i32,
    shapes: Vec<Shape>,
}

impl Canvas {
    pub(super) fn new(width: Width) -> Self {
        Self { layout: Layout::new(width), y: MARGIN, shapes: Vec::new() }
    }

    /// A filled rectangle.
    pub(super) fn fill(&mut self, from: Position, to: Position, color: Ink) {
        self.shapes.push(Shape::Fill([from, to], color));
    }

    /// A rectangle without fill.
    pub(super) fn outline(&mut self, from: Position, to: Position, color: Ink) {
        self.shapes.push(Shape::Outline([from, to], color));
    }

    pub(super) fn line(&mut self, positions: Vec<Position>, width: u32, color: Ink) {
        self.shapes.push(Shape::Line(positions, width, color));
    }

    pub(super) fn polygon(&mut self, positions: Vec<Position>, color: Ink) {
        self.shapes.push(Shape::Polygon(positions, color));
    }

    pub(super) fn text(
        &mut self,
        text: impl Into<String>,
        at: Position,
        font: Font,
        pos: Pos,
        color: Ink,
    ) {
        self.shapes.push(Shape::Text { text: text.into(), at, font, pos, color });
    }

    /// Text that wraps at the full width.
    pub(super) fn paragraph(&mut self, text: &str, font: Font, color: Ink) {
        for line in wrap(text, font, self.layout.content_right - MARGIN) {
            self.text(line, (MARGIN, self.y), font, TOP_LEFT, color);
            self.y += font.line_height();
        }
    }

    /// Renders the SVG.
    pub(super) fn render(self) -> Result<String, RenderError> {
        let size = (self.layout.width.unsigned_abs(), (self.y + MARGIN).unsigned_abs());
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            area.fill(&Ink::Page.rgb())?;
            for shape in self.shapes {
                shape.draw(&area)?;
            }
            area.present()?;
        }
        Ok(svg)
    }
}

impl Shape {
    fn draw(self, area: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), RenderError> {
        /// Plotters divides the font size by this factor.
        const FONT_SCALE: f64 = 1.24;
        match self {
            Self::Fill(corners, color) => area.draw(&Rectangle::new(corners, filled(color)))?,
            Self::Outline(corners, color) => {
                area.draw(&Rectangle::new(corners, stroke(color, 1)))?;
            }
            Self::Line(positions, width, color) => {
                area.draw(&PathElement::new(positions, stroke(color, width)))?;
            }
            Self::Polygon(positions, color) => {
                area.draw(&Polygon::new(positions, filled(color)))?;
            }
            Self::Text { text, at, font, pos, color } => {
                let weight = if font.bold { FontStyle::Bold } else { FontStyle::Normal };
                let size = f64::from(font.size) * FONT_SCALE;
                let font = FontDesc::new(FontFamily::SansSerif, size, weight);
                area.draw_text(&text, &font.color(&color.rgb()).pos(pos), at)?;
            }
        }
        Ok(())
    }
}

fn filled(color: Ink) -> ShapeStyle {
    ShapeStyle { color: color.rgb().to_rgba(), filled: true, stroke_width: 1 }
}

fn stroke(color: Ink, width: u32) -> ShapeStyle {
    ShapeStyle { color: color.rgb().to_rgba(), filled: false, stroke_width: width }
}
