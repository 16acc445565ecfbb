//! The legend of the markers and the cell colors.

use crate::quality::chart::bands::{self, BANDS};
use crate::quality::chart::canvas::{Canvas, MIDDLE_LEFT, Position};
use crate::quality::chart::layout::{GAP, MARGIN};
use crate::quality::chart::palette::Ink;
use crate::quality::chart::text::SMALL;

/// A marker of an event. Each kind has its own shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// A participant joins.
    Join,
    /// A participant leaves.
    Leave,
    /// The video freezes.
    Freeze,
}

impl Marker {
    /// A join marker points to the right, a leave marker to the left.
    pub(super) fn draw(self, canvas: &mut Canvas, (x, y): Position) {
        match self {
            Self::Join => canvas.polygon(vec![(x, y - 5), (x + 8, y), (x, y + 5)], Ink::Mark),
            Self::Leave => canvas.polygon(vec![(x, y - 5), (x - 8, y), (x, y + 5)], Ink::Mark),
            Self::Freeze => {
                canvas.polygon(vec![(x, y - 5), (x + 4, y), (x, y + 5), (x - 4, y)], Ink::Freeze);
            }
        }
    }
}

enum LegendSymbol {
    Cell(Ink),
    Marker(Marker),
}

pub(super) fn draw_legend(canvas: &mut Canvas) {
    /// The width and height of a symbol.
    const SYMBOL_SIZE: i32 = 12;
    let cells = BANDS.map(bands::band_style).map(|band| (LegendSymbol::Cell(band.cell), band.name));
    let other_symbols = [
        (LegendSymbol::Cell(Ink::Empty), "no sample"),
        (LegendSymbol::Marker(Marker::Join), "joins"),
        (LegendSymbol::Marker(Marker::Leave), "leaves"),
        (LegendSymbol::Marker(Marker::Freeze), "picture freezes"),
    ];
    canvas.y += 8;
    let mut x = MARGIN;
    for (symbol, label) in cells.into_iter().chain(other_symbols) {
        let width = SYMBOL_SIZE + GAP + SMALL.text_width(label);
        if x > MARGIN && x + width > canvas.layout.content_right {
            x = MARGIN;
            canvas.y += SYMBOL_SIZE + GAP;
        }
        let (y, middle) = (canvas.y, canvas.y + SYMBOL_SIZE / 2);
        match symbol {
            LegendSymbol::Cell(color) => {
                canvas.fill((x, y), (x + SYMBOL_SIZE, y + SYMBOL_SIZE), color);
                canvas.outline((x, y), (x + SYMBOL_SIZE, y + SYMBOL_SIZE), Ink::Outline);
            }
            LegendSymbol::Marker(Marker::Join) => Marker::Join.draw(canvas, (x + 2, middle)),
            LegendSymbol::Marker(Marker::Leave) => {
                Marker::Leave.draw(canvas, (x + SYMBOL_SIZE - 2, middle));
            }
            LegendSymbol::Marker(Marker::Freeze) => {
                Marker::Freeze.draw(canvas, (x + SYMBOL_SIZE / 2, middle));
            }
        }
        canvas.text(label, (x + SYMBOL_SIZE + GAP, middle), SMALL, MIDDLE_LEFT, Ink::Text);
        x += width + 2 * GAP;
    }
    canvas.y += SYMBOL_SIZE + GAP;
}
