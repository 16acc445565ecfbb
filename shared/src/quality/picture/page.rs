//! A page of shapes and words. It is drawn once all of it is known, as its height follows from
//! what is on it. Here alone plotters draws.

use plotters::coord::Shift;
use plotters::prelude::{
    Color, DrawingArea, FontDesc, FontFamily, FontStyle, IntoDrawingArea, PathElement, Polygon,
    Rectangle, SVGBackend, ShapeStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::quality::picture::NotDrawn;
use crate::quality::picture::layout::{Layout, MARGIN};
use crate::quality::picture::palette::Ink;
use crate::quality::picture::text::{Font, wrap};
use crate::quality::picture::width::Width;

/// A place in pixels from the upper left.
pub(super) type Place = (i32, i32);

// Which point of a text its place is.
pub(super) const TOP_LEFT: Pos = Pos { h_pos: HPos::Left, v_pos: VPos::Top };
pub(super) const TOP_MIDDLE: Pos = Pos { h_pos: HPos::Center, v_pos: VPos::Top };
pub(super) const TOP_RIGHT: Pos = Pos { h_pos: HPos::Right, v_pos: VPos::Top };
pub(super) const MIDDLE_LEFT: Pos = Pos { h_pos: HPos::Left, v_pos: VPos::Center };
pub(super) const MIDDLE_RIGHT: Pos = Pos { h_pos: HPos::Right, v_pos: VPos::Center };

enum Shape {
    Fill([Place; 2], Ink),
    Outline([Place; 2], Ink),
    Line(Vec<Place>, u32, Ink),
    Polygon(Vec<Place>, Ink),
    Text { text: String, at: Place, font: Font, pos: Pos, ink: Ink },
}

/// What is drawn so far.
pub(super) struct Page {
    pub(super) layout: Layout,
    /// Where what comes next begins.
    pub(super) y: i32,
    shapes: Vec<Shape>,
}

impl Page {
    pub(super) fn new(width: Width) -> Self {
        Self { layout: Layout::new(width), y: MARGIN, shapes: Vec::new() }
    }

    /// A filled rectangle.
    pub(super) fn fill(&mut self, from: Place, to: Place, ink: Ink) {
        self.shapes.push(Shape::Fill([from, to], ink));
    }

    /// An empty rectangle.
    pub(super) fn outline(&mut self, from: Place, to: Place, ink: Ink) {
        self.shapes.push(Shape::Outline([from, to], ink));
    }

    pub(super) fn line(&mut self, places: Vec<Place>, width: u32, ink: Ink) {
        self.shapes.push(Shape::Line(places, width, ink));
    }

    pub(super) fn polygon(&mut self, places: Vec<Place>, ink: Ink) {
        self.shapes.push(Shape::Polygon(places, ink));
    }

    pub(super) fn text(
        &mut self,
        text: impl Into<String>,
        at: Place,
        font: Font,
        pos: Pos,
        ink: Ink,
    ) {
        self.shapes.push(Shape::Text { text: text.into(), at, font, pos, ink });
    }

    /// Lines of text over the whole width.
    pub(super) fn paragraph(&mut self, text: &str, font: Font, ink: Ink) {
        for line in wrap(text, font, self.layout.end - MARGIN) {
            self.text(line, (MARGIN, self.y), font, TOP_LEFT, ink);
            self.y += font.line();
        }
    }

    /// The picture.
    pub(super) fn draw(self) -> Result<String, NotDrawn> {
        let size = (self.layout.width.unsigned_abs(), (self.y + MARGIN).unsigned_abs());
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            area.fill(&Ink::Page.color())?;
            for shape in self.shapes {
                shape.draw(&area)?;
            }
            area.present()?;
        }
        Ok(svg)
    }
}

impl Shape {
    fn draw(self, area: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), NotDrawn> {
        /// What plotters divides a font's size by before it writes it.
        const FONT_SCALE: f64 = 1.24;
        match self {
            Self::Fill(corners, ink) => area.draw(&Rectangle::new(corners, filled(ink)))?,
            Self::Outline(corners, ink) => area.draw(&Rectangle::new(corners, stroke(ink, 1)))?,
            Self::Line(places, width, ink) => {
                area.draw(&PathElement::new(places, stroke(ink, width)))?;
            }
            Self::Polygon(places, ink) => area.draw(&Polygon::new(places, filled(ink)))?,
            Self::Text { text, at, font, pos, ink } => {
                let weight = if font.bold { FontStyle::Bold } else { FontStyle::Normal };
                let size = f64::from(font.size) * FONT_SCALE;
                let font = FontDesc::new(FontFamily::SansSerif, size, weight);
                area.draw_text(&text, &font.color(&ink.color()).pos(pos), at)?;
            }
        }
        Ok(())
    }
}

fn filled(ink: Ink) -> ShapeStyle {
    ShapeStyle { color: ink.color().to_rgba(), filled: true, stroke_width: 1 }
}

fn stroke(ink: Ink, width: u32) -> ShapeStyle {
    ShapeStyle { color: ink.color().to_rgba(), filled: false, stroke_width: width }
}
